"""Warm hosts behind the real server: which scripts run warm, that calls do not notice, and what a reload renews."""

import signal
import time
from collections.abc import Callable

import psutil
import pytest
from running import Server
from wire_phone import Message, Phone

pytestmark = pytest.mark.e2e

WHO = {
    "python": "#!/usr/bin/env python3\nimport os\n"
    "print('SIP/2.0 480', os.environ['SIP_SUBJECT'], os.getppid(), '\\n')\n",
    "perl": "#!/usr/bin/perl\nprint qq(SIP/2.0 480 $ENV{SIP_SUBJECT} ), getppid, qq(\\n\\n);\n",
    "ruby": "#!/usr/bin/ruby\nputs \"SIP/2.0 480 #{ENV['SIP_SUBJECT']} #{Process.ppid}\", ''\n",
}


def ask(phone: Phone, subject: str = "x") -> Message:
    invite = phone.invite("sip:bob@example.com", f"Subject: {subject}")
    answer = phone.expect("SIP/2.0 480")
    phone.ack(invite, answer)
    return answer


def parent_of(answer: Message) -> int:
    """Process id of who started the script that gave it."""
    return int(answer.start.split()[-1])


def is_warm(answer: Message) -> bool:
    return any("zygotes" in word for word in psutil.Process(parent_of(answer)).cmdline())


def warmed(phone: Phone) -> Message:
    """The first answer by a warm parent."""
    for _ in range(100):
        answer = ask(phone)
        if is_warm(answer):
            return answer
        time.sleep(0.05)
    raise AssertionError("nothing is warm")


@pytest.mark.parametrize("language", WHO)
@pytest.mark.parametrize("way", ["route", "all"])
def test_calls_do_not_notice(
    serve: Callable[..., Server],
    phones: Callable[..., Phone],
    program: Callable[[str], str],
    language: str,
    way: str,
) -> None:
    program({"python": "python3"}.get(language, language))
    scripts = {"invite" if way == "all" else "who": WHO[language]}
    if way == "all":
        server = serve(scripts, host="{" + language + ": warm}")
        server.wait_for("  invite  ", "INVITE that no route takes (invite), warm")
    else:
        server = serve(scripts, "routes: [{script: who, method: INVITE, host: warm}]")
        server.wait_for("  who  ", "routes.0: INVITE, warm")
    alice = phones(server, "alice")
    first = ask(alice, "lunch")
    assert first.start.startswith("SIP/2.0 480 lunch ")
    assert not is_warm(first)
    parent = parent_of(warmed(alice))
    answers = [ask(alice, f"number-{number}").start for number in range(20)]
    assert answers == [f"SIP/2.0 480 number-{number} {parent}" for number in range(20)]

    name = next(iter(scripts))
    server.write(name, WHO[language].replace("480 ", "480 new-").replace("480'", "480 new-'"))
    assert "480 new-" in ask(alice, "lunch").start
    server.signal(signal.SIGHUP)
    server.wait_for("configuration read again")
    assert "480 new-" in warmed(alice).start
    assert server.lines("warning") == server.lines("error") == []


def test_a_caller_who_hangs_up_ends_the_run_and_not_the_parent(
    serve: Callable[..., Server], phones: Callable[..., Phone]
) -> None:
    text = WHO["perl"].replace("print", "sleep 60 if $ENV{SIP_SUBJECT} eq 'slow'; print", 1)
    server = serve({"invite.pl": text}, host="warm", timeout="30s")
    alice = phones(server, "alice")
    parent = psutil.Process(parent_of(warmed(alice)))
    invite = alice.invite("sip:bob@example.com", "Subject: slow")
    for _ in range(200):
        if parent.children():
            break
        time.sleep(0.01)
    (run,) = parent.children()
    alice.cancel(invite)
    alice.expect("SIP/2.0 200")
    alice.ack(invite, alice.expect("SIP/2.0 487"))
    assert run.wait(3) is None or not run.is_running()
    assert parent_of(ask(alice)) == parent.pid


def test_a_parent_that_is_killed_costs_no_call(serve: Callable[..., Server], phones: Callable[..., Phone]) -> None:
    text = WHO["perl"].replace("print", "select undef, undef, undef, 0.3; print", 1)
    server = serve({"invite.pl": text}, host="warm")
    callers = [phones(server, f"caller{number}") for number in range(10)]
    parent = psutil.Process(parent_of(warmed(callers[0])))
    invites = [caller.invite("sip:bob@example.com", "Subject: x") for caller in callers]
    time.sleep(0.1)
    parent.kill()
    for caller, invite in zip(callers, invites, strict=True):
        caller.ack(invite, caller.expect("SIP/2.0 480"))
    server.access("INVITE", 480, number=len(callers) + 1)
    assert not server.lines(" status=500 ")
    warmed(callers[0])


def test_parents_end_with_the_server(serve: Callable[..., Server], phones: Callable[..., Phone]) -> None:
    server = serve({"invite.pl": WHO["perl"]}, host="warm")
    parent = psutil.Process(parent_of(warmed(phones(server, "alice"))))
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started < 3
    assert not parent.is_running()
