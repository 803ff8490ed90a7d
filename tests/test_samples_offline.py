"""The samples in cgi-bin/, started as the server starts them, without a server: what they see and what they print."""

import json
import os
import re
import shutil
import subprocess
from calendar import timegm
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from sipcgi.cgi.output import parse_output
from sipcgi.cli import main
from sipcgi.hosts.kits import with_kits

SAMPLES = Path(__file__).parent.parent / "cgi-bin"
NAMES = {
    *(
        "agents.js",
        "barring.awk",
        "block-slide51.pl",
        "block.pl",
        "boss-slide51.pl",
        "boss.pl",
        "callreturn.rb",
        "dnd.sh",
    ),
    *("followme.tcl", "forward.sh", "hide.pl", "hotline.sh", "hours.py", "hunt.py", "intercom.tcl", "moved.awk"),
    *("dial.py", "emergency.sh", "missed.pl"),  # they send requests of their own
    *("reject-slide48.pl", "reject.py"),  # they are resident
    *("priority.php", "redirect.sh", "ringing.pl", "services.lua", "speeddial.lua", "timetable.rb", "voicemail.py"),
}
FIRST_LINES = {
    ".awk": "#!/usr/bin/awk -f",
    ".js": "#!/usr/bin/env node",
    ".lua": "#!/usr/bin/lua",
    ".php": "#!/usr/bin/env php",
    ".pl": "#!/usr/bin/perl",
    ".py": "#!/usr/bin/env python3",
    ".rb": "#!/usr/bin/ruby",
    ".sh": "#!/bin/sh",
    ".tcl": "#!/usr/bin/tclsh",
}
INTERPRETERS = {
    ".awk": "awk",
    ".js": "node",
    ".lua": "lua",
    ".php": "php",
    ".pl": "perl",
    ".rb": "ruby",
    ".tcl": "tclsh",
}
LISTS = {  # what a sample reads, and how it fails without
    "agents.js": ("agents.txt", 1, ""),
    "barring.awk": ("barring.txt", 0, "SIP/2.0 403 This number is barred\n\n"),
    "followme.tcl": ("follow-me.txt", 1, ""),
    "hotline.sh": ("hotline.txt", None, ""),
    "intercom.tcl": ("intercom.txt", 1, ""),
    "moved.awk": ("moved.txt", 1, ""),
    "priority.php": ("priority.txt", 1, ""),
    "services.lua": ("services.txt", 1, ""),
    "speeddial.lua": ("speed-dial.txt", 1, ""),
    "timetable.rb": ("timetable.txt", 0, "CGI-PROXY-REQUEST sip:voicemail@example.com SIP/2.0\n\n"),
}
METHODS = "invite ack bye cancel register options info message notify prack publish refer subscribe update default"
INVITE = {
    "REQUEST_METHOD": "INVITE",
    "REQUEST_URI": "sip:bob@example.com",
    "SIPCGI_EVENT": "request",
    "SIPCGI_PENDING": "0",
}
CANCEL = INVITE | {"REQUEST_METHOD": "CANCEL", "SIPCGI_EVENT": "cancel"}
AGAIN = "CGI-AGAIN yes SIP/2.0\n\n"


def run(name: str, *variables: dict[str, str], **more: str) -> str:
    """What the script prints. It must end with status 0, complain of nothing, and print what is understood."""
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    for each in (*variables, more):
        environment |= each
    done = subprocess.run(
        [SAMPLES / name],
        env=environment,
        cwd=SAMPLES,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    output = parse_output(done.stdout, method="INVITE")
    assert output.warnings == []
    return done.stdout.decode()


def response(status: int, pending: int = 0, **more: str) -> dict[str, str]:
    return {"RESPONSE_STATUS": str(status), "SIPCGI_EVENT": "response", "SIPCGI_PENDING": str(pending)} | more


def test_each_sample_can_be_started_and_triggers_nothing_by_its_name() -> None:
    lists = {name for name, _, _ in LISTS.values()} | {"screen.txt"}
    files = {path.name: path for path in SAMPLES.iterdir() if path.is_file() and path.name != "screen"}
    assert set(files) == NAMES | lists
    for path in files.values():
        lines = path.read_text("utf-8").splitlines()
        assert max(map(len, lines)) <= 120
        if path.name in lists:
            continue
        assert path.stem not in METHODS.split()
        assert os.access(path, os.X_OK)
        assert lines[0] == FIRST_LINES[path.suffix]
        assert 10 <= len(lines) <= (100 if path.name == "dial.py" else 40)  # two calls take more than one


@pytest.mark.parametrize("name", LISTS)
def test_without_its_list_nobody_gets_through(name: str, tmp_path: Path, program: Callable[[str], str]) -> None:
    """And the log says which file it is."""
    suffix = Path(name).suffix
    if suffix in INTERPRETERS:
        program(INTERPRETERS[suffix])
    copy = shutil.copy(SAMPLES / name, tmp_path)
    environment = INVITE | {"PATH": os.environ["PATH"], "SIP_FROM": "<sip:alice@example.com>", "SIPCGI_URI": "sip:b@h"}
    done = subprocess.run([copy], env=environment, cwd=tmp_path, capture_output=True, timeout=30, check=False)
    listed, status, output = LISTS[name]
    assert listed in done.stderr.decode()
    assert done.returncode == status or (status is None and done.returncode in (1, 2))
    assert done.stdout.decode() == output


SLIDE_51 = {
    "block-slide51.pl": [
        'if (defined ENVSIP_FROM ENVSIP_FROM "sip_at_vinylsiding.com")',
        'print "SIP/2.0 600 I can\'t talk right now\\n\\n"',
    ],
    "boss-slide51.pl": [
        "if (defined ENVSIP_FROM ENVSIP_FROM /sipboss_at_mycompany.com/)",
        "foreach reg (get_regs())",
        'print "CGI-PROXY-REQUEST reg SIP/2.0\\n"',
        'print "Priority urgent\\n\\n"',
    ],
}
"""As its transcript has it, which has lost $ { } & = ~ : * and writes _at_ for @."""


@pytest.mark.parametrize("name", SLIDE_51)
def test_the_scripts_of_slide_51_have_its_words(name: str) -> None:
    script = (SAMPLES / name).read_text().partition("\nif")
    code = "".join(script[1:]).replace("\\@", "_at_").replace(".*", "")
    kept = [re.sub(r"[${}&=~:;\s]", "", line) for line in code.splitlines()]
    assert [line for line in kept if line] == [re.sub(r"\s", "", line) for line in SLIDE_51[name]]


@pytest.mark.parametrize(
    "caller",
    [
        "<sip:sales@vinylsiding.com>;tag=1",
        '"Your aunt <sip:alice@example.com>" <sip:sales@vinylsiding.com>;tag=1',
        "Sales <SIPS:sales@VinylSiding.COM:5061;transport=tls>;tag=1",
        "sip:sales@vinylsiding.com;tag=1",
        "<sip:vinylsiding.com>",
        "<sip:sales@vinylsiding.com.>",
    ],
)
def test_block(caller: str) -> None:
    assert run("block.pl", INVITE, SIP_FROM=caller) == "SIP/2.0 600 I can't talk right now\n\n"


@pytest.mark.parametrize(
    "caller",
    [
        "<sip:alice@example.com>;tag=1",
        '"sip:sales@vinylsiding.com" <sip:alice@example.com>;tag=1',
        '"\\"<sip:sales@vinylsiding.com>" <sip:alice@example.com>',
        "<sip:alice@vinylsiding.com.example.com>",
        "<sip:alice@notvinylsiding.com>",
        "<sip:vinylsiding.com@example.com>",
        "<tel:+12015550123>",
        "",
    ],
)
def test_block_lets_others_through(caller: str) -> None:
    assert run("block.pl", INVITE, SIP_FROM=caller) == ""
    assert run("block.pl", INVITE) == ""


REGISTRATIONS = (
    '"Bob, at <sip:fake@h> \\"home\\"" <sip:bob@192.0.2.1:5070;transport=tcp>;q=0.7;expires=1800, '
    'Desk <sips:bob,2@[2001:db8::1]>;+sip.instance="<urn:uuid:1,2>";expires=60,'
    "<mailto:bob@example.com>;expires=60, sip:bob@192.0.2.3;q=0.1;expires=9"
)
URGENT = "CGI-PROXY-REQUEST {} SIP/2.0\nPriority: urgent\n\n"


def test_boss() -> None:
    uris = ["sip:bob@192.0.2.1:5070;transport=tcp", "sips:bob,2@[2001:db8::1]", "sip:bob@192.0.2.3"]
    for caller in (
        "<sip:boss@example.com>;tag=1",
        '"The <boss>" <sips:boss@EXAMPLE.com:5061>;tag=1',
        "sip:boss@example.com;tag=1",
    ):
        output = run("boss.pl", INVITE, SIP_FROM=caller, REGISTRATIONS=REGISTRATIONS)
        assert output == "".join(URGENT.format(uri) for uri in uris)


@pytest.mark.parametrize(
    "caller",
    [
        "<sip:alice@example.com>;tag=1",
        '"sip:boss@example.com" <sip:alice@example.com>;tag=1',
        "sip:boss@example.com <sip:alice@example.com>;tag=1",
        "<sip:bigboss@example.com>",
        "<sip:boss@example.com.evil.example.net>",
    ],
)
def test_boss_is_nobody_else(caller: str) -> None:
    assert run("boss.pl", INVITE, SIP_FROM=caller, REGISTRATIONS=REGISTRATIONS) == ""


def test_boss_without_registrations_leaves_it_to_the_server() -> None:
    assert run("boss.pl", INVITE, SIP_FROM="<sip:boss@example.com>") == ""
    assert (
        run("boss.pl", INVITE, SIP_FROM="<sip:boss@example.com>", REGISTRATIONS="<tel:+12015550123>;expires=60") == ""
    )


def test_ringing() -> None:
    proxied = "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nAlert-Info: <http://www.example.com/sounds/{}.wav>\n\n"
    assert run("ringing.pl", INVITE, SIP_FROM='"A" <sip:alice@Example.COM>;tag=1') == proxied.format("moo")
    assert run("ringing.pl", INVITE, SIP_FROM="sip:carol@example.com;tag=1") == proxied.format("bell")
    chime = "<sip:+12015550123@example.com:5060;user=phone>;tag=1"
    assert run("ringing.pl", INVITE, SIP_FROM=chime) == proxied.format("chime")
    for other in (
        '"sip:alice@example.com" <sip:x@example.com>',
        "<sip:Alice@example.com>",
        "<sip:example.com>",
        "<tel:123>",
    ):
        assert run("ringing.pl", INVITE, SIP_FROM=other) == ""
    assert run("ringing.pl", INVITE) == ""


def test_dnd() -> None:
    assert run("dnd.sh", INVITE) == "SIP/2.0 603 Decline\nRetry-After: 3600\n\n"


def test_redirect() -> None:
    assert run("redirect.sh", INVITE) == (
        "SIP/2.0 302 Moved Temporarily\n"
        'Contact: "Bob\'s mobile" <sip:+12015550123@gateway.example.com>;expires=600\n\n'
    )  # fmt: skip


def test_forward() -> None:
    assert run("forward.sh", INVITE) == f"CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nCGI-Timeout: 15\n\n{AGAIN}"
    odd = "sip:b$(id)'%25*;x=/id&@example.com"
    assert run("forward.sh", INVITE, REQUEST_URI=odd).startswith(f"CGI-PROXY-REQUEST {odd} SIP/2.0\n")
    for status in (180, 183):
        assert run("forward.sh", response(status, pending=1)) == AGAIN
    for status in (408, 480, 486):
        assert run("forward.sh", response(status)) == "CGI-PROXY-REQUEST sip:voicemail@example.com SIP/2.0\n\n"
        assert run("forward.sh", response(status, pending=1)) == AGAIN  # another phone still rings
    for status in (200, 302, 404, 487, 603):
        assert run("forward.sh", response(status)) == ""
    assert run("forward.sh", CANCEL) == ""


def test_hunt() -> None:
    def rings(uri: str, place: int) -> str:
        return f"CGI-PROXY-REQUEST {uri} SIP/2.0\nCGI-Timeout: 20\n\nCGI-SET-COOKIE {place} SIP/2.0\n\n{AGAIN}"

    assert run("hunt.py", INVITE) == rings("sip:anna@example.com", 0)
    assert run("hunt.py", response(180, pending=1, SCRIPT_COOKIE="0")) == AGAIN
    assert run("hunt.py", response(408, SCRIPT_COOKIE="0")) == rings("sip:ben@example.com", 1)
    assert run("hunt.py", response(486, pending=1, SCRIPT_COOKIE="0")) == AGAIN  # Anna has another phone
    assert run("hunt.py", response(486, SCRIPT_COOKIE="1")) == rings("sip:+12015550123@gateway.example.com", 2)
    assert run("hunt.py", response(480, SCRIPT_COOKIE="2")) == ""  # the last one
    for status in (200, 600, 603):
        assert run("hunt.py", response(status, SCRIPT_COOKIE="0")) == ""
    assert run("hunt.py", CANCEL, SCRIPT_COOKIE="0") == ""


@pytest.mark.parametrize(
    ("weekday", "hour", "minute", "goes_to"),
    [
        (0, 8, 29, "voicemail"),
        (0, 8, 30, "desk"),
        (4, 17, 29, "desk"),
        (4, 17, 30, "voicemail"),
        (2, 0, 45, "voicemail"),
        (5, 12, 0, "voicemail"),
        (6, 12, 0, "voicemail"),
    ],
)
def test_hours(weekday: int, hour: int, minute: int, goes_to: str) -> None:
    now = timegm((2024, 1, 1 + weekday, hour, minute, 0))  # the first of January was a Monday
    output = run("hours.py", INVITE, NOW=str(now), TZ="UTC")
    assert output == f"CGI-PROXY-REQUEST sip:{goes_to}@example.com SIP/2.0\n\n"


def test_hours_by_the_clock() -> None:
    output = run("hours.py", INVITE)
    assert output in [f"CGI-PROXY-REQUEST sip:{each}@example.com SIP/2.0\n\n" for each in ("desk", "voicemail")]


# Those whose cases in tests/golden/ do not say all


HOSTILE = '"\\"A\\", <sip:{0}>;tag=x" <sip:mallory@example.net>;tag=1'
"""Looks like another caller in the display name."""


@pytest.mark.parametrize(
    ("name", "uri", "caller"),
    [
        ("hotline.sh", "sip:bob@example.com", "lobby@example.com"),
        ("intercom.tcl", "sip:*80bob@example.com", "alice@example.com"),
        ("priority.php", "sip:bob@example.com", "boss@example.com"),
        ("speeddial.lua", "sip:1@example.com", "alice@example.com"),
    ],
)
def test_a_display_name_is_no_caller(name: str, uri: str, caller: str, program: Callable[[str], str]) -> None:
    program(INTERPRETERS.get(Path(name).suffix, "sh"))
    for good in (f"<sip:{caller}>;tag=1", f'"\\"X\\", <sip:x@y>" <sip:{caller};user=phone>', f"sip:{caller};tag=1"):
        assert run(name, INVITE, REQUEST_URI=uri, SIP_FROM=good).startswith("CGI-PROXY-REQUEST ")
    for bad in (HOSTILE.format(caller), f"sip:{caller} <sip:mallory@example.net>", f"<sip:{caller}.example.net>", ""):
        assert not run(name, INVITE, REQUEST_URI=uri, SIP_FROM=bad).startswith("CGI-PROXY-REQUEST ")


@pytest.fixture
def callers(tmp_path: Path, program: Callable[[str], str]) -> dict[str, str]:
    program("ruby")
    (tmp_path / "callers").mkdir()
    return {"CALLERS": str(tmp_path / "callers"), "REGISTRATIONS": "<sip:bob@192.0.2.1>;expires=60"}


def last_of_bob(callers: dict[str, str], caller: str = "<sip:bob@EXAMPLE.com>;tag=1") -> str:
    return run("callreturn.rb", INVITE, callers, REQUEST_URI="sip:*69@example.com", SIP_FROM=caller)


def test_call_return(callers: dict[str, str]) -> None:
    nobody = "SIP/2.0 480 Nobody has called\n\n"
    assert last_of_bob(callers) == nobody
    for caller in ("alice@example.com", "carol@example.org:5070"):
        assert run("callreturn.rb", INVITE, callers, SIP_FROM=f'"<sip:x@y>" <sip:{caller};transport=tcp>;tag=1') == ""
        assert last_of_bob(callers) == f"CGI-PROXY-REQUEST sip:{caller};transport=tcp SIP/2.0\n\n"
    assert last_of_bob(callers, "<sip:bob@example.net>") == nobody  # another Bob
    assert last_of_bob(callers, "<tel:+1201>") == nobody


@pytest.mark.parametrize("caller", ["<sip:anonymous@anonymous.invalid>", "<tel:+12015550123>", "<sip:a b@example.com>"])
def test_call_return_notes_only_who_can_be_called(callers: dict[str, str], caller: str) -> None:
    assert run("callreturn.rb", INVITE, callers, SIP_FROM=caller) == ""
    assert os.listdir(callers["CALLERS"]) == []


def test_call_return_writes_nowhere_else(callers: dict[str, str]) -> None:
    for uri in ("sip:../../x@example.com", "sip:%2e%2e%2fx@example.com", "sip:.@h", "sip:x/y@example.com"):
        assert run("callreturn.rb", INVITE, callers, REQUEST_URI=uri, SIP_FROM="<sip:a@h>") == ""
    folder = Path(callers["CALLERS"])
    assert len(os.listdir(folder)) == 4
    assert os.listdir(folder.parent) == ["callers"]


def test_call_return_keeps_no_file_of_whom_nobody_knows(callers: dict[str, str]) -> None:
    assert run("callreturn.rb", INVITE, {"CALLERS": callers["CALLERS"]}, SIP_FROM="<sip:alice@example.com>") == ""
    assert os.listdir(callers["CALLERS"]) == []


def test_hide_goes_after_three_redirections_at_most() -> None:
    moved = response(302, SIP_CONTACT="<sip:bob@gateway.example.com:5070>", SIPCGI_BEST="302")
    assert run("hide.pl", moved, SCRIPT_COOKIE="2").startswith("CGI-PROXY-REQUEST sip:bob@gateway.example.com:5070 ")
    assert run("hide.pl", moved, SCRIPT_COOKIE="3") == "SIP/2.0 480\n\n"
    for host in ("example.org", "example.com.example.org", "notexample.com", "evil.example.org?x=@example.com"):
        assert run("hide.pl", moved, SCRIPT_COOKIE="0", SIP_CONTACT=f"<sip:bob@{host}>") == "SIP/2.0 480\n\n"
    assert run("hide.pl", response(486, pending=1), SCRIPT_COOKIE="0") == AGAIN  # another phone still rings
    assert run("hide.pl", response(404, SIPCGI_BEST="486"), SCRIPT_COOKIE="0") == "SIP/2.0 486\n\n"
    assert run("hide.pl", response(603, pending=1, SIPCGI_BEST="603"), SCRIPT_COOKIE="0") == "SIP/2.0 603\n\n"


def test_follow_me_waits_for_the_other_phones_of_a_place(program: Callable[[str], str]) -> None:
    program("tclsh")
    bob = {"SIPCGI_URI": "sip:bob@example.com", "SCRIPT_COOKIE": "0"}
    assert run("followme.tcl", response(486, pending=1), bob) == AGAIN
    assert "sip:bob.home@example.com" in run("followme.tcl", response(486), bob)
    assert run("followme.tcl", response(486), bob, SCRIPT_COOKIE="2") == ""  # the last one
    assert run("followme.tcl", CANCEL, bob) == ""


def test_voicemail_gives_messages_only_to_whom_the_server_knows() -> None:
    own = {
        "REQUEST_URI": "sip:bob@example.com",
        "SIPCGI_URI": "sip:bob@example.com",
        "SIP_FROM": "<sip:bob@example.com>",
    }
    asks = "CGI-PROXY-REQUEST sip:retrieve@vm.example.com;mode=inband SIP/2.0\n\n"
    assert run("voicemail.py", INVITE, own) == asks
    assert run("voicemail.py", INVITE, own, REMOTE_USER="alice") == asks
    known = "CGI-PROXY-REQUEST sip:bob@vm.example.com;mode=retrieve SIP/2.0\n\n"
    assert run("voicemail.py", INVITE, own, REMOTE_USER="bob") == known


@pytest.fixture(scope="module")
def screened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the samples, for the program that is compiled there as its comment says."""
    copy = tmp_path_factory.mktemp("compiled") / "cgi-bin"
    shutil.copytree(SAMPLES, copy, ignore=shutil.ignore_patterns("screen"))
    return copy


def test_the_sample_in_c(screened: Path, program: Callable[[str], str]) -> None:
    program("cc")
    source = screened / "src" / "screen.c"
    [command] = [
        line.split("Compile:")[1].split("Cases:")[0] for line in source.read_text().splitlines() if "cc " in line
    ]
    strict = f"{command.strip()} -Wall -Wextra -Werror"
    subprocess.run(["sh", "-c", strict], cwd=source.parent, check=True)
    result = CliRunner().invoke(main, ["test", str(source.parent / "screen.yaml")])
    assert result.exit_code == 0, result.output

    def says(caller: str | None) -> str:
        environment = {} if caller is None else {"SIP_FROM": caller}
        done = subprocess.run([screened / "screen"], env=environment, cwd=screened, capture_output=True, check=True)
        return done.stdout.decode()

    for caller in ("<sip:bob@example.com>", "sip:bob@EXAMPLE.com:5070;tag=1", '"a\\"<b>" <sips:alice@example.org;x=y>'):
        assert says(caller) == ""
    for caller in (
        HOSTILE.format("bob@example.com"),
        "<sip:bob@example.com.x>",
        "<sip:BOB@example.org>",
        '"',
        "",
        None,
    ):
        assert says(caller) == "SIP/2.0 603 Decline\n\n"
    (screened / "screen.txt").unlink()
    done = subprocess.run([screened / "screen"], env={}, cwd=screened, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"screen.txt" in done.stderr


@pytest.mark.parametrize("name", ["reject-slide48.pl", "reject.py"])
class TestReject:
    """The RejectServlet of slide 48, resident and as an ordinary script."""

    @pytest.fixture(autouse=True)
    def library(self, name: str, program: Callable[[str], str], missing: Callable[[str], None]) -> None:
        found = name == "reject.py" or subprocess.run([program("perl"), "-MFCGI", "-e1"], check=False).returncode == 0
        if not found:
            missing("FCGI.pm is not there: apt install libfcgi-perl")

    def test_as_a_script(self, name: str) -> None:
        kits = with_kits({"PATH": os.environ["PATH"]})
        assert run(name, INVITE, kits) == "SIP/2.0 603 Decline\n\n"
        busy = {"STATUS_CODE": "486", "REASON_PHRASE": "Busy Here"}
        assert run(name, INVITE, kits, busy) == "SIP/2.0 486 Busy Here\n\n"
        assert run(name, INVITE, kits, busy, REQUEST_METHOD="MESSAGE") == ""

    def test_resident(self, name: str, tmp_path: Path) -> None:
        """With the configuration that the sample itself shows."""
        lines = (SAMPLES / name).read_text().splitlines()
        route = [line.removeprefix("#") for line in lines if line.startswith("#  ")]
        configuration = tmp_path / "sipcgi.yaml"
        configuration.write_text("\n".join([f"scripts: {{directory: {SAMPLES}}}", "routes:", *route]))
        asked = ["try", name, "--config", str(configuration), "--json"]
        done = json.loads(CliRunner().invoke(main, asked).stdout)
        assert (done["valid"], done["output"], done["stderr"]) == (True, "SIP/2.0 486 Busy Here\n\n", [])
        assert "PATH" not in done["environment"]
