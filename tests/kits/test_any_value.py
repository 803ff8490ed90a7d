"""Whatever a value is, a kit writes it as that value, or refuses it: it never becomes another field or action."""

import random
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from kit_scripts import LANGUAGES, start

from sipcgi.cgi.output import parse_output
from sipcgi.service import Action, Originate, Reply
from sipcgi.sip.address import Address
from sipcgi.sip.grammar import unquote
from sipcgi.sip.uri import parse_uri

NUMBERS = dict.fromkeys(LANGUAGES, 3000) | {"sh": 200}  # the shell starts programs for each of them
BATCH = 500
# Each sends a MESSAGE for each V_NUMBER, which has the value wherever a value may be; or prints SIP/2.0 182 Refused
SCRIPTS = {
    "py": """
import os, sipcgi_kit
with sipcgi_kit.Call() as call:
    for number in range(int(os.environ["NUMBER"])):
        v = os.environ[f"V_{number}"]
        try:
            uri = "sip:" + sipcgi_kit.escape(v) + "@example.com"
            contact = sipcgi_kit.address(uri, v, {"p": v})
            call.request("MESSAGE", uri, {"X-V": v, "X-C": contact}, content_type="a/b", body=v)
        except ValueError:
            call.reply(182, "Refused")
""",
    "pl": """
use SipCgi;
for my $number (0 .. $ENV{NUMBER} - 1) {
    my $v = $ENV{"V_$number"};
    eval {
        my $uri = 'sip:' . escape($v) . '@example.com';
        my $contact = address($uri, $v, p => $v);
        request MESSAGE => $uri, headers => ['X-V' => $v, 'X-C' => $contact], content_type => 'a/b', body => $v;
        1;
    } or reply 182, 'Refused';
}
""",
    "rb": """
require "sipcgi"
SipCgi.run do |call|
  ENV["NUMBER"].to_i.times do |number|
    v = ENV["V_#{number}"]
    uri = "sip:#{SipCgi.escape(v)}@example.com"
    contact = SipCgi.address(uri, v, { p: v })
    call.request "MESSAGE", uri, headers: { "X-V" => v, "X-C" => contact }, content_type: "a/b", body: v
  rescue ArgumentError
    call.reply 182, "Refused"
  end
end
""",
    "lua": """
local sipcgi = require("sipcgi")
sipcgi.run(function(call)
  for number = 0, os.getenv("NUMBER") - 1 do
    local v = os.getenv("V_" .. number)
    local well = pcall(function()
      local uri = "sip:" .. sipcgi.escape(v) .. "@example.com"
      local headers = { ["X-V"] = v, ["X-C"] = sipcgi.address(uri, v, { p = v }) }
      call:request("MESSAGE", uri, { headers = headers, content_type = "a/b", body = v })
    end)
    if not well then call:reply(182, "Refused") end
  end
end)
""",
    "tcl": """
package require sipcgi
for {set number 0} {$number < $env(NUMBER)} {incr number} {
    set v $env(V_$number)
    if {[catch {
        set uri sip:[sip escape $v]@example.com
        set headers [list X-V $v X-C [sip address $uri $v p $v]]
        sip request MESSAGE $uri -headers $headers -content_type a/b -body $v
    }]} {
        sip reply 182 Refused
    }
}
""",
    "sh": """
number=0
while [ $number -lt $NUMBER ]; do
    eval "v=\\$V_$number"
    (
        . sipcgi.sh
        uri=sip:$(sip_escape "$v")@example.com
        contact=$(sip_address "$uri" "$v" "p=$v")
        sip_request MESSAGE "$uri" "X-V: $v" "X-C: $contact" --content_type a/b --body "$v" 2>/dev/null
    ) || printf 'SIP/2.0 182 Refused\\n\\n'
    number=$((number + 1))
done
exit 0
""",
}
PIECES = [
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "\r\n ",
    " ",
    "\t",
    "\x01",
    "\x0b",
    "\x0c",
    "\x1b[2J",
    "\x7f",
    "\x85",
    "\u2028",
    "é",
]
PIECES += [
    "😀",
    '"',
    "'",
    "\\",
    "\\\\",
    "\\n",
    "%",
    "%0a",
    "%s%n",
    "<",
    ">",
    "@",
    ":",
    ";",
    ",",
    "=",
    "?",
    "#",
    "&",
    "|",
    "+",
]
PIECES += [
    "$(id)",
    "`id`",
    "${IFS}",
    "$V_1",
    "*",
    "~",
    "-n",
    "-e",
    "--body",
    "-body",
    "[exit 1]",
    "#{exit}",
    "{",
    "}",
    "007",
]
PIECES += [
    "CGI-PROXY-REQUEST sip:evil@example.org SIP/2.0",
    "SIP/2.0 200 OK",
    "CGI-Remove: Via",
    "Content-Length: 0",
    "a",
]


def values(chance: random.Random) -> Iterator[bytes]:
    """As an environment has them: octets, which need be no text, but no NUL."""
    while True:
        made = "".join(chance.choices(PIECES, k=chance.randrange(1, 6))).encode()
        yield (made + chance.randbytes(4) if chance.random() < 0.2 else made).replace(b"\0", b"")


def is_as_given(action: Action, value: str) -> bool:
    """Whether a value came through all its places, or is one that no line can hold."""
    if isinstance(action, Reply):
        return "\r" in value or "\n" in value
    assert isinstance(action, Originate)
    uri = parse_uri(action.uri)
    fields = dict(action.edits.headers)
    contact = Address.parse(fields["X-C"])
    body = (action.edits.body or b"").decode("utf-8", "surrogateescape")
    assert fields.keys() == {"X-V", "X-C", "Content-Type"}
    assert getattr(uri, "host", "") == getattr(contact.uri, "host", "") == "example.com"
    found = [contact.display, unquote(contact.params.get("p") or ""), body, unescaped(getattr(uri, "user", ""))]
    return fields["X-V"] == value.strip(" \t") and found == [value] * 4


def unescaped(user: str) -> str:
    octets = bytearray()
    parts = user.split("%")
    octets += parts[0].encode()
    for part in parts[1:]:
        octets += bytes.fromhex(part[:2]) + part[2:].encode()
    return octets.decode("utf-8", "surrogateescape")


def test_any_value_stays_one(ending: str, program: Callable[[str], str], tmp_path: Path) -> None:
    script = tmp_path / f"any.{ending}"
    script.write_text(SCRIPTS[ending])
    candidates = values(random.Random(ending))
    left = NUMBERS[ending]
    while left > 0:
        batch = list(islice(candidates, min(BATCH, left)))
        left -= len(batch)
        texts = [one.decode("utf-8", "surrogateescape") for one in batch]
        variables = {f"V_{number}": text for number, text in enumerate(texts)}
        done = start(program(LANGUAGES[ending]), script, variables | {"NUMBER": str(len(batch))})
        assert (done.returncode, done.stderr) == (0, b"")
        output = parse_output(done.stdout, method="INVITE", max_messages=BATCH, originate=True)
        assert len(output.actions) == len(batch)
        assert (output.cookie, output.again, output.warnings) == (None, False, [])
        for action, text in zip(output.actions, texts, strict=True):
            if ending == "tcl" and any("\udc80" <= character <= "\udcff" for character in text):
                continue  # its texts are characters: octets that are none change
            assert is_as_given(action, text), (text, action)
