#!/usr/bin/tclsh
fconfigure stdin -translation binary
fconfigure stdout -translation binary

# The environment and the texts below are characters, what is written are octets.
proc octets {text} { encoding convertto utf-8 $text }
proc say {args} { puts -nonewline [octets "[join $args \n]\n\n"] }
proc again {} { say "CGI-AGAIN yes SIP/2.0" }
proc cookie {text} { say "CGI-SET-COOKIE $text SIP/2.0" }
proc place {number} {
    say "CGI-PROXY-REQUEST sip:place-$number@example.net SIP/2.0" "CGI-Request-Token: t$number"
    cookie $number
    again
}
proc with_body {body args} {
    say {*}$args "Content-Length: [string length $body]"
    puts -nonewline $body
}
proc value {name} { expr {[info exists ::env($name)] ? $::env($name) : ""} }

regexp {^sip:([^@]*)@} $env(SIPCGI_URI) -> user
set status [value RESPONSE_STATUS]
switch -glob $env(SIPCGI_EVENT).$user.$status {
    cancel.* { cookie cancel }
    ack.* { cookie answered }
    timer.* { say "SIP/2.0 480 Nobody came" }
    *.decline.* { say "SIP/2.0 603 No, thanks" "Retry-After: 3600" }
    *.moved.* {
        say "SIP/2.0 302 Moved Temporarily" "Contact: <sip:bob@192.0.2.1>;q=0.9" \
            {Contact: "Bob, \"home\"" <sip:bob@192.0.2.2;transport=tcp>;q=0.1}
    }
    *.echo.* { say "CGI-PROXY-REQUEST [value REQUEST_URI] SIP/2.0" "CGI-Remove: Subject" "X-Seen: [value SIP_SUBJECT]" }
    *.length.* { say "SIP/2.0 480 Counted" "X-Octets: [string length [octets [value SIP_SUBJECT]]]" }
    *.body.* {
        set body [read stdin]
        if {$body eq ""} {
            say "SIP/2.0 200 OK" "Content-Length: 0"
        } else {
            with_body $body "SIP/2.0 200 OK" "Content-Type: [value CONTENT_TYPE]"
        }
    }
    *.other.* {
        with_body [octets "{\"\u00e9\": 1}"] "CGI-PROXY-REQUEST [value REQUEST_URI] SIP/2.0" \
            "Content-Type: application/json"
    }
    *.fork.* {
        say "CGI-PROXY-REQUEST sip:a@example.net SIP/2.0" "CGI-Timeout: 2.5"
        say "CGI-PROXY-REQUEST sip:b@example.net;transport=tcp SIP/2.0" "CGI-Timeout: 30"
    }
    *.hunt. { place 1 }
    *.hunt.1* {
        say "CGI-FORWARD-RESPONSE this SIP/2.0" "X-Place: [value SCRIPT_COOKIE]"
        again
    }
    *.hunt.[345]* { place [expr {[value SCRIPT_COOKIE] + 1}] }
    *.variables.* {
        set lines {}
        foreach name {REQUEST_METHOD REQUEST_URI SIPCGI_EVENT SIPCGI_PENDING SIP_X_EMPTY SIP_X_LIST SIP_ACCEPT_CONTACT
                RESPONSE_STATUS SCRIPT_COOKIE REGISTRATIONS SIP_AUTHORIZATION SIP_NOBODY TZ} {
            lappend lines [expr {[info exists env($name)] ? "$name=$env($name)" : "undefined $name"}]
        }
        with_body [octets [join [lappend lines "arguments $argc"] \n]] "SIP/2.0 480 Listed" "Content-Type: text/plain"
    }
    *.bob.* { say "SIP/2.0 480 Listed" "X-Phones: [value REGISTRATIONS]" }
    *.timer.* {
        say "SIP/2.0 182 Queued"
        say "CGI-AGAIN yes SIP/2.0" "CGI-After: 5"
    }
    *.answer.* {
        with_body "v=0\n" "SIP/2.0 200 OK" "Content-Type: application/sdp"
        cookie answered
        again
    }
    *.fail.* {
        say "SIP/2.0 200 OK"
        puts stderr "no luck"
        exit 3
    }
    *.complain.* { puts stderr "a word to the log" }
}
