#!/bin/sh
again() { printf 'CGI-AGAIN yes SIP/2.0\n\n'; }
cookie() { printf 'CGI-SET-COOKIE %s SIP/2.0\n\n' "$1"; }
place() {
    printf 'CGI-PROXY-REQUEST sip:place-%s@example.net SIP/2.0\nCGI-Request-Token: t%s\n\n' "$1" "$1"
    cookie "$1"
    again
}
with_body() { # headers, body
    printf '%s\nContent-Length: %s\n\n%s' "$1" "$(printf %s "$2" | wc -c)" "$2"
}

user=${SIPCGI_URI#sip:}
user=${user%%@*}
case $SIPCGI_EVENT.$user.$RESPONSE_STATUS in
cancel.*) cookie cancel ;;
ack.*) cookie answered ;;
timer.*) printf 'SIP/2.0 480 Nobody came\n\n' ;;
*.decline.*) printf "SIP/2.0 603 No, thanks\nRetry-After: 3600\n\n" ;;
*.moved.*)
    printf 'SIP/2.0 302 Moved Temporarily\nContact: <sip:bob@192.0.2.1>;q=0.9\n'
    printf '%s\n\n' 'Contact: "Bob, \"home\"" <sip:bob@192.0.2.2;transport=tcp>;q=0.1' ;;
*.echo.*)
    printf 'CGI-PROXY-REQUEST %s SIP/2.0\nCGI-Remove: Subject\nX-Seen: %s\n\n' "$REQUEST_URI" "$SIP_SUBJECT" ;;
*.length.*) printf 'SIP/2.0 480 Counted\nX-Octets: %s\n\n' "$(printf %s "$SIP_SUBJECT" | wc -c)" ;;
*.body.*)
    octets=$(cat; echo .)
    octets=${octets%.}
    if [ "$octets" ]; then
        with_body "SIP/2.0 200 OK
Content-Type: $CONTENT_TYPE" "$octets"
    else
        printf 'SIP/2.0 200 OK\nContent-Length: 0\n\n'
    fi ;;
*.other.*)
    with_body "CGI-PROXY-REQUEST $REQUEST_URI SIP/2.0
Content-Type: application/json" '{"é": 1}' ;;
*.fork.*)
    printf 'CGI-PROXY-REQUEST sip:a@example.net SIP/2.0\nCGI-Timeout: 2.5\n\n'
    printf 'CGI-PROXY-REQUEST sip:b@example.net;transport=tcp SIP/2.0\nCGI-Timeout: 30\n\n' ;;
*.hunt.) place 1 ;;
*.hunt.1??) printf 'CGI-FORWARD-RESPONSE this SIP/2.0\nX-Place: %s\n\n' "$SCRIPT_COOKIE"; again ;;
*.hunt.[345]??) place $((SCRIPT_COOKIE + 1)) ;;
*.variables.*)
    list=$(for name in REQUEST_METHOD REQUEST_URI SIPCGI_EVENT SIPCGI_PENDING SIP_X_EMPTY SIP_X_LIST SIP_ACCEPT_CONTACT \
        RESPONSE_STATUS SCRIPT_COOKIE REGISTRATIONS SIP_AUTHORIZATION SIP_NOBODY TZ; do
        if eval "[ \"\${$name+x}\" ]"; then eval "printf '%s=%s\n' $name \"\$$name\""; else echo "undefined $name"; fi
    done; echo "arguments $#")
    with_body 'SIP/2.0 480 Listed
Content-Type: text/plain' "$list" ;;
*.bob.*) printf 'SIP/2.0 480 Listed\nX-Phones: %s\n\n' "$REGISTRATIONS" ;;
*.timer.*) printf 'SIP/2.0 182 Queued\n\nCGI-AGAIN yes SIP/2.0\nCGI-After: 5\n\n' ;;
*.answer.*)
    with_body 'SIP/2.0 200 OK
Content-Type: application/sdp' 'v=0
'
    cookie answered
    again ;;
*.fail.*) printf 'SIP/2.0 200 OK\n\n'; echo 'no luck' >&2; exit 3 ;;
*.complain.*) echo 'a word to the log' >&2 ;;
esac
exit 0
