"""Whole calls through the engine, in virtual time. The modules beside this file are the stage for them."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("world", "phone")

from world import World  # noqa: E402 - its folder is on the path since the line above

_MODULES = {
    "transactions": "engine.transactions", "steps": "engine.steps", "transaction": "engine.transaction",
    "overload": "engine.overload", "flow": "flow", "message": "sip.message", "headers": "sip.headers",
    "build": "sip.build", "machine": "transaction.machine", "timers": "transaction.timers",
    "timerqueue": "timerqueue", "errors": "errors", "compiled": "compiled", "intake": "net.intake", "udp": "net.udp",
    "transport": "net.transport", "awaited": "engine.awaited", "watch": "watch", "reactor": "engine.reactor",
}  # fmt: skip


def _load(pure: bool) -> SimpleNamespace:
    """A copy of the modules of its own, with the compiled part or without."""
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "sipcgi"}
    with pytest.MonkeyPatch.context() as patch:
        if pure:
            patch.setenv("SIPCGI_PURE", "1")
        try:
            return SimpleNamespace(**{name: importlib.import_module(f"sipcgi.{at}") for name, at in _MODULES.items()})
        finally:
            for name in [name for name in sys.modules if name.split(".")[0] == "sipcgi"]:
                del sys.modules[name]
            sys.modules |= kept


@pytest.fixture
def both(missing: Callable[[str], None]) -> tuple[SimpleNamespace, SimpleNamespace]:
    """The modules with the compiled part, and those without."""
    if os.environ.get("SIPCGI_PURE"):
        pytest.skip("SIPCGI_PURE is set: there is nothing to compare")
    fast, pure = _load(pure=False), _load(pure=True)
    if fast.compiled.native is None:
        missing(f"the compiled part: {fast.compiled.reason}: apt install gcc libc6-dev python3-dev; pip install -e .")
    assert fast.steps.Walker is fast.compiled.native.Walker
    assert pure.compiled.native is None
    return fast, pure


@pytest.fixture
def world() -> Iterator[World]:
    """A server. When the test is over nothing may be left of it."""
    made = World()
    yield made
    made.run()
    assert made.left() == []


@pytest.fixture
def lossy() -> Callable[[int], World]:
    """Makes a server behind a bad network, from a seed."""

    def make(seed: int) -> World:
        made = World(seed)
        made.network.loss, made.network.doubling = 0.1, 0.1
        made.network.delay, made.network.jitter = 0.01, 0.08
        return made

    return make
