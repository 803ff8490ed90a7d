# SIP-CGI for shell scripts: what happened as values, what is to happen as commands (RFC 3050 section 5).
#
#     #!/bin/sh
#     . sipcgi.sh
#     case $sip_event,$sip_pending,$sip_status in
#     request,*)
#         sip_proxy "$sip_uri" --timeout 15
#         sip_again ;;
#     *,1?? | *,[1-9]*,*)
#         sip_again ;;
#     *,408 | *,480 | *,486 | *,503)
#         sip_proxy sip:voicemail@example.com ;;
#     esac
#     exit 0
#
# All is printed when the script ends with status 0, and nothing when it ends with another one, be it only that of its last
# command. A value that would break its line or mean something else where it is put ends the script with status 65. A
# command that asks for something is lost in a pipeline or in $(...). Who sets a trap on EXIT calls sip_end STATUS in it.
# docs/kits.md has the whole vocabulary.
#
# This is POSIX sh and awk. Names that begin with sip_ and _sip_ belong to it.

sip_event=${SIPCGI_EVENT-} # request, response, timeout (a local 408), timer, cancel or ack
sip_method=${REQUEST_METHOD:-${SIPCGI_METHOD-}} # of the request at hand, in other runs of the one that all began with
sip_uri=${REQUEST_URI:-${SIPCGI_URI-}}
sip_status=${RESPONSE_STATUS:-0} # of the response at hand, 0 without one
sip_reason=${RESPONSE_REASON-}
sip_target=${SIPCGI_TARGET-} # the URI that the response at hand answers for
sip_token=${RESPONSE_TOKEN-} # names the response at hand in a later sip_forward
sip_request_token=${REQUEST_TOKEN-} # what --token called the request that the response at hand answers
sip_pending=${SIPCGI_PENDING:-0} # branches that have no final response yet

_sip_output=
_sip_dialog=sip:dialog.invalid # for the URI where the dialog has it (RFC 2606: there is no such name)
_sip_newline='
'
_sip_return=$(printf '\r')
_sip_alnum=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 # what A-Z holds depends on the locale
_sip_token_set="$_sip_alnum!%*_+\`'~.-" # RFC 3261 25.1
_sip_uri_set="]$_sip_alnum!#\$%&'()*+,./:;=?@[\\\\^_\`{|}~-"

# When it counts

sip_end() { # status
    [ "${1:-0}" -ne 0 ] || printf '%s' "$_sip_output"
    _sip_output=
}
trap '_sip_exit=$?; trap - EXIT; sip_end "$_sip_exit"; exit "$_sip_exit"' EXIT

# What happened: each of these prints, and fails where there is nothing to print

sip_is_response() {
    [ "$sip_status" -gt 0 ]
}

sip_header() { # name: the whole value of a header field
    _sip_awk header "$1"
}

sip_headers() { # name: the elements of a list, one on a line: split at commas, but not in quotes and brackets
    _sip_awk headers "$1"
}

sip_from() { # part: display, uri, scheme, user, host, port, q, expires, or the name of a parameter: tag
    sip_part "${SIP_FROM-}" "$1"
}

sip_to() { # part
    sip_part "${SIP_TO-}" "$1"
}

sip_part() { # address part
    _sip_awk part "$1" "$2"
}

sip_get_regs() { # [function]: is called for each phone of the called user with its URI, q and seconds left; else prints them
    if [ $# -eq 0 ]; then
        _sip_awk regs
        return
    fi
    while IFS=' ' read -r _sip_reg _sip_q _sip_expires <&3; do
        [ -z "$_sip_reg" ] || "$1" "$_sip_reg" "$_sip_q" "$_sip_expires" 3<&-
    done 3<<_sip_end_of_regs
$(_sip_awk regs)
_sip_end_of_regs
}

sip_body() {
    cat
}

# The server keeps a cookie between the runs; no message carries it, and none can set SCRIPT_COOKIE.
sip_cookie() { # name: of what an earlier run of this transaction gave to sip_set_cookie
    _sip_awk cookie "$1"
}

# What is to happen; options: 'Name: value' is a header field, --remove NAME (not of requests of our own), --content_type TYPE,
# --body TEXT

sip_proxy() { # URI [--timeout SECONDS] [--expires SECONDS] [--token TOKEN] [options]: several calls fork the request
    _sip_check_uri "${1-}"
    _sip_kind=proxy _sip_action="CGI-PROXY-REQUEST $1 SIP/2.0"
    shift
    _sip_message "$@"
}

# Has the server send a request of its own, on a route with `originate: true`. The --token of an earlier INVITE names the
# dialog which the request goes in: there the URI may be ''.
sip_request() { # method URI [--timeout SECONDS] [--expires SECONDS] [--token TOKEN] [options]
    case ${1-} in '' | *[!$_sip_alnum]* | *[0123456789]*) _sip_refuse "method: not a method: ${1-}" ;; esac
    _sip_to=${2-}
    _sip_check_uri "${_sip_to:-$_sip_dialog}"
    _sip_kind=request _sip_action="$1 ${_sip_to:-$_sip_dialog} SIP/2.0"
    shift
    [ $# -eq 0 ] || shift
    _sip_message "$@"
    case $_sip_to,$_sip_own in ,*CGI-Request-Token:*) ;; ,*) _sip_refuse "uri: none, and no --token of a dialog" ;; esac
}

sip_reply() { # status [reason [options]]
    _sip_check_whole status "${1-}" 100 699
    _sip_check_line reason "${2-}"
    _sip_kind=reply _sip_action="SIP/2.0 $1${2:+ }${2-}"
    shift
    [ $# -eq 0 ] || shift
    _sip_message "$@"
}

sip_forward() { # [token [options]]: a response; without a token the one at hand
    [ $# -gt 0 ] || set -- this
    _sip_check_token token "$1"
    _sip_kind=forward _sip_action="CGI-FORWARD-RESPONSE $1 SIP/2.0"
    shift
    _sip_message "$@"
}

sip_again() { # [--after SECONDS]: run the script at the next message, too, or at that time
    _sip_kind=again _sip_action='CGI-AGAIN yes SIP/2.0'
    _sip_message "$@"
}

sip_set_cookie() { # name=value ...
    _sip_packed=$(_sip_awk pack "$@") || _sip_refuse "cookie: write name=value, with a name of letters, digits and _"
    [ ${#_sip_packed} -le 4096 ] || _sip_refuse "cookie: ${#_sip_packed} octets, and 4096 at most are kept"
    _sip_output="${_sip_output}CGI-SET-COOKIE $_sip_packed SIP/2.0$_sip_newline$_sip_newline"
}

# Writing values: each prints its text. What cannot be written prints a CR, so that whatever it is put into is refused.

sip_escape() { # text: the user part of a SIP URI, whatever is in it
    _sip_awk escape "$1"
}

sip_quote() { # text: a quoted string, as a display name has to be
    _sip_awk quote "$1"
}

sip_address() { # URI [display [name=value ...]]: "display" <URI>;name=value
    _sip_is_uri "${1-}" && _sip_awk address "$@" || printf '\r'
}

# Inside

_sip_refuse() { # text
    printf '%s: %s\n' "$0" "$1" >&2
    exit 65
}

_sip_check_line() { # what value
    case $2 in *"$_sip_newline"* | *"$_sip_return"*) _sip_refuse "$1: CR or LF in it" ;; esac
}

_sip_check_token() { # what value
    case $2 in '' | *[!$_sip_token_set]*) _sip_refuse "$1: not a token: $2" ;; esac
}

_sip_is_uri() { # value
    case $1 in [!$_sip_alnum]* | *[!$_sip_uri_set]*) return 1 ;; [!0-9]*:?*) ;; *) return 1 ;; esac
    case ${1%%:*} in *[!$_sip_alnum+.-]*) return 1 ;; esac
}

_sip_check_uri() { # value
    _sip_is_uri "$1" || _sip_refuse "uri: not a URI: $1"
}

_sip_check_whole() { # what value least most
    case $2 in
    '' | *[!0123456789]* | ???????????*) ;;
    *) [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ] || return 0 ;;
    esac
    _sip_refuse "$1: not a whole number from $3 to $4"
}

_sip_check_seconds() { # what value
    case ${2%%.*} in '' | *[!0123456789]* | ??????????*) _sip_refuse "$1: not a number of seconds above 0: $2" ;; esac
    case ${2#"${2%%.*}"} in .?*[!0123456789]* | .[!0123456789]* | . | ???????????*)
        _sip_refuse "$1: not a number of seconds above 0: $2" ;;
    esac
    case $2 in *[123456789]*) ;; *) _sip_refuse "$1: not a number of seconds above 0: $2" ;; esac
}

_sip_check_field() { # 'Name: value'
    case $1 in *:*) ;; *) _sip_refuse "neither an option nor 'Name: value': $1" ;; esac
    _sip_check_token header "${1%%:*}"
    case ${1%%:*} in
    [Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Ll][Ee][Nn][Gg][Tt][Hh] | [Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Tt][Yy][Pp][Ee] | [LlCc])
        _sip_refuse "header ${1%%:*}: use --body and --content_type" ;;
    [Cc][Gg][Ii]-*) _sip_refuse "header ${1%%:*}: use the option that means it" ;;
    esac
    _sip_check_line "header ${1%%:*}" "$1"
}

_sip_message() { # options of the message that begins with _sip_action
    _sip_own= _sip_fields= _sip_remove= _sip_type= _sip_body= _sip_has_body=
    while [ $# -gt 0 ]; do
        case $1 in
        --*)
            [ $# -gt 1 ] || _sip_refuse "$1 of what?"
            _sip_option "$1" "$2"
            shift
            ;;
        *)
            _sip_check_field "$1"
            _sip_fields="$_sip_fields$1$_sip_newline"
            ;;
        esac
        shift
    done
    _sip_head="$_sip_action$_sip_newline$_sip_own$_sip_fields"
    [ -z "$_sip_remove" ] || _sip_head="${_sip_head}CGI-Remove: ${_sip_remove#, }$_sip_newline"
    if [ -n "$_sip_body" ]; then
        [ -n "$_sip_type" ] || _sip_refuse "--content_type: a body needs one"
        _sip_head="${_sip_head}Content-Type: $_sip_type$_sip_newline"
    elif [ -n "$_sip_type" ]; then
        _sip_refuse "--content_type: there is no body of that type"
    fi
    if [ -n "$_sip_has_body" ]; then
        _sip_length=$(printf '%s' "$_sip_body" | wc -c)
        _sip_head="${_sip_head}Content-Length: $((_sip_length))$_sip_newline"
    fi
    _sip_output="$_sip_output$_sip_head$_sip_newline$_sip_body${_sip_body:+$_sip_newline}"
}

_sip_option() { # option value
    case $1,$_sip_kind in
    --timeout,proxy | --timeout,request)
        _sip_check_seconds timeout "$2"
        _sip_own="${_sip_own}CGI-Timeout: $2$_sip_newline" ;;
    --expires,proxy | --expires,request)
        _sip_check_whole expires "$2" 0 4294967295
        _sip_own="${_sip_own}Expires: $2$_sip_newline" ;;
    --token,proxy | --token,request)
        _sip_check_token token "$2"
        _sip_own="${_sip_own}CGI-Request-Token: $2$_sip_newline" ;;
    --after,again)
        _sip_check_seconds after "$2"
        _sip_own="${_sip_own}CGI-After: $2$_sip_newline" ;;
    --remove,proxy | --remove,reply | --remove,forward)
        _sip_check_token remove "$2"
        _sip_remove="$_sip_remove, $2" ;;
    --content_type,[!a]*)
        _sip_check_line content_type "$2"
        _sip_type=$2 ;;
    --body,[!a]*)
        _sip_body=$2 _sip_has_body=yes ;;
    *) _sip_refuse "no option $1 of sip_$_sip_kind" ;;
    esac
}

_sip_awk() { # what argument ...
    LC_ALL=C awk "$_sip_program" "$@"
}

_sip_program='
BEGIN {
    what = ARGV[1]
    exit what == "header" ? !header(ARGV[2]) : what == "headers" ? !headers(ARGV[2]) : what == "regs" ? !regs() : \
        what == "part" ? !part(ARGV[2], ARGV[3]) : what == "cookie" ? !cookie(ARGV[2]) : what == "pack" ? !pack() : \
        what == "escape" ? !show(escape(ARGV[2])) : what == "quote" ? !show(line(ARGV[2], quote(ARGV[2]))) : !address()
}
function show(text) { print text; return 1 }
function variable(name) { name = toupper(name); gsub(/[^A-Z0-9]/, "_", name); return "SIP_" name }
function header(name) { name = variable(name); return (name in ENVIRON) ? show(ENVIRON[name]) : 0 }
function headers(name,    list, count, i) {
    count = split_list(ENVIRON[variable(name)], list)
    for (i = 1; i <= count; i++) print list[i]
    return count
}
function regs(    list, count, i, found) {
    count = split_list(ENVIRON["REGISTRATIONS"], list)
    for (i = 1; i <= count; i++) if (parse(list[i]) && scheme ~ /^sips?$/) { print uri, q, expires; found = 1 }
    return found
}
function part(text, name) {
    if (!parse(text)) return 0
    if (name == "display") return show(display)
    if (name == "uri") return show(uri)
    if (name == "scheme") return show(scheme)
    if (name == "user") return has_user ? show(user) : 0
    if (name == "host") return host == "" ? 0 : show(host)
    if (name == "port") return port == "" ? 0 : show(port)
    if (name == "q") return show(q)
    if (name == "expires") return expires == "" ? 0 : show(expires)
    return (tolower(name) in params) ? show(params[tolower(name)]) : 0
}
function trimmed(text) { sub(/^[ \t]+/, "", text); return match(text, /.*[^ \t]/) ? substr(text, 1, RLENGTH) : "" }
function split_list(text, list,    count, start, at, size, c, quoted, element) { # awk copies what a function is called with
    count = quoted = 0; start = 1; size = length(text)
    for (at = 1; at <= size + 1; at++) {
        c = at > size ? "," : substr(text, at, 1)
        if (at <= size && quoted) { if (c == "\\" && at < size) at++; else if (c == "\"") quoted = 0 }
        else if (c == "\"") quoted = 1
        else if (c == "<") while (at < size && substr(text, ++at, 1) != ">");
        else if (c == ",") {
            element = trimmed(substr(text, start, at - start))
            if (element != "") list[++count] = element
            start = at + 1
        }
    }
    return count
}
function end_of_quoted(text, at, size,    c) { # the index of the last character of the quoted string that begins there
    while (++at <= size) {
        c = substr(text, at, 1)
        if (c == "\"") return at
        if (c == "\\") at++
    }
    return 0
}
function unquoted(text,    result, at, c) {
    text = substr(text, 2, length(text) - 2)
    if (index(text, "\\") == 0) return text
    result = ""
    for (at = 1; at <= length(text); at++) { c = substr(text, at, 1); result = result (c == "\\" ? substr(text, ++at, 1) : c) }
    return result
}
function parse(text,    at, rest) { # display, uri, scheme, user, has_user, host, port, q, expires, params
    text = trimmed(text); display = ""
    at = substr(text, 1, 1) == "\"" ? end_of_quoted(text, 1, length(text)) : 0
    if (at) { display = unquoted(substr(text, 1, at)); rest = trimmed(substr(text, at + 1)) }
    else if (match(text, /^[^<>",;]*</)) { rest = substr(text, RLENGTH); display = trimmed(substr(text, 1, RLENGTH - 1)) }
    else rest = text
    if (match(rest, /^<[^<>]*>/)) { uri = substr(rest, 2, RLENGTH - 2); rest = substr(rest, RLENGTH + 1) }
    else if (at == 0 && match(text, /^[^ \t<>",;?]+/)) { uri = substr(text, 1, RLENGTH); rest = trimmed(substr(text, RLENGTH + 1)) }
    else return 0
    if (uri !~ /^[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-~]+$/ || !parameters(rest)) return 0
    take_apart()
    q = (params["q"] ~ /^[01](\.[0-9]?[0-9]?[0-9]?)?$/) ? params["q"] + 0 : 1
    expires = (params["expires"] ~ /^[0-9]+$/ && length(params["expires"]) <= 10) ? params["expires"] : ""
    return 1
}
function parameters(text,    name, value, at) {
    split("", params)
    while (text != "") {
        if (!match(text, /^[ \t]*;[ \t]*[^ \t;=",<>]+[ \t]*/)) return 0
        name = substr(text, 1, RLENGTH); text = substr(text, RLENGTH + 1); gsub(/[ \t;]/, "", name); value = ""
        if (match(text, /^=[ \t]*/)) {
            text = substr(text, RLENGTH + 1)
            if (substr(text, 1, 1) == "\"") {
                if (!(at = end_of_quoted(text, 1, length(text)))) return 0
                value = unquoted(substr(text, 1, at)); text = substr(text, at + 1)
            } else if (match(text, /^[^ \t;",<>]+/)) { value = substr(text, 1, RLENGTH); text = substr(text, RLENGTH + 1) }
            else return 0
            sub(/^[ \t]+/, "", text)
        }
        if (!(tolower(name) in params)) params[tolower(name)] = value
    }
    return 1
}
function take_apart(    rest) { # the URI
    scheme = tolower(substr(uri, 1, index(uri, ":") - 1)); rest = substr(uri, index(uri, ":") + 1)
    user = host = port = ""; has_user = 0
    if (scheme == "tel") { user = rest; sub(/;.*/, "", user); gsub(/[-.()]/, "", user); has_user = 1 }
    if (scheme !~ /^sips?$/) return
    if (match(rest, /.*@/)) {
        user = substr(rest, 1, RLENGTH - 1); rest = substr(rest, RLENGTH + 1); has_user = 1
        sub(/:.*/, "", user); user = decoded(user, "[-A-Za-z0-9_.!~*\047()]") # what needs no escape; the rest stays escaped
    }
    if (match(rest, /^\[[^]]*\]/) || match(rest, /^[^:;?]+/)) { host = substr(rest, 1, RLENGTH); rest = substr(rest, RLENGTH + 1) }
    host = tolower(host); sub(/\.$/, "", host)
    if (match(rest, /^:[0-9]+/) && RLENGTH <= 6) { port = substr(rest, 2, RLENGTH - 1); sub(/^0+/, "", port) }
}
function decoded(text, only,    result, c) {
    result = ""
    while (match(text, /%[0-9A-Fa-f][0-9A-Fa-f]/)) {
        c = sprintf("%c", 16 * digit(substr(text, RSTART + 1, 1)) + digit(substr(text, RSTART + 2, 1)))
        result = result substr(text, 1, RSTART - 1) (c ~ only ? c : toupper(substr(text, RSTART, 3)))
        text = substr(text, RSTART + 3)
    }
    return result text
}
function digit(c) { return index("0123456789ABCDEF", toupper(c)) - 1 }
function cookie(name,    list, count, i) {
    count = split(ENVIRON["SCRIPT_COOKIE"], list, "&")
    for (i = 1; i <= count; i++) if (index(list[i], name "=") == 1) return show(decoded(substr(list[i], length(name) + 2), "^"))
    return 0
}
function pack(    i, text) {
    for (i = 2; i < ARGC; i++) {
        if (ARGV[i] !~ /^[A-Za-z_][A-Za-z0-9_]*=/) return 0
        text = text "&" substr(ARGV[i], 1, index(ARGV[i], "=")) escape(substr(ARGV[i], index(ARGV[i], "=") + 1))
    }
    return text == "" ? 0 : show(substr(text, 2))
}
function escape(text,    result, at, c, code, i) {
    for (i = 1; i < 256; i++) code[sprintf("%c", i)] = sprintf("%%%02X", i)
    for (at = 1; at <= length(text); at++) { c = substr(text, at, 1); result = result (c ~ /[-A-Za-z0-9_.!~*\047()+]/ ? c : code[c]) }
    return result
}
function quote(text) { gsub(/["\\]/, "\\\\&", text); return "\"" text "\"" }
function line(text, result) { return text ~ /[\r\n]/ ? "\r" : result }
function address(    text, i, at, value) {
    text = (ARGV[3] == "" ? "" : line(ARGV[3], quote(ARGV[3])) " ") "<" ARGV[2] ">"
    for (i = 4; i < ARGC; i++) {
        at = index(ARGV[i] "=", "="); value = substr(ARGV[i], at + 1)
        if (!token(substr(ARGV[i], 1, at - 1))) return 0
        text = text ";" substr(ARGV[i], 1, at - 1) (value == "" ? "" : "=" (token(value) ? value : line(value, quote(value))))
    }
    return show(text)
}
function token(text) { return text ~ /^[-A-Za-z0-9.!%*_+`\047~]+$/ }
'
