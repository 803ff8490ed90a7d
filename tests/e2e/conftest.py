"""A running server for each test, and the programs of others that talk to it."""

import os
import shutil
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # what the tests here share
from running import Server
from wire_phone import Phone

PACKAGES = {"sipp": "sip-tester", "baresip": "baresip-core", "perl": "perl"}
SERVERS = pytest.StashKey[list[Server]]()
Serve = Callable[..., Server]


@pytest.fixture
def program() -> Callable[[str], str]:
    """The path of a program that others wrote. Without it the test is skipped; where CI is set, it fails."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            missing = f"{name} is not there: apt install {PACKAGES[name]}"
            if os.environ.get("CI"):
                pytest.fail(missing)
            pytest.skip(missing)
        return path

    return find


@pytest.fixture
def serve(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Serve]:
    """Starts servers: `serve({"invite.sh": text}, "more of the configuration", timeout="1s")`.

    In the end each of them must be there, end with status 0 when it is told to, and have raised nothing.
    """
    servers = request.node.stash.setdefault(SERVERS, [])

    def start(scripts: dict[str, str] | None = None, configuration: str = "", **settings: str) -> Server:
        server = Server(tmp_path / f"server{len(servers)}", scripts or {}, configuration, **settings)
        servers.append(server)  # whatever happens from now on, it is ended
        server.ready()
        return server

    yield start
    for server in servers:
        status = server.stop()
        assert status == 0, f"exit status {status}"
        assert "Traceback" not in server.log()


@pytest.fixture
def phones() -> Iterator[Callable[..., Phone]]:
    """Makes phones of a server: `phones(server, "alice")`."""
    with ExitStack() as stack:
        yield lambda server, *arguments, **options: stack.enter_context(Phone(server.port, *arguments, **options))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows what the servers printed when a test failed."""
    report = yield
    if report.failed:
        for server in item.stash.get(SERVERS, []):
            report.sections.append((f"server at port {server.port}", shortened(server.log())))
    return report


def shortened(text: str, most: int = 20000) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}\n...\n{text[-most // 2 :]}"
