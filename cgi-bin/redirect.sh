#!/bin/sh
# Redirection: the caller is told where to call instead, and calls there without us.
#
# In conf/sipcgi.yaml:  - {script: redirect.sh, method: INVITE, uri: "bob@example.com"}
#
# 302 means "for now"; 301 Moved Permanently would tell the caller to change its address book.
# expires says for how many seconds the caller may remember it.
cat <<'END'
SIP/2.0 302 Moved Temporarily
Contact: "Bob's mobile" <sip:+12015550123@gateway.example.com>;expires=600

END

exit 0
