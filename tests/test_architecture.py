"""The agreements of docs/architecture.md that a program can hold: imports, banned modules, test twins."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "sipcgi"

# Each layer imports from the layers before it; never sideways between the packages of the thinking or the touching row.
LAYERS = [
    {"errors", "flow", "timerqueue", "ids", "logs", "profile", "sip", "command", "watch", "threads", "compiled"},
    {"service"},
    {"transaction", "dialog", "auth", "proxy", "cgi", "cpl", "registrar"},
    {"net", "hosts", "stores"},
    {"engine"},
    {"config", "admin", "report"},
    {"app", "offline"},
    {"cli"},
    {"__main__"},
    {"kits"},  # libraries of the scripts: nothing here imports them
]
SIDEWAYS = [LAYERS[0], LAYERS[4], LAYERS[5]]
THINKING = {"sip", "transaction", "dialog", "auth", "proxy", "cgi", "cpl", "registrar"}
BANNED = {
    "asyncio",
    "logging",
    "os",
    "psutil",
    "random",
    "secrets",
    "select",
    "signal",
    "socket",
    "subprocess",
    "threading",
    "time",
    "trio",
    "yaml",
}
PEERLESS = {"__init__"}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.stem != "__init__")


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def layer(name: str) -> int:
    return next(number for number, names in enumerate(LAYERS) if name in names)


def imports(path: Path) -> list[str]:
    """What a module imports when it runs, and for its types."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return found


def test_every_room_has_a_layer() -> None:
    assert {room(path) for path in modules()} <= set().union(*LAYERS)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    own = room(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "sipcgi" or len(parts) == 1 or parts[1] == own:
            continue
        other = parts[1]
        sideways = any(own in row and other in row for row in SIDEWAYS)
        assert layer(other) < layer(own) or sideways, f"{own} may not import {name}"


@pytest.mark.parametrize(
    "path", [p for p in modules() if room(p) in THINKING], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_thinking_code_touches_nothing(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & BANNED


@pytest.mark.parametrize(
    "path", [p for p in modules() if room(p) in THINKING], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_every_thinking_module_has_its_twin(path: Path) -> None:
    assert (ROOT / "tests" / path.parent.relative_to(PACKAGE) / f"test_{path.stem}.py").is_file()


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_are_short_and_say_what_they_are(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= 400, "look for the missing noun"
    assert ast.get_docstring(ast.parse(text)), "a module says what it is for"
