"""The samples in cgi-bin/, through the real server: what leaves on the wire."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Server
from wire_phone import Phone, hang_up, talk

pytestmark = pytest.mark.e2e

SAMPLES = Path(__file__).parents[2] / "cgi-bin"
Serve = Callable[..., Server]
Phones = Callable[..., Phone]


@pytest.fixture
def sample(serve: Serve, program: Callable[[str], str]) -> Callable[..., Server]:
    """Runs a server whose INVITEs go to one sample; `replaced` are texts in it and what stands there instead."""

    def start(name: str, *replaced: tuple[str, str], environment: str = "{}") -> Server:
        if name.endswith(".pl"):
            program("perl")
        text = (SAMPLES / name).read_text()
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        return serve(
            {name: text}, f"routes: [{{script: {name}, method: [INVITE, MESSAGE], environment: {environment}}}]"
        )

    return start


def test_block(sample: Callable[..., Server], phones: Phones) -> None:
    server = sample("block.pl")
    bob, alice, sales = phones(server, "bob"), phones(server, "alice"), phones(server, "sales", "vinylsiding.com")
    bob.register()
    invite = sales.invite(bob.aor)
    refusal = sales.expect("SIP/2.0 600")
    assert refusal.start == "SIP/2.0 600 I can't talk right now"
    sales.ack(invite, refusal)
    sales.request("MESSAGE", bob.aor, from_='"Your aunt" <sip:sales@VinylSiding.com:5061>;tag=1')
    assert sales.expect("SIP/2.0 600")["CSeq"] == "1 MESSAGE"
    bob.hears_nothing(0.2)
    talk(alice, bob, alice.invite(bob.aor))
    server.access("INVITE", 600, "script=block.pl", "runs=1")
    server.access("INVITE", 200, "script=block.pl", "runs=1")


def test_boss_rings_urgently_on_each_registered_phone(sample: Callable[..., Server], phones: Phones) -> None:
    server = sample("boss.pl")
    desk, mobile = phones(server, "bob"), phones(server, "bob")
    desk.register("q=0.7")
    mobile.register("q=0.2")
    boss = phones(server, "boss")
    invite = boss.invite(desk.aor)
    at_desk, at_mobile = desk.expect("INVITE "), mobile.expect("INVITE ")
    assert (at_desk.uri, at_desk["Priority"]) == (desk.contact, "urgent")
    assert (at_mobile.uri, at_mobile["Priority"]) == (mobile.contact, "urgent")
    mobile.answer(at_mobile, "180 Ringing")
    desk.answer(at_desk, "180 Ringing")
    boss.expect("SIP/2.0 180")
    boss.expect("SIP/2.0 180")
    desk.answer(at_desk, "200 OK")
    cancel = mobile.expect("CANCEL ")
    mobile.answer(cancel, "200 OK")
    mobile.answer(at_mobile, "487 Request Terminated")
    assert mobile.expect("ACK ")["Via"] == at_mobile.all("Via")[0]
    hang_up(boss, desk, invite)

    alice = phones(server, "alice")  # is nobody's boss
    invite = alice.invite(desk.aor)
    seen = desk.take("486 Busy Here")
    assert "Priority" not in seen
    mobile.take("486 Busy Here")
    alice.ack(invite, alice.expect("SIP/2.0 486"))


def test_dnd(sample: Callable[..., Server], phones: Phones) -> None:
    server = sample("dnd.sh")
    alice = phones(server, "alice")
    invite = alice.invite("sip:carol@example.com")
    answer = alice.expect("SIP/2.0 603")
    assert answer.start == "SIP/2.0 603 Decline"
    assert answer["Retry-After"] == "3600"
    assert answer["Via"].startswith(invite["Via"].removesuffix(";rport"))
    assert answer["To"].startswith("<sip:carol@example.com>;tag=")
    alice.ack(invite, answer)
    server.access("INVITE", 603, "script=dnd.sh", "runs=1")


def test_redirect(sample: Callable[..., Server], phones: Phones) -> None:
    server = sample("redirect.sh")
    alice = phones(server, "alice")
    invite = alice.invite("sip:bob@example.com")
    answer = alice.expect("SIP/2.0 302")
    assert answer.start == "SIP/2.0 302 Moved Temporarily"
    assert answer["Contact"] == '"Bob\'s mobile" <sip:+12015550123@gateway.example.com>;expires=600'
    assert "Record-Route" not in answer
    alice.ack(invite, answer)


def test_ringing(sample: Callable[..., Server], phones: Phones) -> None:
    server = sample("ringing.pl")
    alice, bob, dave = phones(server, "alice"), phones(server, "bob"), phones(server, "dave")
    bob.register()
    seen = talk(alice, bob, alice.invite(bob.aor))
    assert seen["Alert-Info"] == "<http://www.example.com/sounds/moo.wav>"
    assert seen.uri == bob.contact
    seen = talk(dave, bob, dave.invite(bob.aor))
    assert "Alert-Info" not in seen


class TestForward:
    @pytest.fixture
    def server(self, sample: Callable[..., Server]) -> Server:
        return sample("forward.sh", ("CGI-Timeout: 15", "CGI-Timeout: 0.5"))

    def test_on_busy(self, server: Server, phones: Phones) -> None:
        alice, bob, voicemail = phones(server, "alice"), phones(server, "bob"), phones(server, "voicemail")
        bob.register()
        voicemail.register()
        invite = alice.invite(bob.aor)
        bob.take("486 Busy Here")
        seen = talk(alice, voicemail, invite)
        assert seen.uri == voicemail.contact
        assert "CGI-Timeout" not in seen
        server.access("INVITE", 200, "script=forward.sh", "runs=2")

    def test_on_no_answer(self, server: Server, phones: Phones) -> None:
        alice, bob, voicemail = phones(server, "alice"), phones(server, "bob"), phones(server, "voicemail")
        bob.register()
        voicemail.register()
        invite = alice.invite(bob.aor)
        began = time.monotonic()
        ringing = bob.expect("INVITE ")
        assert "CGI-Timeout" not in ringing
        assert "Expires" not in ringing
        bob.answer(ringing, "180 Ringing")
        alice.expect("SIP/2.0 180")
        bob.answer(bob.expect("CANCEL "), "200 OK")
        assert 0.4 < time.monotonic() - began < 2
        bob.answer(ringing, "487 Request Terminated")
        bob.expect("ACK ")
        seen = talk(alice, voicemail, invite)
        assert seen.uri == voicemail.contact

    def test_when_nobody_is_registered(self, server: Server, phones: Phones) -> None:
        alice, voicemail = phones(server, "alice"), phones(server, "voicemail")
        voicemail.register()
        talk(alice, voicemail, alice.invite("sip:bob@example.com"))

    def test_waits_for_the_other_phone(self, server: Server, phones: Phones) -> None:
        alice, desk, mobile = phones(server, "alice"), phones(server, "bob"), phones(server, "bob")
        desk.register()
        mobile.register()
        invite = alice.invite(desk.aor)
        desk.take("486 Busy Here")
        talk(alice, mobile, invite)

    def test_not_when_the_caller_hangs_up(self, server: Server, phones: Phones) -> None:
        alice, bob, voicemail = phones(server, "alice"), phones(server, "bob"), phones(server, "voicemail")
        bob.register()
        voicemail.register()
        invite = alice.invite(bob.aor)
        ringing = bob.expect("INVITE ")
        bob.answer(ringing, "180 Ringing")
        alice.expect("SIP/2.0 180")
        alice.cancel(invite)
        assert alice.expect("SIP/2.0 200")["CSeq"] == "1 CANCEL"
        bob.answer(bob.expect("CANCEL "), "200 OK")
        bob.answer(ringing, "487 Request Terminated")
        bob.expect("ACK ")
        alice.ack(invite, alice.expect("SIP/2.0 487"))
        voicemail.hears_nothing(0.7)

    def test_a_refusal_is_passed_on(self, server: Server, phones: Phones) -> None:
        alice, bob, voicemail = phones(server, "alice"), phones(server, "bob"), phones(server, "voicemail")
        bob.register()
        voicemail.register()
        invite = alice.invite(bob.aor)
        bob.take("603 Decline")
        alice.ack(invite, alice.expect("SIP/2.0 603"))
        voicemail.hears_nothing(0.2)


class TestHunt:
    @pytest.fixture
    def server(self, sample: Callable[..., Server]) -> Server:
        return sample("hunt.py", ("CGI-Timeout: 20", "CGI-Timeout: 0.5"))

    @pytest.fixture
    def numbers(self, server: Server, phones: Phones) -> list[Phone]:
        three = [phones(server, "anna"), phones(server, "ben"), phones(server, "+12015550123", "gateway.example.com")]
        for phone in three:
            phone.register()
        return three

    def test_one_after_another(self, server: Server, phones: Phones, numbers: list[Phone]) -> None:
        alice = phones(server, "alice")
        anna, ben, gateway = numbers
        invite = alice.invite("sip:support@example.com")
        began = time.monotonic()
        ringing = anna.expect("INVITE ")
        assert ringing.uri == anna.contact
        anna.answer(ringing, "180 Ringing")
        alice.expect("SIP/2.0 180")
        anna.answer(anna.expect("CANCEL "), "200 OK")
        assert 0.4 < time.monotonic() - began < 2
        anna.answer(ringing, "487 Request Terminated")
        anna.expect("ACK ")
        ben.take("486 Busy Here")
        seen = talk(alice, gateway, invite)
        assert seen.uri == gateway.contact
        for phone in numbers:
            phone.hears_nothing(0.1)
        server.access("INVITE", 200, "script=hunt.py")

    def test_the_best_response_when_all_have_failed(self, server: Server, phones: Phones, numbers: list[Phone]) -> None:
        alice = phones(server, "alice")
        invite = alice.invite("sip:support@example.com")
        for phone in numbers:
            phone.take("486 Busy Here")
        alice.ack(invite, alice.expect("SIP/2.0 486"))
        server.access("INVITE", 486, "script=hunt.py", "runs=4")

    def test_the_first_answers(self, server: Server, phones: Phones, numbers: list[Phone]) -> None:
        alice = phones(server, "alice")
        talk(alice, numbers[0], alice.invite("sip:support@example.com"))
        for phone in numbers[1:]:
            phone.hears_nothing(0.3)

    def test_nobody_answers(self, server: Server, phones: Phones, numbers: list[Phone]) -> None:
        """The phones take nothing back: each 487 comes late, or never."""
        alice = phones(server, "alice")
        invite = alice.invite("sip:support@example.com")
        for phone in numbers:
            ringing = phone.expect("INVITE ")
            phone.answer(ringing, "180 Ringing")
            alice.expect("SIP/2.0 180")
            phone.answer(phone.expect("CANCEL "), "200 OK")
        alice.ack(invite, alice.expect("SIP/2.0 408"))


@pytest.mark.parametrize(("opens", "user"), [("(0, 0), (24, 0)", "desk"), ("(24, 0), (24, 0)", "voicemail")])
def test_hours(sample: Callable[..., Server], phones: Phones, opens: str, user: str) -> None:
    """The hours, and every day of the week, are replaced: the clock is the real one."""
    server = sample("hours.py", ("(8, 30), (17, 30)", opens), ("now.tm_wday < 5", "now.tm_wday < 7"))
    alice, place = phones(server, "alice"), phones(server, user)
    place.register()
    assert talk(alice, place, alice.invite("sip:office@example.com")).uri == place.contact


def test_hours_as_they_are_go_one_way_or_the_other(sample: Callable[..., Server], phones: Phones) -> None:
    server = sample("hours.py", environment="{TZ: Europe/Berlin}")
    alice, desk, voicemail = phones(server, "alice"), phones(server, "desk"), phones(server, "voicemail")
    invite = alice.invite("sip:office@example.com")  # nobody is registered
    alice.ack(invite, alice.expect("SIP/2.0 480"))
    line = server.access("INVITE", 480, "script=hours.py")
    assert re.search(r" targets=sip:(desk|voicemail)@example\.com ", line)
    desk.hears_nothing(0.1)
    voicemail.hears_nothing(0.1)


def test_call_return(serve: Serve, phones: Phones, program: Callable[[str], str], tmp_path: Path) -> None:
    """Bob was called by Alice, did not take it, and calls back."""
    program("ruby")
    route = f"{{script: callreturn.rb, method: INVITE, environment: {{CALLERS: {tmp_path}}}}}"
    server = serve({"callreturn.rb": (SAMPLES / "callreturn.rb").read_text()}, f"routes: [{route}]")
    alice, bob = phones(server, "alice"), phones(server, "bob")
    alice.register()
    bob.register()
    invite = bob.invite("sip:*69@example.com")
    bob.ack(invite, bob.expect("SIP/2.0 480 Nobody has called"))
    invite = alice.invite(bob.aor)
    bob.take("486 Busy Here")
    alice.ack(invite, alice.expect("SIP/2.0 486"))
    assert talk(bob, alice, bob.invite("sip:*69@example.com")).uri == alice.contact
