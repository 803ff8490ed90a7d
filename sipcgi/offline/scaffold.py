"""`sipcgi new` and `sipcgi init`: something to start from. What is there already is never written over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
LANGUAGES = {
    "perl": ".pl",
    "sh": ".sh",
    "python": ".py",
    "tcl": ".tcl",
    "ruby": ".rb",
    "lua": ".lua",
    "js": ".js",
    "php": ".php",
    "awk": ".awk",
}
"""The ending of each, by which the server knows its interpreter (hosts/directory)."""
PARTS = {"conf": "conf", "cgi-bin": "cgi-bin", "tests": "tests/golden"}
"""Of a directory to start from, and where a checkout has them; a wheel has them below `samples`."""
SAMPLES = HERE / "samples.txt"
"""What is shipped, by part and name: what somebody, or a server, has put beside it goes nowhere."""


def write_script(name: Path, language: str | None) -> Path:
    """Writes a script that works; its ending says the language, or the language its ending.

    Raises ValueError where that is contradictory, FileExistsError, and any other OSError.
    """
    endings = {ending: each for each, ending in LANGUAGES.items()}
    if language is None:
        if name.suffix not in endings:
            raise ValueError(f"which language? --language {', '.join(LANGUAGES)}, or an ending: {' '.join(endings)}")
        language = endings[name.suffix]
    ending = LANGUAGES[language]
    if name.suffix in endings and name.suffix != ending:
        raise ValueError(f"{name}: {name.suffix} is the ending of {endings[name.suffix]}, not of {language}")
    path = name if name.suffix == ending else name.with_name(name.name + ending)
    text = (TEMPLATES / f"template{ending}").read_text("utf-8").replace("NAME", str(path))
    _write(path, text.encode(), executable=True)
    return path


def lay_out(directory: Path) -> Iterator[tuple[Path, bool]]:
    """Writes the sample configuration, scripts and cases; each file, and whether it was written or there. OSError."""
    for name in SAMPLES.read_text("utf-8").split():
        part, _, rest = name.partition("/")
        file, path = samples(part, PARTS[part]) / rest, directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not file.is_file():
            continue  # deleted in a checkout
        octets = file.read_bytes()
        try:
            _write(path, octets, executable=octets.startswith(b"#!"))
        except FileExistsError:
            yield path, False
        else:
            yield path, True


def samples(part: str, source: str) -> Path:
    packaged = HERE.parent / "samples"
    return packaged / part if packaged.is_dir() else HERE.parent.parent / source


def _write(path: Path, octets: bytes, *, executable: bool) -> None:
    mode = 0o777 if executable else 0o666  # less what the umask takes
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "wb") as file:
        file.write(octets)
