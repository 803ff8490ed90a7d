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


def code_of(name: str) -> CodeType:
    """Of one of our files, which lie where no script finds them."""
    path = os.path.join(os.path.dirname(__file__), name)
    with open(path, "rb") as file:
        return compile(file.read(), path, "exec", dont_inherit=True)


def module_of(code: CodeType) -> ModuleType:
    module = type(sys)("sipcgi_parent")
    exec(code, module.__dict__)
    return module


def compiled(script: str) -> bytes:
    """The code of the parent and of the script, and what else there is to know of that (python_script.py)."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        found = module_of(code_of("python_script.py")).compiled(script)
        with open(writing, "wb") as pipe:
            pipe.write(marshal.dumps((code_of("python_parent.py"), found)))
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
parent = module_of(code)
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
