"""2xx responses to INVITE: every one goes upstream (RFC 3261 16.7 item 5, RFC 6026)."""

import pytest
from world import World


@pytest.mark.rfc("6026", "6-1", "7.1")
def test_a_repeated_2xx_goes_upstream_each_time_and_leaves_no_trace(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 200))
    alice.acknowledges = False
    alice.calls_up("sip:bob@example.com")
    world.run(0.2)
    (server,) = world.transactions.servers.values()
    (client,) = world.transactions.clients.values()
    lingering = len(list(world.network.timers.waiting()))
    world.run(12.0)
    assert [line for line in world.transcript().splitlines() if "server > alice" in line] == [
        f"{time:.3f} server > alice 200 INVITE" for time in (0.1, 0.6, 1.6, 3.6, 7.6, 11.6)
    ]
    assert list(world.transactions.servers.values()) == [server]
    assert list(world.transactions.clients.values()) == [client]
    assert len(list(world.network.timers.waiting())) <= lingering + 1  # one of bob's


@pytest.mark.rfc("3261", "13.3.1.4")
def test_an_ack_that_was_lost_comes_again_with_the_repeated_2xx(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 200))
    alice.acknowledges = False
    alice.calls_up("sip:bob@example.com")
    world.run(0.2)
    alice.acknowledges = True
    world.transcript()
    world.run(5.0)
    world.shows("""
        0.600 bob > server 200 INVITE
        0.600 server > alice 200 INVITE
        0.600 alice > server ACK
        0.600 server > bob ACK
    """)


@pytest.mark.rfc("3261", "16.7-15", "16.7-30", "16.7-44")
def test_a_second_2xx_of_a_fork_further_on(world: World) -> None:
    """Another phone behind bob's proxy answers the same branch, with its own To tag."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 200))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    bob.replies(bob.got, 200, tag="second")
    bob.replies(bob.got, 200, tag="third")
    world.run(2.0)
    assert [response.to.tag for response in call.responses][1:] == ["second", "third"]
    assert len(bob.heard("ACK")) == 3


@pytest.mark.rfc("3261", "8.2.6.2")
def test_what_a_script_made_of_from_and_to_is_undone_in_late_2xx_too(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.script(
        "invite.sh",
        """
        CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0
        From: <sip:anonymous@anonymous.invalid>
        To: <sip:desk@example.org>

        """,
    )
    bob.answers("INVITE", (0.1, 200))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    bob.replies(bob.got, 200, "CGI-Remove: subject", tag="second")
    world.run(2.0)
    assert bob.got.from_.uri != call.request.from_.uri
    for answer in call.responses:
        assert answer.headers.get("from") == call.request.headers.get("from")
        assert str(answer.to).partition(";tag=")[0] == call.request.headers.get("to")
        assert "cgi-remove" not in answer.headers
    assert call.responses[-1].to.tag == "second"


def test_nothing_but_octets_lingers_of_an_answered_call(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    (server,) = world.transactions.servers.values()
    (client,) = world.transactions.clients.values()
    assert server.user is None
    assert server.request is None
    assert client.request is None
    assert client.last == b""
    assert server.last.startswith(b"SIP/2.0 200 ")
    assert type(client.user).__name__ == "LateResponses"


def test_nothing_but_octets_lingers_of_a_2xx_that_crossed_the_cancel_while_a_script_ran(world: World) -> None:
    """No run follows, though the one that was ended might have asked for it."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.obeys_cancel = False
    bob.answers("INVITE", (0.1, 180), (1.2, 200))
    again = "CGI-AGAIN yes SIP/2.0\n\n"
    world.script("invite.sh", "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n\n" + again, again, takes=0.5)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    call.cancel()
    world.run(3.0)
    assert call.final.status == 200
    users = [type(client.user).__name__ for client in world.transactions.clients.values()]
    assert users == ["LateResponses", "NoneType"]  # of the INVITE and of its CANCEL


def test_nothing_but_octets_lingers_of_a_refused_call(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 486))
    alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    (server,) = world.transactions.servers.values()
    (client,) = world.transactions.clients.values()
    assert server.user is None
    assert server.request is None
    assert client.request is None
    assert client.user is None


@pytest.mark.rfc("4475", "3.3.10-3")
@pytest.mark.rfc("6026", "6-3", "6-4", "7.3-1", "7.3-2", "8.2-1", "8.9-2")
def test_a_response_without_its_transaction_is_dropped(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    call = alice.calls_up("sip:bob@example.com")
    world.run(40.0)
    world.transcript()
    bob.replies(bob.got, 200, tag="very late")
    world.run(41.0)
    world.shows("40.000 bob > server 200 INVITE")
    assert call.statuses == [200]


@pytest.mark.rfc("3261", "18.1.2-1")
def test_a_response_to_another_sent_by_is_dropped(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (5.0, 486))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    forged = bytes(bob.response(bob.got, "x", 200)).replace(b"192.0.2.1:5060;branch", b"192.0.2.77:5060;branch")
    bob.throw(forged)
    world.run()
    assert call.statuses == [100, 486]


@pytest.mark.rfc("3261", "16.7-43")
@pytest.mark.rfc("6026", "8.3-1")
def test_a_2xx_is_forwarded_also_when_the_server_transaction_is_gone(world: World) -> None:
    """Of a second phone, which answered in spite of its CANCEL: the first 2xx was long ago."""
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob")
    world.registers(mobile, user="bob")
    mobile.answers("INVITE", (0.1, 180), (31.0, 200))
    mobile.obeys_cancel = False
    desk.answers("INVITE", (1.0, 200))
    alice.calls_up("sip:bob@example.com")
    world.run(31.5)
    alice.acknowledges = False
    assert len(world.transactions.servers) == 1
    world.run(33.5)
    assert not world.transactions.servers
    world.transcript()
    mobile.replies(mobile.got, 200, tag="third")
    world.run(34.0)
    assert "33.500 server > alice 200 INVITE" in world.transcript()


def test_a_2xx_whose_to_does_not_parse_goes_upstream_and_is_logged_once(world: World) -> None:
    """Also one that comes while a script runs for the one before it."""
    alice, bob = world.phone("alice"), world.phone("bob")
    proxied, again = "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n\n", "CGI-AGAIN yes SIP/2.0\n\n"
    world.script("invite.sh", proxied + again, "", takes=1.0)
    bob.answers("INVITE", (20.0, 200))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.5)
    octets = bytes(bob.response(bob.got, "other", 200)).replace(b";tag=other", b";tag=other;;")
    for moment in (1.5, 2.0, 5.0):
        world.run(moment)
        bob.throw(octets)
    world.run(10.0)
    assert world.events() == ["0.000 request", "1.500 response 200"]
    assert call.statuses == [100, 200, 200]
    (line,) = world.lines("access")
    assert " status=200 " in line
