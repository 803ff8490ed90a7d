"""Where the other names of users lead."""

import pytest

from sipcgi.registrar.aliases import Aliases
from sipcgi.sip.uri import SipUri

ALIASES = Aliases(
    {
        ("alice.cueba", ""): ("alice",),
        ("4711", ""): ("Alice.Cueba",),
        ("sales", ""): ("4711", "bob", "carol@example.org", "sip:desk@192.0.2.9;transport=tcp", "alice.cueba"),
        ("sales", "example.org"): ("dora@example.com",),
        ("bob", ""): ("bob", "max power"),
        ("carol", "example.org"): ("carol@2001:db8::1",),
        ("", "example.org"): ("bob",),
        ("round", ""): ("about",),
        ("about", ""): ("round", "bob@elsewhere.example"),
    }
)


def is_ours(uri: SipUri) -> bool:
    return uri.port is None and uri.address in ("example.com", "example.org")


def expand(text: str) -> list[str]:
    return [str(uri) for uri in ALIASES.expand(SipUri.parse(text), is_ours)]


@pytest.mark.rfc("3261", "16.5")
@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("sip:alice@example.com;user=phone", ["sip:alice@example.com;user=phone"]),
        ("sip:ALICE.cueba@Example.com", ["sip:alice@example.com"]),
        ("sip:%34711@example.com", ["sip:alice@example.com"]),
        ("sips:4711@example.com", ["sips:alice@example.com"]),
        ("sip:bob@example.com", ["sip:bob@example.com", "sip:max%20power@example.com"]),
        (
            "sip:sales@example.com",
            [
                "sip:alice@example.com",
                "sip:bob@example.com",
                "sip:max%20power@example.com",
                "sip:carol@[2001:db8::1]",
                "sip:desk@192.0.2.9;transport=tcp",
            ],
        ),
        ("sip:sales@example.org", ["sip:dora@example.com"]),
        ("sip:round@example.com", ["sip:bob@elsewhere.example"]),
        ("sip:example.com", ["sip:example.com"]),
    ],
)
def test_the_ends_of_all_chains(text: str, ends: list[str]) -> None:
    assert expand(text) == ends


def test_who_is_nothing_else_has_the_entry_of_the_domain() -> None:
    everybody = [str(uri) for uri in ALIASES.catch_all(SipUri.parse("sip:x@example.org"), is_ours)]
    assert everybody == ["sip:bob@example.org", "sip:max%20power@example.org"]
    assert ALIASES.catch_all(SipUri.parse("sip:x@example.com"), is_ours) == []
    assert ALIASES.catch_all(SipUri.parse("sip:example.org"), is_ours) == []


def test_without_any() -> None:
    uri = SipUri.parse("sip:alice.cueba@example.com")
    assert Aliases().expand(uri, is_ours) == [uri]
    assert Aliases().find(uri) == ()
