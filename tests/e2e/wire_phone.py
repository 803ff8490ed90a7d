"""A telephone in a few lines: SIP texts over one UDP socket, to see what really is on the wire."""

import itertools
import socket
import time
from typing import Self

NUMBERS = itertools.count(1)
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8\r\n"


class Message:
    """What came in, or went out."""

    def __init__(self, text: str) -> None:
        self.text = text
        head, _, self.body = text.partition("\r\n\r\n")
        self.start, *lines = head.split("\r\n")
        self.fields = [
            (name.strip().lower(), value.strip()) for name, _, value in (one.partition(":") for one in lines)
        ]

    def all(self, name: str) -> list[str]:
        return [value for field, value in self.fields if field == name.lower()]

    def __getitem__(self, name: str) -> str:
        """The only field of that name."""
        (value,) = self.all(name)
        return value

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1])

    @property
    def uri(self) -> str:
        """The Request-URI."""
        return self.start.split(" ")[1]

    def __repr__(self) -> str:
        return f"\n{self.text}"


def between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]


class Phone:
    """`sip:USER@example.com`, that knows nothing but its server; a context manager that closes its socket."""

    transport = "UDP"

    def __init__(self, server: int, user: str, domain: str = "example.com", host: str = "127.0.0.1") -> None:
        self.server = (host, server)
        self.aor = f"sip:{user}@{domain}"
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.place = f"{host}:{self.socket.getsockname()[1]}"
        self.contact = f"sip:{user}@{self.place}"
        self.seen: set[bytes] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def raw(self, text: str | bytes) -> None:
        self.socket.sendto(text if isinstance(text, bytes) else text.encode(), self.server)

    # Requests

    def request(self, method: str, uri: str, *lines: str, body: str = "", **changes: str) -> Message:
        """Sends one outside a dialog. `changes` replace what would be sent of: via, from_, to, call_id, cseq."""
        number = next(NUMBERS)
        values = {
            "via": f"SIP/2.0/{self.transport} {self.place};branch=z9hG4bK-{number};rport",
            "from_": f"<{self.aor}>;tag=caller{number}",
            "to": f"<{uri}>",
            "call_id": f"call-{number}@127.0.0.1",
            "cseq": "1",
        } | changes
        head = [f"{method} {uri} SIP/2.0", f"Via: {values['via']}", "Max-Forwards: 70", f"From: {values['from_']}"]
        head += [f"To: {values['to']}", f"Call-ID: {values['call_id']}", f"CSeq: {values['cseq']} {method}"]
        if not any(line.lower().startswith("contact:") for line in lines) and method in ("INVITE", "SUBSCRIBE"):
            head.append(f"Contact: <{self.contact}>")
        head += [*lines, f"Content-Length: {len(body.encode())}", "", body]
        self.raw(text := "\r\n".join(head))
        return Message(text)

    def invite(self, uri: str, *lines: str, **changes: str) -> Message:
        return self.request("INVITE", uri, "Content-Type: application/sdp", *lines, body=SDP, **changes)

    def register(self, *parameters: str) -> Message:
        """Puts this phone's contact into the registrar, and returns the 200."""
        contact = f"Contact: <{self.contact}>{''.join(f';{one}' for one in parameters)}"
        self.request("REGISTER", f"sip:{self.aor.partition('@')[2]}", contact, to=f"<{self.aor}>")
        return self.expect("SIP/2.0 200")

    def cancel(self, invite: Message) -> None:
        """RFC 3261 9.1: all as in the INVITE."""
        self._follow(invite, "CANCEL", invite["To"])

    def ack(self, invite: Message, response: Message) -> None:
        """For a 2xx a request in the dialog, for another final response a part of the transaction."""
        if response.status < 300:
            self.within(invite, response, "ACK", 1)
        else:
            self._follow(invite, "ACK", response["To"])

    def _follow(self, invite: Message, method: str, to: str) -> None:
        head = [
            f"{method} {invite.uri} SIP/2.0",
            f"Via: {invite['Via']}",
            "Max-Forwards: 70",
            f"From: {invite['From']}",
        ]
        head += [f"To: {to}", f"Call-ID: {invite['Call-ID']}", f"CSeq: 1 {method}", "Content-Length: 0", "", ""]
        self.raw("\r\n".join(head))

    def within(self, invite: Message, response: Message, method: str, cseq: int, *lines: str) -> Message:
        """A request in the dialog that the 2xx made (RFC 3261 12.2.1.1), from its caller."""
        routes = list(reversed(response.all("Record-Route")))
        return self._inside(f"{cseq} {method}", response, routes, invite["From"], response["To"], *lines)

    def back(self, invite: Message, method: str, cseq: int, *lines: str) -> Message:
        """A request in the dialog from its callee, who saw this INVITE and answered it."""
        routes = invite.all("Record-Route")
        return self._inside(f"{cseq} {method}", invite, routes, self._tagged(invite), invite["From"], *lines)

    def _inside(self, cseq: str, peer: Message, routes: list[str], from_: str, to: str, *lines: str) -> Message:
        """`peer` is what came from the other side when the dialog was made."""
        via = f"Via: SIP/2.0/{self.transport} {self.place};branch=z9hG4bK-{next(NUMBERS)};rport"
        head = [f"{cseq.split()[1]} {between(peer['Contact'], '<', '>')} SIP/2.0", via, "Max-Forwards: 70"]
        head += [*(f"Route: {route}" for route in routes), f"From: {from_}", f"To: {to}"]
        head += [f"Call-ID: {peer['Call-ID']}", f"CSeq: {cseq}", *lines, "Content-Length: 0", "", ""]
        self.raw(text := "\r\n".join(head))
        return Message(text)

    def _tagged(self, request: Message) -> str:
        """Our To in the answers to a request."""
        return request["To"] if ";tag=" in request["To"] else f"{request['To']};tag={self.place.replace(':', '-')}"

    # What comes

    def receive(self, within: float = 5.0) -> Message | None:
        """The next message that is no repetition; None when none came."""
        end = time.monotonic() + within
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                octets = self.socket.recv(65536)
            except TimeoutError:
                break
            if octets not in self.seen:
                self.seen.add(octets)
                return Message(octets.decode())
        return None

    def expect(self, start: str, within: float = 5.0) -> Message:
        """The next message, which must begin so; a 100 may come before it."""
        message = self.receive(within)
        while message is not None and message.start.startswith("SIP/2.0 100 ") and not start.startswith("SIP/2.0 100"):
            message = self.receive(within)
        assert message is not None, f"{self.aor} waited for {start!r}, and nothing came"
        assert message.start.startswith(start), f"{self.aor} waited for {start!r}: {message}"
        return message

    def hears_nothing(self, within: float = 0.3) -> None:
        message = self.receive(within)
        assert message is None or message.start.startswith("SIP/2.0 100 "), f"{self.aor} did not expect {message}"

    # Responses

    def answer(self, request: Message, status: str, *lines: str, body: str = "") -> None:
        """Like `486 Busy Here`; to an INVITE with our Contact and, in a 200, an SDP body."""
        copied = [f"{name}: {value}" for name in ("Via", "Record-Route") for value in request.all(name)]
        method = request.start.partition(" ")[0]
        head = [f"SIP/2.0 {status}", *copied, f"From: {request['From']}", f"To: {self._tagged(request)}"]
        head += [f"Call-ID: {request['Call-ID']}", f"CSeq: {request['CSeq']}"]
        if method == "INVITE" and status < "3":
            head.append(f"Contact: <{self.contact}>")
            body = body or (SDP if status.startswith("200") else "")
        head += [*(["Content-Type: application/sdp"] if body else []), *lines, f"Content-Length: {len(body)}", "", body]
        self.raw("\r\n".join(head))

    def take(self, status: str, *lines: str) -> Message:
        """Waits for an INVITE, answers it, and waits for the ACK of what is no 2xx."""
        invite = self.expect("INVITE ")
        self.answer(invite, status, *lines)
        if not status.startswith(("1", "2")):
            self.expect("ACK ")
        return invite


def talk(caller: Phone, callee: Phone, invite: Message) -> Message:
    """From the ringing on: answers, acknowledges and hangs up. Returns the INVITE that the callee saw."""
    seen = callee.expect("INVITE ")
    callee.answer(seen, "180 Ringing")
    caller.expect("SIP/2.0 180")
    callee.answer(seen, "200 OK")
    hang_up(caller, callee, invite)
    return seen


def hang_up(caller: Phone, callee: Phone, invite: Message) -> Message:
    """From the 200 on its way to the caller to the end of the call. Returns the 200."""
    answer = caller.expect("SIP/2.0 200")
    caller.ack(invite, answer)
    assert callee.expect("ACK ")["CSeq"] == "1 ACK"
    caller.within(invite, answer, "BYE", 2)
    callee.answer(callee.expect("BYE "), "200 OK")
    assert caller.expect("SIP/2.0 200")["CSeq"] == "2 BYE"
    return answer
