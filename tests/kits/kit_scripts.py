"""Scripts that use a kit, started as the server starts them."""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sipcgi.engine.cgi_service import passed_on

HERE = Path(__file__).parent
LANGUAGES = {"py": "python3", "pl": "perl", "rb": "ruby", "lua": "lua", "tcl": "tclsh", "sh": "sh"}
"""Interpreters, by ending."""
Done = subprocess.CompletedProcess[bytes]
Run = Callable[..., Done]


def start(
    interpreter: str, script: Path, variables: Mapping[str, str], stdin: bytes = b"", arguments: Sequence[str] = ()
) -> Done:
    """Runs a script with nothing in its environment but what the server sets, and `variables`."""
    return subprocess.run(
        [interpreter, script, *arguments],
        env=passed_on({"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}) | dict(variables),
        cwd=HERE,
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
