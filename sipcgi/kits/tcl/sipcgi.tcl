# SIP-CGI for scripts in Tcl: what happened as values, what is to happen as commands (RFC 3050 section 5).
#
#     package require sipcgi
#
#     if {[sip event] eq "request"} {
#         sip proxy [sip uri] -timeout 15
#         sip again
#     } elseif {[string match 1?? [sip status]] || [sip pending] > 0} {
#         sip again
#     } elseif {[sip status] in {408 480 486 503}} {
#         sip proxy sip:voicemail@example.com
#     }
#
# All is printed when the script ends, and nothing when an error or another exit status than 0 ends it. A value that would
# break its line or mean something else where it is put is an error. docs/kits.md has the whole vocabulary.

package require Tcl 8.6-
package provide sipcgi 1.0

namespace eval sipcgi {
    variable maxCookie 4096
    variable token {[A-Za-z0-9\-.!%*_+`'~]+} ;# RFC 3261 25.1
    variable unreserved {[A-Za-z0-9\-_.!~*'()]}
    variable uriSyntax {[A-Za-z][A-Za-z0-9+.\-]*:[!#-;=?-~]+}
    variable quoted {"([^"\\]*(?:\\.[^"\\]*)*)"}
    variable dialog sip:dialog.invalid ;# for the URI where the dialog has it (RFC 2606: there is no such name)
    variable output {} ;# octets
    variable received ;# the octets of the body, once they have been read
    namespace export event method uri status reason target token request_token pending is_response from to header \
        headers addresses get_regs body octets cookie proxy request reply forward again escape quote address
    namespace ensemble create -command ::sip
}

# What happened

# The value of the first of these variables that there is; the last argument without any.
proc sipcgi::Variable {args} {
    foreach name [lrange $args 0 end-1] {
        if {[info exists ::env($name)]} {
            return $::env($name)
        }
    }
    return [lindex $args end]
}

proc sipcgi::event {} {
    return [Variable SIPCGI_EVENT ""]
}

proc sipcgi::method {} {
    return [Variable REQUEST_METHOD SIPCGI_METHOD ""]
}

proc sipcgi::uri {} {
    return [Variable REQUEST_URI SIPCGI_URI ""]
}

proc sipcgi::status {} {
    return [Variable RESPONSE_STATUS 0]
}

proc sipcgi::reason {} {
    return [Variable RESPONSE_REASON ""]
}

proc sipcgi::target {} {
    return [Variable SIPCGI_TARGET ""]
}

proc sipcgi::token {} {
    return [Variable RESPONSE_TOKEN ""]
}

proc sipcgi::request_token {} {
    return [Variable REQUEST_TOKEN ""]
}

proc sipcgi::pending {} {
    return [Variable SIPCGI_PENDING 0]
}

proc sipcgi::is_response {} {
    return [expr {[status] > 0}]
}

# The address, or one part of it: display, uri, scheme, user, host, port, params, tag, q, expires; "" where there is none.
proc sipcgi::from {{part {}}} {
    return [Part [header From] $part]
}

proc sipcgi::to {{part {}}} {
    return [Part [header To] $part]
}

proc sipcgi::Part {text part} {
    set address [ParseAddress $text]
    if {$part eq "" || $address eq ""} {
        return $address
    }
    return [dict get $address $part]
}

# The whole value of a header field, "" without one.
proc sipcgi::header {name} {
    return [Variable SIP_[regsub -all {[^A-Z0-9]} [string toupper $name] _] ""]
}

# The elements of a header field that is a list: split at commas, but not in quotes and brackets.
proc sipcgi::headers {name} {
    return [SplitList [header $name]]
}

# The addresses of a header field like P-Asserted-Identity; what is none is left out.
proc sipcgi::addresses {name} {
    return [lsearch -all -inline -not -exact [lmap element [headers $name] {ParseAddress $element}] {}]
}

# The phones that the called user has registered, the first is preferred.
proc sipcgi::get_regs {} {
    set found {}
    foreach element [SplitList [Variable REGISTRATIONS ""]] {
        set address [ParseAddress $element]
        if {$address ne "" && [dict get $address scheme] in {sip sips}} {
            lappend found $address
        }
    }
    return $found
}

# The body of the message: text in the system's encoding, as all that comes in and goes out is.
proc sipcgi::body {} {
    return [encoding convertfrom [encoding system] [octets]]
}

# The same as it came, where it is no text: a binary string.
proc sipcgi::octets {} {
    variable received
    if {![info exists received]} {
        fconfigure stdin -translation binary
        set received [read stdin]
    }
    return $received
}

# Without arguments the dictionary that an earlier run of this transaction gave, empty before; with names and values, or
# one dictionary, these are kept for the next run. It is text, never evaluated.
# The server keeps it between the runs; no message carries it, and none can set SCRIPT_COOKIE.
proc sipcgi::cookie {args} {
    variable output
    variable maxCookie
    if {[llength $args] == 0} {
        set state {}
        foreach pair [split [Variable SCRIPT_COOKIE ""] &] {
            if {[regexp {^([^=]*)=(.*)$} $pair -> name value]} {
                dict set state [Decoded $name] [Decoded $value]
            }
        }
        return $state
    }
    if {[llength $args] == 1} {
        set args [lindex $args 0]
    }
    set pairs {}
    dict for {name value} $args {
        lappend pairs [escape $name]=[escape $value]
    }
    set text [join $pairs &]
    if {$text eq ""} {
        Refuse "cookie: nothing in it"
    }
    if {[string length $text] > $maxCookie} {
        Refuse "cookie: [string length $text] octets, and $maxCookie at most are kept: keep its key only"
    }
    append output "CGI-SET-COOKIE $text SIP/2.0\n\n"
    return
}

# What is to happen; options of all but again: -headers {name value ...}, -content_type, -body (text) or -octets (a binary
# string), and -remove {name ...} of what there is already

# Sends the request to a URI or an address; several calls fork it. -timeout and -expires (seconds): without a final response
# by then the branch ends with a 408; -expires tells the callee, too. -token: what request_token is for its responses.
proc sipcgi::proxy {uri args} {
    Send "CGI-PROXY-REQUEST [CheckedUri $uri] SIP/2.0" $args -remove
}

# Has the server send a request of its own, on a route with `originate: true`. The -token of an earlier INVITE names the
# dialog which the request goes in: there the URI may be "".
proc sipcgi::request {method uri args} {
    variable dialog
    if {![regexp {^[A-Za-z]+$} $method]} {
        Refuse "method: not a method: $method"
    }
    if {$uri eq "" && "-token" in [lmap {name value} $args {set name}]} {
        set uri $dialog
    }
    Send "$method [CheckedUri $uri] SIP/2.0" $args {}
}

proc sipcgi::Send {line options own} {
    set lines [list $line]
    foreach {name value} $options {
        switch -- $name {
            -timeout {
                lappend lines "CGI-Timeout: [Seconds timeout $value]"
            }
            -expires {
                lappend lines "Expires: [Whole expires $value 0 4294967295]"
            }
            -token {
                lappend lines "CGI-Request-Token: [Token token $value]"
            }
        }
    }
    Message $lines $options [list -timeout -expires -token {*}$own]
}

# Answers the request; without a reason with the standard one.
proc sipcgi::reply {status {reason ""} args} {
    Message [list [string trimright "SIP/2.0 [Whole status $status 100 699] [Line reason $reason]" " \t"]] $args -remove
}

# Sends a response to the caller: the one at hand, or the one that had this token.
proc sipcgi::forward {{token this} args} {
    Message [list "CGI-FORWARD-RESPONSE [Token token $token] SIP/2.0"] $args -remove
}

# Asks to be run at the next message of this transaction, or -after so many seconds without one.
proc sipcgi::again {args} {
    variable output
    set lines [list "CGI-AGAIN yes SIP/2.0"]
    foreach {name value} $args {
        if {$name ne "-after"} {
            Refuse "again: no option $name"
        }
        lappend lines "CGI-After: [Seconds after $value]"
    }
    append output [join $lines \n] "\n\n"
    return
}

proc sipcgi::Message {lines options own} {
    variable output
    array set given {-headers {} -remove {} -content_type "" -body ""}
    if {[llength $options] % 2} {
        Refuse "option [lindex $options end]: no value"
    }
    foreach {name value} $options {
        if {$name ni {-headers -content_type -body -octets} && $name ni $own} {
            Refuse "no option $name"
        }
        set given($name) $value
    }
    if {[llength $given(-headers)] % 2} {
        Refuse "headers: not names and values: $given(-headers)"
    }
    foreach {name value} $given(-headers) {
        lappend lines "[FieldName $name]: [Line "header $name" $value]"
    }
    set names [lmap name $given(-remove) {Token remove $name}]
    if {[llength $names]} {
        lappend lines "CGI-Remove: [join $names {, }]"
    }
    set octets [Octets $given(-body)]
    if {[info exists given(-octets)]} {
        if {[dict exists $options -body]} {
            Refuse "octets: a body beside them"
        }
        if {[regexp {[^\u0000-\u00ff]} $given(-octets)]} {
            Refuse "octets: a character in it is none"
        }
        set octets $given(-octets)
    }
    if {$octets ne "" && $given(-content_type) eq ""} {
        Refuse "content_type: a body needs one"
    } elseif {$octets eq "" && $given(-content_type) ne ""} {
        Refuse "content_type: there is no body of that type"
    } elseif {$octets ne ""} {
        lappend lines "Content-Type: [Line content_type $given(-content_type)]"
    }
    if {[dict exists $options -body] || [info exists given(-octets)]} {
        lappend lines "Content-Length: [string length $octets]"
    }
    append output [Octets [join $lines \n]] "\n\n" $octets [expr {$octets eq "" ? "" : "\n"}]
    return
}

# When it counts

# tclsh itself calls exit at the end of the script, with 1 after an error.
rename exit sipcgi::Exit
proc exit {{status 0}} {
    if {$status eq "0"} {
        flush stdout
        fconfigure stdout -translation binary
        puts -nonewline stdout $sipcgi::output
        flush stdout
        set sipcgi::output {}
    }
    sipcgi::Exit $status
}

# Reading

proc sipcgi::SplitList {text} {
    set elements {}
    foreach element [regexp -all -inline {(?:"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?$)|<[^>]*(?:>|$)|[^,"<]+)+} $text] {
        set element [string trim $element " \t"]
        if {$element ne ""} {
            lappend elements $element
        }
    }
    return $elements
}

# A dictionary, empty where there is no address. display: without quotes: anything at all, and never to be trusted. user:
# what needs no escape is not escaped, the rest still is: fit to be compared and to be put into another URI. host: in lower
# case, without a dot at its end; an IPv6 address with its brackets. params: of the header field, names in lower case, ""
# where one has no value. q: the preference of a contact; expires: seconds that a registration is still valid.
proc sipcgi::ParseAddress {text} {
    variable quoted
    variable uriSyntax
    set text [string trim $text " \t"]
    set display ""
    if {[regexp "^$quoted\[ \t\]*<(\[^<>\]*)>(.*)\$" $text -> display uri rest]} {
        set display [regsub -all {\\(.)} $display {\1}]
    } elseif {[regexp {^([^<>",;]*)<([^<>]*)>(.*)$} $text -> display uri rest]} {
        set display [string trimright $display " \t"]
    } elseif {![regexp {^([^\s<>",;?]+)[ \t]*(;.*)?$} $text -> uri rest]} { ;# RFC 3261 20.10: all parameters are the field's
        return
    }
    if {![regexp "^$uriSyntax\$" $uri] || [catch {Parameters $rest} params]} {
        return
    }
    set address [dict create display $display uri $uri params $params tag "" q 1 expires ""]
    if {[dict exists $params tag]} {
        dict set address tag [dict get $params tag]
    }
    if {[dict exists $params q] && [regexp {^[01](\.[0-9]{0,3})?$} [dict get $params q]]} {
        dict set address q [dict get $params q]
    }
    if {[dict exists $params expires] && [regexp {^[0-9]{1,10}$} [dict get $params expires]]} {
        dict set address expires [scan [dict get $params expires] %lld]
    }
    return [dict merge $address [TakeApart $uri]]
}

proc sipcgi::Parameters {text} {
    variable quoted
    set params {}
    set at 0
    set one "\\A\[ \t\]*;\[ \t\]*(\[^\\s;=\",<>\]+)(?:\[ \t\]*=\[ \t\]*(?:($quoted)|(\[^\\s;\",<>\]+)))?\[ \t\]*"
    while {$at < [string length $text]} {
        if {![regexp -start $at $one $text all name inQuotes value plain]} {
            error "not a parameter"
        }
        incr at [string length $all]
        if {$inQuotes eq ""} {
            set value $plain
        }
        set name [string tolower $name]
        if {![dict exists $params $name]} {
            dict set params $name [regsub -all {\\(.)} $value {\1}]
        }
    }
    return $params
}

proc sipcgi::TakeApart {uri} {
    variable unreserved
    regexp {^([^:]*):(.*)$} $uri -> scheme rest
    set scheme [string tolower $scheme]
    set parts [dict create scheme $scheme user "" host "" port ""]
    if {$scheme eq "tel"} {
        dict set parts user [regsub -all {;.*|[-.()]} $rest ""]
    } elseif {$scheme in {sip sips}} {
        if {[regexp {^(.*)@(.*)$} $rest -> user rest]} {
            dict set parts user [Decoded [regsub {:.*} $user ""] $unreserved]
        }
        regexp {^(\[[^]]*\]|[^:;?]*)(?::([0-9]{1,5})(?![0-9]))?} $rest -> host port
        dict set parts host [regsub {\.$} [string tolower $host] ""]
        if {$port ne ""} {
            dict set parts port [scan $port %d]
        }
    }
    return $parts
}

# With %XX undone: octets as text, or only where it stands for a character that matches.
# No text goes through expr, which would write numbers anew: 007 is no 7.
proc sipcgi::Decoded {text {only ""}} {
    set result ""
    set at 0
    foreach place [regexp -all -inline -indices {%[0-9A-Fa-f]{2}} $text] {
        lassign $place first last
        append result [string range $text $at [expr {$first - 1}]]
        set escape [string toupper [string range $text $first $last]]
        set character [format %c [scan $escape %%%x]]
        if {$only eq "" || [regexp "^$only\$" $character]} {
            append result $character
        } else {
            append result $escape
        }
        set at [expr {$last + 1}]
    }
    append result [string range $text $at end]
    if {$only eq ""} {
        return [encoding convertfrom [encoding system] $result]
    }
    return $result
}

# Writing values

# The user part of a SIP URI, whatever is in the text.
proc sipcgi::escape {text} {
    set result ""
    foreach character [split [Octets $text] ""] {
        if {![regexp {[A-Za-z0-9\-_.!~*'()+]} $character]} {
            set character [format %%%02X [scan $character %c]]
        }
        append result $character
    }
    return $result
}

# A quoted string, as a display name has to be.
proc sipcgi::quote {text} {
    return "\"[regsub -all {["\\]} [Line text $text] {\\&}]\""
}

# An address for From, Contact, Diversion and their kind: "display" <uri>;name=value
proc sipcgi::address {uri {display ""} args} {
    variable token
    set text "<[CheckedUri $uri]>"
    if {$display ne ""} {
        set text "[quote $display] $text"
    }
    foreach {name value} $args {
        append text ";[Token parameter $name]"
        if {$value ne "" && ![regexp "^$token\$" [Line "parameter $name" $value]]} {
            set value [quote $value]
        }
        if {$value ne ""} {
            append text =$value
        }
    }
    return $text
}

proc sipcgi::Refuse {text} {
    return -code error -errorcode {SIPCGI VALUE} $text
}

proc sipcgi::Octets {text} {
    return [encoding convertto [encoding system] $text]
}

# What is checked is the octets: no encoding makes line ends of something else.
proc sipcgi::Line {what value} {
    if {[regexp {[\r\n\0]} $value] || [regexp {[\r\n\0]} [Octets $value]]} {
        Refuse "$what: CR, LF or NUL in it"
    }
    return $value
}

proc sipcgi::Token {what value} {
    variable token
    if {![regexp "^$token\$" [Line $what $value]]} {
        Refuse "$what: not a token: $value"
    }
    return $value
}

proc sipcgi::FieldName {value} {
    Token header $value
    if {[string tolower $value] in {content-length content-type l c}} {
        Refuse "header $value: use -body and -content_type"
    }
    if {[string match -nocase cgi-* $value]} {
        Refuse "header $value: use the option that means it"
    }
    return $value
}

# Of a URI, or of an address as `from` and `get_regs` give them.
proc sipcgi::CheckedUri {value} {
    variable uriSyntax
    if {![catch {dict get $value uri} uri]} {
        set value $uri
    }
    if {![regexp "^$uriSyntax\$" [Line uri $value]]} {
        Refuse "uri: not a URI: $value"
    }
    return $value
}

proc sipcgi::Seconds {what value} {
    if {![regexp {^[0-9]{1,9}(\.[0-9]{1,9})?$} $value] || ![regexp {[1-9]} $value]} {
        Refuse "$what: not a number of seconds above 0: $value"
    }
    return $value
}

proc sipcgi::Whole {what value least most} {
    if {![regexp {^[0-9]{1,10}$} $value] || [scan $value %lld] < $least || [scan $value %lld] > $most} {
        Refuse "$what: not a whole number from $least to $most"
    }
    return $value
}
