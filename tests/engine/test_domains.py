"""Several domains, each with its own ways, and the other names of users (RFC 3261 8.3, 16.5; RFC 3050 5.6.1.6)."""

import pytest
from world import World

from sipcgi.engine.domains import DomainSettings
from sipcgi.registrar.aliases import Aliases, Name
from sipcgi.registrar.register import Limits


def domains(world: World, *, aliases: dict[Name, tuple[str, ...]] | None = None, **settings: DomainSettings) -> None:
    """example.com, and example.org of which something else may hold."""
    named = {"example.com": settings.get("com", DomainSettings()), "example.org": settings.get("org", DomainSettings())}
    world.domains.configure(named, settings.get("general", DomainSettings()), Aliases(aliases))


# default_action


@pytest.mark.rfc("3261", "8.3")
def test_a_domain_that_redirects_tells_the_contacts_with_q_and_expires(world: World) -> None:
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(mobile, user="bob", q=0.5)
    world.registers(desk, user="bob")
    domains(world, com=DomainSettings(redirect=True))
    world.network.now = 100.0
    call = alice.calls_up("sip:bob@example.com")
    world.run(101.0)
    assert call.statuses == [302]
    assert call.final.reason == "Moved Temporarily"
    assert call.final.headers.elements("contact") == [
        "<sip:desk@192.0.2.20:5060>;expires=7100",
        "<sip:mobile@192.0.2.30:5060>;expires=7100",
    ]
    assert not desk.requests


def test_each_domain_has_its_own_default_action(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    domains(world, org=DomainSettings(redirect=True))
    for domain in ("example.com", "example.org"):
        bob.calls_up(f"sip:{domain}", f"To: <sip:bob@{domain}>", method="REGISTER")
    world.run(1.0)
    proxied, redirected = alice.calls_up("sip:bob@example.com"), alice.calls_up("sip:bob@Example.ORG")
    world.run(2.0)
    assert (proxied.statuses, redirected.statuses) == ([200], [302])
    assert redirected.final.headers.get("contact") == "<sip:bob@192.0.2.20:5060>;expires=3599"


def test_a_domain_with_the_port_that_we_listen_on_is_ours(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    world.names.hosts["example.com"] = (0.0, None)  # nobody is to be asked where it is
    here, elsewhere = alice.calls_up("sip:bob@example.com:5060"), alice.calls_up("sip:bob@example.com:5070")
    world.run(1.0)
    assert (here.statuses, elsewhere.statuses) == ([200], [500])


def test_our_own_address_does_as_is_said_for_all(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    domains(world, general=DomainSettings(redirect=True))
    bob.calls_up("sip:192.0.2.1", "To: <sip:bob@192.0.2.1>", method="REGISTER")
    world.run(1.0)
    call = alice.calls_up("sip:bob@192.0.2.1")
    world.run(2.0)
    assert call.statuses == [302]


@pytest.mark.rfc("3261", "8.3")
def test_nobody_is_redirected_to_the_uri_that_was_asked_for(world: World) -> None:
    """It is proxied instead, if it is not here; other contacts are told."""
    alice, bob, desk = world.phone("alice"), world.phone("bob"), world.phone("desk")
    domains(world, general=DomainSettings(redirect=True))
    fields = ("To: <sip:bob@192.0.2.1>", "Contact: <sip:bob@192.0.2.1:5060>")
    bob.calls_up("sip:192.0.2.1", *fields, method="REGISTER")
    bob.calls_up("sip:192.0.2.1", fields[0], "Contact: <sip:bob@192.0.2.30>", method="REGISTER")
    world.run(1.0)
    call = alice.calls_up("sip:bob@192.0.2.1:5060")
    world.run(2.0)
    assert call.final.headers.get("contact") == "<sip:bob@192.0.2.30>;expires=3599"
    assert not desk.requests


def test_a_request_in_a_dialog_is_never_redirected(world: World) -> None:
    """The dialog was made while the domain still proxied, by a phone that says its address-of-record is its Contact."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.0, 200, "Contact: <sip:bob@example.com>"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    domains(world, com=DomainSettings(redirect=True))
    bye = call.then("BYE")
    world.run(2.0)
    assert bye.statuses == [200]


def test_nobody_there_is_no_redirection(world: World) -> None:
    alice = world.phone("alice")
    domains(world, com=DomainSettings(redirect=True))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [480]


@pytest.mark.rfc("3261", "16.5")
def test_404_where_the_server_knows_its_users_and_this_is_none(world: World) -> None:
    alice = world.phone("alice")
    world.store.known = lambda aor: aor == "bob@example.com"  # type: ignore[method-assign]
    domains(world, aliases={("sales", ""): ("bob",)})
    calls = [alice.calls_up(f"sip:{user}@example.com") for user in ("bob", "carol", "sales")]
    world.run(1.0)
    assert [call.statuses for call in calls] == [[480], [404], [480]]


# aliases


def test_an_alias_rings_the_phones_of_the_user(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    domains(world, aliases={("bob.builder", ""): ("bob",), ("4711", ""): ("Bob.Builder",)})
    calls = [alice.calls_up(f"sip:{user}@example.com") for user in ("Bob.Builder", "4711")]
    world.run(1.0)
    assert [call.statuses for call in calls] == [[200], [200]]
    assert [invite.uri for invite in bob.heard("INVITE")] == [bob.contact] * 2


def test_the_user_itself_is_case_sensitive(world: World) -> None:
    """RFC 3261 19.1.4; only the names of aliases are not."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    calls = [alice.calls_up("sip:Bob@example.com")]
    world.run(1.0)
    domains(world, aliases={("bob", ""): ("bob",)})
    calls.append(alice.calls_up("sip:Bob@example.com"))
    world.run(2.0)
    assert [call.statuses for call in calls] == [[480], [200]]


def test_one_name_for_several_forks_by_q(world: World) -> None:
    """Contacts of both users, and a URI of others that is as good as a contact without q."""
    alice, bob, carol, mobile, other = (world.phone(name) for name in ("alice", "bob", "carol", "mobile", "other"))
    world.registers(bob)
    world.registers(carol, q=0.5)
    world.registers(mobile, user="carol", q=0.5)
    bob.answers("INVITE", (1.0, 486))
    other.answers("INVITE", (0.5, 486))
    carol.answers("INVITE", (0.0, 486))
    domains(world, aliases={("sales", ""): ("bob", "carol", "sip:x@192.0.2.50")})
    call = alice.calls_up("sip:sales@example.com")
    world.run(0.9)
    assert [len(phone.requests) for phone in (bob, other, carol, mobile)] == [1, 1, 0, 0]
    world.run(2.0)
    assert call.final.status == 200
    assert other.got.uri == "sip:x@192.0.2.50"
    assert [len(phone.heard("INVITE")) for phone in (carol, mobile)] == [1, 1]


def test_a_contact_of_two_users_behind_a_name_rings_once(world: World) -> None:
    alice, desk = world.phone("alice"), world.phone("desk")
    world.registers(desk, user="bob")
    world.registers(desk, user="carol")
    domains(world, aliases={("sales", ""): ("bob", "carol")})
    call = alice.calls_up("sip:sales@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert len(desk.heard("INVITE")) == 1


def test_an_alias_of_one_domain_leads_into_another(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    domains(world, aliases={("sales", "example.org"): ("bob@example.com",)})
    calls = [alice.calls_up(f"sip:sales@{domain}") for domain in ("example.org", "example.com")]
    world.run(1.0)
    assert [call.statuses for call in calls] == [[200], [480]]


def test_a_proxied_uri_is_followed_and_routes_see_what_was_asked_for(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    domains(world, aliases={("sales", ""): ("bob",)})
    world.script("invite.sh", "CGI-PROXY-REQUEST sip:sales@example.com SIP/2.0\n\n", unlimited=True)
    call = alice.calls_up("sip:sales@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    (run,) = world.runs
    assert run.environment["REQUEST_URI"] == "sip:sales@example.com"
    assert run.environment["REGISTRATIONS"] == "<sip:bob@192.0.2.20:5060>;expires=7200"


def test_who_is_nothing_else_goes_where_the_domain_says(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    domains(world, aliases={("", "example.com"): ("bob",), ("empty", ""): ("nobody",)})
    world.registers(bob)
    dora = world.phone("dora")
    world.registers(dora)
    calls = [alice.calls_up(f"sip:{user}@example.com") for user in ("whoever", "dora", "empty")]
    world.run(1.0)
    assert [call.statuses for call in calls] == [[200], [200], [480]]
    assert len(bob.heard("INVITE")) == len(dora.heard("INVITE")) == 1


def test_a_redirection_tells_all_that_an_alias_leads_to(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    domains(world, com=DomainSettings(redirect=True), aliases={("sales", ""): ("bob", "sip:x@192.0.2.50")})
    call = alice.calls_up("sip:sales@example.com")
    world.run(1.0)
    assert call.final.headers.elements("contact") == ["<sip:bob@192.0.2.20:5060>;expires=7200", "<sip:x@192.0.2.50>"]


# REGISTER


@pytest.mark.rfc("3261", "10.3")
def test_nobody_registers_for_an_alias(world: World) -> None:
    """It is no address-of-record; one that leads to its own user, too, is."""
    bob = world.phone("bob")
    domains(world, aliases={("sales", ""): ("bob",), ("bob", ""): ("bob", "carol"), ("", "example.com"): ("bob",)})
    fields = ("sales", "bob", "Bob", "whoever")
    calls = [bob.calls_up("sip:example.com", f"To: <sip:{user}@example.com>", method="REGISTER") for user in fields]
    world.run(1.0)
    assert [call.statuses for call in calls] == [[404], [200], [404], [200]]
    assert world.store.count() == 2


@pytest.mark.rfc("3261", "10.3")
def test_each_domain_grants_its_own_intervals_and_contacts(world: World) -> None:
    bob = world.phone("bob")
    domains(world, org=DomainSettings(limits=Limits(minimum=120, default=300, maximum=600, most_contacts=1)))

    def register(domain: str, *fields: str) -> str:
        call = bob.calls_up(f"sip:{domain}", f"To: <sip:bob@{domain}>", *fields, method="REGISTER")
        world.run(world.network.now + 0.1)
        contact, minimum = call.final.headers.get("contact") or "", call.final.headers.get("min-expires")
        return f"{call.final.status} {contact.partition('expires=')[2] or minimum or ''}".strip()

    assert register("example.org", "Expires: 100") == "423 120"
    assert register("example.com", "Expires: 100") == "200 100"
    assert register("example.org") == "200 300"
    assert register("example.org", "Expires: 9999") == "200 600"
    assert register("example.com", "Expires: 9999") == "200 7200"
    assert register("example.org", "Contact: <sip:bob@192.0.2.99>") == "403"
