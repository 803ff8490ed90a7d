"""When garbage is collected: never everything, always what is young, and little at a time.

A collection stops the loop for a microsecond an object, and there may be a million: contacts, connections, lingering
transactions. They hold no cycles (RequestContext.release, tests/e2e/test_garbage.py), so they need no collection;
cycles come only from the errors of a moment, and are found while they are young.
"""

import gc
from time import thread_time

import trio

NEVER = 2**31 - 1
LONGEST_PAUSE = 1.0
SHORTEST_PAUSE = 0.05
AIM = 0.0005
"""Seconds that one collection should take: ten times as much may come in a burst."""


def settle() -> None:
    """What is here now stays: it is not looked at again.

    The thresholds serve times in which more begins than ends: 500 objects more are looked at, or 2500.
    """
    gc.freeze()
    gc.set_threshold(500, 4, NEVER)


async def collect() -> None:
    """Looks at what is young when as much ends as begins, too: the thresholds count the difference."""
    pause = LONGEST_PAUSE
    while True:
        await trio.sleep(pause)
        began = thread_time()
        gc.collect(1)
        took = thread_time() - began
        pause = min(LONGEST_PAUSE, max(SHORTEST_PAUSE, pause * AIM / (took or AIM)))
