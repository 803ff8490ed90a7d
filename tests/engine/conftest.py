"""Whole calls through the engine, in virtual time. The modules beside this file are the stage for them."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("world", "phone")

from world import World  # noqa: E402 - its folder is on the path since the line above


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
