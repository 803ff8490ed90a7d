"""`sipcgi serve` as an administrator meets it: start, stop, signals, files that come and go, what strangers send."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from running import PATIENCE, Server, field, free_port
from wire_phone import Phone, talk

pytestmark = pytest.mark.e2e

Serve = Callable[..., Server]
Phones = Callable[..., Phone]

DECLINE = "#!/bin/sh\nprintf 'SIP/2.0 603 Decline\\n\\n'\nexit 0\n"
BOB = "sip:bob@example.com"


def sipcgi(*arguments: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "sipcgi", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=30, check=False)


def refused(caller: Phone, start: str, uri: str = BOB, within: float = PATIENCE) -> None:
    """Calls, and expects an answer that begins so."""
    invite = caller.invite(uri)
    caller.ack(invite, caller.expect(f"SIP/2.0 {start}", within))


class TestStart:
    def test_says_what_it_does(self, serve: Serve) -> None:
        route = "routes: [{script: block.sh, method: MESSAGE, from: '*@vinylsiding.com'}]"
        server = serve({"invite.sh": DECLINE, "block.sh": DECLINE, "broken.pl": "#!/usr/bin/perl6\n"}, route)
        for text in (
            f"udp://127.0.0.1:{server.port}",  # where it listens
            "invite.sh",  # which scripts it found
            "INVITE",  # what triggers them
            "*@vinylsiding.com",
            "/usr/bin/perl6",  # what is wrong with them
            "127.0.0.0/8",  # who may relay
            "anyone",  # who may register
        ):
            assert text in server.log()

    def test_without_a_command_it_serves(self, tmp_path: Path) -> None:
        (tmp_path / "cgi-bin").mkdir()
        url = f"udp://127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "sipcgi", "--listen", url]
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert any(url in line for line in iter(process.stdout.readline, ""))
            process.terminate()
            process.stdout.read()
        assert process.returncode == 0

    def test_without_standard_streams(self, tmp_path: Path) -> None:
        """As some that start daemons do: no file of ours takes their place."""
        (tmp_path / "cgi-bin").mkdir()
        port = free_port()
        command = f"exec {sys.executable} -m sipcgi --listen udp://127.0.0.1:{port} <&- >&- 2>&-"
        with subprocess.Popen(["/bin/sh", "-c", command], cwd=tmp_path) as process, Phone(port, "alice") as alice:
            answers = 0
            for _ in range(40):  # until it listens, and then while the log is written
                assert process.poll() is None
                alice.request("OPTIONS", f"sip:127.0.0.1:{port}")
                answers += alice.receive(0.3) is not None
                time.sleep(0.3 if answers else 0)
                if answers == 3:
                    break
            assert answers == 3
            for descriptor in (0, 1, 2):
                assert Path(f"/proc/{process.pid}/fd/{descriptor}").readlink() == Path("/dev/null")
            process.terminate()
        assert process.returncode == 0

    def test_options_override_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "scripts").mkdir()
        (tmp_path / "conf").mkdir()
        (tmp_path / "conf/sipcgi.yaml").write_text("listen: ['udp://127.0.0.1:1']\nscripts: {directory: ../scripts}\n")
        urls = [f"udp://127.0.0.1:{free_port()}", f"tcp://127.0.0.1:{free_port()}"]
        command = [sys.executable, "-m", "sipcgi", "serve", "--domain", "one.test", "--domain", "two.test"]
        command += [word for url in urls for word in ("--listen", url)]
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = ""
            while not said.endswith(f"{urls[1]}\n"):
                line = process.stdout.readline()
                assert line, said
                said += line
            process.send_signal(signal.SIGINT)
            said += process.stdout.read()
        assert process.returncode == 0
        for text in (*urls, "one.test", "two.test"):
            assert text in said
        assert "udp://127.0.0.1:1\n" not in said

    def test_every_mistake_of_the_configuration(self, tmp_path: Path) -> None:
        (tmp_path / "cgi-bin").mkdir()
        (tmp_path / "sipcgi.yaml").write_text(
            "listen: [udp://127.0.0.1:99999]\n"
            "scripts:\n"
            "  timeout: soon\n"
            "routes:\n"
            "  - script: missing.pl\n"
            "  - script: ../outside.sh\n"
            "    methods: INVITE\n"
        )
        (tmp_path / "outside.sh").write_text(DECLINE)
        done = sipcgi("serve", "--config", "sipcgi.yaml", cwd=tmp_path)
        assert done.returncode == 78
        for start in (
            "sipcgi.yaml:1: listen.0",
            "sipcgi.yaml:3: scripts.timeout: ",
            "sipcgi.yaml:5: routes.0.script: ",
            "sipcgi.yaml:6: routes.1.script: ",
            "sipcgi.yaml:7: routes.1.methods: ",
        ):
            assert any(line.startswith(start) for line in done.stderr.splitlines()), f"no {start} in\n{done.stderr}"
        assert sipcgi("check", "--config", "sipcgi.yaml", cwd=tmp_path).stderr == done.stderr

    def test_neither_configuration_nor_scripts(self, tmp_path: Path) -> None:
        done = sipcgi("serve", cwd=tmp_path)
        assert done.returncode == 78
        assert "cgi-bin" in done.stderr
        assert sipcgi(cwd=tmp_path).returncode == 78

    def test_no_such_configuration(self, tmp_path: Path) -> None:
        done = sipcgi("serve", "--config", "nowhere.yaml", cwd=tmp_path)
        assert done.returncode == 78
        assert "nowhere.yaml" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_port_that_is_taken(self, serve: Serve) -> None:
        server = serve()
        done = sipcgi("serve", "--config", server.configuration, cwd=server.folder)
        assert done.returncode not in (0, 78)
        start = f"{server.configuration}:1: listen.0: udp://127.0.0.1:{server.port}: 127.0.0.1:{server.port}: Addr"
        assert done.stderr.startswith(start)
        assert len(done.stderr.splitlines()) == 1
        given = f"udp://127.0.0.1:{server.port}"
        done = sipcgi("--listen", "udp://127.0.0.1:0", "--listen", given, "--scripts", ".", cwd=server.folder)
        assert done.stderr.startswith(f"command line:2: --listen: {given}: ")

    def test_a_script_that_cannot_be_started_keeps_nobody_from_serving(self, serve: Serve, phones: Phones) -> None:
        server = serve({"invite.sh": "#!/no/such/shell\n"}, "routes: [{script: invite.sh, uri: 'carol@*'}]")
        assert "/no/such/shell" in server.log()
        refused(phones(server, "alice"), "500", "sip:carol@example.com")
        server.wait_for(" script script=invite.sh ", "call_id=")
        assert sipcgi("check", "--config", server.configuration, cwd=server.folder).returncode == 78


class TestStop:
    def test_waits_for_the_call_that_rings(self, serve: Serve, phones: Phones) -> None:
        server = serve()
        alice, bob, carol = phones(server, "alice"), phones(server, "bob"), phones(server, "carol")
        bob.register()
        invite = alice.invite(bob.aor)
        ringing = bob.expect("INVITE ")
        bob.answer(ringing, "180 Ringing")
        alice.expect("SIP/2.0 180")
        server.signal(signal.SIGTERM)
        server.wait_for("SIGTERM")
        refused(carol, "503", bob.aor)
        assert server.process.poll() is None
        bob.answer(ringing, "200 OK")
        alice.ack(invite, alice.expect("SIP/2.0 200"))
        assert server.process.wait(PATIENCE) == 0
        assert server.lines(" access method=INVITE ", " status=200 ")

    def test_waits_for_the_script_that_runs(self, serve: Serve, phones: Phones) -> None:
        server = serve({"invite.sh": "#!/bin/sh\necho started >&2\nsleep 0.7\nprintf 'SIP/2.0 603 No\\n\\n'\nexit 0\n"})
        alice = phones(server, "alice")
        alice.invite(BOB)
        server.wait_for("started")
        server.signal(signal.SIGINT)
        alice.expect("SIP/2.0 603")
        assert server.process.wait(PATIENCE) == 0

    @pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
    def test_a_second_signal_ends_it_at_once(self, serve: Serve, phones: Phones, second: signal.Signals) -> None:
        server = serve()
        alice, bob = phones(server, "alice"), phones(server, "bob")
        bob.register()
        alice.invite(bob.aor)
        bob.answer(bob.expect("INVITE "), "180 Ringing")
        alice.expect("SIP/2.0 180")
        server.signal(signal.SIGTERM)
        server.wait_for("SIGTERM")
        time.sleep(0.3)
        assert server.process.poll() is None
        server.signal(second)
        began = time.monotonic()
        assert server.process.wait(PATIENCE) == 0
        assert time.monotonic() - began < 1

    def test_leaves_no_script_behind(self, serve: Serve, phones: Phones) -> None:
        server = serve({"invite.sh": "#!/bin/sh\necho pid $$. >&2\nsleep 60\n"}, timeout="60s")
        phones(server, "alice").invite(BOB)
        pid = field(server.wait_for('text="pid '), "text").strip('".').removeprefix("pid ")
        assert Path(f"/proc/{pid}").exists()
        server.signal(signal.SIGTERM)
        server.wait_for("SIGTERM")
        server.signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0
        end = time.monotonic() + 3  # the launcher, too, gives it a second
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < end
            time.sleep(0.02)


def test_what_scripts_used_is_in_the_access_line_and_told_on_a_signal(serve: Serve, phones: Phones) -> None:
    busy = "#!/bin/sh\ni=0; while [ $i -lt 30000 ]; do i=$((i+1)); done\nprintf 'SIP/2.0 486 Busy Here\\n\\n'\n"
    server = serve({"invite.sh": busy})
    alice = phones(server, "alice")
    refused(alice, "486")
    line = server.wait_for(" access method=INVITE ")
    assert 0.001 < float(field(line, "script_cpu")) <= float(field(line, "script_seconds")) + 0.1
    assert 200 < int(field(line, "script_peak_kib")) < 1_000_000
    server.signal(signal.SIGUSR1)
    assert "memory_kib=" in server.wait_for(" info statistics of the server: cpu=")
    assert " runs=1 failed=0 timed_out=0 refused=0 " in server.wait_for(" info statistics of invite.sh: ")


class TestReload:
    def test_all_of_a_good_one_counts(self, serve: Serve, phones: Phones) -> None:
        server = serve({"decline.sh": DECLINE, "gone.sh": DECLINE.replace("603 Decline", "410 Gone")})
        alice = phones(server, "alice")
        refused(alice, "480")
        server.configure("routes: [{script: decline.sh, method: INVITE}]")
        refused(alice, "480")
        server.signal(signal.SIGHUP)
        server.wait_for(" info configuration read again: ")
        refused(alice, "603")
        old = server.port
        server.port = free_port()
        server.configure("routes: [{script: gone.sh, method: INVITE}]")
        server.signal(signal.SIGHUP)
        server.wait_for(" info configuration read again: ", number=2)
        server.wait_for(" info listening on   ", f":{server.port}")
        assert not server.lines(" info scripts in ")  # which are the same ones
        refused(phones(server, "alice"), "410")
        alice.invite(BOB)
        alice.hears_nothing()
        assert server.port != old

    def test_a_call_outlives_it(self, serve: Serve, phones: Phones) -> None:
        server = serve()
        alice, bob = phones(server, "alice"), phones(server, "bob")
        bob.register()
        invite = alice.invite(bob.aor)
        seen = bob.expect("INVITE ")
        server.configure("relay: []")
        server.signal(signal.SIGHUP)
        server.wait_for(" info configuration read again: ")
        bob.answer(seen, "200 OK")
        answer = alice.expect("SIP/2.0 200")
        alice.ack(invite, answer)
        bob.expect("ACK ")
        alice.within(invite, answer, "BYE", 2)
        bob.answer(bob.expect("BYE "), "200 OK")
        alice.expect("SIP/2.0 200")
        talk(alice, bob, alice.invite(bob.aor))  # bob is still registered

    @pytest.mark.parametrize(
        ("bad", "said"),
        [
            ("route: []", "sipcgi.yaml:5: route: "),
            ("routes: [{script: missing.sh}]", "sipcgi.yaml:5: routes.0.script: "),
            ("routes: [", "sipcgi.yaml:"),
        ],
    )
    def test_a_bad_one_is_told_and_the_old_one_kept(self, serve: Serve, phones: Phones, bad: str, said: str) -> None:
        server = serve({"invite.sh": DECLINE})
        server.configure(bad)
        server.signal(signal.SIGHUP)
        server.wait_for(" error ", said)
        refused(phones(server, "alice"), "603")

    def test_an_empty_one_is_not_taken(self, serve: Serve, phones: Phones) -> None:
        server = serve({"invite.sh": DECLINE})
        server.configuration.write_text("# soon\n")
        server.signal(signal.SIGHUP)
        server.wait_for(" error ", f"not reloaded: {server.configuration}: is empty")
        refused(phones(server, "alice"), "603")

    def test_one_that_was_found_and_is_gone_is_missed(self, tmp_path: Path) -> None:
        (tmp_path / "cgi-bin").mkdir()
        (tmp_path / "conf").mkdir()
        file = tmp_path / "conf" / "sipcgi.yaml"
        file.write_text(f"listen: udp://127.0.0.1:{free_port()}\nscripts: {{directory: ../cgi-bin}}\n")
        command = [sys.executable, "-m", "sipcgi"]
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert any("scripts in" in line for line in iter(process.stdout.readline, ""))
            file.unlink()
            process.send_signal(signal.SIGHUP)
            said = process.stderr.readline()
            assert "not reloaded: command line:1: --config: there is no file conf/sipcgi.yaml" in said
            process.terminate()
        assert process.returncode == 0

    def test_a_file_of_aliases_is_read_again(self, serve: Serve, phones: Phones) -> None:
        server = serve()
        file = server.configuration.parent / "aliases"
        file.write_text("Help: bob\n")
        server.configure("aliases: aliases")
        server.signal(signal.SIGHUP)
        server.wait_for(" info configuration read again: ")
        alice, bob = phones(server, "alice"), phones(server, "bob")
        bob.register()
        talk(alice, bob, alice.invite("sip:help@example.com"))
        file.write_text("staff: bob\nhelp: :include:/etc/staff\n")
        server.signal(signal.SIGHUP)
        server.wait_for(" error ", f"not reloaded: {file}:2: help: ':include:'")
        talk(alice, bob, alice.invite("sip:help@example.com"))
        file.write_text("staff: bob\n")
        server.signal(signal.SIGHUP)
        server.wait_for(" info configuration read again: ", number=2)
        refused(alice, "480", "sip:help@example.com")

    def test_a_listener_that_cannot_be_opened(self, serve: Serve, phones: Phones) -> None:
        first, second = serve({"invite.sh": DECLINE}), serve()
        text = first.configuration.read_text()
        first.configuration.write_text(text.replace(f":{first.port}", f":{second.port}"))
        first.signal(signal.SIGHUP)
        first.wait_for(" error ", "not reloaded")
        refused(phones(first, "alice"), "603")

    def test_several_at_once(self, serve: Serve, phones: Phones) -> None:
        server = serve({"invite.sh": DECLINE})
        for _ in range(20):
            server.signal(signal.SIGHUP)
        server.wait_for(" info configuration read again: ")
        refused(phones(server, "alice"), "603")


class TestFiles:
    def test_a_script_counts_at_the_next_request(self, serve: Serve, phones: Phones) -> None:
        server = serve()
        alice = phones(server, "alice")
        refused(alice, "480")
        path = server.write("invite.sh", DECLINE)
        refused(alice, "603")
        server.write("invite.sh", DECLINE.replace("603 Decline", "410 Gone"))
        refused(alice, "410")
        path.write_text(DECLINE.replace("603 Decline", "486 Busy"))  # in place
        refused(alice, "486")
        path.unlink()
        refused(alice, "480")

    def test_without_the_x_bit_its_ending_says_how_it_is_started(self, serve: Serve, phones: Phones) -> None:
        server = serve({"invite.sh": DECLINE})
        alice = phones(server, "alice")
        (server.scripts / "invite.sh").chmod(0o644)
        refused(alice, "603")
        (server.scripts / "invite.sh").rename(server.scripts / "invite")  # no ending, not executable: no script
        refused(alice, "480")
        (server.scripts / "invite").chmod(0o755)
        refused(alice, "603")

    def test_leftovers_do_not_count(self, serve: Serve, phones: Phones) -> None:
        names = ("invite.sh~", "invite.bak", ".invite.sh", "invite.sh.rpmsave", "INVITE.sh", "invite.txt")
        server = serve(dict.fromkeys(names, DECLINE))
        refused(phones(server, "alice"), "480")

    def test_default_runs_for_what_has_no_script(self, serve: Serve, phones: Phones) -> None:
        server = serve({"default.sh": DECLINE, "message.sh": DECLINE.replace("603 Decline", "410 Gone")})
        alice = phones(server, "alice")
        alice.register()  # never for REGISTER
        alice.request("MESSAGE", BOB)
        alice.expect("SIP/2.0 410")
        alice.request("SUBSCRIBE", BOB)
        alice.expect("SIP/2.0 603")
        alice.request("OPTIONS", f"sip:127.0.0.1:{server.port}")  # nor for OPTIONS to the server itself
        alice.expect("SIP/2.0 200")

    def test_two_files_of_one_name(self, serve: Serve, phones: Phones) -> None:
        server = serve({"invite.sh": DECLINE, "invite.pl": "#!/bin/sh\nprintf 'SIP/2.0 410 Gone\\n\\n'\nexit 0\n"})
        refused(phones(server, "alice"), "410")
        done = sipcgi("check", "--config", server.configuration, cwd=server.folder)
        assert done.returncode == 78
        assert "scripts.directory" in done.stderr


BROKEN = {
    "exit status": ("sh", "#!/bin/sh\nfalse\n", "500", ["status=1", "end a shell script with exit 0"]),
    "exit status after output": (
        "sh",
        "#!/bin/sh\nprintf 'SIP/2.0 603 No\\n\\n'\nexit 3\n",
        "500",
        ["status=3", "said nothing"],
    ),
    "command not found": ("sh", "#!/bin/sh\nno-such-command\n", "500", ["status=127", "not found", "hint="]),
    "no #! line": ("pl", 'print "SIP/2.0 603 No\\n\\n";\n', "500", ["Exec format error", "has no #! line"]),
    "CR LF": ("sh", "#!/bin/sh\r\necho\r\n", "500", ["No such file", "dos2unix"]),
    "no interpreter": ("pl", "#!/usr/no/perl\n", "500", ["No such file", "#!/usr/no/perl, which is not there"]),
    "syntax": ("pl", '#!/usr/bin/perl\nprint "oops;\n', "500", ["status=255", "stderr lines"]),
    "garbage": ("sh", "#!/bin/sh\nprintf 'Hello\\n\\n'\nexit 0\n", "500", ["line=1", "hint="]),
    "second message": (
        "sh",
        "#!/bin/sh\nprintf 'CGI-AGAIN yes SIP/2.0\\n\\nSIP/2.0 999 No\\n\\n'\nexit 0\n",
        "500",
        ["line=3"],
    ),
    "octets": ("sh", "#!/bin/sh\nhead -c 4000 /dev/urandom\nexit 0\n", "500", ["line="]),
    "nul": ("sh", "#!/bin/sh\nprintf 'SIP/2.0 603 No\\nX: a\\000b\\n\\n'\nexit 0\n", "500", ["line=2"]),
    "timeout": ("sh", "#!/bin/sh\nsleep 30\n", "504", ["timeout of 0.5 s", "hint="]),
    "deaf to TERM": ("sh", "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.1; done\n", "504", ["timeout of 0.5 s"]),
    "killed": ("sh", "#!/bin/sh\nkill -KILL $$\n", "500", ["signal=SIGKILL"]),
    "segmentation fault": ("sh", "#!/bin/sh\nkill -SEGV $$\n", "500", ["signal=SIGSEGV"]),
    "endless output": ("sh", "#!/bin/sh\nyes\n", "500", ["1048576", "hint="]),
    "too many": ("sh", "#!/bin/sh\nyes 'CGI-AGAIN yes SIP/2.0\n' | head -300\nexit 0\n", "500", ["64"]),
}


class TestBrokenScripts:
    @pytest.mark.parametrize(("ending", "text", "status", "said"), BROKEN.values(), ids=BROKEN)
    def test_one_line_tells_what_is_wrong(
        self, serve: Serve, phones: Phones, ending: str, text: str, status: str, said: list[str]
    ) -> None:
        server = serve({f"invite.{ending}": text}, timeout="500ms")
        alice = phones(server, "alice")
        invite = alice.invite(BOB)
        alice.ack(invite, alice.expect(f"SIP/2.0 {status}"))
        call_id = invite["Call-ID"]
        line = server.wait_for(f" script script=invite.{ending} ", f" call_id={call_id} ")
        for part in said:
            assert part in line
        server.access("INVITE", int(status), f"call_id={call_id}", "runs=1")
        assert len(server.lines(" script script=")) == 1
        assert "Traceback" not in server.log()

    def test_a_folder_that_goes_lets_nobody_through(self, serve: Serve, phones: Phones) -> None:
        """It was moved, or is not mounted any more; once it is there again, so are its scripts."""
        server = serve({"invite.sh": DECLINE})
        alice, bob = phones(server, "alice"), phones(server, "bob")
        bob.register()
        server.scripts.rename(server.folder / "moved")
        alice.ack(invite := alice.invite(bob.aor), alice.expect("SIP/2.0 500"))
        line = server.wait_for(" script script=invite ", f" call_id={invite['Call-ID']} ")
        assert f"the scripts directory {server.scripts} cannot be read: No such file or directory" in line
        (server.folder / "moved").rename(server.scripts)
        refused(alice, "603")

    def test_standard_error_is_logged_line_by_line(self, serve: Serve, phones: Phones) -> None:
        text = 'print STDERR "one\\ntwo \\033[2Jthree\\xff\\n"; warn "four"; die "in the end"'
        server = serve({"invite.pl": f"#!/usr/bin/perl\n{text}\n"})
        alice = phones(server, "alice")
        invite = alice.invite(BOB)
        alice.ack(invite, alice.expect("SIP/2.0 500"))
        server.access("INVITE", 500)
        lines = server.lines(" stderr script=invite.pl ", f" call_id={invite['Call-ID']} ")
        texts = [field(line, "text") for line in lines]
        assert texts[:2] == ['"one"', '"two \\x1b[2Jthree\\xff"']
        assert texts[2].startswith('"four at ')
        assert texts[3].startswith('"in the end at ')

    def test_on_error_default(self, serve: Serve, phones: Phones) -> None:
        server = serve({"invite.sh": "#!/bin/sh\nfalse\n"}, on_error="default")
        alice, bob = phones(server, "alice"), phones(server, "bob")
        bob.register()
        talk(alice, bob, alice.invite(bob.aor))
        server.wait_for(" script script=invite.sh ", "status=1")

    def test_on_error_another_script(self, serve: Serve, phones: Phones) -> None:
        broken = "#!/bin/sh\nfalse\n"
        server = serve({"invite.sh": broken, "sorry.sh": DECLINE}, on_error="sorry.sh")
        alice = phones(server, "alice")
        refused(alice, "603")
        server.wait_for(" script script=invite.sh ", "status=1")
        server.write("sorry.sh", broken)
        refused(alice, "500")
        server.wait_for(" script script=sorry.sh ", "status=1")

    def test_one_that_hangs_delays_no_other(self, serve: Serve, phones: Phones) -> None:
        routes = "routes: [{script: slow.sh, uri: 'slow@*'}, {script: fast.sh, method: INVITE}]"
        server = serve({"slow.sh": "#!/bin/sh\nsleep 30\n", "fast.sh": DECLINE}, routes, timeout="3s")
        slow, fast = phones(server, "alice"), phones(server, "alice")
        invites = [slow.invite("sip:slow@example.com") for _ in range(5)]
        for _ in range(10):
            began = time.monotonic()
            refused(fast, "603")
            assert time.monotonic() - began < 1
        for invite in invites:
            slow.cancel(invite)
        server.access("INVITE", 487, number=5)

    def test_a_background_child_delays_nothing(self, serve: Serve, phones: Phones) -> None:
        server = serve({"invite.sh": "#!/bin/sh\nsleep 3 &\nprintf 'SIP/2.0 603 Decline\\n\\n'\nexit 0\n"})
        refused(phones(server, "alice"), "603", within=2)


class TestLauncher:
    def launcher(self, server: Server) -> int:
        (child,) = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        return int(child)

    def test_when_it_is_killed_calls_work_again(self, serve: Serve, phones: Phones) -> None:
        server = serve({"invite.sh": DECLINE})
        alice = phones(server, "alice")
        refused(alice, "603")
        for number in range(3):
            subprocess.run(["kill", "-KILL", str(self.launcher(server))], check=True)
            server.wait_for("launcher of the scripts died", number=number + 1)
            refused(alice, "603", within=1)

    def test_the_run_it_had_gets_an_answer(self, serve: Serve, phones: Phones) -> None:
        server = serve({"invite.sh": "#!/bin/sh\necho started >&2\nsleep 20\n"}, timeout="20s")
        alice = phones(server, "alice")
        invite = alice.invite(BOB)
        server.wait_for("started")
        subprocess.run(["kill", "-KILL", str(self.launcher(server))], check=True)
        alice.ack(invite, alice.expect("SIP/2.0 500", within=2))
        server.wait_for(" script script=invite.sh ", "launcher")


HEAD = "INVITE sip:bob@example.com SIP/2.0\r\n"
VIA = "Via: SIP/2.0/UDP {place};branch=z9hG4bK-{n}\r\n"
REST = "From: <sip:a@example.com>;tag={n}\r\nTo: <sip:bob@example.com>\r\nCall-ID: g{n}\r\nCSeq: 1 INVITE\r\n"
GARBAGE: list[bytes] = [
    b"",
    b"\0",
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n" * 30000,
    b"\n" * 60000,
    bytes(range(256)) * 100,
    b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
    b"INVITE sip:bob@example.com SIP/2.0",
    b"INVITE sip:bob@example.com SIP/2.0\r\n\r\n",
    b"INVITE sip:bob@example.com SIP/3.0\r\n\r\n",
    b"SIP/2.0 200 OK\r\n\r\n",
    b"SIP/2.0 999999 OK\r\n\r\n",
    b"INVITE " + b"(" * 60000 + b" SIP/2.0\r\n\r\n",
    b"A: " * 20000,
    b"A:b\r\n" * 12000,
    b"Via: SIP/2.0/UDP " + b"[" * 50000,
    # STUN, RTP, TLS, DNS
    b"\0\1\0\0\x21\x12\xa4\x42" + b"x" * 12,
    b"\0\1\xff\xff\x21\x12\xa4\x42" + b"x" * 12,
    b"\x80\0" + b"x" * 170,
    b"\x16\3\1\2\0\1\0\1\xfc\3\3",
    b"\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\7example\3com\0\0\1\0\1",
]
SPOILT: list[str] = [
    HEAD + VIA + REST + "Content-Length: 99999\r\n\r\nshort",
    HEAD + VIA + REST + "Content-Length: -1\r\n\r\n",
    HEAD + VIA + REST + "Content-Length: ٣\r\n\r\n",
    HEAD + VIA + REST + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    HEAD + VIA + REST + REST + "\r\n",
    HEAD + VIA + REST + "Max-Forwards: 0\r\n\r\n",
    HEAD + VIA + REST + "Max-Forwards: 99999999999999999999\r\n\r\n",
    HEAD + VIA + REST + "Proxy-Require: nothing\r\n\r\n",
    HEAD + VIA + REST + "Route: <sip:[::1>\r\n\r\n",
    HEAD + VIA + REST + "Route: " + "<sip:a@b>," * 5000 + "<sip:a@b>\r\n\r\n",
    HEAD + VIA + REST + "Contact: " + '"' * 50000 + "\r\n\r\n",
    HEAD + VIA + REST + "X: " + " \r\n " * 10000 + "\r\n\r\n",
    HEAD + "".join("Via: SIP/2.0/UDP 127.0.0.1:1;branch=z9hG4bK-{n}\r\n" for _ in range(700)) + REST + "\r\n",
    HEAD + VIA + REST.replace("CSeq: 1", "CSeq: 99999999999") + "\r\n",
    HEAD + VIA + REST.replace("1 INVITE", "1 BYE") + "\r\n",
    HEAD + VIA + REST.replace("<sip:a@example.com>", "<<<>>>") + "\r\n",
    HEAD + VIA + REST.replace("<sip:a@example.com>", '"\udcff\udcfe" <sip:%00%ff@example.com>') + "\r\n",
    HEAD + VIA.replace("z9hG4bK-", "") + REST + "\r\n",
    HEAD + VIA.replace("{place}", "0.0.0.0:0") + REST + "\r\n",
    HEAD + VIA.replace("{place}", "999.999.999.999") + REST + "\r\n",
    HEAD + VIA.replace("{place}", "256:99999") + REST + "\r\n",
    HEAD + VIA.replace("{place}", "no-such-host.invalid") + REST + "\r\n",
    HEAD + VIA.replace("{place}", "{place};rport=1;received=::1") + REST + "\r\n",
    HEAD + VIA.replace("UDP", "CARRIER-PIGEON") + REST + "\r\n",
    HEAD.replace("sip:bob@example.com", "sip:bob@no-such-host.invalid") + VIA + REST + "\r\n",
    HEAD.replace("sip:bob@example.com", "sip:bob@[::ffff:999.1.1.1]") + VIA + REST + "\r\n",
    HEAD.replace("sip:bob@example.com", "sip:bob@127.0.0.1:0") + VIA + REST + "\r\n",
    HEAD.replace("sip:bob@example.com", "sip:bob@127.0.0.1:1;transport=tcp") + VIA + REST + "\r\n",
    HEAD.replace("sip:bob@example.com", "sip:bob@127.0.0.1:1;transport=tls") + VIA + REST + "\r\n",
    HEAD.replace("sip:bob@example.com", "sip:bob@127.0.0.1;maddr=255.255.255.255") + VIA + REST + "\r\n",
    HEAD.replace("sip:bob@example.com", "sip:bob@224.0.0.1;ttl=9") + VIA + REST + "\r\n",
    HEAD.replace("sip:bob@example.com", "sip:" + "a" * 60000) + VIA + REST + "\r\n",
    HEAD.replace("sip:bob@example.com", "tel:+1;phone-context=" + ";" * 5000) + VIA + REST + "\r\n",
    HEAD.replace("sip:bob@example.com", "x:" + "%" * 5000) + VIA + REST + "\r\n",
    *(
        (HEAD + VIA + REST + "\r\n").replace("INVITE", method)
        for method in ("ACK", "CANCEL", "REGISTER", "BYE", "OPTIONS", "PRACK", "invite", "\udcff", "X" * 3000)
    ),
    (HEAD + VIA + REST).replace("INVITE", "REGISTER") + "Contact: *\r\nExpires: 1\r\n\r\n",
    (HEAD + VIA + REST).replace("INVITE", "REGISTER") + "Contact: " + "<sip:a@b:1>, " * 2000 + "*\r\n\r\n",
    (HEAD + VIA + REST).replace("INVITE", "REGISTER") + "Contact: <tel:+1>;q=9;expires=x\r\n\r\n",
    (VIA + REST).join(["SIP/2.0 200 OK\r\n", "\r\n"]),
    (VIA + VIA + REST).join(["SIP/2.0 180 Ringing\r\n", "\r\n"]),
    ("Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-x\r\n" + VIA + REST).join(["SIP/2.0 200 OK\r\n", "\r\n"]),
    ("Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-{n}\r\n" + REST).join([HEAD, "\r\n"]),
]


class TestStrangers:
    @pytest.mark.parametrize("scripts", [{}, {"default.sh": "#!/bin/sh\nexit 0\n"}], ids=["no script", "a script"])
    def test_no_datagram_ends_the_server(self, serve: Serve, phones: Phones, scripts: dict[str, str]) -> None:
        server = serve(scripts, "relay: []")
        stranger, alice = phones(server, "stranger"), phones(server, "alice")
        datagrams = GARBAGE + [
            text.replace("{n}", str(n))
            .replace("{place}", stranger.place)
            .replace("{port}", str(server.port))
            .encode("utf-8", "surrogateescape")
            for n, text in enumerate(SPOILT)
        ]
        for datagram in datagrams:
            assert len(datagram) < 65508
            stranger.raw(datagram)
            stranger.raw(datagram[: len(datagram) // 2])
            alice.request("OPTIONS", f"sip:127.0.0.1:{server.port}")
            alice.expect("SIP/2.0 200", within=2)
        carol = phones(server, "carol")  # whom none of the above calls
        carol.register()
        talk(alice, carol, alice.invite(carol.aor))

    def test_no_line_of_the_log_is_theirs(self, serve: Serve, phones: Phones) -> None:
        server = serve({"default.sh": '#!/bin/sh\necho "$SIP_SUBJECT" >&2\nexit 0\n'})
        alice = phones(server, "alice")
        name = '"\x1b[2J\u202e\\" status=200 "'
        alice.request("MESSAGE", BOB, "Subject: a\r\n access method=\x07", from_=f"{name} <sip:a@example.com>;tag=1")
        alice.expect("SIP/2.0 480")
        line = server.access("MESSAGE", 480)
        assert line.isprintable()
        assert field(line, "from").count("\\x1b[2J\\u202e") == 1
        assert all(line.isprintable() for line in server.log().splitlines())

    def test_a_flood_is_survived(self, serve: Serve, phones: Phones) -> None:
        server = serve()
        alice = phones(server, "alice")
        for number in range(20000):
            alice.raw(GARBAGE[number % len(GARBAGE)][:1000])
        time.sleep(0.2)
        refused(phones(server, "alice"), "480", within=3)
