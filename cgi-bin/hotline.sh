#!/bin/sh
# Hotline: a phone in the lobby or the lift reaches one number, whatever is dialled on it.
#
# In conf/sipcgi.yaml:  - {script: hotline.sh, method: INVITE, from: ["lobby@example.com", "lift@example.com"]}
# To adapt: hotline.txt, lines of phone and URI, read again for each call.
exec < hotline.txt || exit 1          # a script that fails lets nobody through

# user@host of the caller: the display name goes, then what is round the URI and behind it
caller=$(printf '%s\n' "$SIP_FROM" | sed 's/\\.//g; s/"[^"]*"//g; s/.*<\([^>]*\)>.*/\1/; s/^[ 	]*sips*://; s/[;? ].*//')

case ${REQUEST_URI#*:} in 112@* | 911@* | 112 | 911 | service:sos*) exit 0 ;; esac    # emergencies go their own way

while read -r phone number; do
    if [ "$phone" = "$caller" ]; then
        printf 'CGI-PROXY-REQUEST %s SIP/2.0\n\n' "$number"
        exit 0
    fi
done
printf 'SIP/2.0 403 This phone has no hotline\n\n'
exit 0
