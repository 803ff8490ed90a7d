"""A bug in the core: the guard of net/intake answers, through the transaction that the request has (RFC 3261 17.2)."""

import pytest
from world import World

from sipcgi.flow import Flow
from sipcgi.sip.message import Request


@pytest.fixture
def guarded(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """In which every new request meets a bug, as late as may be."""
    request = world.dispatch.request

    def fails(message: Request, flow: Flow, *rest: object) -> None:
        request(message, flow, *rest)  # type: ignore[arg-type]
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(world.dispatch, "request", fails)
    monkeypatch.setattr(world.dispatch, "begin", lambda *arguments: None)  # it gets no user
    world.socket.intake.guard = True
    world.socket.intake.answer = world.transactions.answer
    return world


def test_an_invite_gets_its_500_from_its_transaction(guarded: World) -> None:
    alice = guarded.phone("alice")
    call = alice.calls_up("sip:bob@example.com")
    guarded.run(0.1)
    assert len(guarded.transactions.servers) == 1
    guarded.run()
    assert call.statuses == [500]
    assert guarded.network.transcript() == [  # no 100 after 200 ms
        "0.000 alice > server INVITE",
        "0.000 server > alice 500 INVITE",
        "0.000 alice > server ACK",
    ]
    assert guarded.left() == []


def test_a_retransmission_gets_the_500_again(guarded: World) -> None:
    alice = guarded.phone("alice")
    call = alice.calls_up("sip:bob@example.com", method="OPTIONS")
    guarded.run(0.1)
    sent = next(one.data for one in guarded.network.sent if one.source == alice.socket.address)
    alice.throw(sent)
    guarded.run()
    answers = [one.data for one in guarded.network.sent if one.source == guarded.socket.address]
    assert call.statuses == [500]
    assert len(answers) == 2
    assert answers[0] == answers[1]
    assert "".join(guarded.lines("error")).count("a message from UDP") == 1
    assert guarded.left() == []


def test_without_a_transaction_it_is_answered_statelessly(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(world.transactions, "arrived", fails)
    world.socket.intake.guard = True
    world.socket.intake.answer = world.transactions.answer
    call = world.phone("alice").calls_up("sip:bob@example.com", method="OPTIONS")
    world.run()
    assert call.statuses == [500]
    assert world.left() == []
