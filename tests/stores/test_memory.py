"""The store in memory, beside a plain list that does the same slowly."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.flow import Flow, HostPort
from sipcgi.registrar.bindings import Binding
from sipcgi.registrar.store import LocationStore
from sipcgi.sip.uri import equivalent, parse_uri
from sipcgi.stores.memory import MemoryStore


def binding(uri: str, expires_at: float = 1000.0) -> Binding:
    return Binding(f"<{uri}>", uri, 1.0, expires_at, call_id="1@h", cseq=1)


def found(store: MemoryStore, uri: str, now: float = 0.0) -> list[str]:
    return [f"{aor} {binding.uri}" for aor, binding in store.by_contact(parse_uri(uri), now)]


def is_empty(store: MemoryStore) -> bool:
    return not (store.count() or store._records or store._contacts or store._due)


def test_it_is_a_location_store() -> None:
    store: LocationStore = MemoryStore()
    assert store.replace("bob@example.com", [binding("sip:bob@192.0.2.1")]) is None
    assert store.count() == 1
    assert store.known("nobody@example.com")  # there is no list of users


def test_bindings_are_replaced_as_a_whole() -> None:
    store = MemoryStore()
    first, second = binding("sip:bob@192.0.2.1"), binding("sip:bob@192.0.2.2")
    store.replace("bob@example.com", [first, second])
    assert store.bindings("bob@example.com", 0.0) == [first, second]
    store.replace("bob@example.com", [second])
    assert store.bindings("bob@example.com", 0.0) == [second]
    assert store.bindings("alice@example.com", 0.0) == []
    store.replace("bob@example.com", [])
    store.replace("alice@example.com", [])
    assert is_empty(store)


def test_the_list_is_the_callers() -> None:
    store = MemoryStore()
    store.replace("bob@example.com", [binding("sip:bob@192.0.2.1")])
    store.bindings("bob@example.com", 0.0).clear()
    assert store.count() == len(store.bindings("bob@example.com", 0.0)) == 1


@pytest.mark.rfc("3261", "19.1.4")
def test_a_contact_is_found_by_its_uri() -> None:
    store = MemoryStore()
    store.replace(
        "bob@example.com",
        [binding("sip:bob@PHONE.example.com;x=1"), binding("sip:bob@phone.example.com;transport=tcp")],
    )
    assert found(store, "sip:%62ob@phone.example.com") == ["bob@example.com sip:bob@PHONE.example.com;x=1"]
    assert found(store, "sip:bob@phone.example.com;transport=TCP") == [
        "bob@example.com sip:bob@phone.example.com;transport=tcp"
    ]
    assert found(store, "sip:bob@phone.example.com;transport=udp") == []
    assert found(store, "sip:bob@phone.example.com:5060") == []
    assert found(store, "sip:bob@phone.example.com", now=1000.0) == []
    store.replace("bob@example.com", [binding("sip:bob@phone.example.com;transport=tcp")])
    assert found(store, "sip:bob@phone.example.com") == []
    assert found(store, "sip:bob@phone.example.com;transport=tcp") != []


def test_several_users_may_have_one_contact() -> None:
    store = MemoryStore()
    for number in range(1, 5):
        store.replace(f"{number}@example.com", [binding("sip:gateway.example.com")])
    assert [text[0] for text in found(store, "sip:gateway.example.com")] == ["1", "2", "3", "4"]
    assert len(store.by_contact(parse_uri("sip:gateway.example.com"), 0.0, most=2)) == 2
    store.replace("2@example.com", [binding("sip:elsewhere.example.com")])
    store.replace("1@example.com", [])
    assert [text[0] for text in found(store, "sip:gateway.example.com")] == ["3", "4"]
    for number in range(1, 5):
        store.replace(f"{number}@example.com", [])
    assert is_empty(store)


def test_expired_bindings_vanish_when_they_are_looked_up() -> None:
    store = MemoryStore()
    store.replace("bob@example.com", [binding("sip:bob@192.0.2.1", 60.0), binding("sip:bob@192.0.2.2", 120.0)])
    assert len(store.bindings("bob@example.com", 59.9)) == 2
    assert [binding.uri for binding in store.bindings("bob@example.com", 60.0)] == ["sip:bob@192.0.2.2"]
    assert store.count() == 1
    assert store.bindings("bob@example.com", 120.0) == []
    assert is_empty(store)


def test_sweep_forgets_what_nobody_looks_up_in_small_steps() -> None:
    store = MemoryStore()
    for number in range(10):
        store.replace(f"{number}@example.com", [binding(f"sip:{number}@h", 100.0 + number)])
    store.replace("bob@example.com", [binding("sip:bob@h", 100.0), binding("sip:bob@home", 5000.0)])
    assert store.sweep(99.0) == 0
    assert store.count() == 12
    assert store.sweep(200.0, most=4) == 4
    assert store.count() == 8
    assert store.sweep(200.0, most=100) == 7
    assert store.count() == 1
    assert store.sweep(5100.0) == 1
    assert is_empty(store)


def test_a_refresh_moves_the_time_of_the_sweep() -> None:
    store = MemoryStore()
    for expires_at in (100.0, 3600.0, 500.0, 510.0, 2000.0):
        store.replace("bob@example.com", [binding("sip:bob@h", expires_at)])
    assert store.sweep(1990.0) == 0
    assert store.count() == 1
    assert store.sweep(2064.0) == 1
    assert is_empty(store)


def test_many_come_and_go_and_leave_nothing_behind() -> None:
    store = MemoryStore()
    for number in range(1000):
        store.replace("bob@example.com", [binding(f"sip:{number}@h", 3600.0 - number)])
        store.replace("bob@example.com", [])
    assert is_empty(store)


AORS = st.sampled_from(["a@x", "b@x", "c@x"])
CONTACTS = ["sip:1@h", "sip:1@H;x=1", "sip:1@h;x=2", "sip:%31@h", "sip:2@h", "tel:+1-2", "tel:+12", "mailto:a@b"]
SETS = st.lists(st.tuples(st.sampled_from(CONTACTS), st.integers(1, 400)), max_size=4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("replace"), AORS, SETS), st.tuples(st.sampled_from(["look", "sweep"]), AORS, st.just([]))
    ),
    max_size=20,
)


@given(STEPS)
def test_it_does_what_a_plain_dictionary_does(steps: list[tuple[str, str, list[tuple[str, int]]]]) -> None:
    store, model, now = MemoryStore(), dict[str, list[Binding]](), 0.0
    for action, aor, contacts in steps:
        now += 30.0
        if action == "replace":
            model[aor] = [binding(uri, now + seconds) for uri, seconds in contacts]
            store.replace(aor, model[aor])
        elif action == "sweep":
            store.sweep(now, most=1)
        expected = [one for one in model.get(aor, []) if one.expires_at > now]
        assert store.bindings(aor, now) == expected
        for uri in map(parse_uri, CONTACTS):
            assert sorted(store.by_contact(uri, now, most=100), key=repr) == sorted(
                [(a, b) for a, all_ in model.items() for b in all_ if b.expires_at > now and equivalent(b.target, uri)],
                key=repr,
            )
    store.sweep(now + 1000.0)
    assert is_empty(store)


def test_a_contact_costs_less_than_two_kibibytes() -> None:
    local = HostPort("198.51.100.1", 5060)
    store, most = MemoryStore(), 5000
    tracemalloc.start()
    for number in range(most):
        ip = f"10.0.{number >> 8}.{number & 255}"
        uri = f"sip:user{number}@{ip}:5062;line={number:012x}"
        contact = f'"User {number}" <{uri}>;+sip.instance="<urn:uuid:00000000-0000-1000-8000-{number:012x}>";q=0.7'
        flow = Flow("UDP", local, HostPort(f"203.0.{number >> 8}.{number & 255}", 1024 + number))
        call_id = f"{number:032x}@{ip}"
        store.replace(
            f"user{number}@example.com", [Binding(contact, uri, 0.7, 3600.5 + number, call_id, 1 + number, flow)]
        )
    octets, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert octets / most < 2048
