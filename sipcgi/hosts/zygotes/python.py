"""Starts the warm parent of a Python script (python_parent.py), and is the frame below the script in each of its runs.

    INTERPRETER [options of the #! line] python.py SCRIPT [MODULE...]

A process of its own compiles both, and ends. The memory that this takes would stay the parent's, and each fork has to
do something about each page that there is.
"""

from __future__ import annotations

import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType


def parent_of(code: CodeType) -> ModuleType:
    """python_parent.py as a module, which no script finds."""
    module = type(sys)("sipcgi_parent")
    exec(code, module.__dict__)
    return module


def compiled(script: str) -> bytes:
    """The code of the parent, and what that makes of the script."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        name = os.path.join(os.path.dirname(__file__), "python_parent.py")
        with open(name, "rb") as file:
            code = compile(file.read(), name, "exec", dont_inherit=True)
        with open(writing, "wb") as pipe:
            pipe.write(marshal.dumps((code, parent_of(code).compiled(script))))
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as whole:
        octets = whole.read()
    if os.waitpid(process, 0)[1]:
        sys.exit(1)  # it has said why
    return octets


def take_away(variable: bytes) -> None:
    """A variable that was meant for the dynamic linker: from the environment, and from where Linux shows it."""
    name, _, value = variable.partition(b"=")
    if os.environb.get(name) != value:
        return
    del os.environb[name]
    try:
        with open("/proc/self/stat", "rb") as file:
            start, end = map(int, file.read().rpartition(b")")[2].split()[47:49])
        memory = os.open("/proc/self/mem", os.O_RDWR)
    except (OSError, ValueError):
        return
    found = os.pread(memory, end - start, start).find(variable + b"\0")
    if found >= 0:
        os.pwrite(memory, bytes(len(variable)), start + found)
    os.close(memory)


take_away(b"LD_BIND_NOW=warm")
script, *modules = sys.argv[1:]
code, (code_of_script, folder, beforehand, hidden) = marshal.loads(compiled(script))
parent = parent_of(code)
parent.prepare(modules, folder, beforehand)
parent.settle()
parent.become_main(script)
del sys.argv[0], sys.argv[1:]
if hasattr(sys, "orig_argv"):
    del sys.orig_argv[sys.orig_argv.index(__file__) :]
    sys.orig_argv.append(script)
loaded = len(sys.modules)
foreign = parent.is_any_foreign(sys.modules.values())
arguments = parent.serve()
for name in hidden:
    loaded -= sys.modules.pop(name, None) is not None
for argument in arguments:
    sys.argv.append(os.fsdecode(argument))
    if hasattr(sys, "orig_argv"):
        sys.orig_argv.append(sys.argv[-1])
failure = []
try:
    exec(code_of_script, parent.MAIN[0].__dict__)
except BaseException as raised:
    failure.append(raised)
parent.finish(failure, loaded, foreign)
