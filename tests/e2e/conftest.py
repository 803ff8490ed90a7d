"""A running server for each test, and the programs of others that talk to it."""

import itertools
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # what the tests here share
from authority import Authority
from baresip import DOMAIN, Agent
from kamailio import Kamailio
from running import Server
from sipp import Load
from wire_phone import Phone

SERVERS = pytest.StashKey[list[Server]]()
Serve = Callable[..., Server]


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
    """Makes phones of a server or of another proxy: `phones(server, "alice")`."""
    with ExitStack() as stack:
        yield lambda server, *arguments, **options: stack.enter_context(Phone(server.port, *arguments, **options))


@pytest.fixture
def load(program: Callable[[str], str], tmp_path: Path) -> Iterator[Load]:
    """Starts SIPp, which is ended with the test."""
    running = Load(program("sipp"), tmp_path)
    yield running
    running.end()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def agent(program: Callable[[str], str], tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    """Starts baresips that have registered: `agent("alice", server, ";answermode=auto", "tcp")`."""
    with ExitStack() as stack:

        def start(user: str, server: Server, *more: Any) -> Agent:
            made = Agent(program("baresip"), tmp_path / user, user, server, *more)
            stack.callback(made.quit)
            server.access("REGISTER", 200, f" from=<sip:{user}@{DOMAIN}>;")
            return made

        yield start


@pytest.fixture
def kamailio(
    program: Callable[[str], str], missing: Callable[[str], None], tmp_path: Path
) -> Iterator[Callable[..., Kamailio]]:
    """Starts them: `kamailio("t_relay();")`."""
    if not [*Path("/usr/lib").glob("*/kamailio/modules/tls.so"), *Path("/usr/lib").glob("kamailio/modules/tls.so")]:
        missing("Kamailio's TLS is not there: apt install kamailio-tls-modules")
    with ExitStack() as stack:
        numbers = itertools.count()

        def start(route: str, *more: Any) -> Kamailio:
            made = Kamailio(program("kamailio"), tmp_path / f"kamailio{next(numbers)}", route, *more)
            stack.callback(made.quit)
            made.ready()
            return made

        yield start


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
