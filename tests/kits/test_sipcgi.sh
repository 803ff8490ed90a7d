# The idiom of the shell: exit statuses, words, functions, command substitution, trap. Its argument is the shell to test.
shell=$1
failed=0

# What a script of these lines prints in a run with these variables, and its exit status.
expect() { # lines, expected output and status, variables
    lines=$1 expected=$2
    shift 2
    found=$(echo body | env "$@" "$shell" -c ". sipcgi.sh
$lines" script 2>/dev/null; echo "=$?")
    [ "$found" = "$expected" ] && return
    failed=1
    printf 'failed: %s\nexpected: %s\nfound: %s\n' "$lines" "$expected" "$found"
}

busy='SIP/2.0 486

=0'
expect 'sip_reply 486' "$busy"
expect 'sip_reply 486; exit 0; sip_reply 200' "$busy"
expect 'sip_reply 486; exit 3' '=3'
expect 'sip_reply 486; false' '=1'
expect 'set -eu; sip_reply 486; false; exit 0' '=1'
expect 'set -eu; sip_reply 486; sip_again; exit 0' 'SIP/2.0 486

CGI-AGAIN yes SIP/2.0

=0'
expect 'sip_reply 486; (exit 0); true & wait' "$busy"
expect 'trap "sip_end 0; echo mine" EXIT; sip_reply 486' 'SIP/2.0 486

mine
=0'

expect 'sip_from user; sip_from tag; sip_from port || echo none; sip_to uri' 'al
1
none
=1' SIP_FROM='"A" <sip:al@example.com>;tag=1'
expect 'sip_header subject; sip_headers x-list' 'a $(id) `id` \
b
c
=0' SIP_SUBJECT='a $(id) `id` \' SIP_X_LIST='b, c'
expect 'sip_header Subject || echo none; sip_headers "X;id" || echo none; sip_get_regs || echo none' 'none
none
none
=0'
expect 'sip_is_response || echo no' 'no
=0'

expect 'ring() { sip_proxy "$1" "X-Q: $2" "X-Left: $3" "X-Body: $(sip_body)"; }; sip_get_regs ring' \
    'CGI-PROXY-REQUEST sip:*@192.0.2.1 SIP/2.0
X-Q: 0.5
X-Left: 60
X-Body: body

CGI-PROXY-REQUEST sip:b@[2001:db8::1] SIP/2.0
X-Q: 1
X-Left: 
X-Body: 

=0' REGISTRATIONS='<sip:*@192.0.2.1>;q=0.5;expires=60, <sip:b@[2001:db8::1]>'

expect 'sip_request MESSAGE "$(sip_from uri)" --content_type text/plain --body hi; sip_request ACK "" --token callee' \
    'MESSAGE sip:al@example.com SIP/2.0
Content-Type: text/plain
Content-Length: 2

hi
ACK sip:dialog.invalid SIP/2.0
CGI-Request-Token: callee

=0' SIP_FROM='<sip:al@example.com>'

expect 'sip_set_cookie n=3 "text= a&b=c%
"' 'CGI-SET-COOKIE n=3&text=%20a%26b%3Dc%25%0A SIP/2.0

=0'
expect 'sip_cookie n; sip_cookie text; sip_cookie b || echo none' '3
 a&b=c%

none
=0' SCRIPT_COOKIE='n=3&text=%20a%26b%3Dc%25%0A'
expect 'sip_cookie n || echo none' 'none
=0'
for wrong in 'sip_set_cookie' 'sip_set_cookie n' 'sip_set_cookie "a b=1"' 'sip_set_cookie =1' 'sip_again --later 1' \
    'sip_proxy sip:a@b --timeuot 1' 'sip_proxy sip:a@b --timeout' 'sip_proxy sip:a@b Subject' 'sip_reply' \
    'sip_forward this --timeout 1' 'sip_again --body x' 'sip_request' 'sip_request BYE' "sip_request BYE ''" \
    'sip_request CGI-AGAIN yes:' 'sip_request MESSAGE sip:a@b --remove Date' 'sip_request B2 sip:a@b' "sip_reply 302 '' \"Contact: \$(sip_address 'sip:a b')\"" \
    "sip_reply 302 '' \"Contact: \$(sip_address sip:a@b 'x
')\"" "sip_reply 302 '' \"Contact: \$(sip_address sip:a@b x 'a b=1')\""; do
    expect "sip_reply 200; $wrong; exit 0" '=65'
done
expect "sip_address sip:a@b; sip_address sip:a@b 'A \"b\\' lr q=0.5 'z=a b'; sip_quote 'a\"b'; sip_escape 'é@+'" \
    '<sip:a@b>
"A \"b\\" <sip:a@b>;lr;q=0.5;z="a b"
"a\"b"
%C3%A9%40+
=0'

[ "$failed" -eq 0 ] && echo all is well
