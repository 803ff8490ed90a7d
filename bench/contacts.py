"""Many registered contacts in an SQLite store: the start, the memory, the look-up, and the refreshes."""

import time
from pathlib import Path

from bench.load import Load, Outcome
from bench.server import Failed, Server, free_port
from bench.witness import Witness, report, spread
from sipcgi.flow import Flow, HostPort
from sipcgi.registrar.bindings import Binding
from sipcgi.stores.database import Database

FEW = 100
LOOKED_UP = 3000
LOOK_UPS = 300  # a second
REFRESHED = 2  # the CSeq of a refresh
LINGER = 35.0  # seconds: a transaction, RFC 3261 17.2.2
REGISTER = (
    "REGISTER sip:bench.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};rport;branch=z9hG4bK{id}\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:user{user}@bench.test>;tag={user}\r\nTo: <sip:user{user}@bench.test>\r\n"
    "Call-ID: {id}\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:user{user}@127.0.0.1:{port};line=a{user}>\r\n"
    "Expires: 3600\r\nUser-Agent: bench/phone\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
LOOK_UP = (
    "OPTIONS sip:user{user}@bench.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};rport;branch=z9hG4bK{id}\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:bench@bench.test>;tag=1\r\nTo: <sip:user{user}@bench.test>\r\n"
    "Call-ID: {id}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def fill(path: Path, number: int, port: int, server: int) -> None:
    """Writes that many registered users, as the server itself would have."""
    database = Database(str(path))
    wall, flow = time.time(), Flow("UDP", HostPort("127.0.0.1", server), HostPort("127.0.0.1", port))
    for start in range(0, number, 10_000):
        users = range(start, min(number, start + 10_000))
        database.save([(f"user{user}@bench.test", [_binding(user, port, wall, flow)]) for user in users], 0.0)
    database.close()


def _binding(user: int, port: int, wall: float, flow: Flow) -> Binding:
    uri = f"sip:user{user}@127.0.0.1:{port};line=a{user}"
    return Binding(f"<{uri}>", uri, 1.0, wall + 3600, f"{user}.0@bench", 1, flow if user % 2 else None)


def measure(contacts: int, rate: int, seconds: int, work: Path) -> int:
    """Prints the result; 0 when no refresh was lost."""
    few = Registered(work / "few", FEW)
    with few.load, few.server:
        few.look_up()
    many = Registered(work / "many", contacts)
    with many.load, many.server as server:
        many.look_up()
        with Witness(server.port) as witness:
            before = server.look()
            refreshes = many.refresh(rate * seconds, rate)
            during = server.look()
        time.sleep(LINGER)
        after = server.look()
    saved = many.saved()
    each = (many.kib - few.kib) * 1024 / (contacts - FEW)
    cpu, ratio = during.cpu - before.cpu, many.look / few.look
    print(f"contacts         {contacts} in SQLite, one a user")
    print(f"start            {server.took:.2f} s to the first answer, {many.started:.2f} s CPU (target: 5 s)")
    print(f"memory           {each:.0f} octets a contact after the start (target: at most 2048)")
    print(
        f"                 {before.resident_kib} -> {during.resident_kib} -> {after.resident_kib} KiB by the refreshes"
    )
    print(f"look-up          {many.look:.3f} ms CPU, {few.look:.3f} with {FEW} contacts: {ratio:.2f} (target: 1)")
    print(
        f"refreshes        {refreshes.answered} of {refreshes.offered} in {refreshes.seconds:.1f} s (target: {rate}/s)"
    )
    print(f"                 {refreshes.lost} lost, {refreshes.refused} refused, {saved} in the file")
    print(
        f"                 {refreshes.retransmissions} retransmissions, answered in ms: {spread(refreshes.latencies)}"
    )
    print(
        f"                 {1000 * cpu / refreshes.offered:.3f} ms CPU each, {100 * cpu / seconds:.0f} % of a processor"
    )
    report(witness.report(), server.stand_stills())
    return 0 if refreshes.answered == refreshes.offered and saved == min(contacts, refreshes.offered) else 1


class Registered:
    """A server that starts with registered contacts, all of which are one load's."""

    def __init__(self, folder: Path, contacts: int) -> None:
        folder.mkdir()
        self.contacts = contacts
        self.path = folder / "location.db"
        port = free_port()
        self.load = Load(port)
        fill(self.path, contacts, self.load.port, port)
        self.server = Server(folder, store="sqlite:///location.db", port=port)
        self.look = self.started = 0.0
        self.kib = 0

    def look_up(self) -> None:
        """Notes memory and time of the start, and the CPU time in ms of a request to one of the contacts."""
        reading = self.server.look()
        self.kib, self.started = reading.resident_kib, reading.cpu
        self._look_up(FEW)
        before = self.server.look().cpu
        self._look_up(LOOKED_UP)
        self.look = (self.server.look().cpu - before) * 1000 / LOOKED_UP

    def _look_up(self, number: int) -> None:
        def request(n: int, id_: str) -> str:
            return LOOK_UP.format(user=n * 7919 % self.contacts, port=self.load.port, id=id_)

        outcome = self.load.send(number, LOOK_UPS, request)
        if outcome.answered < number:
            raise Failed(f"look-ups: {outcome.answered} of {number} found their contact")

    def refresh(self, number: int, rate: int) -> Outcome:
        def request(n: int, id_: str) -> str:
            return REGISTER.format(user=n % self.contacts, port=self.load.port, id=id_, cseq=REFRESHED)

        return self.load.send(number, rate, request)

    def saved(self) -> int:
        """How many contacts in the file were refreshed; for the time after the server's end."""
        database = Database(str(self.path))
        rows = [bindings for _, bindings, _ in database.load(0.0, time.time(), 7200.0)]
        database.close()
        return sum(binding.cseq == REFRESHED for bindings in rows for binding in bindings)
