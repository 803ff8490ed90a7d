"""The warm parent of a Python script, which forks for each run. python.py has loaded it, and the script.

Descriptor 3 is a SOCK_SEQPACKET socket to the server, over which orders come and reports go (hosts/wire). It uses the
standard library of the script's own interpreter, from 3.9 on, and as little of it as can be: each run has it, too.

Between two runs it writes to as few pages as it can, for after a fork the first write to each copies it: functions are
got by their names, not as attributes (which would count the name's references, too), one buffer takes all orders, and
what the child can do is left to it.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib_external import PathFinder, SourceFileLoader
from _signal import SIG_DFL, SIG_IGN, SIGINT, SIGKILL, SIGTERM, signal  # type: ignore[import-not-found]
from _socket import CMSG_SPACE, MSG_CMSG_CLOEXEC, socket
from _struct import Struct
from _weakref import ref
from atexit import _run_exitfuncs as run_exit_functions
from gc import collect, disable, enable, freeze, get_count
from os import _exit, chdir, close, dup2, fork, killpg, pidfd_open, putenv, setsid, wait4
from resource import RLIM_INFINITY, getpagesize, setrlimit
from select import POLLIN, poll

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import CodeType, ModuleType
    from typing import Any, NoReturn

ORDER = Struct("=BBHIQ")
REPORT = Struct("=BiQQQ")
START, END = 1, 2  # else KILL
STDIN, APART = 1, 2
EXITED, FAILED, READY, GROWN = 1, 2, 4, 5
CONTROL = 3
RLIMIT_LOCKS = 10  # bears the mark of the run (hosts/marks)
MAX_RECORD = 32768
RIGHTS = CMSG_SPACE(6 * 4)
DESCRIPTORS = [Struct(f"{number}i") for number in range(7)]
ABANDONED = 70  # exit status of a child that could not be made fit for its script
LOST = 120  # exit status when something that was printed could not leave
GRACE, TURNS = 0.8, 8  # seconds between TERM and KILL, when the server is gone; after 1 s the launcher kills us
LOOK = 64  # forks between two looks at our own memory
GROWTH = 16 * 1024 * 1024  # octets more than at the start, with which another parent should take over
STANDARD: frozenset[str] = getattr(sys, "stdlib_module_names", frozenset())  # from 3.10 on
# They do more when they are imported than to define something, or keep what each process should have for itself.
NOT_BEFOREHAND = {"__future__", "__main__", "antigravity", "idlelib", "multiprocessing", "this", "tkinter", "turtle"}


# They are no local variables of anything: a child that left a function would have to give them up, page by page.
SERVER = socket(fileno=CONTROL)
RUNS: dict[int, tuple[int, int]] = {}
"""Run and process, until reaped, by the descriptor that tells of its end."""
WATCHED = poll()
BUFFER = bytearray(ORDER.size + MAX_RECORD)
BUFFERS = [BUFFER]
VIEW = memoryview(BUFFER)
MODULES = sys.modules
VARIABLES: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]
"""What os.environ and os.environb are over: to go through one of them would encode each name and value."""
MAIN: list[ModuleType] = []
KEPT: list[object] = []
detach = SERVER.detach


def serve() -> list[bytes]:
    """Takes orders, forks, and reports how the runs ended. Returns in each child, with the arguments of its run."""
    signal(SIGTERM, SIG_IGN)  # from now on only the end of the socket ends us
    os.set_inheritable(CONTROL, False)
    size = resident()
    WATCHED.register(CONTROL, POLLIN)
    forks = 0
    report(READY, more=os.fsencode("\0".join(to_watch())))
    while True:
        for ended, _ in WATCHED.poll():
            if ended != CONTROL:
                reap(ended)
                continue
            length, control, _, _ = SERVER.recvmsg_into(BUFFERS, RIGHTS, MSG_CMSG_CLOEXEC)
            if not length:
                farewell({process for _, process in RUNS.values()})
            kind, flags, arguments, base, run = ORDER.unpack_from(BUFFER)
            if kind != START:
                for known, process in RUNS.values():  # unless it has been reaped
                    if known == run:
                        signal_run(process, SIGTERM if kind == END else SIGKILL)
                continue
            forks += 1
            if forks % LOOK == 0 and resident() > size + GROWTH:
                report(GROWN)
            descriptors = DESCRIPTORS[len(control[0][2]) // 4].unpack(control[0][2]) if control else ()
            try:
                texts = VIEW[ORDER.size : length].tobytes()
                if flags & APART:
                    texts = os.pread(descriptors[-1], os.fstat(descriptors[-1]).st_size, 0)
                chdir(texts[: texts.index(0)])
                process = fork()
                if not process:
                    return become(base << 32 | run, flags, arguments, texts, descriptors)
                end = pidfd_open(process)
                RUNS[end] = run, process
                WATCHED.register(end, POLLIN)
            except OSError as error:
                report(FAILED, error.errno or 5, run)
            finally:
                for descriptor in descriptors:
                    close(descriptor)


def reap(end: int) -> None:
    WATCHED.unregister(end)
    close(end)
    run, process = RUNS.pop(end)
    _, status, usage = wait4(process, 0)
    code = -(status & 127) if status & 127 else status >> 8
    report(EXITED, code, run, round((usage.ru_utime + usage.ru_stime) * 1e6), usage.ru_maxrss)


def report(kind: int, code: int = 0, run: int = 0, cpu: int = 0, peak: int = 0, more: bytes = b"") -> None:
    try:  # noqa: SIM105
        SERVER.send(REPORT.pack(kind, code, run, cpu, peak) + more)
    except OSError:
        pass  # the server is gone, as we shall read in a moment


def farewell(groups: set[int]) -> NoReturn:
    """The server is gone, or needs us no more: ends what runs, and this process."""
    from select import select

    for group in groups:
        signal_run(group, SIGTERM)
    for _ in range(TURNS if groups else 0):
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        groups = {group for group in groups if signal_group(group, 0)}
        select([], [], [], GRACE / TURNS if groups else 0)
    for group in groups:
        signal_group(group, SIGKILL)
    _exit(0)


def settle() -> None:
    """Nothing that is there now will be looked at by a collection, so that its pages stay common."""
    disable()
    rehearse()
    collect()
    freeze()


def rehearse() -> None:
    """Does what nearly each run does: what Python remembers of that it need not find out, and write down, in each."""
    for _ in range(2):
        print("", end="", sep="", file=sys.stdout, flush=False)
        os.environ.get("PATH", "").partition(":")
        flush()
        MODULES.get("threading")


def signal_run(process: int, number: int) -> None:
    """Of one that is not reaped. It has a group of its own, or has not begun, and then leaves nothing."""
    if not signal_group(process, number):
        os.kill(process, SIGKILL)


def signal_group(process: int, number: int) -> bool:
    """Whether there is anything in the group."""
    try:
        killpg(process, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def resident() -> int:
    """Octets of our own memory; 0 when that cannot be known."""
    try:
        descriptor = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        return int(os.read(descriptor, 200).split()[1]) * getpagesize()
    finally:
        os.close(descriptor)


# Before the first run


def beforehand(tree: Any, folder: str | None) -> Iterator[str]:
    """Modules of the standard library that the script imports at its top in any case, unless its folder hides them."""
    import _ast

    for statement in getattr(tree, "body", ()):
        names: list[str] = []
        if isinstance(statement, _ast.Import):
            names = [alias.name for alias in statement.names]
        elif isinstance(statement, _ast.ImportFrom) and statement.level == 0:
            names = [statement.module or ""]
        for name in names:
            top = name.partition(".")[0]
            if top in STANDARD and top not in NOT_BEFOREHAND and not is_hidden(top, folder):
                yield name


def is_hidden(name: str, folder: str | None) -> bool:
    """Whether a module that lies beside the script takes the place of that of the standard library."""
    return folder is not None and name not in sys.builtin_module_names and bool(PathFinder.find_spec(name, [folder]))


def compiled(script: str) -> tuple[CodeType, str | None, list[str], list[str]]:
    """The script, where its modules lie, which it will import, and which of those that we use it would not find."""
    import _ast

    folder = None
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        folder = os.path.dirname(os.path.realpath(script))
    with open(script, "rb") as file:
        source = file.read()
    tree = compile(source, script, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
    hidden = [name for name in ("resource", "select") if is_hidden(name, folder)]
    return compile(source, script, "exec", dont_inherit=True), folder, list(beforehand(tree, folder)), hidden


def prepare(modules: Iterable[str], folder: str | None, standard: Iterable[str]) -> None:
    """Loads modules, those that `preload` names before those of the standard library."""
    if folder is not None:
        sys.path[0] = folder  # it was ours
    for name in modules:
        try:
            __import__(name)
        except Exception as error:
            print(f"preload: {name}: {error}", file=sys.stderr, flush=True)
    for name in standard:
        try:  # noqa: SIM105 - contextlib would be one more module in each run
            __import__(name)
        except Exception:
            pass  # the script may know what to do about it
    if folder is not None:
        sys.path_importer_cache.pop(folder, None)


def become_main(script: str) -> None:
    """What the script runs as is made after `freeze`, for it ends with the run."""
    main = type(sys)("__main__")
    main.__loader__ = SourceFileLoader("__main__", script)
    main.__dict__.update(__annotations__={}, __builtins__=sys.modules["builtins"], __file__=script, __cached__=None)
    MAIN.append(main)
    KEPT.extend(main.__dict__.values())
    MODULES["__main__"] = main


def to_watch() -> Iterator[str]:
    """The files of what was loaded and belongs to no installation of Python."""
    installed = os.path.dirname(os.__file__) + os.sep
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        own = file and name != "__main__" and not file.startswith(installed)
        if own and "site-packages" not in file and "dist-packages" not in file:
            yield os.path.abspath(file)


def is_any_foreign(modules: Iterable[object]) -> bool:
    """Whether one is compiled and may have ends of its own, which only the whole way out of the interpreter reaches."""
    for module in modules:
        name, file = getattr(module, "__name__", ""), getattr(module, "__file__", None) or ""
        if name == "_ctypes" or (file.endswith(".so") and "lib-dynload" not in file):
            return True
    return False


# In the child


def become(mark: int, flags: int, arguments: int, packed: bytes, descriptors: tuple[int, ...]) -> list[bytes]:
    """Makes of this process what the launcher makes of one that it starts, and adds the variables of the run to
    os.environ, os.environb and the environment of the process: the arguments, without the script.

    What is there already is the same for all runs, as whatever started the interpreter left it: env, a shell script.
    """
    try:
        signal(SIGTERM, SIG_DFL)  # before there is a group to be told to end
        setsid()
        setrlimit(RLIMIT_LOCKS, (mark, RLIM_INFINITY))
        dup2(descriptors[0], 1)
        dup2(descriptors[1], 2)
        if flags & STDIN:
            dup2(descriptors[2], 0)
        close(detach())
        for end in RUNS:
            close(end)
        texts = packed.split(b"\0")
        middle = (len(texts) + arguments + 1) // 2
        for name, value in zip(texts[arguments + 1 : middle], texts[middle:]):  # noqa: B905 - from Python 3.10 on only
            VARIABLES[name] = value
            putenv(name, value)
        enable()
    except BaseException:  # not to be a second parent
        _exit(ABANDONED)
    return texts[2 : arguments + 1]


def exit_status(error: BaseException) -> int:
    """What the interpreter makes of what the script raised. It is said as if we were not there. Negative: a signal."""
    if isinstance(error, SystemExit):
        code = error.code
        if code is None:
            return 0
        if isinstance(code, int):
            return code & 255 if -(1 << 63) <= code < 1 << 63 else 255
        if sys.stderr is not None:
            print(code, file=sys.stderr)
        return 1
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next
    what = type(error), error, error.__traceback__
    sys.last_type, sys.last_value, sys.last_traceback = what
    another = None
    try:
        sys.excepthook(*what)
    except BaseException as raised:
        another = raised
    if isinstance(another, SystemExit):
        return exit_status(another)
    if another is not None:
        print("Error in sys.excepthook:", file=sys.stderr)
        another.__traceback__ = another.__traceback__ and another.__traceback__.tb_next
        sys.__excepthook__(type(another), another, another.__traceback__)
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(*what)
    return -SIGINT if isinstance(error, KeyboardInterrupt) else 1


def flush() -> BaseException | None:
    """What went wrong with standard output, if anything did."""
    wrong = None
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name, None)
        if stream is not None:
            try:
                stream.flush()
            except BaseException as error:
                if not getattr(stream, "closed", False):
                    error.__traceback__ = None
                    wrong = wrong or error
    return wrong


def forget(namespace: dict[str, Any]) -> None:
    """Sets what a module holds to None, as the interpreter does in the end."""
    for private in (True, False):
        for name in list(namespace):
            if name != "__builtins__" and (name[:1] == "_" and name[1:2] != "_") == private:
                namespace[name] = None


def finish(failure: list[BaseException], loaded: int, foreign: bool) -> NoReturn:
    """Ends the process as the interpreter does, but for what the parent loaded: to tear that down, page by page, would
    take longer than most scripts do."""
    error = failure.pop() if failure else None
    status = 0 if error is None else exit_status(error)
    if error is None or not isinstance(error, SystemExit):
        namespace = MAIN[0].__dict__
        namespace.pop("__file__", None)
        namespace.pop("__cached__", None)
        del namespace
    threading = MODULES.get("threading")
    if threading is not None:
        threading._shutdown()
    try:  # noqa: SIM105
        run_exit_functions()
    except BaseException:
        pass  # said already; from Python 3.10 on it is not raised
    wrong = flush()
    if wrong is not None:
        status = LOST
        print("Exception ignored in:", repr(sys.stdout), file=sys.stderr)
        sys.__excepthook__(type(wrong), wrong, None)
    # To touch the name of each module would make its page ours: what came last is what the script imported.
    new: list[str] = []
    if len(MODULES) > loaded:
        new = [name for name, _ in zip(reversed(MODULES), range(len(MODULES) - loaded))]  # noqa: B905
        foreign = foreign or is_any_foreign(MODULES[name] for name in new)
    if not foreign:
        if error is not None:
            error = None
            for name in ("last_exc", "last_type", "last_value", "last_traceback"):
                setattr(sys, name, None)
        leave(new)
        if flush() is not None:
            status = LOST
        if status >= 0:
            _exit(status)
    MAIN.clear()
    if status < 0:
        signal(-status, SIG_DFL)
        os.kill(os.getpid(), -status)
    raise SystemExit(status)


def leave(new: list[str]) -> None:
    """Drops the modules of the run: files are closed, objects finalized. What something else holds is cleared."""
    MODULES.pop("__main__", None)
    held = []
    for name in new:
        if isinstance(MODULES[name], type(sys)):
            held.append(ref(MODULES[name]))
        del MODULES[name]
    held.append(ref(MAIN.pop()))
    collect(0 if get_count()[1:] == (0, 0) else 2)
    for reference in held:
        if (module := reference()) is not None:
            forget(module.__dict__)
            del module
            collect()
