"""REGISTER requests and what they do (RFC 3261 10.3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.errors import Refused
from sipcgi.flow import Flow, HostPort
from sipcgi.registrar.bindings import Binding
from sipcgi.registrar.register import Limits, Registered, address_of_record, register
from sipcgi.sip.message import Request
from sipcgi.sip.parser import parse

NOW = 1000.0
FLOW = Flow("UDP", HostPort("198.51.100.1", 5060), HostPort("192.0.2.4", 5060))


def message(*fields: str, call_id: str = "843817637684230@998sdasdh09", cseq: int = 1, to: str = "") -> Request:
    """A REGISTER of Bob (RFC 3261 24.1) with further header fields."""
    lines = [
        "REGISTER sip:registrar.biloxi.com SIP/2.0",
        "Via: SIP/2.0/UDP bobspc.biloxi.com:5060;branch=z9hG4bKnashds7",
        "Max-Forwards: 70",
        f"To: {to or 'Bob <sip:bob@biloxi.com>'}",
        "From: Bob <sip:bob@biloxi.com>;tag=456248",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} REGISTER",
        *fields,
        "Content-Length: 0",
    ]
    request = parse("\r\n".join([*lines, "", ""]).encode())
    assert isinstance(request, Request)
    return request


def apply(request: Request, bindings: list[Binding] | None = None, now: float = NOW, **limits: int) -> Registered:
    return register(request, bindings or [], now=now, flow=FLOW, limits=Limits(**limits))


def contacts(registered: Registered) -> list[str]:
    return [value for name, value in registered.headers if name == "Contact"]


def refusal(request: Request, bindings: list[Binding] | None = None, **limits: int) -> tuple[int, str | None]:
    """Status and reason; whatever is refused leaves the bindings as they were."""
    bindings = bindings or []
    before = list(bindings)
    with pytest.raises(Refused) as caught:
        apply(request, bindings, **limits)
    assert bindings == before
    return caught.value.status, caught.value.reason


@pytest.mark.rfc("3261", "10.3")
def test_a_contact_is_added() -> None:
    registered = apply(message("Contact: <sip:bob@192.0.2.4>", "Expires: 7200"))
    assert registered.headers == [("Contact", "<sip:bob@192.0.2.4>;expires=7200")]
    assert registered.changed
    [binding] = registered.bindings
    assert binding == Binding(
        contact="<sip:bob@192.0.2.4>",
        uri="sip:bob@192.0.2.4",
        q=1.0,
        expires_at=NOW + 7200,
        call_id="843817637684230@998sdasdh09",
        cseq=1,
    )


@pytest.mark.rfc("3261", "10.2.3")
def test_without_a_contact_the_bindings_are_listed() -> None:
    bindings = apply(message("Contact: <sip:bob@192.0.2.4>", "Contact: <mailto:bob@biloxi.com>;expires=120")).bindings
    registered = apply(message(call_id="query"), bindings, now=NOW + 60)
    assert contacts(registered) == ["<sip:bob@192.0.2.4>;expires=3540", "<mailto:bob@biloxi.com>;expires=60"]
    assert registered.bindings == bindings
    assert not registered.changed
    assert contacts(apply(message(), bindings, now=NOW + 120)) == ["<sip:bob@192.0.2.4>;expires=3480"]
    assert apply(message()).headers == []


@pytest.mark.rfc("3261", "10.3")
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ('"Bob, at ""home" <sip:bob@192.0.2.4>', None),
        ('"Bob, \\"B\\"" <sip:b@h;transport=tcp>;q=0.7', '"Bob, \\"B\\"" <sip:b@h;transport=tcp>;q=0.7'),
        ("Bob at home <sip:bob@192.0.2.4>", "Bob at home <sip:bob@192.0.2.4>"),
        ("sip:bob@192.0.2.4;q=0.5;expires=300", "<sip:bob@192.0.2.4>;q=0.5"),
        (
            '<sip:bob@192.0.2.4> ; Expires = 300; +sip.instance="<urn:uuid:0000, 0>" ;methods="INVITE,ACK"',
            '<sip:bob@192.0.2.4>;+sip.instance="<urn:uuid:0000, 0>";methods="INVITE,ACK"',
        ),
        ("<tel:+1-201-555-0123>", "<tel:+1-201-555-0123>"),
        ("<mailto:bob@biloxi.com?subject=a,b>", "<mailto:bob@biloxi.com?subject=a,b>"),
    ],
)
def test_all_of_a_contact_is_kept_but_expires(given: str, kept: str | None) -> None:
    if kept is None:
        assert refusal(message(f"Contact: {given}")) == (400, "Malformed Contact")
        return
    [binding] = apply(message(f"Contact: {given}", "Expires: 300")).bindings
    assert binding.contact == kept
    assert binding.expires_at == NOW + 300


@pytest.mark.rfc("3261", "10.3")
@pytest.mark.parametrize(
    ("contact", "expires", "granted"),
    [
        ("<sip:b@h>;expires=600", "Expires: 900", 600),
        ("<sip:b@h>", "Expires: 900", 900),
        ("<sip:b@h>", "X-None: 1", 1800),  # the default
        ("<sip:b@h>;expires=soon", "Expires: 900", 3600),  # 10.2: malformed is 3600
        ("<sip:b@h>;expires", "Expires: 900", 3600),
        ("<sip:b@h>;expires=-1", "Expires: 900", 3600),
        ("<sip:b@h>;expires=\u0661", "Expires: 900", 3600),
        ('<sip:b@h>;expires="Thu, 01 Dec 1994 16:00:00 GMT"', "Expires: 900", 3600),
        ("<sip:b@h>", "Expires: Thu, 01 Dec 1994 16:00:00 GMT", 3600),
        ("<sip:b@h>;expires=7201", "Expires: 900", 7200),  # the maximum
        ("<sip:b@h>;expires=4294967295", "Expires: 900", 7200),
        ("<sip:b@h>;expires=" + "9" * 5000, "Expires: 900", 7200),
        ("<sip:b@h>;expires=" + "0" * 5000 + "61", "Expires: 900", 61),
    ],
)
def test_the_expiration_interval(contact: str, expires: str, granted: int) -> None:
    registered = apply(message(f"Contact: {contact}", expires), default=1800)
    assert contacts(registered) == [f"<sip:b@h>;expires={granted}"]


@pytest.mark.rfc("3261", "10.3")
def test_an_interval_that_is_too_brief() -> None:
    with pytest.raises(Refused) as caught:
        apply(message("Contact: <sip:a@h>;expires=600, <sip:b@h>;expires=59"))
    assert caught.value.status == 423
    assert caught.value.headers == (("Min-Expires", "60"),)
    assert contacts(apply(message("Contact: <sip:b@h>;expires=60"))) == ["<sip:b@h>;expires=60"]
    # an hour may never be refused, whatever the minimum
    assert contacts(apply(message("Contact: <sip:b@h>;expires=3600"), minimum=7000)) == ["<sip:b@h>;expires=3600"]
    assert refusal(message("Contact: <sip:b@h>;expires=3599"), minimum=7000)[0] == 423


@pytest.mark.rfc("3261", "10.2.4")
def test_a_refresh_updates_the_binding_in_its_place() -> None:
    bindings = apply(message("Contact: <sip:a@h>, <sip:b@h;line=1>;q=0.2, <sip:c@h>")).bindings
    registered = apply(message("Contact: <sip:%62@H>;q=0.9;expires=300", cseq=2), bindings, now=NOW + 100)
    assert contacts(registered) == ["<sip:a@h>;expires=3500", "<sip:%62@H>;q=0.9;expires=300", "<sip:c@h>;expires=3500"]
    assert [binding.cseq for binding in registered.bindings] == [1, 2, 1]


@pytest.mark.rfc("3261", "19.1.4")
def test_of_several_equal_contacts_the_one_spelt_alike_is_meant() -> None:
    # 19.1.4: equality is not transitive
    bindings = apply(
        message("Contact: <sip:carol@chicago.com;security=on>, <sip:carol@chicago.com;security=off>")
    ).bindings
    assert len(bindings) == 2
    off = apply(message("Contact: <sip:carol@chicago.com;security=off>;expires=0", cseq=2), bindings)
    assert contacts(off) == ["<sip:carol@chicago.com;security=on>;expires=3600"]
    either = apply(message("Contact: <sip:carol@chicago.com>;expires=0", cseq=2), bindings)
    assert contacts(either) == ["<sip:carol@chicago.com;security=off>;expires=3600"]


@pytest.mark.rfc("3261", "10.2.2")
def test_zero_removes_a_contact() -> None:
    bindings = apply(message("Contact: <sip:a@h>, <sip:b@h>")).bindings
    assert contacts(apply(message("Contact: <sip:a@h>;expires=0", cseq=2), bindings)) == ["<sip:b@h>;expires=3600"]
    assert contacts(apply(message("Contact: <sip:a@h>", "Expires: 0", cseq=2), bindings)) == ["<sip:b@h>;expires=3600"]
    # another Call-ID may do it with any CSeq, and what is not there needs no removal
    other = message("Contact: <sip:a@h>, <sip:x@h>", "Expires: 0", call_id="other", cseq=1)
    assert contacts(apply(other, bindings)) == ["<sip:b@h>;expires=3600"]


@pytest.mark.rfc("3261", "10.3")
@pytest.mark.parametrize("cseq", [4, 5])
@pytest.mark.parametrize(
    "fields", [("Contact: <sip:a@h>",), ("Contact: <sip:a@h>;expires=0",), ("Contact: *", "Expires: 0")]
)
def test_an_older_request_of_the_same_call_id_fails_as_a_whole(cseq: int, fields: tuple[str, ...]) -> None:
    bindings = apply(message("Contact: <sip:a@h>", cseq=5)).bindings
    assert refusal(message(*fields, cseq=cseq), bindings) == (500, "CSeq Out Of Order")
    assert refusal(message("Contact: <sip:new@h>", *fields, cseq=cseq), bindings)[0] in (400, 500)
    apply(message(*fields, cseq=6), bindings)
    apply(message(*fields, cseq=cseq, call_id="other"), bindings)


@pytest.mark.rfc("3261", "10.3")
def test_an_expired_binding_does_not_count() -> None:
    bindings = apply(message("Contact: <sip:a@h>;expires=60", cseq=5)).bindings
    assert contacts(apply(message("Contact: <sip:a@h>", cseq=1), bindings, now=NOW + 60)) == ["<sip:a@h>;expires=3600"]


def test_of_a_contact_named_twice_the_last_one_counts() -> None:
    assert contacts(apply(message("Contact: <sip:a@h>;q=0.1", "m: <sip:a@h>;q=0.2"))) == [
        "<sip:a@h>;q=0.2;expires=3600"
    ]
    assert contacts(apply(message("Contact: <sip:a@h>, <sip:a@h>;expires=0"))) == []


@pytest.mark.rfc("3261", "10.2.2")
def test_a_star_removes_everything() -> None:
    bindings = apply(message("Contact: <sip:a@h>, <tel:123>")).bindings
    registered = apply(message("Contact: *", "Expires: 0", cseq=2), bindings)
    assert (registered.bindings, registered.headers, registered.changed) == ([], [], True)


@pytest.mark.rfc("3261", "10.3")
@pytest.mark.parametrize(
    "fields",
    [
        ("Contact: *",),
        ("Contact: *", "Expires: 1"),
        ("Contact: *", "Expires: never"),
        ("Contact: *, <sip:a@h>", "Expires: 0"),
        ("Contact: <sip:a@h>", "Contact: *", "Expires: 0"),
        ("Contact: *, *", "Expires: 0"),
    ],
)
def test_a_star_stands_alone_with_expires_zero(fields: tuple[str, ...]) -> None:
    bindings = apply(message("Contact: <sip:a@h>")).bindings
    assert refusal(message(*fields, cseq=2), bindings) == (400, "Contact * Needs Expires 0 And Nothing Else")


@pytest.mark.parametrize(
    "contact",
    ["<sip:a@h", "<sip:a@>", "*;expires=0", "a@h", '"open <sip:a@h>', "<sip:a@h>;expires=1;expires=2"]
    + [f"<sip:a@h>;q{q}" for q in ("", "=2", "=", "=1.001", "=0.1234", "=.", "=-0", "=0,5", "=\u0660")],
)
def test_a_malformed_contact_registers_nothing(contact: str) -> None:
    assert refusal(message(f"Contact: <sip:good@h>, {contact}", "Expires: 600")) == (400, "Malformed Contact")


def test_an_unreadable_second_via_is_an_error_of_the_request() -> None:
    assert refusal(message("Contact: <sip:a@h>", "Via: nonsense")) == (400, "Malformed Via")


@pytest.mark.parametrize(
    ("text", "q"), [("0", 0.0), ("1", 1.0), ("0.5", 0.5), ("1.000", 1.0), (".5", 0.5), ("0.", 0.0)]
)
def test_q(text: str, q: float) -> None:
    [binding] = apply(message(f"Contact: <sip:a@h>;q={text}")).bindings
    assert binding.q == q


def test_too_many_contacts() -> None:
    bindings = apply(message("Contact: <sip:a@h>, <sip:b@h>"), most_contacts=2).bindings
    assert refusal(message("Contact: <sip:c@h>", cseq=2), bindings, most_contacts=2) == (403, "Too Many Contacts")
    # one may take the place of another, in any order
    changed = apply(message("Contact: <sip:c@h>, <sip:a@h>;expires=0", cseq=2), bindings, most_contacts=2)
    assert contacts(changed) == ["<sip:b@h>;expires=3600", "<sip:c@h>;expires=3600"]
    # a limit that was lowered takes nothing away from whom is there
    assert len(apply(message("Contact: <sip:b@h>", cseq=2), bindings, most_contacts=1).bindings) == 2
    many = ", ".join(f"<sip:{number}@h>;expires=0" for number in range(5))
    assert refusal(message(f"Contact: {many}"), most_contacts=2) == (403, "Too Many Contacts")


def test_what_one_contact_may_keep_in_memory_is_limited() -> None:
    assert refusal(message(f"Contact: <sip:a@h>;x={'y' * 5000}")) == (400, "Contact Too Long")
    assert refusal(message("Contact: <sip:a@h>", call_id="c" * 5000)) == (400, "Contact Too Long")
    assert refusal(message("Contact: <sip:a@h>", f"Path: <sip:{'p' * 5000}@h>")) == (400, "Contact Too Long")


@pytest.mark.rfc("3327", "5.3")
def test_path_is_stored_and_returned() -> None:
    request = message("Contact: <sip:a@h>", "Path: <sip:P3@h;lr>,<sip:P2@h;lr>", "Path: <sip:P1@h;lr>", "Require: path")
    registered = apply(request)
    assert registered.bindings[0].path == ("<sip:P3@h;lr>", "<sip:P2@h;lr>", "<sip:P1@h;lr>")
    assert registered.headers[1:] == [("Path", "<sip:P3@h;lr>,<sip:P2@h;lr>"), ("Path", "<sip:P1@h;lr>")]
    assert registered.bindings[0].flow is None


@pytest.mark.parametrize("path", ["<sip:P3@h;lr>, <sip:", "<tel:123>", "<sip:@h;lr>"])
def test_a_malformed_path(path: str) -> None:
    assert refusal(message("Contact: <sip:a@h>", f"Path: {path}")) == (400, "Malformed Path")


@pytest.mark.rfc("3261", "8.2.2.3")
def test_an_extension_that_is_not_there() -> None:
    with pytest.raises(Refused) as caught:
        apply(message("Contact: <sip:a@h>", "Require: gruu, PATH", "Require: outbound"))
    assert caught.value.status == 420
    assert caught.value.headers == (("Unsupported", "gruu, outbound"),)


@pytest.mark.rfc("5626", "6")
def test_an_instance_that_comes_back_replaces_its_flow() -> None:
    instance = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'
    bindings = apply(message(f"Contact: <sip:a@192.0.2.4:5060>;reg-id=1;{instance}", "Contact: <sip:b@h>")).bindings
    assert bindings[0].flow == FLOW
    moved = message(f"Contact: <sip:a@192.0.2.4:6000>;reg-id=1;{instance}", call_id="rebooted")
    assert contacts(apply(moved, bindings)) == [
        f"<sip:a@192.0.2.4:6000>;reg-id=1;{instance};expires=3600",
        "<sip:b@h>;expires=3600",
    ]
    second = message(f"Contact: <sip:a@192.0.2.4:6000>;reg-id=2;{instance}", call_id="second flow")
    assert len(apply(second, bindings).bindings) == 3
    # 6: reg-id without an instance is ignored
    without = message("Contact: <sip:a@192.0.2.4:6000>;reg-id=1", call_id="no instance")
    assert len(apply(without, bindings).bindings) == 3


@pytest.mark.rfc("3261", "10.3")
@pytest.mark.parametrize(
    ("to", "aor"),
    [
        ("Bob <sip:bob@biloxi.com>", "bob@biloxi.com"),
        ("<sips:%62ob@BILOXI.com:5061;user=phone>", "bob@biloxi.com"),
        ("sip:biloxi.com", "biloxi.com"),
        ("<sip:Bob@biloxi.com>;tag=1", "Bob@biloxi.com"),
    ],
)
def test_the_address_of_record_is_canonical(to: str, aor: str) -> None:
    assert address_of_record(message(to=to), lambda uri: uri.address == "biloxi.com") == aor


@pytest.mark.rfc("3261", "10.3")
@pytest.mark.parametrize(
    ("to", "status"), [("<sip:bob@chicago.com>", 404), ("<tel:+12015550123>", 404), ("<sip:bob@", 400)]
)
def test_an_address_of_record_that_is_none_of_ours(to: str, status: int) -> None:
    with pytest.raises(Refused) as caught:
        address_of_record(message(to=to), lambda uri: uri.address == "biloxi.com")
    assert caught.value.status == status


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["", ";expires=0", ";expires=600", ";q=0.5"]))))
def test_any_request_leaves_each_contact_once(elements: list[tuple[str, str]]) -> None:
    bindings = apply(message("Contact: <sip:a@h>, <sip:b@h>")).bindings
    text = ", ".join(f"<sip:{user}@h>{params}" for user, params in elements)
    registered = apply(message(f"Contact: {text}", cseq=2), bindings, most_contacts=100)
    last = {"a": "", "b": ""} | dict(elements)
    assert sorted(binding.uri for binding in registered.bindings) == sorted(
        f"sip:{user}@h" for user, params in last.items() if params != ";expires=0"
    )
