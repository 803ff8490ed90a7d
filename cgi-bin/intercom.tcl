#!/usr/bin/tclsh
# Intercom: *80 and a user is answered by the phone itself, loud, for those who may; it is a microphone in a room.
#
# In conf/sipcgi.yaml:  - {script: intercom.tcl, method: INVITE, uri: "[*]80*@example.com"}
# To adapt: the sound; intercom.txt, callers that may, one a line, read again for each call.
set from [expr {[info exists env(SIP_FROM)] ? $env(SIP_FROM) : ""}]
regsub -all {\\.} $from "" from
regsub -all {"[^"]*"} $from "" from      ;# in the display name anything may be written
set caller ""
if {[regexp -nocase {^[^<]*<sips?:([^@;?>]+)@([^:;?>]+)} $from -> user host]
    || [regexp -nocase {^\s*sips?:([^@;?<\s]+)@([^:;?<\s]+)} $from -> user host]} {
    set caller "$user@[string tolower $host]"
}

set file [open intercom.txt]             ;# without the file the script fails, and nobody is put through
set allowed [expr {$caller ne "" && $caller in [split [read $file] "\n"]}]

if {!$allowed || ![regexp {^(sips?:)\*80([^@]+@.*)} $env(REQUEST_URI) -> scheme callee]} {
    puts "SIP/2.0 403 Not by intercom\n"
} else {
    puts "CGI-PROXY-REQUEST $scheme$callee SIP/2.0"
    puts "Answer-Mode: Auto"             ;# RFC 5373; phones that are older obey the next one
    puts "Alert-Info: <http://www.example.com/sounds/beep.wav>;info=alert-autoanswer;delay=0\n"
}
