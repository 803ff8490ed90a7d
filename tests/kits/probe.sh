# As probe.py.
. sipcgi.sh

tab=$(printf '\t')

show() {
    shown=$1
    shift
    for value; do shown="$shown$tab$value"; done
    printf '%s\n' "$shown"
}

known() { # part of $element
    sip_part "$element" "$1" || echo -
}

registered() {
    show "$1" "$2" "$3"
}

if [ "$sip_event" = ack ]; then
    sip_request INFO '' --token t --content_type a/b --body "$(sip_body)"
elif sip_is_response; then
    show "$sip_event" "$sip_method" "$sip_uri" "$sip_status" "$sip_reason" "$sip_pending" "$sip_target" "$sip_token"
    show "$(sip_header subject)" "$(sip_header X-None || echo -)"
    sip_headers X-List
    sip_headers X-List | while IFS= read -r element; do
        sip_part "$element" uri >/dev/null || continue
        show "$(known display)" "$(known uri)" "$(known scheme)" "$(known user)" "$(known host)" "$(known port)" \
            "$(known tag)" "$(known n)"
    done
    sip_get_regs registered
    if cookie=$(sip_cookie n); then show "$cookie"; fi
else
    sip_proxy "$sip_uri" "$NAME: $VALUE" --timeout "$SECONDS" --expires 30 --token "$TOKEN" --remove Subject \
        --remove "$REMOVE" --content_type "$TYPE" --body "$BODY"
    sip_reply "$STATUS" "$REASON" \
        "Contact: $(sip_address "sip:$(sip_escape "$USER")@example.com" "$DISPLAY" "p=$PARAM")" --body ''
    sip_request "$METHOD" "$URI" "Subject: $VALUE" --timeout "$SECONDS" --expires 60 --token "$TOKEN" \
        --content_type "$TYPE" --body "$BODY"
    sip_request BYE '' --token "$TOKEN"
    sip_forward "$TOKEN"
    sip_forward
    sip_again --after "$SECONDS"
    sip_set_cookie "n=$COOKIE"
fi
exit 0
