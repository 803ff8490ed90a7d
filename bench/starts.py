"""How many scripts a second a server starts that keeps many contacts in memory, beside one that keeps none."""

import statistics
from pathlib import Path

from bench.load import Load
from bench.runs import AT_ONCE, Line
from bench.server import BUSY, Failed, Server, free_port

ROUNDS = 21
FASTEST = 10**6  # a second: as fast as the answers come
EACH = 700  # runs of a round on each server
OF_A_USER = 20
REGISTER = (
    "REGISTER sip:bench.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};rport;branch=z9hG4bK{id}\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:user{user}@bench.test>;tag={user}\r\nTo: <sip:user{user}@bench.test>\r\n"
    "Call-ID: {id}\r\nCSeq: 1 REGISTER\r\nContact: {contacts}\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"
)


class Side:
    """A server and its load."""

    def __init__(self, work: Path) -> None:
        work.mkdir()
        port = free_port()
        self.load = Load(port)
        self.server = Server(work, port=port, scripts={"message.sh": BUSY})
        self.rates: list[float] = []
        self.costs: list[float] = []
        """Milliseconds of processor time a run, the server's and its children's."""

    def register(self, contacts: int) -> None:
        def request(n: int, id_: str) -> str:
            places = (f"<sip:user{n}@127.0.0.1:{self.load.port};line={line}>" for line in range(OF_A_USER))
            return REGISTER.format(user=n, port=self.load.port, id=id_, contacts=", ".join(places))

        users = contacts // OF_A_USER
        outcome = self.load.send(users, FASTEST, request, at_once=AT_ONCE)
        if outcome.answered < users:
            raise Failed(f"{outcome.answered} of {users} users could register")

    def run(self) -> None:
        before = self.server.look().cpu
        with Line(self.server.port) as line:
            good, seconds = line.run(EACH)
        if good < EACH:
            raise Failed(f"{good} of {EACH} runs were answered")
        self.rates.append(EACH / seconds)
        self.costs.append(1000 * (self.server.look().cpu - before) / EACH)


def measure(contacts: int, work: Path) -> int:
    """Prints the result; 0 when the contacts cost at most a tenth of the starts."""
    empty, full = Side(work / "empty"), Side(work / "full")
    with empty.load, full.load, empty.server, full.server:
        full.register(contacts)
        resident = [side.server.look().resident_kib for side in (empty, full)]
        for number in range(ROUNDS + 1):
            for side in (empty, full) if number % 2 else (full, empty):
                side.run()
    for side in (empty, full):  # the first round warms up
        del side.rates[0], side.costs[0]
    ratio = statistics.median(most / least for most, least in zip(full.rates, empty.rates, strict=True))
    rates, costs = ([statistics.median(getattr(side, what)) for side in (full, empty)] for what in ("rates", "costs"))
    print(f"contacts         {contacts // OF_A_USER * OF_A_USER} in memory, {OF_A_USER} a user")
    print(f"resident         {resident[1]} KiB, {resident[0]} without contacts")
    print(f"starts a second  {rates[0]:.0f}, {rates[1]:.0f} without: {100 * ratio:.0f} % (target: at least 90 %)")
    print(f"                 medians of {ROUNDS} rounds of {EACH}, {AT_ONCE} at once, by turns")
    print(f"CPU              {costs[0]:.3f} ms a run, {costs[1]:.3f} without (server and all its children)")
    return 0 if ratio >= 0.9 else 1
