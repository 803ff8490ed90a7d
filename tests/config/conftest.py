"""A folder to configure a server in: conf/sipcgi.yaml beside cgi-bin, and nothing of the machine's own."""

from pathlib import Path
from textwrap import dedent

import pytest

from sipcgi.config import load


class Site:
    """`root` is the working directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.scripts = root / "cgi-bin"
        self.scripts.mkdir()
        self.file = Path("conf/sipcgi.yaml")

    def configure(self, text: str | bytes) -> Path:
        """Writes conf/sipcgi.yaml and returns its path as the command line would give it."""
        self.file.parent.mkdir(exist_ok=True)
        self.file.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
        return self.file

    def script(self, name: str, text: str = "#!/bin/sh\n", *, mode: int = 0o755) -> Path:
        path = self.scripts / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Configurations are looked for in conf/sipcgi.yaml and etc.yaml."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(load, "PLACES", (Path("conf/sipcgi.yaml"), tmp_path / "etc.yaml"))
    return Site(tmp_path)
