#!/usr/bin/env tclsh
# What this script is for: unwanted callers are turned away; who does not answer gets voicemail.
#
# For a call:               sipcgi try NAME
# And for what comes next:  sipcgi try NAME --response 486 --cookie rang
set blocked   *@vinylsiding.com*
set voicemail sip:voicemail@example.net

proc variable_of {name {default ""}} {
    return [expr {[info exists ::env($name)] ? $::env($name) : $default}]
}

set status [variable_of RESPONSE_STATUS 0]
if {[variable_of SIPCGI_EVENT request] eq "request"} {
    # the call comes in: headers are in SIP_..., the body is on standard input
    if {[string match -nocase $blocked [variable_of SIP_FROM]]} {
        # an answer: a status line, header fields, a blank line
        puts "SIP/2.0 603 Decline\nReason: SIP;text=\"no, thanks\"\n"
    } else {
        # the call goes where it was going, for 20 seconds; then, or at an answer, run me again
        puts "CGI-PROXY-REQUEST [variable_of REQUEST_URI] SIP/2.0\nCGI-Timeout: 20\n"
        puts "CGI-SET-COOKIE rang SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n"
    }
} elseif {($status >= 100 && $status < 200) || [variable_of SIPCGI_PENDING 0] > 0} {
    puts "CGI-AGAIN yes SIP/2.0\n"                      ;# it rings, or another phone still does
} elseif {[variable_of SCRIPT_COOKIE] eq "rang" && $status in {408 480 486 503}} {
    puts "CGI-PROXY-REQUEST $voicemail SIP/2.0\n"       ;# no answer, not there, busy, out of reach
}

# Nothing printed: the server does what it does without a script.
