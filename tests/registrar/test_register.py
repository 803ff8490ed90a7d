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


def message(
    *fields: str,
    call_id: str = "843817637684230@998sdasdh09",
    cseq: int = 1,
    to: str = "",
    uri: str = "sip:registrar.biloxi.com",
) -> Request:
    """A REGISTER of Bob (RFC 3261 24.1) with further header fields."""
    lines = [
        f"REGISTER {uri} SIP/2.0",
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


@pytest.mark.rfc("5630", "5.2")
@pytest.mark.parametrize(
    ("uri", "fields", "good"),
    [
        ("sips:biloxi.com", ["Contact: <sips:bob@192.0.2.4>"], True),
        ("SIPS:biloxi.com", ["Contact: <Sips:bob@192.0.2.4>", "Path: <sips:edge.biloxi.com;lr>"], True),
        ("sip:biloxi.com", ["Contact: <sips:bob@192.0.2.4>"], False),
        ("sips:biloxi.com", ["Contact: <sips:bob@192.0.2.4>, <sip:bob@192.0.2.5>"], False),
        ("sips:biloxi.com", ["Contact: <sips:bob@192.0.2.4>", "Path: <sips:a;lr>, <sip:b;lr>"], False),
        ("sips:biloxi.com", ["Contact: <sip:bob@192.0.2.4>"], True),
        ("sip:biloxi.com", ["Contact: <sips:bob@192.0.2.4>;expires=0"], True),
    ],
)
def test_a_sips_contact_needs_sips_all_the_way(uri: str, fields: list[str], good: bool) -> None:
    if good:
        apply(message(*fields, uri=uri))
    else:
        assert refusal(message(*fields, uri=uri)) == (400, "A SIPS Contact Needs SIPS Throughout")


@pytest.mark.rfc("3261", "10.2.3", "10.3-28", "10.3-29")
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


@pytest.mark.rfc("3261", "10.3-19", "10.3-20", "10.3-21", "10.3-29")
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


@pytest.mark.rfc("3261", "10.3-22")
def test_an_interval_that_is_too_brief() -> None:
    with pytest.raises(Refused) as caught:
        apply(message("Contact: <sip:a@h>;expires=600, <sip:b@h>;expires=59"))
    assert caught.value.status == 423
    assert caught.value.headers == (("Min-Expires", "60"),)
    assert contacts(apply(message("Contact: <sip:b@h>;expires=60"))) == ["<sip:b@h>;expires=60"]
    # an hour may never be refused, whatever the minimum
    assert contacts(apply(message("Contact: <sip:b@h>;expires=3600"), minimum=7000)) == ["<sip:b@h>;expires=3600"]
    assert refusal(message("Contact: <sip:b@h>;expires=3599"), minimum=7000)[0] == 423


@pytest.mark.rfc("3261", "10.2.4", "10.3-24")
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


@pytest.mark.rfc("3261", "10.2.2", "10.3-23", "10.3-24")
def test_zero_removes_a_contact() -> None:
    bindings = apply(message("Contact: <sip:a@h>, <sip:b@h>")).bindings
    assert contacts(apply(message("Contact: <sip:a@h>;expires=0", cseq=2), bindings)) == ["<sip:b@h>;expires=3600"]
    assert contacts(apply(message("Contact: <sip:a@h>", "Expires: 0", cseq=2), bindings)) == ["<sip:b@h>;expires=3600"]
    # another Call-ID may do it with any CSeq, and what is not there needs no removal
    other = message("Contact: <sip:a@h>, <sip:x@h>", "Expires: 0", call_id="other", cseq=1)
    assert contacts(apply(other, bindings)) == ["<sip:b@h>;expires=3600"]


@pytest.mark.rfc("3261", "10.3-5", "10.3-17", "10.3-18", "10.3-25", "10.3-26")
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


@pytest.mark.rfc("3261", "10.2.2", "10.3-17")
def test_a_star_removes_everything() -> None:
    bindings = apply(message("Contact: <sip:a@h>, <tel:123>")).bindings
    registered = apply(message("Contact: *", "Expires: 0", cseq=2), bindings)
    assert (registered.bindings, registered.headers, registered.changed) == ([], [], True)


@pytest.mark.rfc("3261", "10.3-15")
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


@pytest.mark.rfc("3261", "10.3-5", "10.3-26")
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


@pytest.mark.rfc("5626", "6-1", "6-9")
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


@pytest.mark.rfc("3261", "8.2.2.3", "10.3-8")
def test_an_extension_that_is_not_there() -> None:
    with pytest.raises(Refused) as caught:
        apply(message("Contact: <sip:a@h>", "Require: gruu, PATH", "Require: outbound, gin"))
    assert caught.value.status == 420
    assert caught.value.headers == (("Unsupported", "gruu, gin"),)


INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"'
EP1 = "Path: <sip:VskztcQ/S8p4WPbOnHbuyh5iJvJIW3ib@ep1.example.com;lr;ob>"
EP2 = "Path: <sip:wazHDLdIMtUg6r0I/oRZ15zx3zHE1w1Z@ep2.example.com;lr;ob>"
PROXY = "Via: SIP/2.0/TCP 192.0.2.2;branch=z9hG4bKnashds7"
"""That of the client, when a proxy is between."""


def flow(reg_id: int, *fields: str, contact: str = "<sip:bob@192.0.2.2;transport=tcp>", cseq: int = 1) -> Request:
    """RFC 5626 9.2: messages 9 and 13, and 38 in 9.4 with another cseq."""
    call_id = f"16CB75F21C7{reg_id}"
    supported = (
        () if any(field.startswith(("Supported", "Require")) for field in fields) else ("Supported: path, outbound",)
    )
    return message(f"Contact: {contact};reg-id={reg_id};{INSTANCE}", *supported, *fields, call_id=call_id, cseq=cseq)


@pytest.mark.rfc("5626", "6-9", "6-10", "9.2")
def test_each_flow_of_an_instance_is_a_binding() -> None:
    first = apply(flow(1, PROXY, EP1))
    assert first.outbound
    assert first.headers == [
        ("Contact", f"<sip:bob@192.0.2.2;transport=tcp>;reg-id=1;{INSTANCE};expires=3600"),
        ("Path", EP1.removeprefix("Path: ")),
        ("Require", "outbound"),
    ]
    second = apply(flow(2, PROXY, EP2), first.bindings)
    assert second.headers == [
        ("Contact", f"<sip:bob@192.0.2.2;transport=tcp>;reg-id=1;{INSTANCE};expires=3600"),
        ("Contact", f"<sip:bob@192.0.2.2;transport=tcp>;reg-id=2;{INSTANCE};expires=3600"),
        ("Path", EP2.removeprefix("Path: ")),
        ("Require", "outbound"),
    ]
    assert [(one.instance, one.reg_id) for one in second.bindings] == [
        ("urn:uuid:00000000-0000-1000-8000-aabbccddeeff", 1),
        ("urn:uuid:00000000-0000-1000-8000-aabbccddeeff", 2),
    ]


@pytest.mark.rfc("5626", "6")
def test_a_flow_that_comes_again_replaces_itself_and_stands_last() -> None:
    """Whatever its Contact and Call-ID are then; the instance is the same in any spelling of its UUID."""
    bindings = apply(flow(2), apply(flow(1)).bindings).bindings
    assert bindings[0].flow == FLOW
    for request in (
        flow(1, contact="<sip:bob@192.0.2.77:6000>", cseq=2),
        message(f"Contact: <sip:bob@h>;reg-id=01;{INSTANCE.lower()}", call_id="rebooted"),
    ):
        after = apply(request, bindings).bindings
        assert [one.reg_id for one in after] == [2, 1]
        assert after[1].uri == str(request.contacts[0].uri)
    with pytest.raises(Refused, match="CSeq Out Of Order"):
        apply(flow(1), bindings)


@pytest.mark.rfc("5626", "4.2.2")
def test_a_flow_is_removed_by_its_number() -> None:
    bindings = apply(flow(2), apply(flow(1)).bindings).bindings
    after = apply(flow(1, "Expires: 0", contact="<sip:bob@elsewhere.example>", cseq=2), bindings)
    assert [one.reg_id for one in after.bindings] == [2]
    assert after.headers[-1] == ("Require", "outbound")
    assert apply(flow(3, "Expires: 0"), bindings).bindings == bindings
    assert apply(message("Contact: *", "Expires: 0", cseq=9), bindings).bindings == []


@pytest.mark.rfc("5626", "6-8")
def test_flows_and_plain_contacts_of_one_address_keep_apart() -> None:
    plain = apply(message("Contact: <sip:bob@192.0.2.2;transport=tcp>", call_id="plain")).bindings
    both = apply(flow(1), plain).bindings
    assert [one.reg_id for one in both] == [None, 1]
    again = apply(message("Contact: <sip:bob@192.0.2.2;transport=tcp>", call_id="plain", cseq=2), both).bindings
    assert [(one.reg_id, one.cseq) for one in again] == [(None, 2), (1, 1)]
    later = apply(message("Contact: <sip:bob@192.0.2.2;transport=tcp>", call_id="plain"), apply(flow(1)).bindings)
    assert [one.reg_id for one in later.bindings] == [1, None]


@pytest.mark.rfc("5626", "6-7", "6-10")
@pytest.mark.parametrize(
    ("fields", "outbound"),
    [
        (("Supported: outbound",), True),
        (("k: gruu, OutBound",), True),
        (("Require: outbound",), True),
        (("Supported: path",), False),
        (("X-None: 1",), False),
    ],
)
def test_who_does_not_know_of_it_is_not_told(fields: tuple[str, ...], outbound: bool) -> None:
    registered = apply(message(f"Contact: <sip:bob@h>;reg-id=1;{INSTANCE}", *fields))
    assert registered.outbound == (("Require", "outbound") in registered.headers) == outbound
    assert registered.bindings[0].reg_id == 1


@pytest.mark.rfc("5626", "6-7")
@pytest.mark.parametrize("contact", ["<sip:bob@h>;reg-id=1", f"<sip:bob@h>;{INSTANCE}", "<sip:bob@h>;reg-id=0"])
def test_without_both_there_is_no_flow(contact: str) -> None:
    registered = apply(message(f"Contact: {contact}", "Supported: outbound"))
    assert not registered.outbound
    assert registered.bindings[0].reg_id is None
    assert apply(message("Contact: <sip:bob@h>;expires=0", call_id="x"), registered.bindings).bindings == []
    assert not apply(message("Supported: outbound"), registered.bindings).outbound


@pytest.mark.rfc("5626", "6-2", "6-3", "6-4", "6-5", "11.6-1")
@pytest.mark.parametrize("path", ["X-None: 1", "Path: <sip:ep1.example.com;lr>", f"{EP1}, <sip:ep0.example.com;lr>"])
def test_through_a_proxy_that_does_not_keep_flows(path: str) -> None:
    assert refusal(flow(1, PROXY, path)) == (439, None)
    assert refusal(flow(1, PROXY, path, "Expires: 0")) == (439, None)
    [binding] = apply(flow(1, PROXY, path, "Supported: path")).bindings
    assert (binding.reg_id, binding.contact) == (None, f"<sip:bob@192.0.2.2;transport=tcp>;reg-id=1;{INSTANCE}")
    assert len(apply(message(f"Contact: <sip:bob@h>;{INSTANCE}", PROXY, path, "Supported: outbound")).bindings) == 1


@pytest.mark.rfc("5626", "5.1")
def test_the_first_hop_is_the_last_of_the_path() -> None:
    assert apply(flow(1, PROXY, "Path: <sip:core.example.com;lr>", EP1)).outbound


@pytest.mark.rfc("5626", "6-6")
def test_a_flow_registers_alone() -> None:
    other = "Contact: <sip:bob@192.0.2.9>"
    assert refusal(flow(1, other)) == (400, "A Contact With reg-id Stands Alone")
    assert refusal(flow(1, f"Contact: <sip:bob@192.0.2.2>;reg-id=2;{INSTANCE}"))[0] == 400
    bindings = apply(message(other, call_id="plain")).bindings
    assert [one.reg_id for one in apply(flow(1, f"{other};expires=0"), bindings).bindings] == [1]
    assert len(apply(message(f"{other};reg-id=1, <sip:bob@192.0.2.8>")).bindings) == 2  # ignored: there is no instance


@pytest.mark.rfc("5626", "10-1")
@pytest.mark.parametrize("number", ["=0", "=2147483648", "=-1", "=one", "", "=\u0661", "=00000000001"])
def test_a_malformed_number_of_a_flow(number: str) -> None:
    assert refusal(message(f"Contact: <sip:bob@h>;reg-id{number};{INSTANCE}")) == (400, "Malformed Contact")


@pytest.mark.rfc("3261", "10.3-13", "10.3-14")
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


@pytest.mark.rfc("3261", "10.3-12")
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


@pytest.mark.rfc("3261", "10.3-16", "10.3-23")
def test_another_call_id_changes_a_binding_whatever_its_cseq() -> None:
    bindings = apply(message("Contact: <sip:a@h>, <sip:b@h>", cseq=5)).bindings
    updated = apply(message("Contact: <sip:a@h>;expires=600", call_id="other", cseq=1), bindings)
    assert contacts(updated) == ["<sip:a@h>;expires=600", "<sip:b@h>;expires=3600"]
    assert (updated.bindings[0].call_id, updated.bindings[0].cseq) == ("other", 1)
    assert contacts(apply(message("Contact: <sip:a@h>;expires=0", call_id="other"), bindings)) == [
        "<sip:b@h>;expires=3600"
    ]
    assert apply(message("Contact: *", "Expires: 0", call_id="other", cseq=1), bindings).bindings == []


@pytest.mark.rfc("3261", "10.3-1")
@pytest.mark.parametrize(
    ("fields", "limits"),
    [
        (("Contact: <sip:a@",), {}),
        (("Contact: *",), {}),
        (("Contact: <sip:a@h>;expires=1",), {}),
        (("Contact: <sip:old@h>",), {}),
        (("Contact: <sip:a@h>", "Require: gruu"), {}),
        (("Contact: <sip:a@h>, <sip:b@h>, <sip:c@h>",), {"most_contacts": 2}),
        (("Contact: <sip:a@h>", "Path: <tel:1>"), {}),
        (("Contact: <sip:a@h>;x=" + "y" * 5000,), {}),
    ],
)
def test_no_refusal_is_a_6xx(fields: tuple[str, ...], limits: dict[str, int]) -> None:
    """One user's registrar cannot speak for the user's other ones."""
    bindings = apply(message("Contact: <sip:old@h>", cseq=5)).bindings
    assert 400 <= refusal(message(*fields), bindings, **limits)[0] < 600


@pytest.mark.rfc("4475", "3.3.12-2", "3.3.12-3", "3.3.12-4", "3.3.13-1", "3.3.14-1")
@pytest.mark.parametrize(
    "contact",
    [
        "<sip:+19725552222@gw1.example.net>;unknownparam",
        "<sip:+19725552222@gw1.example.net;unknownparam>",
        "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>",
    ],
    ids=["cparam01", "cparam02", "regescrt"],
)
def test_parameters_and_escaped_headers_of_a_contact_stay_where_they_are(contact: str) -> None:
    bare = contact if contact.startswith("<") else f"<{contact}>"
    registered = apply(message(f"Contact: {contact}"))
    assert contacts(registered) == [f"{bare};expires=3600"]
    assert contacts(apply(message(cseq=2), registered.bindings)) == [f"{bare};expires=3600"]
