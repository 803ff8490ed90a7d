"""`sipcgi test`: cases that hold, cases that do not, and what is wrong with a file."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner, Result

from sipcgi.cli import main
from sipcgi.offline.cases import Case, read
from sipcgi.offline.golden import play

GOLDEN = Path(__file__).parent.parent / "golden"
SAMPLES = Path(__file__).parent.parent.parent / "cgi-bin"

FOLLOW = """
#!/bin/sh
case "$SIPCGI_EVENT $RESPONSE_STATUS" in
"request ") printf 'CGI-PROXY-REQUEST sip:a@h.example SIP/2.0\\nCGI-Request-Token: a\\n\\n'
            printf 'CGI-PROXY-REQUEST sip:b@h.example SIP/2.0\\n\\n'
            printf 'CGI-AGAIN yes SIP/2.0\\nCGI-After: 3\\n\\n' ;;
"timer ")   printf 'SIP/2.0 480 %s\\n\\n' "$SCRIPT_NOTE" ;;
*)          echo "$SIPCGI_EVENT $RESPONSE_STATUS $REQUEST_TOKEN" >&2
            printf 'CGI-SET-COOKIE %s SIP/2.0\\n\\nCGI-AGAIN yes SIP/2.0\\n\\n' "$SIPCGI_PENDING" ;;
esac
exit 0
"""
FORK = (
    r'INVITE sip:x@y.example: "CGI-PROXY-REQUEST sip:a@h.example SIP/2.0\nCGI-Request-Token: a\n\n'
    r'CGI-PROXY-REQUEST sip:b@h.example SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\nCGI-After: 3"'
)


@pytest.fixture
def cases(tmp_path: Path) -> Callable[..., Result]:
    """Runs `sipcgi test` over a file with these cases."""
    (tmp_path / "cgi-bin").mkdir()
    (tmp_path / "tests").mkdir()
    path = tmp_path / "cgi-bin" / "a.sh"
    path.write_text(FOLLOW.lstrip())
    path.chmod(0o755)

    def run(text: str) -> Result:
        (tmp_path / "tests" / "a.yaml").write_text(dedent(text))
        return CliRunner().invoke(main, ["test", str(tmp_path / "tests")])

    return run


def samples() -> list[Case]:
    found = [read(file) for file in sorted(GOLDEN.glob("*.yaml"))]
    assert [mistake for _, mistakes in found for mistake in mistakes] == []
    return [case for cases, _ in found for case in cases]


@pytest.mark.parametrize("case", samples(), ids=lambda case: f"{Path(case.file).stem}: {case.name}")
def test_the_samples_do_what_their_cases_say(case: Case) -> None:
    failure = play(case)
    assert failure is None, "\n".join([failure.step.text, *failure.lines, *map(str, failure.errors)])


def test_the_case_of_the_documentation_holds(tmp_path: Path) -> None:
    text = (SAMPLES.parent / "docs" / "testing-scripts.md").read_text("utf-8")
    (tmp_path / "a.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    (tmp_path / "cgi-bin").symlink_to(SAMPLES)
    (case,), mistakes = read(tmp_path / "a.yaml")
    assert (mistakes, play(case)) == ([], None)


def test_each_sample_has_its_cases() -> None:
    scripts = {path.name for path in SAMPLES.iterdir() if path.is_file() and path.suffix != ".txt"}
    assert {case.script.name for case in samples()} == scripts - {"screen"}  # which is there when it was compiled


def test_all_is_well(cases: Callable[..., Result]) -> None:
    result = cases(
        f"""
        script: a.sh
        cases:
          the story:
            - {FORK}
              headers: {{Subject: lunch, X-A: [one, two]}}
              sends: [INVITE sip:a@h.example, INVITE sip:b@h.example]
            - 180 from sip:a@h.example: |
                CGI-SET-COOKIE 2 SIP/2.0

                CGI-AGAIN yes SIP/2.0
              sends: 180 Ringing
            - 486 Eating from sip:a@h.example: |
                CGI-AGAIN yes SIP/2.0

                CGI-SET-COOKIE   1 sip/2.0
            - after 5s: not run
            - 200: |
                CGI-SET-COOKIE 0 SIP/2.0

                CGI-AGAIN yes SIP/2.0
              sends: 200
        """
    )  # fmt: skip
    assert result.stdout.splitlines()[-2:] == ["  ok    the story", "1 of 1 cases ok"]
    assert result.exit_code == 0


def test_what_came_otherwise_is_shown_as_a_diff(cases: Callable[..., Result]) -> None:
    result = cases(
        f"""
        script: a.sh
        cases:
          the timer:
            environment: {{SCRIPT_NOTE: Nobody there}}
            steps:
              - {FORK}
              - after 3s: |
                  SIP/2.0 480 Somebody there
                  Retry-After: 5
          a branch too much:
            - {FORK}
              sends: INVITE sip:a@h.example
          it runs:
            - {FORK}
            - 486: not run
          it does not:
            - {FORK}
            - after 1s: SIP/2.0 480 Nobody
          it answers:
            - {FORK}
            - 486:
          nobody was asked:
            - {FORK}
            - 486 from sip:c@h.example:
        """
    )
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[-1] == "0 of 6 cases ok"
    assert lines[2].endswith("a.yaml:8: after 3s")
    assert lines[3:6] == [
        "        - SIP/2.0 480 Somebody there",
        "        + SIP/2.0 480 Nobody there",
        "        - Retry-After: 5",
    ]
    told = result.stdout
    assert "        what leaves:\n          INVITE sip:a@h.example\n        + INVITE sip:b@h.example\n" in told
    assert "        the script ran\n        stderr: response 486\n" in told
    assert "        the script did not run\n" in told
    assert "        + CGI-SET-COOKIE 1 SIP/2.0\n" in told
    assert "no request to sip:c@h.example waits for an answer (waiting: sip:a@h.example, sip:b@h.example)" in told


def test_a_script_that_fails_says_why(cases: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "cgi-bin" / "a.sh").write_text("#!/bin/sh\necho oops >&2\necho CGI-PROXY sip:a@b SIP/2.0\n")
    result = cases("script: a.sh\ncases: {one: [INVITE sip:a@b]}\n")
    assert result.exit_code == 1
    assert "error: output line 1, column 1: unknown action" in result.stdout
    assert "(did you mean CGI-PROXY-REQUEST?)" in result.stdout
    assert "stderr: oops" in result.stdout


def test_cancel_and_ack(cases: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "cgi-bin" / "a.sh").write_text(
        "#!/bin/sh\n"
        'case "$SIPCGI_EVENT$SIP_SUBJECT" in\n'
        "requestanswer) printf 'SIP/2.0 200 OK\\n\\nCGI-AGAIN yes SIP/2.0\\n\\n' ;;\n"
        "request) printf 'CGI-PROXY-REQUEST sip:a@h.example SIP/2.0\\n\\nCGI-AGAIN yes SIP/2.0\\n\\n' ;;\n"
        "*) printf 'CGI-SET-COOKIE %s SIP/2.0\\n\\n' $SIPCGI_EVENT ;;\n"
        "esac\nexit 0\n"
    )
    result = cases(
        """
        script: a.sh
        cases:
          it is answered:
            - INVITE sip:x@y.example: |
                SIP/2.0 200 OK

                CGI-AGAIN yes SIP/2.0
              headers: {Subject: answer}
            - ACK: CGI-SET-COOKIE ack SIP/2.0
          the caller gives up:
            - INVITE sip:x@y.example: |
                CGI-PROXY-REQUEST sip:a@h.example SIP/2.0

                CGI-AGAIN yes SIP/2.0
            - CANCEL: CGI-SET-COOKIE cancel SIP/2.0
              sends: 200
            - 487: not run
              sends: 487
          nothing to acknowledge:
            - INVITE sip:x@y.example: |
                CGI-PROXY-REQUEST sip:a@h.example SIP/2.0

                CGI-AGAIN yes SIP/2.0
            - ACK:
        """
    )
    assert [line[:8].strip() for line in result.stdout.splitlines()[1:4]] == ["ok", "ok", "FAIL"]
    assert "there is no 2xx of the script to acknowledge" in result.stdout


def test_requests_of_a_phone_that_was_called(cases: Callable[..., Result], tmp_path: Path) -> None:
    """In the dialog of a generated INVITE they run the script, in a proxied one they go to the caller."""
    (tmp_path / "cgi-bin" / "a.sh").write_text(
        "#!/bin/sh\n"
        'case "$SIPCGI_METHOD $SIPCGI_EVENT $RESPONSE_STATUS" in\n'
        '"MESSAGE request ") printf "INVITE sip:a@h.example SIP/2.0\\nCGI-Request-Token: a\\n\\n"\n'
        '    printf "SIP/2.0 202 Accepted\\n\\nCGI-AGAIN yes SIP/2.0\\n\\n" ;;\n'
        '"MESSAGE "*" 180") printf "CGI-AGAIN yes SIP/2.0\\n\\n" ;;\n'
        '"MESSAGE "*" 200") printf "ACK sip:a SIP/2.0\\nCGI-Request-Token: a\\n\\n" ;;\n'
        '"INFO request ") printf "SIP/2.0 200 %s %s\\n\\n" "$SIP_X_KEY" "$(cat)" ;;\n'
        '"INVITE request ") [ -z "$REQUEST_TOKEN" ] || cat hold.txt ;;\n'
        "esac\nexit 0\n"
    )
    (tmp_path / "cgi-bin" / "hold.txt").write_text("SIP/2.0 100 Trying\n\nCGI-AGAIN yes SIP/2.0\nCGI-After: 9\n")
    begin = (
        r'MESSAGE sip:x@y.example: "INVITE sip:a@h.example SIP/2.0\nCGI-Request-Token: a\n\n'
        r'SIP/2.0 202 Accepted\n\nCGI-AGAIN yes SIP/2.0"'
    )
    text = f"""
        script: a.sh
        cases:
          generated:
            - {begin}
            - 180: CGI-AGAIN yes SIP/2.0
            - INFO from sip:a@h.example: SIP/2.0 200 early 1
              headers: {{X-Key: early, CSeq: 7 INFO}}
              body: "1"
            - 200: "ACK sip:a SIP/2.0\\nCGI-Request-Token: a"
            - INFO from sip:a@h.example: not run
              sends: 500
            - INVITE from sip:a@h.example: "SIP/2.0 100 Trying\\n\\nCGI-AGAIN yes SIP/2.0\\nCGI-After: 9"
              headers: {{CSeq: 8 INVITE}}
              sends: []
            - CANCEL from sip:a@h.example:
              sends: [200, 487]
            - BYE from sip:a@h.example:
              headers: {{CSeq: 9 BYE}}
              sends: 200
          proxied:
            domains: [example.com]
            registered: {{bob@example.com: "sip:bob@192.0.2.20"}}
            steps:
              - INVITE sip:bob@example.com:
              - 200:
              - ACK:
              - BYE from sip:bob@192.0.2.20: not run
                sends: BYE sip:alice@127.0.0.1:5070
              - 200:
                sends: 200
    """
    result = cases(text)
    assert result.exit_code == 0, result.output
    for step, said in (
        ("BYE from sip:b@h.example", "no phone at sip:b@h.example has answered (answered: sip:a@h.example)"),
        ("ACK from sip:a@h.example", "no INVITE came from sip:a@h.example that it could be for"),
        ("CANCEL from sip:a@h.example", "no INVITE came from sip:a@h.example that it could be for"),
    ):
        result = cases(
            f"script: a.sh\ncases:\n  x:\n    - {begin}\n    - 180:\n    - {step}:\n".replace(
                "180:", "180: CGI-AGAIN yes SIP/2.0"
            )
        )
        assert result.exit_code == 1
        assert said in result.stdout


def test_scripts_in_sequence(cases: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "cgi-bin" / "screen.sh").write_text(
        '#!/bin/sh\n[ "$SIP_SUBJECT" = spam ] && printf "SIP/2.0 603 Decline\\n\\n"\nexit 0\n'
    )
    (tmp_path / "cgi-bin" / "screen.sh").chmod(0o755)
    result = cases("""\
        script: [screen.sh, a.sh]
        cases:
          passed on:
            - INVITE sip:x@y.example:
                - ""
                - |
                  CGI-PROXY-REQUEST sip:a@h.example SIP/2.0
                  CGI-Request-Token: a

                  CGI-PROXY-REQUEST sip:b@h.example SIP/2.0

                  CGI-AGAIN yes SIP/2.0
                  CGI-After: 3
          not passed on:
            - INVITE sip:x@y.example: SIP/2.0 603 Decline
              headers: {Subject: spam}
        """)
    assert result.exit_code == 0, result.output
    (tmp_path / "tests" / "b.sh").touch()
    result = cases("script: [a.sh, b.sh]\ncases: {x: [INVITE sip:a@b]}")
    assert "1: script.1: is in another folder than a.sh" in result.output


def test_scripts_of_style_exec(cases: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "cgi-bin" / "a.sh").write_text("#!/bin/sh\necho sip:$SIP_USER@h.example\n")
    text = """
        script: a.sh
        style: exec
        cases:
          forked:
            - INVITE sip:x@y.example: CGI-PROXY-REQUEST sip:x@h.example SIP/2.0
              sends: INVITE sip:x@h.example
            - 486: not run
              sends: 486
          not understood:
            style: cgi
            steps:
              - INVITE sip:x@y.example: CGI-PROXY-REQUEST sip:x@h.example SIP/2.0
    """
    result = cases(text)
    assert result.exit_code == 1
    assert "a URI is no action" in result.stdout
    assert "1 of 2" in result.stdout
    assert cases(text.replace("style: cgi", "style: agi")).exit_code == 78


def test_raw_messages(cases: Callable[..., Result], tmp_path: Path) -> None:
    head = "Via: SIP/2.0/UDP h;branch=z9hG4bKx\nFrom: <sip:a@b>;tag=1\nTo: <sip:x@y>\nCall-ID: 1\nCSeq: 1 INVITE\n"
    (tmp_path / "tests" / "invite.sip").write_text(f"INVITE sip:x@y SIP/2.0\n{head}Max-Forwards: 70\n\n")
    (tmp_path / "tests" / "busy.sip").write_text(f"SIP/2.0 486 Eating\n{head}\n")
    story = FORK.replace("INVITE sip:x@y.example", "message invite.sip")
    result = cases(
        f"""
        script: a.sh
        cases:
          raw:
            - {story}
            - message busy.sip: |
                CGI-SET-COOKIE 1 SIP/2.0

                CGI-AGAIN yes SIP/2.0
        """
    )
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "1 of 1 cases ok")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scrpt: a.sh\ncases: {x: [INVITE sip:a@b]}", "1: scrpt: unknown key; did you mean 'script'?"),
        ("script: b.sh\ncases: {x: [INVITE sip:a@b]}", "1: script: there is no b.sh beside this file, nor in cgi-bin"),
        ("cases: {x: [INVITE sip:a@b]}", "1: cases.x: has no script"),
        ("script: a.sh", "1: cases: must be a mapping"),
        ("script: a.sh\nhost: cobol\ncases: {x: [INVITE sip:a@b]}", "2: host: 'cobol' is no host of scripts"),
        (
            "script: a.sh\nhost: fastcgi\nstyle: exec\ncases: {x: [INVITE sip:a@b]}",
            "2: host: a FastCGI program is one, and of style cgi",
        ),
        ("- script", "1: (file): must be a mapping"),
        ("script: a.sh\ncases: {x: INVITE}", "2: cases.x: must be a list of steps"),
        ("script: a.sh\nregistered: {b: 'c d'}\ncases: {x: [INVITE sip:a@b]}", "2: registered.b: not a URI"),
        ("script: a.sh\ncases: [x", "(file): "),
    ],
)
def test_a_malformed_file_is_exit_status_78(cases: Callable[..., Result], tmp_path: Path, text: str, said: str) -> None:
    result = cases(text)
    assert (result.exit_code, result.stdout) == (78, "")
    assert any(line.startswith(f"{tmp_path}/tests/a.yaml:") and said in line for line in result.stderr.splitlines())


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("- '486':", "4: cases.x.0.486: a case begins with its request"),
        ("- INVITE sip:a@b:\n  - INVITE sip:a@b:", "5: cases.x.1.INVITE sip:a@b: a case has one request"),
        ("- INVITE sip:a@b:\n  - wait 5s:", "5: cases.x.1.wait 5s: 'wait 5s' is nothing that happens"),
        ("- INVITE sip:a@b:\n  - after 5x:", "5: cases.x.1.after 5x: '5x' is no duration"),
        ("- INVITE sip:a@b:\n  - 99:", "5: cases.x.1.99: 99 is no response"),
        ("- INVITE sip:a@b:\n  - CANCEL now:", "5: cases.x.1.CANCEL now: CANCEL stands alone"),
        ("- INVITE sip:a@b:\n  - ACK from bob:", "5: cases.x.1.ACK from bob: not a URI"),
        ("- BYE from sip:a@b:", "4: cases.x.0.BYE from sip:a@b: a case begins with its request"),
        ("- INVITE sip:a@b:\n  - BYE from sip:a@b:\n    from: x", "6: cases.x.1.from: means nothing to this step"),
        ("- INVITE sip:a@b:\n  - 486:\n    to: x", "6: cases.x.1.to: means nothing to this step"),
        ("- INVITE sip:a@b:\n    sent: 100", "5: cases.x.0.sent: unknown key; did you mean 'sends'?"),
        ("- INVITE foo:", "4: cases.x.0.INVITE foo: not a URI"),
        ("- INVITE sip:a@b: CGI-PROXI", "4: cases.x.0.INVITE sip:a@b: line 1 of what is expected: unknown action"),
        (
            "- INVITE sip:a@b:\n      CGI-AGAIN yes SIP/2.0\n      SIP/2.0 200 OK",
            "4: cases.x.0.INVITE sip:a@b: line 1 of",
        ),
        ("- message none.sip:", "none.sip: No such file"),
    ],
)
def test_a_malformed_case_is_exit_status_78(
    cases: Callable[..., Result], tmp_path: Path, steps: str, said: str
) -> None:
    result = cases(f"script: a.sh\ncases:\n  x:\n  {steps}\n")
    assert (result.exit_code, result.stdout) == (78, "")
    assert any(line.startswith(f"{tmp_path}/tests/a.yaml:") and said in line for line in result.stderr.splitlines())


def test_a_folder_without_cases(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["test", str(tmp_path)])
    assert result.exit_code == 78
    assert "there is no *.yaml with cases in it" in result.stderr


def test_each_action_is_compared(cases: Callable[..., Result], tmp_path: Path) -> None:
    """What the words of the script and those of the case mean is the same, and not by accident."""
    output = (
        "CGI-PROXY-REQUEST sip:c@h.example SIP/2.0\nCGI-Request-Token: c\nCGI-Timeout: 2.5\nCGI-Remove: X, Subject\n"
        "Priority: urgent\nContent-Type: text/plain\n\nhello"
    )
    (tmp_path / "cgi-bin" / "a.sh").write_text(
        "#!/bin/sh\n"
        f"[ $SIPCGI_EVENT = request ] && cat <<'END'\n{output}\nEND\n"
        "[ $SIPCGI_EVENT = request ] || printf 'CGI-FORWARD-RESPONSE this SIP/2.0\\nContent-Length: 0\\n\\n'\n"
        "exit 0\n"
    )
    story = output.replace("\n", "\n                ")

    def told(text: str) -> int:
        return cases(
            f"script: a.sh\ncases:\n    x:\n            - INVITE sip:x@y: |\n                {text}\n"
        ).exit_code

    assert told(story) == 0
    assert told(story.replace("CGI-Remove: X, Subject", "cgi-remove: subject,x").replace("2.5", "2.50")) == 0
    for before, after in (
        *(("sip:c@", "sip:d@"), ("Token: c", "Token: d"), ("2.5", "2.6"), ("X, ", ""), ("urgent", "normal")),
        *(("hello", "hallo"), ("text/plain", "text/html")),
    ):
        assert told(story.replace(before, after)) == 1
