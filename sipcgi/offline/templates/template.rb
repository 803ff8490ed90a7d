#!/usr/bin/env ruby
# What this script is for: unwanted callers are turned away; who does not answer gets voicemail.
#
# For a call:               sipcgi try NAME
# And for what comes next:  sipcgi try NAME --response 486 --cookie rang
BLOCKED = '@vinylsiding.com'
VOICEMAIL = 'sip:voicemail@example.net'
AGAIN = "CGI-AGAIN yes SIP/2.0\n\n" # run me at the next message, too

status = ENV.fetch('RESPONSE_STATUS', '0').to_i
if ENV.fetch('SIPCGI_EVENT', 'request') == 'request' # headers are in SIP_..., the body is on standard input
  if ENV.fetch('SIP_FROM', '').include?(BLOCKED) # an answer: a status line, header fields, a blank line
    print "SIP/2.0 603 Decline\nReason: SIP;text=\"no, thanks\"\n\n"
  else # the call goes where it was going, for 20 seconds; then, or at an answer, run me again
    print "CGI-PROXY-REQUEST #{ENV['REQUEST_URI']} SIP/2.0\nCGI-Timeout: 20\n\n"
    print "CGI-SET-COOKIE rang SIP/2.0\n\n", AGAIN
  end
elsif status.between?(100, 199) || ENV['SIPCGI_PENDING'].to_i.positive? # it rings, or another phone still does
  print AGAIN
elsif ENV['SCRIPT_COOKIE'] == 'rang' && [408, 480, 486, 503].include?(status) # no answer, not there, busy, out of reach
  print "CGI-PROXY-REQUEST #{VOICEMAIL} SIP/2.0\n\n"
end

# Nothing printed: the server does what it does without a script.
