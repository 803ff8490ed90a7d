"""Registered contacts, and the way to them (RFC 3261 10, 16.5; contract: a proxied URI of our own domain)."""

import pytest
from world import World


@pytest.mark.rfc("3261", "10.3")
def test_a_phone_registers_and_is_called(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob", "203.0.113.5")
    register = bob.calls_up("sip:example.com", "To: <sip:bob@example.com>", "Expires: 600", method="REGISTER")
    world.run(1.0)
    assert register.final.status == 200
    assert register.final.headers.get("contact") == "<sip:bob@203.0.113.5:5060>;expires=600"
    assert register.final.headers.get("date") == "Thu, 01 Jan 1970 00:00:00 GMT"
    call = alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert call.statuses == [200]
    world.run(600.1)
    assert world.phones[0].calls_up("sip:bob@example.com")
    world.run(601.0)
    assert len(bob.heard("INVITE")) == 1


@pytest.mark.rfc("3261", "10.3")
def test_a_register_for_another_domain_is_refused(world: World) -> None:
    alice = world.phone("alice")
    call = alice.calls_up("sip:example.com", "To: <sip:bob@elsewhere.example>", method="REGISTER")
    world.run(1.0)
    assert call.statuses == [404]


def test_a_script_that_says_nothing_leaves_the_register_to_the_server(world: World) -> None:
    bob = world.phone("bob")
    world.script("register.sh", "")
    call = bob.calls_up("sip:example.com", "To: <sip:bob@example.com>", method="REGISTER")
    world.run(1.0)
    assert call.final.headers.get("contact") == "<sip:bob@192.0.2.10:5060>;expires=3600"
    assert world.store.count() == 1


@pytest.mark.parametrize(
    "output",
    ["SIP/2.0 200 OK\n", "SIP/2.0 403 No\n", "CGI-PROXY-REQUEST sip:192.0.2.20 SIP/2.0\n\n"],
)
def test_a_script_that_answers_or_proxies_a_register_leaves_nothing_stored(world: World, output: str) -> None:
    bob, other = world.phone("bob"), world.phone("other")
    world.script("register.sh", output)
    call = bob.calls_up("sip:example.com", "To: <sip:bob@example.com>", method="REGISTER")
    world.run(1.0)
    assert call.final.status == (403 if "403" in output else 200)
    assert world.store.count() == 0
    assert len(other.requests) == ("PROXY" in output)


def test_default_never_runs_for_register(world: World) -> None:
    bob = world.phone("bob")
    world.script("default.sh", "SIP/2.0 403 No\n")
    call = bob.calls_up("sip:example.com", "To: <sip:bob@example.com>", method="REGISTER")
    world.run(1.0)
    assert call.final.status == 200


def test_a_proxied_uri_of_our_domain_becomes_its_contacts_by_q(world: World) -> None:
    """Equal ones in parallel, the next after failure; one request token for all, and no script for them."""
    alice = world.phone("alice")
    desk, mobile, mail = world.phone("desk"), world.phone("mobile"), world.phone("mail")
    world.registers(mail, user="bob", q=0.1)
    world.registers(desk, user="bob", q=0.5)
    world.registers(mobile, user="bob", q=0.5)
    desk.answers("INVITE", (0.5, 486))
    mobile.answers("INVITE", (1.0, 480))
    world.script(
        "invite.sh",
        "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nCGI-Request-Token: t1\n\nCGI-AGAIN yes SIP/2.0\n\n",
        "CGI-AGAIN yes SIP/2.0\n\n",
        "CGI-AGAIN yes SIP/2.0\n\n",
        "",
    )
    call = alice.calls_up("sip:carol@example.com")
    world.run(0.9)
    assert not mail.requests
    world.run(5.0)
    assert call.final.status == 200
    assert world.events() == ["0.000 request", "0.500 response 486", "1.000 response 480", "1.000 response 200"]
    assert [run.environment["REQUEST_TOKEN"] for run in world.runs[1:]] == ["t1", "t1", "t1"]
    assert [run.environment["SIPCGI_TARGET"] for run in world.runs[1:]] == [desk.contact, mobile.contact, mail.contact]


def test_none_registered_is_a_local_480(world: World) -> None:
    alice = world.phone("alice")
    world.script(
        "invite.sh",
        "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n",
        "SIP/2.0 302 Moved\nContact: <sip:elsewhere@192.0.2.77>\n\n",
    )
    call = alice.calls_up("sip:carol@example.com")
    world.run(1.0)
    assert call.final.status == 302
    assert call.final.headers.get("contact") == "<sip:elsewhere@192.0.2.77>"
    environment = world.runs[1].environment
    assert environment["RESPONSE_STATUS"] == "480"
    assert environment["SIPCGI_EVENT"] == "response"
    assert environment["REMOTE_ADDR"] == "127.0.0.1"
    assert "REMOTE_PORT" not in environment


def test_a_registered_contact_goes_the_way_it_registered(world: World) -> None:
    """Behind a NAT: what REGISTER came from is where the call goes (RFC 3581, contract)."""
    alice = world.phone("alice")
    bob = world.phone("bob", "198.51.100.7", port=40000, says="10.0.0.7")
    bob.calls_up("sip:example.com", "To: <sip:bob@example.com>", method="REGISTER")
    world.run(1.0)
    world.transcript()
    call = alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert call.statuses == [200]
    assert bob.got.uri == "sip:bob@10.0.0.7:5060"
    world.script("invite.sh", lambda environment: f"CGI-PROXY-REQUEST {bob.contact} SIP/2.0\n\n")
    again = alice.calls_up("sip:carol@example.com")
    world.run(3.0)
    assert again.statuses == [200]


def test_a_registered_stream_is_used_again(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob", transport="TCP")
    bob.calls_up("sip:example.com", "To: <sip:bob@example.com>", method="REGISTER")
    world.run(1.0)
    call = alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert call.statuses == [200]
    assert bob.got.via.transport == "TCP"
    assert "transport=tcp" in str(bob.got.record_routes[0])


@pytest.mark.rfc("3327", "5.3")
def test_a_path_becomes_the_route(world: World) -> None:
    alice, edge = world.phone("alice"), world.phone("edge")
    edge.send(
        edge.request(
            "REGISTER",
            "sip:example.com",
            "To: <sip:bob@example.com>",
            "Contact: <sip:bob@10.0.0.7>",
            "Path: <sip:192.0.2.20;lr>",
            "Supported: path",
        ),
        world.socket.address,
    )
    world.run(1.0)
    call = alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert call.statuses == [200]
    assert edge.got.uri == "sip:bob@10.0.0.7"
    assert edge.got.headers.get("route") == "<sip:192.0.2.20;lr>"


def test_registrations_are_those_of_the_called_user(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob, q=0.5)
    world.script("invite.sh", "", "SIP/2.0 404 No\n")
    alice.calls_up("sip:bob@example.com")
    alice.calls_up("sip:carol@example.com")
    world.run(1.0)
    assert world.runs[0].environment["REGISTRATIONS"] == "<sip:bob@192.0.2.20:5060>;expires=7200"
    assert "REGISTRATIONS" not in world.runs[1].environment


def test_a_name_that_takes_its_time(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.names.hosts["slow.example"] = (1.5, bob.socket.address)
    call = alice.calls_up("sip:bob@slow.example")
    world.run(1.0)
    assert not bob.requests
    world.run(2.0)
    assert call.statuses == [100, 200]
    assert bob.got.uri == "sip:bob@slow.example"


def test_a_name_that_is_none(world: World) -> None:
    alice = world.phone("alice")
    world.names.hosts["gone.example"] = (0.1, None)
    call = alice.calls_up("sip:bob@gone.example")
    world.run(1.0)
    assert call.statuses == [500]


def test_a_cancel_while_a_name_is_looked_for(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.names.hosts["slow.example"] = (1.5, bob.socket.address)
    call = alice.calls_up("sip:bob@slow.example")
    world.run(1.0)
    call.cancel()
    world.run(5.0)
    assert call.statuses == [100, 487]
    assert not bob.requests


def test_a_2xx_while_a_name_of_another_branch_is_looked_for(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    world.names.hosts["slow.example"] = (1.5, carol.socket.address)
    world.script(
        "invite.sh",
        "CGI-PROXY-REQUEST sip:carol@slow.example SIP/2.0\n\nCGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n\n",
    )
    bob.answers("INVITE", (0.1, 200))
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert call.statuses == [200]
    assert not carol.requests
