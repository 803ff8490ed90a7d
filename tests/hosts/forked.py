"""Work in a child of our own, for what cannot be undone."""

import errno
import json
import os
import traceback
from collections.abc import Callable
from typing import Any

ANSWER = 99
"""The descriptor by which a child tells what it found."""


def in_child(work: Callable[[], Any]) -> Any:
    """What `work` returns in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, ANSWER)
        os.close(writing)
        try:
            os.write(ANSWER, json.dumps(work()).encode())
        except BaseException:
            os.write(ANSWER, json.dumps(traceback.format_exc()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as answer:
        found = json.loads(answer.read())
    os.waitpid(child, 0)
    return found


def attempt(work: Callable[..., object], *arguments: object) -> str:
    """Name of the error; "" when there was none."""
    try:
        work(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""
