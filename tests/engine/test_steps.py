"""The timers of a transaction as they run: what ends it is started with the first retransmission."""

import pytest

from sipcgi.engine.overload import Overload
from sipcgi.engine.transaction import ClientTransaction, ServerTransaction
from sipcgi.engine.transactions import Transactions
from sipcgi.flow import Flow, HostPort
from sipcgi.ids import Ids
from sipcgi.logs import Log
from sipcgi.net.complaint import Complaints
from sipcgi.sip import build
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Request, Response
from sipcgi.timerqueue import TimerQueue
from sipcgi.transaction.timers import Timers

HERE, THERE = HostPort("192.0.2.1", 5060), HostPort("192.0.2.9", 5060)


class Line:
    """A transport that notes when something is sent, and a user of transactions that notes what it is told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers = TimerQueue(lambda: self.now)
        complaints = Complaints(Log(lambda: self.now))
        self.transactions = Transactions(self, self.timers, Ids(), Timers(), Overload(complaints))  # type: ignore[arg-type]
        self.sent: list[float] = []
        self.told: list[tuple[float, int]] = []

    def send(self, octets: bytes, flow: Flow) -> None:
        self.sent.append(self.now)

    def response_flow(self, request: Request, flow: Flow) -> Flow:
        return flow

    def response(self, response: Response, flow: Flow) -> None:
        self.told.append((self.now, response.status))

    def failed(self, status: int, why: str) -> None:
        self.told.append((self.now, status))

    def begins(self, method: str, transport: str) -> ClientTransaction:
        flow = Flow(transport, HERE, THERE, 0 if transport == "UDP" else 1)
        return self.transactions.send(request(method), "z9hG4bK1", flow, self)

    def waiting(self) -> int:
        return len(list(self.timers.waiting()))

    def until(self, time: float) -> None:
        while (deadline := self.timers.next_deadline()) is not None and deadline <= time:
            self.now = deadline
            self.timers.fire(1)
        self.now = time


def request(method: str) -> Request:
    fields = [
        ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"),
        ("From", "<sip:a@example.com>;tag=1"),
        ("To", "<sip:b@example.com>"),
        ("Call-ID", "1"),
        ("CSeq", f"1 {method}"),
    ]
    return Request(method, "sip:b@192.0.2.9", Headers(fields))


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_one_timer_runs_until_the_request_is_sent_again(method: str) -> None:
    line = Line()
    line.begins(method, "UDP")
    assert line.waiting() == 1
    line.until(0.5)
    assert (line.sent, line.waiting()) == ([0.0, 0.5], 2)


@pytest.mark.rfc("3261", "17.1.1.2-5", "17.1.1.2-13", "17.1.2.2-4")
@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_a_request_without_an_answer_ends_after_64_t1_all_the_same(method: str, transport: str) -> None:
    line = Line()
    line.begins(method, transport)
    line.until(40.0)
    assert line.told == [(32.0, 408)]
    assert not line.transactions.clients
    assert not line.waiting()


def test_an_answer_leaves_no_timer_but_the_one_that_lingers() -> None:
    line = Line()
    client = line.begins("OPTIONS", "UDP")
    line.until(0.7)
    client.received(build.response(request("OPTIONS"), 200, to_tag="2"), client.flow)
    assert line.waiting() == 1
    line.until(5.7)
    assert line.told == [(0.7, 200)]
    assert not line.transactions.clients


@pytest.mark.rfc("3261", "17.2.1-12")
def test_a_refusal_without_its_ack_ends_after_64_t1_all_the_same() -> None:
    """The 100 that was due is none any more."""
    line = Line()
    invite = request("INVITE")
    server = ServerTransaction(line.transactions, invite, Flow("UDP", HERE, THERE), ("z9hG4bK1", "", "INVITE"))
    assert line.waiting() == 1
    server.respond(build.response(invite, 486, to_tag="2"))
    assert line.waiting() == 1
    line.until(31.9)
    assert line.sent == [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert line.transactions.servers
    line.until(32.0)
    assert not line.transactions.servers
    assert not line.waiting()
