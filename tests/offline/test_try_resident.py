"""`sipcgi try` with a resident program: by the name of its route, or by where it listens."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Tried = Callable[..., dict[str, Any]]

PROGRAM = r"""#!/usr/bin/env python3
from sipcgi_fastcgi import serve
import os
PLACE = os.environ.get("PLACE")
print("ready", flush=True)
serve(lambda request: f"SIP/2.0 480 {PLACE}\n\n")
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    (tmp_path / "cgi-bin").mkdir()
    program = tmp_path / "cgi-bin" / "app.py"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    path = tmp_path / "sipcgi.yaml"
    path.write_text(f"""
routes:
  - {{script: queue, command: app.py, environment: {{PLACE: here}}, method: MESSAGE}}
  - {{command: app.py, fastcgi: "unix://{tmp_path}/socket", environment: {{PLACE: there}}}}
  - {{fastcgi: "unix://{tmp_path}/nobody"}}
""")
    return path


def test_that_is_started_for_it(configuration: Path, tried: Tried) -> None:
    for name, place in (("queue", "here"), (f"unix://{configuration.parent}/socket", "there"), ("app.py", "here")):
        done = tried(name, "--config", configuration)
        assert (done["valid"], done["output"]) == (True, f"SIP/2.0 480 {place}\n\n")
    assert not (configuration.parent / "socket").exists()


def test_that_is_not_there(configuration: Path, tried: Tried) -> None:
    done = tried(f"unix://{configuration.parent}/nobody", "--config", configuration)
    assert done["valid"] is False
    assert done["errors"][0]["text"].endswith("/nobody cannot be reached: No such file or directory")


def test_without_a_route(configuration: Path, tried: Tried) -> None:
    path = configuration.parent / "cgi-bin" / "app.py"
    assert tried(path, "--host", "fastcgi")["output"] == "SIP/2.0 480 None\n\n"
    assert tried(path)["output"] == "ready\nSIP/2.0 480 None\n\n"  # as any script


def test_in_a_style_that_it_cannot_have(configuration: Path, shown: Callable[..., Result]) -> None:
    result = shown(configuration.parent / "cgi-bin" / "app.py", "--host", "fastcgi", "--style", "exec")
    assert result.exit_code == 2
    assert "a FastCGI program has no arguments, which style exec needs" in result.stderr
