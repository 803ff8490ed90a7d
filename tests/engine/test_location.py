"""Registered contacts, and the way to them (RFC 3261 10, 16.5; contract: a proxied URI of our own domain)."""

import pytest
from phone import SERVER
from world import World

from sipcgi.flow import HostPort


@pytest.mark.rfc("3261", "10.3-30")
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


@pytest.mark.rfc("3261", "10.3-12")
def test_a_register_for_another_domain_is_refused(world: World) -> None:
    alice = world.phone("alice")
    call = alice.calls_up("sip:example.com", "To: <sip:bob@elsewhere.example>", method="REGISTER")
    world.run(1.0)
    assert call.statuses == [404]


@pytest.mark.rfc("3050", "5.9-1")
@pytest.mark.parametrize("output", ["", "CGI-AGAIN yes SIP/2.0\n\nCGI-SET-COOKIE c SIP/2.0\n"])
def test_a_script_that_says_nothing_leaves_the_register_to_the_server(world: World, output: str) -> None:
    bob = world.phone("bob")
    world.script("register.sh", output)
    call = bob.calls_up("sip:example.com", "To: <sip:bob@example.com>", method="REGISTER")
    world.run(1.0)
    assert call.final.headers.get("contact") == "<sip:bob@192.0.2.10:5060>;expires=3600"
    assert world.store.count() == 1


@pytest.mark.rfc("3050", "5.9-1", "5.9-2")
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


@pytest.mark.rfc("3050", "5.8-1")
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


@pytest.mark.parametrize("spoken", [True, False])
def test_a_registered_contact_is_called_from_another_socket_when_its_own_is_gone(world: World, spoken: bool) -> None:
    """The server listens at another port now: it is still the NAT that leads to the phone, not what Contact says."""
    alice = world.phone("alice")
    bob = world.phone("bob", "198.51.100.7", port=40000, says="10.0.0.7")
    bob.calls_up("sip:example.com", "To: <sip:bob@example.com>", method="REGISTER")
    world.run(1.0)
    (binding,) = world.store.bindings("bob@example.com", 1.0)
    assert binding.flow is not None
    binding.flow = binding.flow._replace(local=HostPort(SERVER.host, 5080))
    if not spoken:
        world.socket.closed.add("UDP")
    call = alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert call.statuses == [200 if spoken else 500]
    assert bool(bob.heard("INVITE")) == spoken


def test_a_registered_stream_is_used_again(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob", transport="TCP")
    bob.calls_up("sip:example.com", "To: <sip:bob@example.com>", method="REGISTER")
    world.run(1.0)
    call = alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert call.statuses == [200]
    assert bob.got.via.transport == "TCP"
    assert "transport=tcp" in str(bob.got.record_routes[0])


@pytest.mark.rfc("3261", "16.6-24")
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


@pytest.mark.rfc("3261", "16.5-1")
def test_maddr_makes_the_request_uri_the_only_target(world: World) -> None:
    """Even of a user whose contacts are known."""
    alice, bob, other = world.phone("alice"), world.phone("bob"), world.phone("other")
    world.registers(bob)
    call = alice.calls_up("sip:bob@example.com;maddr=192.0.2.30")
    world.run(1.0)
    assert call.statuses == [200]
    assert other.got.uri == "sip:bob@example.com;maddr=192.0.2.30"
    assert not bob.requests


@pytest.mark.rfc("3261", "16.5-3")
@pytest.mark.parametrize("uri", ["sip:%62ob@EXAMPLE.com;user=phone", "sips:bob@example.com"])
def test_the_called_user_is_looked_up_by_the_canonical_uri(world: World, uri: str) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob, secure=uri.startswith("sips:"))
    call = alice.calls_up(uri)
    world.run(1.0)
    assert call.statuses == [200]
    assert len(bob.heard("INVITE")) == 1


@pytest.mark.rfc("3261", "16.5-2", "16.5-7")
def test_a_uri_of_others_is_the_only_target(world: World) -> None:
    """It is a contact of bob's too, but not his address of record: his other phone does not ring."""
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob")
    world.registers(mobile, user="bob")
    alice.calls_up(desk.contact)
    world.run(1.0)
    assert desk.got.uri == desk.contact
    assert not mobile.requests


@pytest.mark.rfc("3261", "10.3-2", "10.3-3")
def test_a_record_route_of_a_register_is_ignored(world: World) -> None:
    alice, bob, edge = world.phone("alice"), world.phone("bob"), world.phone("edge")
    fields = ("To: <sip:bob@example.com>", "Record-Route: <sip:192.0.2.30;lr>")
    call = bob.calls_up("sip:example.com", *fields, method="REGISTER")
    world.run(1.0)
    assert call.final.status == 200
    assert "record-route" not in call.final.headers
    alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert len(bob.heard("INVITE")) == 1
    assert not edge.requests


@pytest.mark.rfc("3261", "16.5-6", "16.5-10")
def test_a_target_that_is_there_is_not_added_again(world: World) -> None:
    """Contacts that are equal, of which the registrar keeps one."""
    alice, bob = world.phone("alice"), world.phone("bob")
    for number, contact in enumerate(["bob@192.0.2.20:5060", "%62ob@192.0.2.20:5060", "bob@192.0.2.20:5060;x=1"]):
        fields = ("To: <sip:bob@example.com>", f"Contact: <sip:{contact}>", f"Call-ID: {number}")
        bob.calls_up("sip:example.com", *fields, method="REGISTER")
    world.run(1.0)
    alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert len(bob.heard("INVITE")) == 1


@pytest.mark.rfc("3050", "5.5.1.6-1")
def test_a_later_run_is_told_what_is_registered_then(world: World) -> None:
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob")
    desk.answers("INVITE", (1.0, 486))
    world.script("invite.sh", "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n", "")
    alice.calls_up("sip:bob@example.com")
    world.run(0.5)
    world.registers(mobile, user="bob")
    world.run(2.0)
    assert [run.environment["REGISTRATIONS"].count("<sip:") for run in world.runs] == [1, 2]


@pytest.mark.rfc("3261", "16.6-23")
def test_a_path_comes_before_a_route_that_is_there(world: World) -> None:
    """What is left of the caller's own Routes, when a script proxies to a registered user."""
    alice, edge = world.phone("alice"), world.phone("edge")
    fields = ("To: <sip:bob@example.com>", "Contact: <sip:bob@10.0.0.7>", "Path: <sip:192.0.2.20;lr>")
    edge.calls_up("sip:example.com", *fields, "Supported: path", method="REGISTER")
    world.run(1.0)
    world.script("invite.sh", "CGI-PROXY-REQUEST sip:bob@10.0.0.7 SIP/2.0\n\n")
    call = alice.calls_up("sip:carol@other.example", "Route: <sip:192.0.2.1;lr>, <sip:192.0.2.77;lr>")
    world.run(2.0)
    assert call.statuses == [200]
    assert edge.got.headers.elements("route") == ["<sip:192.0.2.20;lr>", "<sip:192.0.2.77;lr>"]


@pytest.mark.rfc("5630", "5.3")
def test_a_sips_uri_leads_to_sips_contacts_only(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob", transport="TCP")
    world.registers(bob)
    secure, plain = alice.calls_up("sips:bob@example.com"), alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert (secure.statuses, plain.statuses) == ([480], [200])
    world.script("invite.sh", "CGI-PROXY-REQUEST sips:bob@example.com SIP/2.0\n\n")
    proxied = alice.calls_up("sip:carol@example.com")
    world.run(2.0)
    assert proxied.statuses == [480]
    assert len(bob.heard("INVITE")) == 1
