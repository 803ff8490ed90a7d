"""A host of FastCGI programs, with real processes and in real time."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # what the tests here share
from fastcgi_bench import FastCgiBench, served


@pytest.fixture
async def fastcgi(tmp_path: Path) -> AsyncIterator[FastCgiBench]:
    async with served(tmp_path) as bench:
        yield bench
