#!/usr/bin/tclsh
# Follow me: a call goes after its user from place to place, wherever the phones of each are registered.
#
# In conf/sipcgi.yaml:  - {script: followme.tcl, method: INVITE, uri: "*@example.com", on_error: default}
# To adapt: follow-me.txt, lines of user, seconds and URI in the order in which they ring, read again each time.
proc variable_or {name otherwise} {
    expr {[info exists ::env($name)] ? $::env($name) : $otherwise}
}
proc ring {place} {
    lassign [lindex $::places $place] seconds uri
    puts "CGI-PROXY-REQUEST $uri SIP/2.0\nCGI-Timeout: $seconds\n"
    puts "CGI-SET-COOKIE $place SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n"    ;# the place comes back as SCRIPT_COOKIE
}

regexp {^sips?:([^@]+)@} [variable_or SIPCGI_URI ""] -> user
set places {}
set file [open follow-me.txt]
while {[gets $file line] >= 0} {
    if {[regexp {^([^#\s]\S*)\s+([0-9]+)\s+(\S+)} $line -> who seconds uri] && [info exists user] && $who eq $user} {
        lappend places [list $seconds $uri]
    }
}

set status [variable_or RESPONSE_STATUS 0]
set place [variable_or SCRIPT_COOKIE 0]
if {[variable_or REQUEST_METHOD ""] eq "INVITE"} {
    if {[llength $places]} { ring 0 }
} elseif {$status < 200 || ($status >= 300 && [variable_or SIPCGI_PENDING 0] > 0)} {
    if {$status} { puts "CGI-AGAIN yes SIP/2.0\n" }                      ;# it rings, or another phone still does
} elseif {$status >= 300 && $status < 600 && $place + 1 < [llength $places]} {
    ring [expr {$place + 1}]
}   ;# an answer, a 603 (nowhere else, either), the last place: the server does what it always does
