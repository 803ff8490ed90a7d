"""What most scripts print, read at a glance: one request proxied or one answer, below it fields that go out unread.

It finds what cgi/message and cgi/action would find, at a tenth of their cost, or nothing: then they read the output,
and say what is wrong with it.
"""

from __future__ import annotations

import re

from sipcgi.errors import ParseError
from sipcgi.service import NO_EDITS, Edits, Relay, Reply
from sipcgi.sip.grammar import MAX_HEADERS
from sipcgi.sip.uri import parse_uri

# Names that nobody looks at; any other one is left to cgi/action, as are values that are empty or not ASCII.
_NAME = r"(?:[XP]-[A-Za-z0-9-]+|Contact|Diversion|Reason|Retry-After|Server|Subject|User-Agent|Warning)"
_VALUE = r"[!-~](?:[ -~]*[!-~])?"
_PHRASE = r"[!-\[\]-~](?:[ -\[\]-~]*[!-\[\]-~])?"  # a backslash in it may be worth a warning
_OUTPUT = re.compile(
    rf"(?:CGI-PROXY-REQUEST ([!-~]+) SIP/2\.0|SIP/2\.0 ([1-6][0-9][0-9]) ({_PHRASE}))\n"
    rf"((?:{_NAME}: {_VALUE}\n){{0,{MAX_HEADERS}}}+)\n*+"
)
_FIELD = re.compile(r"([^:]+): (.+)\n")


def action_in(output: bytes) -> Relay | Reply | None:
    """The one action of an output that is no more than that."""
    if not output.isascii():
        return None
    found = _OUTPUT.fullmatch(output.decode())
    if found is None:
        return None
    uri, status, phrase, fields = found.groups()
    edits = Edits(_FIELD.findall(fields)) if fields else NO_EDITS
    if uri is None:
        return Reply(int(status), phrase, edits, 1)
    try:
        parse_uri(uri)
    except ParseError:
        return None
    return Relay(uri, edits, line=1)
