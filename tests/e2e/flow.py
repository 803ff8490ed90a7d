"""Call flows as RFC 3665 draws them: the ladder of one side, made into a scenario for SIPp.

A step is what the side sends or waits for, with header fields that it adds:

    "> INVITE"                 sends it; "> INVITE without SDP", "> ACK with SDP" where that is not the rule
    "> INVITE once"            does not repeat it by itself; "> INVITE again" is the same once more
    "> 180 Ringing"            answers the request that came last
    "< 200"                    waits for a response, and fails on another; "< 100?" may come first, or not
    "< BYE"                    waits for a request
    "silence 1500"             waits so many ms for anything, which must not come
    "pause 50"                 waits so many ms, whatever comes
    "to 127.0.0.1:5060"        sends there from now on, without a Route; "uri sip:bob@example.com": to that URI
"""

from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

Step = str | tuple[str, str]
ALICE = "Alice <sip:alice@atlanta.example.com>;tag=[pid]a[call_number]"
BOB = "sip:bob@biloxi.example.com"
SDP = """v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio 49172 RTP/AVP 0
a=rtpmap:0 PCMU/8000
"""
ANSWERED = "[last_Via:]\n[last_Record-Route:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]\n"


class Ladder:
    """Of Alice, who begins it by sending an INVITE to `uri` through `route`, or of Bob, who waits for a request."""

    def __init__(self, steps: Sequence[Step], route: str = "", uri: str = BOB) -> None:
        self.calls = str(steps[0]).startswith("> INVITE")
        self.route = f"Route: {route}\n" if route else ""
        self.uri = uri
        self.target = "[next_url]"  # in the dialog; SIPp knows of no target refresh
        self.user = "alice" if self.calls else "bob"
        self.number = 0  # of the message, as SIPp counts them
        self.invited = 0  # that of the INVITE
        self.cseq = 0
        self.heard = ""  # the request or status that came last
        self.answered = False
        self.parts: list[str] = []
        for step in steps:
            text, fields = (step, "") if isinstance(step, str) else (step[0], f"{step[1]}\n")
            verb, _, rest = text.partition(" ")
            if verb == ">":
                self.send(rest, fields)
            elif verb == "<":
                self.receive(rest)
            elif verb == "uri":
                setattr(self, "target" if self.answered else "uri", rest)
                continue
            else:
                self.parts.append(self.otherwise(verb, rest))
            self.number += 1

    def __str__(self) -> str:
        parts = "".join(self.parts)
        if "assign_to" in parts:
            parts += '<Reference variables="from,to"/>\n'  # SIPp wants variables that are used; a flow may not
        return f'<?xml version="1.0"?>\n<scenario name="{self.user}">\n{parts}</scenario>\n'

    # What it sends

    def send(self, step: str, fields: str) -> None:
        what, _, how = step.partition(" ")
        if what.isdigit():
            answers = self.heard == "INVITE"
            tag = ";tag=[pid]b[call_number]" if answers and not self.calls else ""
            head = f"SIP/2.0 {step}\n{ANSWERED.format(tag=tag)}"
            self.answered |= answers and what.startswith("2")
            self.write(head, fields, invites=answers, sdp=answers and what == "200", repeats=answers and what >= "2")
        else:
            sdp = how == "with SDP" or (what == "INVITE" and how != "without SDP")
            repeats = what != "ACK" and how not in ("once", "again")
            self.write(self.request(what, how == "again"), fields, invites=what == "INVITE", sdp=sdp, repeats=repeats)

    def write(self, head: str, fields: str, *, invites: bool, sdp: bool, repeats: bool) -> None:
        if invites and not fields.startswith("Contact:"):
            head += f"Contact: <sip:{self.user}@[local_ip]:[local_port];transport=[transport]>\n"
        body = f"Content-Type: application/sdp\nContent-Length: [len]\n\n{SDP}" if sdp else "Content-Length: 0\n\n"
        again = ' retrans="500"' if repeats else ""
        self.parts.append(f"<send{again}><![CDATA[\n{head}{fields}{body}]]></send>\n")

    def request(self, method: str, again: bool) -> str:
        branch, uri, route = "[branch]", self.uri, self.route
        if self.answered:  # RFC 3261 12.2.1.1
            uri, route = self.target, "[routes]\n"
        elif again or method == "ACK":  # 17.1.1.2, 17.1.1.3
            branch = f"[branch-{self.number - self.invited}]"
        if method == "INVITE" and not again:
            self.invited = self.number
        self.cseq += method != "ACK" and not again
        if self.calls:
            tag = "[peer_tag_param]" if self.answered or method != "INVITE" else ""
            named = f"From: {ALICE}\nTo: Bob <{BOB}>{tag}\n"
        else:
            named = "From:[$to];tag=[pid]b[call_number]\nTo:[$from]\n"
        return (
            f"{method} {uri} SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch={branch}\n"
            f"Max-Forwards: 70\n{route}{named}Call-ID: [call_id]\nCSeq: {self.cseq} {method}\n"
        )

    # What it waits for

    def receive(self, step: str) -> None:
        what = step.removesuffix("?")
        attributes = {"response" if what.isdigit() else "request": what}
        if step.endswith("?"):
            attributes["optional"] = "true"
        if what in ("401", "407"):
            attributes["auth"] = "true"
        if what == "INVITE" or what.startswith("2"):
            attributes["rrs"] = "true"
        action = ""
        if what == "INVITE" and not self.calls:
            action = "".join(
                f'<ereg regexp=".*" search_in="hdr" header="{name}:" assign_to="{name.lower()}"/>'
                for name in ("From", "To")
            )
        self.answered |= what.startswith("2")
        self.heard = what
        written = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())
        self.parts.append(f"<recv {written}><action>{action}</action></recv>\n" if action else f"<recv {written}/>\n")

    # What else it does

    def otherwise(self, verb: str, rest: str) -> str:
        if verb == "pause":
            return f'<pause milliseconds="{rest}"/>\n'
        if verb == "silence":
            return f'<recv response="699" timeout="{rest}" ontimeout="{self.number}"/>\n<label id="{self.number}"/>\n'
        assert verb == "to", verb
        self.route = ""
        host, _, port = rest.partition(":")
        return f'<nop><action><setdest host="{host}" port="{port}" protocol="[transport]"/></action></nop>\n'
