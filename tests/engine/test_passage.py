"""A request in one object does what a context with a branch does, and becomes one when something else is to be done.

Each story is told twice, the second time by contexts alone: the same octets leave, the same lines are in the log.
"""

import gc
from collections.abc import Callable
from typing import Any

import pytest
from world import World

from sipcgi.engine.branch import Branch
from sipcgi.engine.context import RequestContext
from sipcgi.engine.passage import Passage

Story = Callable[[World], None]


def accepted(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 100), (0.3, 180), (1.0, 183), (2.0, 200))
    bob.answers("BYE", (0.1, 200))
    call = alice.calls_up(bob.contact)
    world.run(3.0)
    call.then("BYE")
    world.run(4.0)


def trying(world: World) -> None:
    """The peer takes its time, so that the server answers 100."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (3.0, 180), (9.0, 200))
    alice.calls_up(bob.contact)


def never_acknowledged(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 200))
    alice.acknowledges = False
    alice.calls_up(bob.contact)


def forked_further_on(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (1.0, 200))
    alice.calls_up(bob.contact)
    world.run(0.5)
    bob.replies(bob.got, 183, tag="second")
    world.run(2.0)
    bob.replies(bob.got, 200, tag="second")
    world.run(3.0)
    bob.replies(bob.got, 486, tag="third")


def refused(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (1.0, 486))
    alice.calls_up(bob.contact)


def elsewhere(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 302, "Contact: <sip:carol@192.0.2.77>"))
    alice.calls_up(bob.contact)


def busy_server(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 503, "Retry-After: 7"))
    alice.calls_up(bob.contact)


def cancelled_after_ringing(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (20.0, 200))
    call = alice.calls_up(bob.contact)
    world.run(2.0)
    call.cancel()


def cancelled_at_once(world: World) -> None:
    """RFC 3261 9.1: the CANCEL waits for the first provisional response."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (1.0, 180), (20.0, 200))
    call = alice.calls_up(bob.contact)
    world.run(0.4)
    call.cancel()


def cancelled_and_not_obeyed(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.obeys_cancel = False
    bob.answers("INVITE", (0.1, 180), (3.0, 200))
    call = alice.calls_up(bob.contact)
    world.run(2.0)
    call.cancel()


def silent(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.network.detach(bob.socket.address)
    alice.calls_up(bob.contact)
    alice.calls_up(bob.contact, method="MESSAGE")


def rings_for_ever(world: World) -> None:
    """Timer C (RFC 3261 16.8), which the second 180 puts off."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (100.0, 180))
    alice.calls_up(bob.contact)


def out_of_reach(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.network.unreachable.add(bob.socket.address)
    alice.calls_up(bob.contact)
    alice.calls_up(bob.contact, method="OPTIONS")


def lost_while_it_rings(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180))
    alice.calls_up(bob.contact)
    world.run(1.0)
    (client,) = world.transactions.clients.values()
    world.transactions.lost(client.flow, "gone")


def over_tcp(world: World) -> None:
    """Responses get the Content-Length that a stream needs."""
    alice, bob = world.phone("alice", transport="TCP"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (1.0, 200))
    alice.calls_up(bob.contact)


def too_large(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (1.0, 200))
    alice.calls_up(bob.contact, body=b"x" * 1500)


def no_room_for_the_answer(world: World) -> None:
    """What fits into no datagram becomes a 500."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (1.0, 200, b"x" * 65600))
    alice.calls_up(bob.contact)


def not_for_us(world: World) -> None:
    """A response without a Via but ours (RFC 3261 16.7 item 3)."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (20.0, 200))
    alice.calls_up(bob.contact)
    world.run(0.3)
    for status in (180, 200):
        octets = bytes(bob.response(bob.got, "other", status))
        first, *lines = octets.decode().split("\r\n")
        vias = [line for line in lines if line.startswith("Via:")]
        bob.throw("\r\n".join([first, vias[0], *[line for line in lines if line not in vias]]).encode())
        world.run(world.network.now + 0.5)


def whose_to_does_not_parse(world: World) -> None:
    """It goes upstream each time, and has its line in the log."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (20.0, 200))
    alice.calls_up(bob.contact)
    world.run(0.3)
    octets = bytes(bob.response(bob.got, "other", 200)).replace(b";tag=other", b";tag=other;;")
    for moment in (0.5, 1.0, 2.0):
        world.run(moment)
        bob.throw(octets)


def another_request(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("MESSAGE", (0.1, 202))
    alice.calls_up(bob.contact, method="MESSAGE", body=b"hello")
    world.run(1.0)
    bob.answers("OPTIONS", (0.1, 100), (5.0, 408))
    alice.calls_up(bob.contact, method="OPTIONS")


STORIES = [
    accepted, trying, never_acknowledged, forked_further_on, refused, elsewhere, busy_server, cancelled_after_ringing,
    cancelled_at_once, cancelled_and_not_obeyed, silent, rings_for_ever, out_of_reach, lost_while_it_rings, over_tcp,
    no_room_for_the_answer, not_for_us, whose_to_does_not_parse, another_request,
]  # fmt: skip


def proxied(uri: str) -> str:
    """What a script prints that sends a request on with some changes."""
    return f"CGI-PROXY-REQUEST {uri} SIP/2.0\nSubject: other\nFrom: <sip:x@example.net>;tag=x\nCGI-Remove: Expires\n\n"


def told(story: Story, *, scripted: bool = False) -> tuple[list[object], dict[str, list[str]]]:
    """All that was sent, and what the log says; nothing is left when it is over."""
    world = World(seed=3)
    if scripted:  # each INVITE goes where it was to go anyway
        world.script("invite.sh", lambda found: proxied(found["REQUEST_URI"]), unlimited=True)
    story(world)
    world.run(400.0)
    assert world.left() == []
    return [*world.network.sent], {kind: world.lines(kind) for kind in ("access", "warning", "error")}


def count_passages(monkeypatch: pytest.MonkeyPatch, made: list[str]) -> None:
    """The method of each request that leaves as one is put into `made`."""

    class Counted(Passage):
        __slots__ = ()

        def __init__(self, *whose: Any) -> None:
            super().__init__(*whose)
            made.append(self.request.method)

    monkeypatch.setattr("sipcgi.engine.passage.Passage", Counted)


@pytest.mark.parametrize("story", STORIES)
def test_what_leaves_and_what_is_logged_is_the_same(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    count_passages(monkeypatch, made)
    sent, lines = told(story)
    assert made
    monkeypatch.setattr("sipcgi.engine.dispatch.sent_on", lambda *_: False)
    count = len(made)
    assert told(story) == (sent, lines)
    assert len(made) == count
    assert not lines["error"]
    assert lines["access"]


@pytest.mark.parametrize("story", [story for story in STORIES if story is not another_request])
def test_it_is_the_same_after_a_script_that_asks_for_no_more(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaves() -> tuple[list[object], dict[str, list[str]]]:
        sent, lines = told(story, scripted=True)
        assert all(line.startswith("method=INVITE") == (" runs=1 " in line) for line in lines["access"])
        return sent, lines

    made: list[str] = []
    count_passages(monkeypatch, made)
    sent, lines = leaves()
    assert "INVITE" in made
    monkeypatch.setattr("sipcgi.engine.cgi_service.handed_over", lambda *_: False)
    made.clear()
    assert leaves() == (sent, lines)
    assert "INVITE" not in made


@pytest.mark.parametrize(
    "printed",
    [
        "CGI-PROXY-REQUEST {uri} SIP/2.0\nRoute: <sip:192.0.2.20;lr>\n\n",
        "CGI-PROXY-REQUEST {uri} SIP/2.0\n\nCGI-PROXY-REQUEST sip:carol@192.0.2.77 SIP/2.0\n\n",
        "CGI-PROXY-REQUEST {uri} SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n",
        "CGI-PROXY-REQUEST {uri} SIP/2.0\nCGI-Timeout: 30\n\n",
    ],
)
def test_a_script_that_asks_for_more_keeps_its_context(
    world: World, printed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sipcgi.engine.passage.Passage", lambda *_: pytest.fail("a Passage"))
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (1.0, 200))
    world.script("invite.sh", lambda found: printed.format(uri=found.get("REQUEST_URI")), unlimited=True)
    call = alice.calls_up(bob.contact)
    world.run(2.0)
    assert call.final.status == 200


def test_one_that_is_too_large_for_a_datagram_is_left_to_a_branch() -> None:
    sent, lines = told(too_large)
    (line,) = lines["access"]
    assert " status=200 " in line
    assert any(datagram.transport == "TCP" for datagram in sent)  # type: ignore[attr-defined]


def test_a_transport_that_nobody_speaks_is_left_to_a_branch(world: World) -> None:
    call = world.phone("alice").calls_up("sip:bob@192.0.2.20;transport=sctp")
    world.run()
    assert call.final.status == 500
    assert ["sip over sctp is not supported" in line for line in world.lines("warning")] == [True]
    assert [" status=500 " in line for line in world.lines("access")] == [True]


@pytest.mark.parametrize("story", STORIES)
def test_nothing_of_it_is_left_to_the_garbage_collector(story: Story) -> None:
    gc.collect()
    gc.disable()
    try:
        told(story)
        assert not [one for one in gc.get_objects() if type(one) in (Passage, RequestContext, Branch)]
    finally:
        gc.enable()
