"""The server as an edge proxy in front of another registrar (RFC 5626 section 5 and 9, RFC 3327 5.2)."""

import re

import pytest
from phone import Call, Phone
from world import World

from sipcgi.sip.message import Request

INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"'
REGISTRAR = "sip:registrar.example"


@pytest.fixture
def registrar(world: World) -> Phone:
    """That of registrar.example, to which a script sends REGISTER."""
    phone = world.phone("registrar", "192.0.2.50")
    world.names.hosts["registrar.example"] = (0.0, phone.socket.address)
    world.script("register.sh", f"CGI-PROXY-REQUEST {REGISTRAR} SIP/2.0\n\n", unlimited=True)
    return phone


def browser(world: World, name: str = "bob", host: str = "198.51.100.7", transport: str = "WS") -> Phone:
    return world.phone(name, host, port=40000, says="df7jal23ls0d.invalid", transport=transport)


def register(world: World, phone: Phone, registrar: Phone, *fields: str) -> Request:
    """What arrives of its REGISTER."""
    fields = fields or ("Supported: path, outbound",)
    call = phone.calls_up(
        REGISTRAR, "To: <sip:bob@registrar.example>", f"Contact: <{phone.contact}>;reg-id=1;{INSTANCE}", *fields,
        method="REGISTER",
    )  # fmt: skip
    world.run(world.network.now + 0.1)
    assert call.statuses == [200]
    return registrar.heard("REGISTER")[-1]


def calls(registrar: Phone, path: str, contact: str, *fields: str, method: str = "INVITE") -> Call:
    """A request of the home proxy for a binding with that path (RFC 3327 5.4)."""
    return registrar.calls_up(contact, f"Route: {path}", *fields, method=method)


@pytest.mark.rfc("3327", "4-1")
@pytest.mark.rfc("3608", "6.2-2")
@pytest.mark.rfc("5626", "5.1-1", "5.1-2", "5.1-4", "9.2")
@pytest.mark.parametrize("transport", ["WS", "TCP", "UDP"])
def test_the_path_leads_back_over_the_flow(world: World, registrar: Phone, transport: str) -> None:
    bob = browser(world, transport=transport)
    path = ", ".join(register(world, bob, registrar).headers.elements("path"))
    ours = r"<sip:(flow\.[0-9a-f]{20}\.[-\w]{28})@192\.0\.2\.1:5060;lr;ob>"
    theirs = rf", <sip:\1@192\.0\.2\.1:5060;lr;transport={transport.lower()};ob>"
    assert re.fullmatch(ours if transport == "UDP" else ours + theirs, path)
    call = calls(registrar, path, bob.contact)
    world.run(1.0)
    assert call.statuses == [200]
    assert bob.got.uri == bob.contact
    assert bob.got.via.transport == transport
    assert "route" not in bob.got.headers
    bye, back = call.then("BYE"), bob.calls_back(bob.got, "INFO", call.final.to.tag or "")
    world.run(2.0)
    assert (bye.statuses, back.statuses) == ([200], [200])
    assert ";ob" not in (bob.got.headers.get("record-route") or "")
    message = calls(registrar, path, bob.contact, method="MESSAGE")
    world.run(3.0)
    assert message.statuses == [200]
    assert "record-route" not in bob.heard("MESSAGE")[0].headers


@pytest.mark.rfc("5626", "5.1-1", "5.1-5")
@pytest.mark.rfc("3327", "5.2-1")
@pytest.mark.parametrize(
    ("fields", "count"),
    [
        (("Supported: path",), 2),
        (("k: gruu", "Require: path"), 2),
        (("Supported: outbound",), 0),
        (("Supported: path", "Path: <sip:ua.example;lr>"), 3),
        (("Supported: path", "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKfirst"), 0),
        (('Supported: "',), 0),
        (("Supported: path", "Via: nonsense"), 0),
    ],
)
def test_the_path_is_ours_as_first_hop_of_who_knows_it(
    world: World, registrar: Phone, fields: tuple[str, ...], count: int
) -> None:
    bob = browser(world)
    values = register(world, bob, registrar, *fields).headers.elements("path")
    assert len(values) == count
    assert [value.startswith("<sip:flow.") for value in values] == [True, True, False][:count]


@pytest.mark.parametrize("line", ["Path: <sip:other.example;lr>", "CGI-Remove: Path"])
def test_a_script_that_sees_to_the_path(world: World, registrar: Phone, line: str) -> None:
    bob = browser(world)
    world.script("register.sh", f"CGI-PROXY-REQUEST {REGISTRAR} SIP/2.0\n{line}\n\n")
    values = register(world, bob, registrar).headers.all("path")
    assert values == (["<sip:other.example;lr>"] if line.startswith("Path") else [])


def test_a_register_to_another_domain_by_one_who_may_relay(world: World, registrar: Phone) -> None:
    world.script("register.sh", "", unlimited=True)
    bob = world.phone("bob", transport="TCP")
    assert register(world, bob, registrar).headers.get("path")


@pytest.mark.rfc("5626", "5.3.1-2")
def test_a_flow_that_is_gone_is_a_430(world: World, registrar: Phone) -> None:
    bob = browser(world)
    path = register(world, bob, registrar).headers.get("path") or ""
    world.socket.hangs_up("WS", bob.socket.address)
    call = calls(registrar, path, bob.contact)
    world.run(1.0)
    assert call.statuses == [430]
    assert not bob.requests


@pytest.mark.rfc("5626", "5.3.1-2")
def test_a_flow_that_turns_out_to_be_gone_is_a_430(world: World, registrar: Phone) -> None:
    bob = browser(world, transport="UDP")
    path = register(world, bob, registrar).headers.get("path") or ""
    world.network.unreachable |= {bob.socket.address}
    call = calls(registrar, path, bob.contact)
    world.run(1.0)
    assert call.statuses == [430]


@pytest.mark.rfc("5626", "5.3.1-1")
@pytest.mark.parametrize("change", ["bit", "flow", "restart"])
def test_a_token_that_was_tampered_with_is_a_403(world: World, registrar: Phone, change: str) -> None:
    bob, carol = browser(world), browser(world, "carol", "198.51.100.8")
    path = register(world, bob, registrar).headers.get("path") or ""
    other = register(world, carol, registrar).headers.get("path") or ""
    signature, text = path[10:30], path[31:59]
    forged = {
        "bit": path.replace(text, text[:-1] + ("A" if text[-1] != "A" else "B")),
        "flow": other.replace(other[10:30], signature),
        "restart": path.replace(signature, "0" * 20),
    }[change]
    assert forged != path
    call = calls(registrar, forged, bob.contact)
    acknowledged = registrar.request("ACK", bob.contact, f"Route: {forged}")
    acknowledged.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.50;branch=z9hG4bKx")
    registrar.throw(bytes(acknowledged))
    world.run(1.0)
    assert call.statuses == [403]
    assert not bob.requests
    assert not carol.requests


def test_a_home_proxy_that_may_not_relay_reaches_the_flow_and_nothing_else(world: World, registrar: Phone) -> None:
    """Its Request-URI is of no domain of ours: without the token that would be relaying."""
    bob, home = browser(world), world.phone("home", "203.0.113.50")
    path = register(world, bob, registrar).headers.get("path") or ""
    call = calls(home, f"{path}, <sip:192.0.2.50;lr>", "sip:bob@anything.example")
    without = calls(home, "<sip:192.0.2.1;lr>", bob.contact)
    world.run(1.0)
    assert (call.statuses, without.statuses) == ([200], [403])
    assert bob.got.uri == "sip:bob@anything.example"
    assert "route" not in bob.got.headers


@pytest.mark.rfc("5626", "5.3")
def test_the_token_of_the_sender_itself_leads_elsewhere(world: World, registrar: Phone) -> None:
    """Outgoing: its source is the flow of the token, which is just removed."""
    alice = world.phone("alice")
    world.registers(alice)
    bob = browser(world)
    path = register(world, bob, registrar).headers.get("path") or ""
    call = calls(bob, path, "sip:alice@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert len(alice.heard("INVITE")) == 1


@pytest.mark.rfc("5626", "9.5")
def test_an_outgoing_call(world: World, registrar: Phone) -> None:
    alice = world.phone("alice")
    world.names.hosts["a.example"] = (0.0, alice.socket.address)
    bob = browser(world, transport="TCP")
    world.script("invite.sh", "CGI-PROXY-REQUEST sip:alice@a.example SIP/2.0\n\n")
    contact = f"Contact: <{bob.contact};ob>"
    call = bob.calls_up("sip:alice@a.example", "Route: <sip:192.0.2.1;lr>", contact)
    world.run(1.0)
    assert call.statuses == [200]
    back = alice.calls_back(alice.got, "INFO", call.final.to.tag or "")
    bye = call.then("BYE", contact)
    world.run(2.0)
    assert (back.statuses, bye.statuses) == ([200], [200])
    assert bob.heard("INFO")[0].uri == f"{bob.contact};ob"


def test_scripts_see_what_comes_for_a_flow(world: World, registrar: Phone) -> None:
    bob = browser(world)
    path = register(world, bob, registrar).headers.get("path") or ""
    world.script(
        "invite.sh", "SIP/2.0 403 No\n", "", lambda environment: f"CGI-PROXY-REQUEST {bob.contact} SIP/2.0\n\n"
    )
    found = []
    for _ in range(3):
        found.append(calls(registrar, path, bob.contact))
        world.run(world.network.now + 1.0)
    assert [call.final.status for call in found] == [403, 200, 200]
    assert len(bob.heard("INVITE")) == 2
