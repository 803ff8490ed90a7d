"""Work in threads, where there are none to be had."""

import threading
from typing import NoReturn

import pytest
import trio

from sipcgi.threads import PATIENCE, in_thread


def refuse(thread: threading.Thread) -> NoReturn:
    raise RuntimeError("can't start new thread")


@pytest.fixture
def no_idle_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that have nothing to do wait for work for some seconds."""
    monkeypatch.setattr("trio._core._thread_cache.THREAD_CACHE", trio._core._thread_cache.ThreadCache())


async def test_what_it_returns_and_raises() -> None:
    assert await in_thread(divmod, 7, 2) == (3, 1)
    assert await in_thread(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await in_thread(divmod, 7, 0)


async def test_an_error_of_the_work_is_no_want_of_threads() -> None:
    calls = []

    def work() -> None:
        calls.append(1)
        raise RuntimeError("of its own")

    with pytest.raises(RuntimeError, match="of its own"):
        await in_thread(work)
    assert calls == [1]


@pytest.mark.usefixtures("no_idle_threads")
async def test_it_waits_until_there_is_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    start, tries = threading.Thread.start, []

    def third_time(thread: threading.Thread) -> None:
        tries.append(1)
        if len(tries) < 3:
            refuse(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", third_time)
    assert await in_thread(threading.get_ident) != threading.get_ident()
    assert len(tries) == 3


@pytest.mark.usefixtures("no_idle_threads")
@pytest.mark.parametrize("limited", [False, True])
async def test_where_there_never_is_one_it_is_done_all_the_same(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock, limited: bool
) -> None:
    monkeypatch.setattr(threading.Thread, "start", refuse)
    limiter = trio.CapacityLimiter(1) if limited else None
    began = trio.current_time()
    assert await in_thread(threading.get_ident, limiter=limiter) == threading.get_ident()
    assert trio.current_time() - began >= PATIENCE
    assert limiter is None or limiter.borrowed_tokens == 0
