"""The contacts of a 3xx, tried by the server where it is told to (RFC 3261 16.5, 16.7 item 4; `recurse`)."""

from collections.abc import Iterator

import pytest
from phone import Call, Phone, Step
from world import World

from sipcgi.engine.domains import DomainSettings
from sipcgi.registrar.aliases import Aliases

AGAIN = "CGI-AGAIN yes SIP/2.0\n\n"


def moved(*contacts: str, at: float = 0.0, status: int = 302) -> Step:
    return (at, status, *(f"Contact: {contact}" for contact in contacts))


def calls_bob(world: World, *steps: Step, uri: str = "sip:bob@example.com", **settings: object) -> tuple[Call, Phone]:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob, secure=uri.startswith("sips:"))
    bob.answers("INVITE", *steps)
    world.domains.configure({"example.com": DomainSettings(recurse=True, **settings)})  # type: ignore[arg-type]
    return alice.calls_up(uri), bob


def test_without_it_the_3xx_goes_upstream(world: World) -> None:
    call, _ = calls_bob(world, moved("<sip:c@192.0.2.30>"))
    world.domains.configure({"example.com": DomainSettings()})
    carol = world.phone("carol")
    world.run(1.0)
    assert call.statuses == [302]
    assert not carol.requests


@pytest.mark.rfc("3261", "16.7-9")
def test_the_contact_is_called_and_the_3xx_forgotten(world: World) -> None:
    call, _ = calls_bob(world, moved("<sip:c@192.0.2.30>", at=0.5))
    carol = world.phone("carol")
    carol.answers("INVITE", (0.5, 486))
    world.run(3.0)
    assert call.statuses == [100, 486]
    assert carol.got.uri == "sip:c@192.0.2.30"
    assert carol.got.headers.get("to") == "<sip:bob@example.com>"


def test_several_contacts_by_their_q(world: World) -> None:
    call, _ = calls_bob(
        world, moved("<sip:e@192.0.2.50>;q=0.1, <sip:c@192.0.2.30>;q=0.5", "<sip:d@192.0.2.40>;q=0.5", status=300)
    )
    carol, dora, erik = world.phone("carol"), world.phone("dora"), world.phone("erik")
    for phone in (carol, dora):
        phone.answers("INVITE", (1.0, 486))
    world.run(0.9)
    assert [len(phone.requests) for phone in (carol, dora, erik)] == [1, 1, 0]
    world.run(3.0)
    assert call.final.status == 200
    assert len(erik.heard("INVITE")) == 1


def test_they_come_before_the_next_contact_of_the_user(world: World) -> None:
    """They stand for the one that redirects, whose siblings go on ringing."""
    call, _ = calls_bob(world, moved("<sip:c@192.0.2.50>", at=0.5))
    desk, mobile, carol = world.phone("desk"), world.phone("mobile"), world.phone("carol")
    world.registers(desk, user="bob")
    world.registers(mobile, user="bob", q=0.1)
    desk.answers("INVITE", (0.1, 180), (3.0, 486))
    carol.answers("INVITE", (1.0, 486))
    world.run(10.0)
    sent = [line for line in world.transcript().splitlines() if "server >" in line and line.endswith(" INVITE")]
    assert [line for line in sent if "alice" not in line] == [
        "0.000 server > bob INVITE",
        "0.000 server > desk INVITE",
        "0.500 server > carol INVITE",
        "3.000 server > mobile INVITE",
    ]
    assert call.final.status == 200


@pytest.mark.rfc("3261", "16.5-6", "16.5-10")
def test_no_uri_is_tried_twice(world: World) -> None:
    """Two phones that redirect to each other; equal is what RFC 3261 19.1.4 says is equal."""
    call, bob = calls_bob(world, moved("<sip:c@192.0.2.30>"))
    carol = world.phone("carol")
    carol.answers("INVITE", moved("<sip:%62ob@192.0.2.20:5060>, <sip:c@192.0.2.30;x=1>"))
    world.run(3.0)
    assert call.statuses == [302]
    assert len(bob.heard("INVITE")) == len(carol.heard("INVITE")) == 1


def test_a_chain_of_ever_new_uris_ends(world: World) -> None:
    class Chain(list[Step]):
        """A plan that is another one each time."""

        def __iter__(self) -> Iterator[Step]:
            return iter([moved(f"<sip:b{len(bob.requests)}@192.0.2.20>")])

    call, bob = calls_bob(world)
    bob.plans["INVITE"] = Chain()
    world.run(3.0)
    assert call.final.status == 302
    assert len({invite.uri for invite in bob.heard("INVITE")}) == 60


def test_not_more_than_ten_contacts_of_one_response(world: World) -> None:
    call, _bob = calls_bob(world, moved(", ".join(f"<sip:{n}@192.0.2.30>;q=0.{99 - n}" for n in range(12))))
    carol = world.phone("carol")
    carol.answers("INVITE", (0.0, 486))
    world.run(3.0)
    assert [invite.target.user for invite in carol.heard("INVITE")] == [str(n) for n in range(10)]  # type: ignore[union-attr]
    assert call.final.status == 302
    assert [str(contact.uri) for contact in call.final.contacts] == ["sip:10@192.0.2.30", "sip:11@192.0.2.30"]


@pytest.mark.rfc("3261", "16.7-7")
def test_what_is_no_sip_uri_stays_in_the_response(world: World) -> None:
    call, _ = calls_bob(world, moved("<tel:+4912>;q=0.5, <sip:c@192.0.2.30>", '"Mail" <mailto:b@example.com>'))
    carol = world.phone("carol")
    carol.answers("INVITE", (0.0, 486))
    world.run(3.0)
    assert call.final.status == 302
    assert call.final.headers.elements("contact") == ["Mail <mailto:b@example.com>", "<tel:+4912>;q=0.5"]


@pytest.mark.rfc("3261", "16.7")
def test_only_such_contacts_leave_the_response_as_it_is(world: World) -> None:
    call, _ = calls_bob(world, moved("<tel:+4912>;q=0.5, <mailto:b@example.com>"))
    world.run(3.0)
    assert call.final.headers.elements("contact") == ["<tel:+4912>;q=0.5", "<mailto:b@example.com>"]


@pytest.mark.rfc("3261", "16.7-8")
def test_a_call_to_a_sips_uri_is_never_sent_to_a_sip_uri(world: World) -> None:
    call, _ = calls_bob(world, moved("<sip:c@192.0.2.30>, <sips:d@192.0.2.40>;q=0.1"), uri="sips:bob@example.com")
    carol, dora = world.phone("carol"), world.phone("dora")
    dora.answers("INVITE", (0.0, 486))
    world.run(3.0)
    assert not carol.requests
    assert dora.got.uri == "sips:d@192.0.2.40"
    assert call.final.status == 302
    assert call.final.headers.elements("contact") == ["<sip:c@192.0.2.30>"]


@pytest.mark.rfc("3261", "21.3")
@pytest.mark.parametrize("status", [305, 380])
def test_what_is_no_redirection_goes_upstream(world: World, status: int) -> None:
    call, _ = calls_bob(world, moved("<sip:c@192.0.2.30>", status=status))
    carol = world.phone("carol")
    world.run(1.0)
    assert call.statuses == [status]
    assert not carol.requests


def test_a_malformed_or_missing_contact_goes_upstream(world: World) -> None:
    call, bob = calls_bob(world, moved("<sip:c@>"))
    bob.answers("INVITE", moved())
    other = world.phones[0].calls_up("sip:bob@example.com")
    world.run(1.0)
    assert (call.statuses, other.statuses) == ([302], [302])


def test_a_contact_of_our_domain_is_a_user_here(world: World) -> None:
    """Its phones ring, those of an alias, too; those that were tried do not ring again."""
    call, bob = calls_bob(world, moved("<sip:bob@example.com>, <sip:sales@example.com>;q=0.5"))
    carol, mobile = world.phone("carol"), world.phone("mobile")
    world.registers(carol)
    world.registers(mobile, user="carol", q=0.1)
    carol.answers("INVITE", (1.0, 486))
    world.domains.configure(
        {"example.com": DomainSettings(recurse=True)}, aliases=Aliases({("sales", ""): ("carol", "bob")})
    )
    world.run(5.0)
    assert call.final.status == 200
    assert [len(phone.heard("INVITE")) for phone in (bob, carol, mobile)] == [1, 1, 1]


@pytest.mark.rfc("3261", "16.5")
def test_only_where_the_request_was_for_us(world: World) -> None:
    call, _bob = calls_bob(world, moved("<sip:c@192.0.2.30>"), uri="sip:x@192.0.2.20")
    carol = world.phone("carol")
    world.run(1.0)
    assert call.statuses == [302]
    assert not carol.requests


def test_a_request_in_a_dialog_is_not_sent_elsewhere(world: World) -> None:
    call, bob = calls_bob(world, (0.0, 200))
    carol = world.phone("carol")
    world.run(1.0)
    bob.answers("INVITE", moved("<sip:c@192.0.2.30>"))
    again = call.then("INVITE")
    world.run(2.0)
    assert again.statuses == [302]
    assert not carol.requests


def test_a_cancel_ends_the_new_branches(world: World) -> None:
    call, _ = calls_bob(world, moved("<sip:c@192.0.2.30>, <sip:d@192.0.2.40>;q=0.1"))
    carol, dora = world.phone("carol"), world.phone("dora")
    carol.answers("INVITE", (0.1, 180))
    world.run(1.0)
    call.cancel()
    world.run(2.0)
    assert call.statuses == [180, 487]
    assert not dora.requests


@pytest.mark.rfc("3261", "16.7-14")
def test_nothing_new_after_a_6xx(world: World) -> None:
    call, bob = calls_bob(world, (0.1, 180), moved("<sip:c@192.0.2.40>", at=1.0))
    desk, carol = world.phone("desk"), world.phone("carol")
    world.registers(desk, user="bob")
    desk.answers("INVITE", (0.5, 603))
    bob.obeys_cancel = False
    world.run(3.0)
    assert call.final.status == 603
    assert not carol.requests


def test_unreachable_contacts_are_failures_like_others(world: World) -> None:
    call, _ = calls_bob(world, moved("<sip:c@192.0.2.30>, <sip:d@192.0.2.40>;q=0.1"))
    carol, dora = world.phone("carol"), world.phone("dora")
    world.network.unreachable.add(carol.socket.address)
    world.run(3.0)
    assert call.statuses == [200]
    assert len(dora.heard("INVITE")) == 1


def test_the_contacts_have_the_time_of_a_group(world: World) -> None:
    call, _ = calls_bob(world, moved("<sip:c@192.0.2.30>;q=0.9, <sip:d@192.0.2.40>;q=0.1", at=5.0), group_timeout=20.0)
    carol, dora = world.phone("carol"), world.phone("dora")
    carol.answers("INVITE", (0.1, 180))
    world.run(24.9)
    assert not dora.requests
    world.run(30.0)
    assert call.statuses == [100, 180, 200]


# Scripts


def test_a_script_that_asked_to_be_called_again_decides(world: World) -> None:
    world.script(
        "invite.sh",
        f"CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\n\n{AGAIN}",
        "SIP/2.0 480 No\n\n",
    )
    call, _ = calls_bob(world, moved("<sip:c@192.0.2.30>"))
    carol = world.phone("carol")
    world.run(1.0)
    assert call.statuses == [480]
    assert world.events() == ["0.000 request", "0.000 response 302"]
    assert not carol.requests


def test_a_script_that_does_nothing_about_it_leaves_it_to_the_server(world: World) -> None:
    world.script("invite.sh", f"CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\n\n{AGAIN}", AGAIN, "", takes=0.5)
    call, _ = calls_bob(world, moved("<sip:c@192.0.2.30>"))
    carol, mobile = world.phone("carol"), world.phone("mobile")
    world.registers(mobile, user="bob", q=0.1)
    carol.answers("INVITE", (0.0, 486))
    world.run(0.9)
    assert not carol.requests
    assert not mobile.requests
    world.run(3.0)
    assert call.final.status == 200
    assert world.events() == ["0.000 request", "0.500 response 302", "1.000 response 486"]
    assert len(carol.heard("INVITE")) == len(mobile.heard("INVITE")) == 1


def test_a_script_that_proxies_elsewhere_goes_on_with_both(world: World) -> None:
    """What it decides takes the place of the recursion; the next contact of the user is tried as after any failure."""
    world.script(
        "invite.sh",
        f"CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\n\n{AGAIN}",
        "CGI-PROXY-REQUEST sip:d@192.0.2.40 SIP/2.0\n\n",
    )
    call, _ = calls_bob(world, moved("<sip:c@192.0.2.30>"))
    carol, dora, mobile = world.phone("carol"), world.phone("dora"), world.phone("mobile")
    world.registers(mobile, user="bob", q=0.1)
    mobile.answers("INVITE", (0.1, 180))
    world.run(1.0)
    assert call.statuses == [200]
    assert not carol.requests
    assert len(dora.heard("INVITE")) == 1


def test_after_the_time_that_a_script_gave_nothing_is_followed(world: World) -> None:
    """The 302 comes in time, what the script says about it does not."""
    proxy = "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nCGI-Timeout: 1\n\n"
    world.script("invite.sh", proxy + AGAIN, "", takes=0.7)
    call, _ = calls_bob(world, moved("<sip:c@192.0.2.30>", at=0.5))
    carol = world.phone("carol")
    desk = world.phone("desk")
    world.registers(desk, user="bob")
    desk.answers("INVITE")
    world.run(5.0)
    assert call.final.status == 302
    assert not carol.requests
