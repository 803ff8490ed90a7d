"""The name server of tests/net, in a thread, and the file that names it."""

import sys
import threading
from pathlib import Path
from typing import Self

import trio

sys.path.insert(0, str(Path(__file__).parents[1] / "net"))
from nameserver import NameServer

SERVER = Path(__file__).parent / "with_names.py"


class Names:
    """A context manager: what `asked` of the zone at `origin` is answered, until its end."""

    def __init__(self, folder: Path, zone: str, origin: str) -> None:
        self.server = NameServer(zone, origin)
        self.resolv_conf = folder / "resolv.conf"
        self.started = threading.Event()
        self.thread = threading.Thread(target=trio.run, args=[self.run])

    async def run(self) -> None:
        self.token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            self.scope = nursery.cancel_scope
            await nursery.start(self.server.serve)
            self.started.set()

    def __enter__(self) -> Self:
        self.thread.start()
        assert self.started.wait(5.0)
        self.resolv_conf.write_text(f"nameserver {self.server.address.host}\n")
        return self

    def __exit__(self, *error: object) -> None:
        self.token.run_sync_soon(self.scope.cancel)
        self.thread.join()

    @property
    def program(self) -> list[str | Path]:
        """sipcgi as a `Server` is to start it, on a machine with this name server."""
        return [SERVER, self.resolv_conf, str(self.server.address.port)]

    def asked(self, kind: str) -> list[str]:
        """The names of the questions of a kind."""
        return [name for one, _, name in (question.partition(" ") for question in self.server.asked) if one == kind]
