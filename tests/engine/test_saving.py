"""A REGISTER whose bindings have to be saved: the 200 leaves when they are safe (RFC 3261 10.3)."""

from collections.abc import Sequence

import pytest
from phone import SERVER
from world import World

from sipcgi.registrar.bindings import Binding
from sipcgi.registrar.saving import Saving
from sipcgi.stores.memory import MemoryStore


class SlowStore(MemoryStore):
    """Saves in so many seconds of virtual time; 0: before it is asked. With `error` it cannot."""

    def __init__(self, world: World, seconds: float = 0.4) -> None:
        super().__init__()
        self.world = world
        self.seconds = seconds
        self.error: OSError | None = None

    def replace(self, aor: str, bindings: Sequence[Binding]) -> Saving:  # type: ignore[override]
        super().replace(aor, bindings)
        saving = Saving()
        if self.seconds:
            self.world.network.timers.start(self.seconds, saving.end, self.error)
        else:
            saving.end(self.error)
        return saving


@pytest.fixture
def store(world: World) -> SlowStore:
    store = SlowStore(world)
    world.store = world.core.locations.store = world.core.locations.reachable.store = store
    return store


@pytest.mark.rfc("3261", "10.3-26")
def test_the_200_leaves_when_the_bindings_are_safe(world: World, store: SlowStore) -> None:
    call = world.phone("alice").calls_up("sip:example.com", "To: <sip:alice@example.com>", method="REGISTER")
    world.run(5.0)
    world.shows("""
        0.000 alice > server REGISTER
        0.400 server > alice 200 REGISTER
    """)
    assert call.final.headers.get("contact") == "<sip:alice@192.0.2.10:5060>;expires=3600"
    (line,) = world.lines("access")
    assert "actions=200" in line
    assert "to_final=0.4000" in line


def test_a_retransmission_meanwhile_is_not_a_second_registration(world: World, store: SlowStore) -> None:
    store.seconds = 0.7
    world.phone("alice").calls_up("sip:example.com", "To: <sip:alice@example.com>", method="REGISTER")
    world.run(5.0)
    world.shows("""
        0.000 alice > server REGISTER
        0.500 alice > server REGISTER
        0.700 server > alice 200 REGISTER
    """)


@pytest.mark.rfc("3261", "10.3-27")
@pytest.mark.parametrize("seconds", [0.4, 0.0])
def test_a_500_when_they_cannot_be_saved(world: World, store: SlowStore, seconds: float) -> None:
    store.seconds, store.error = seconds, OSError("disk full")
    call = world.phone("alice").calls_up("sip:example.com", "To: <sip:alice@example.com>", method="REGISTER")
    world.run(5.0)
    assert call.statuses == [500]
    assert call.final.reason == "Registration Not Saved"
    assert "contact" not in call.final.headers


@pytest.mark.rfc("3261", "17.1-1")
def test_what_is_saved_already_is_answered_at_once(world: World, store: SlowStore) -> None:
    store.seconds = 0.0
    world.phone("alice").calls_up("sip:example.com", "To: <sip:alice@example.com>", method="REGISTER")
    world.run(5.0)
    world.shows("""
        0.000 alice > server REGISTER
        0.000 server > alice 200 REGISTER
    """)


def test_a_query_and_a_refusal_wait_for_nothing(world: World, store: SlowStore) -> None:
    alice = world.phone("alice")
    request = alice.request("REGISTER", "sip:example.com", "To: <sip:alice@example.com>")
    request.headers.remove("contact")
    query = alice.send(request, SERVER)
    refused = alice.calls_up("sip:example.com", "To: <sip:alice@example.com>", "Expires: 1", method="REGISTER")
    world.run(0.1)
    assert (query.statuses, refused.statuses) == ([200], [423])


@pytest.mark.rfc("3050", "5.6.1.6")
def test_a_script_that_leaves_it_to_the_server(world: World, store: SlowStore) -> None:
    world.script("register.sh", "", takes=0.05)
    world.phone("alice").calls_up("sip:example.com", "To: <sip:alice@example.com>", method="REGISTER")
    world.run(5.0)
    world.shows("""
        0.000 alice > server REGISTER
        0.450 server > alice 200 REGISTER
    """)
    assert world.events() == ["0.000 request"]


def test_a_script_whose_time_comes_meanwhile(world: World, store: SlowStore) -> None:
    world.script("register.sh", "CGI-AGAIN yes SIP/2.0\nCGI-After: 0.2\n\n", "SIP/2.0 403 No\n\n")
    call = world.phone("alice").calls_up("sip:example.com", "To: <sip:alice@example.com>", method="REGISTER")
    world.run(60.0)
    assert call.statuses == [200]
    assert len(world.lines("access")) == 1
    assert world.left() == []


@pytest.mark.rfc("3261", "10.3-4")
def test_registers_count_in_the_order_in_which_they_came(world: World, store: SlowStore) -> None:
    """The first is still being saved when the second comes."""
    alice = world.phone("alice")
    to = "To: <sip:alice@example.com>"
    first = alice.calls_up("sip:example.com", to, "Expires: 600", method="REGISTER")
    world.run(0.1)
    second = alice.calls_up("sip:example.com", to, "Contact: *", "Expires: 0", method="REGISTER")
    world.run(0.2)
    third = alice.calls_up("sip:example.com", to, "Contact: <sip:alice@192.0.2.77>", method="REGISTER")
    world.run(5.0)
    assert [call.final.headers.get("contact") for call in (first, second, third)] == [
        "<sip:alice@192.0.2.10:5060>;expires=600",
        None,
        "<sip:alice@192.0.2.77>;expires=3600",
    ]


@pytest.mark.rfc("3261", "10.3-6")
def test_a_register_does_not_depend_on_those_of_others(world: World, store: SlowStore) -> None:
    """Neither on what is being saved for another user, nor on a refusal before it."""
    alice, bob = world.phone("alice"), world.phone("bob")
    one = alice.calls_up("sip:example.com", "To: <sip:alice@example.com>", method="REGISTER")
    refused = alice.calls_up("sip:example.com", "To: <sip:bob@example.com>", "Expires: 1", method="REGISTER")
    other = bob.calls_up("sip:example.com", "To: <sip:bob@example.com>", "Call-ID: alice-1", method="REGISTER")
    world.run(5.0)
    assert refused.statuses == [423]
    assert one.final.headers.all("contact") == ["<sip:alice@192.0.2.10:5060>;expires=3600"]
    assert other.final.headers.all("contact") == ["<sip:bob@192.0.2.20:5060>;expires=3600"]
