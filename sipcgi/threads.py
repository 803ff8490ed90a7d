"""Work that may wait, for a disk or a name server, in a thread of its own: the loop goes on meanwhile.

A script that forks without end takes away what threads are made of, where it runs as the user of the server or is
counted with it (ulimit -u, TasksMax= of systemd): that ends no server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import trio

T = TypeVar("T")
PAUSE = 0.1  # seconds between two tries to get a thread
PATIENCE = 5.0  # seconds; then it is done in the loop after all


async def in_thread(
    function: Callable[..., T],
    *arguments: object,
    limiter: trio.CapacityLimiter | None = None,
    abandon_on_cancel: bool = False,
) -> T:
    """As trio.to_thread.run_sync, but it never fails for want of a thread."""
    import trio

    begun = False

    def work() -> T:
        nonlocal begun
        begun = True
        return function(*arguments)

    until = trio.current_time() + PATIENCE
    while trio.current_time() < until:
        try:
            return await trio.to_thread.run_sync(work, limiter=limiter, abandon_on_cancel=abandon_on_cancel)
        except RuntimeError:  # "can't start new thread"
            if begun:
                raise
        await trio.sleep(PAUSE)
    if limiter is None:
        return function(*arguments)
    async with limiter:
        return function(*arguments)
