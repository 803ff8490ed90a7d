"""The warm parent of a Python script: it has compiled the script and loaded modules, and forks for each run.

    INTERPRETER [options of the #! line] python.py SCRIPT [MODULE...]

Descriptor 3 is a SOCK_SEQPACKET socket to the server, over which orders come and reports go (hosts/wire). It uses the
standard library of the script's own interpreter, from 3.9 on, and as little of it as can be: each run has it, too.
"""

from __future__ import annotations

import _ast
import _signal  # type: ignore[import-not-found]
import _socket
import _struct
import atexit
import gc
import os
import resource
import select
import sys
from _frozen_importlib_external import PathFinder, SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import CodeType, ModuleType
    from typing import Any, NoReturn

    Child = tuple[list[bytes], dict[bytes, bytes]]

ORDER = _struct.Struct("=BBHIQ")
REPORT = _struct.Struct("=BiQQQ")
START, END = 1, 2  # else KILL
STDIN, APART = 1, 2
EXITED, FAILED, READY, GROWN = 1, 2, 4, 5
CONTROL = 3
RLIMIT_LOCKS = 10  # bears the mark of the run (hosts/marks)
MAX_RECORD = 32768
RIGHTS = _socket.CMSG_SPACE(6 * 4)
ABANDONED = 70  # exit status of a child that could not be made fit for its script
LOST = 120  # exit status when something that was printed could not leave
GRACE, TURNS = 0.8, 8  # seconds between TERM and KILL, when the server is gone; after 1 s the launcher kills us
LOOK = 64  # forks between two looks at our own memory
GROWTH = 16 * 1024 * 1024  # octets more than at the start, with which another parent should take over
STANDARD: frozenset[str] = getattr(sys, "stdlib_module_names", frozenset())  # from 3.10 on
# They do more when they are imported than to define something, or keep what each process should have for itself.
NOT_BEFOREHAND = {"__future__", "__main__", "antigravity", "idlelib", "multiprocessing", "this", "tkinter", "turtle"}


class Parent:
    """Takes orders, forks, and reports how the runs ended."""

    def __init__(self) -> None:
        self.server = _socket.socket(fileno=CONTROL)
        os.set_inheritable(CONTROL, False)
        self.process_of: dict[int, int] = {}  # by run, until reaped
        self.ends: dict[int, tuple[int, int]] = {}  # run and process by the descriptor that tells of its end
        self.poll = select.poll()
        self.poll.register(CONTROL, select.POLLIN)
        self.forks = 0

    def ready(self, files: Iterable[str]) -> None:
        """`files` are those that, once changed, make us useless, the script apart."""
        _signal.signal(_signal.SIGTERM, _signal.SIG_IGN)  # from now on only the end of the socket ends us
        self.size = resident()
        gc.disable()
        gc.collect()
        gc.freeze()  # the children look at nothing of it, so that its pages stay common
        self.report(READY, more=os.fsencode("\0".join(files)))

    def report(self, kind: int, code: int = 0, run: int = 0, cpu: int = 0, peak: int = 0, more: bytes = b"") -> None:
        try:  # noqa: SIM105
            self.server.send(REPORT.pack(kind, code, run, cpu, peak) + more)
        except OSError:
            pass  # the server is gone, as we shall read in a moment

    def serve(self) -> Child:
        """Returns in each child, with the arguments and the environment of its run."""
        while True:
            for descriptor, _ in self.poll.poll():
                if descriptor != CONTROL:
                    self.reap(descriptor)
                elif run := self.obey():
                    return run

    def obey(self) -> Child | None:
        record, control, _, _ = self.server.recvmsg(ORDER.size + MAX_RECORD, RIGHTS, _socket.MSG_CMSG_CLOEXEC)
        if not record:
            self.farewell()
        kind, flags, arguments, base, run = ORDER.unpack_from(record)
        if kind == START:
            descriptors = list(memoryview(control[0][2]).cast("i")) if control else []
            try:
                return self.start(run, base << 32 | run, flags, arguments, record[ORDER.size :], descriptors)
            except OSError as error:
                self.report(FAILED, error.errno or 5, run)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)
        elif run in self.process_of:  # else it has been reaped
            signal_run(self.process_of[run], _signal.SIGTERM if kind == END else _signal.SIGKILL)
        return None

    def start(
        self, run: int, mark: int, flags: int, arguments: int, packed: bytes, descriptors: list[int]
    ) -> Child | None:
        """None in this process. Raises OSError."""
        if flags & APART:
            packed = os.pread(descriptors[-1], os.fstat(descriptors[-1]).st_size, 0)
        texts = packed.split(b"\0")
        os.chdir(texts[0])
        self.forks += 1
        if self.forks % LOOK == 0 and resident() > self.size + GROWTH:
            self.report(GROWN)
        process = os.fork()
        if process:
            end = os.pidfd_open(process)
            self.process_of[run] = process
            self.ends[end] = run, process
            self.poll.register(end, select.POLLIN)
            return None
        try:
            self.become(mark, descriptors[: 3 if flags & STDIN else 2])
        except BaseException:  # not to be a second parent
            os._exit(ABANDONED)
        middle = (len(texts) + arguments + 1) // 2
        return texts[1 : arguments + 1], dict(zip(texts[arguments + 1 : middle], texts[middle:]))  # noqa: B905

    def become(self, mark: int, streams: list[int]) -> None:
        """In the child: makes of it what the launcher makes of a process that it starts."""
        _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)  # before there is a group to be told to end
        os.setsid()
        resource.setrlimit(RLIMIT_LOCKS, (mark, resource.RLIM_INFINITY))
        for number, stream in zip((1, 2, 0), streams):  # noqa: B905 - from Python 3.10 on only
            os.dup2(stream, number)
        for descriptor in (self.server.detach(), *self.ends):
            os.close(descriptor)

    def reap(self, end: int) -> None:
        self.poll.unregister(end)
        os.close(end)
        run, process = self.ends.pop(end)
        del self.process_of[run]
        _, status, usage = os.wait4(process, 0)
        code = -(status & 127) if status & 127 else status >> 8
        cpu = round((usage.ru_utime + usage.ru_stime) * 1e6)
        self.report(EXITED, code, run, cpu, usage.ru_maxrss)

    def farewell(self) -> NoReturn:
        """The server is gone, or needs us no more: ends what runs, and this process."""
        groups = set(self.process_of.values())
        for group in groups:
            signal_run(group, _signal.SIGTERM)
        for _ in range(TURNS if groups else 0):
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                pass
            groups = {group for group in groups if signal_group(group, 0)}
            select.select([], [], [], GRACE / TURNS if groups else 0)
        for group in groups:
            signal_group(group, _signal.SIGKILL)
        os._exit(0)


def signal_run(process: int, number: int) -> None:
    """Of one that is not reaped. It has a group of its own, or has not begun, and then leaves nothing."""
    if not signal_group(process, number):
        os.kill(process, _signal.SIGKILL)


def signal_group(process: int, number: int) -> bool:
    """Whether there is anything in the group."""
    try:
        os.killpg(process, number)
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
        return int(os.read(descriptor, 200).split()[1]) * resource.getpagesize()
    finally:
        os.close(descriptor)


# Before the first run


def beforehand(tree: _ast.AST, folder: str | None) -> Iterator[str]:
    """Modules of the standard library that the script imports at its top in any case, unless its folder hides them."""
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


def prepare(script: str, modules: Iterable[str]) -> tuple[CodeType, ModuleType, list[str]]:
    """Loads modules and compiles the script: its code, the module that it runs as, and which of the modules that we use
    it would not find."""
    folder = None
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        folder = sys.path[0] = os.path.dirname(os.path.realpath(script))  # it was ours
    with open(script, "rb") as file:
        source = file.read()
    tree = compile(source, script, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
    for name in modules:
        try:
            __import__(name)
        except Exception as error:
            print(f"preload: {name}: {error}", file=sys.stderr, flush=True)
    for name in beforehand(tree, folder):
        try:  # noqa: SIM105 - contextlib would be one more module in each run
            __import__(name)
        except Exception:
            pass  # the script may know what to do about it
    hidden = [name for name in ("resource", "select") if is_hidden(name, folder)]
    if folder is not None:
        sys.path_importer_cache.pop(folder, None)
    main = type(sys)("__main__")
    main.__loader__ = SourceFileLoader("__main__", script)
    main.__dict__.update(__annotations__={}, __builtins__=sys.modules["builtins"], __file__=script, __cached__=None)
    return compile(source, script, "exec", dont_inherit=True), main, hidden


def to_watch() -> Iterator[str]:
    """The files of what was loaded and belongs to no installation of Python."""
    installed = os.path.dirname(os.__file__) + os.sep
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        own = file and name != "__main__" and not file.startswith(installed)
        if own and "site-packages" not in file and "dist-packages" not in file:
            yield os.path.abspath(file)


def is_foreign(module: object) -> bool:
    """Whether it is compiled and may have ends of its own, which only the whole way out of the interpreter reaches."""
    name, file = getattr(module, "__name__", ""), getattr(module, "__file__", None) or ""
    return name == "_ctypes" or (file.endswith(".so") and "lib-dynload" not in file)


# In the child


def renew(environment: dict[bytes, bytes]) -> None:
    """Adds the variables of the run to os.environ, os.environb and the environment of the process.

    What is there already is the same for all runs, as whatever started the interpreter left it: env, a shell script.
    """
    # What both are over: to go through os.environ would encode each name and value.
    variables: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]
    variables.update(environment)
    for name, value in environment.items():
        os.putenv(name, value)


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
    return -_signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1


def flush() -> BaseException | None:
    """What went wrong with standard output, if anything did."""
    wrong = None
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name, None)
        if stream is not None and not getattr(stream, "closed", False):
            try:
                stream.flush()
            except BaseException as error:
                error.__traceback__ = None
                wrong = wrong or error
    return wrong


def forget(namespace: dict[str, Any]) -> None:
    """Sets what a module holds to None, as the interpreter does in the end: files are closed, objects finalized."""
    for private in (True, False):
        for name in list(namespace):
            if name != "__builtins__" and (name[:1] == "_" and name[1:2] != "_") == private:
                namespace[name] = None


def finish(status: int, main: ModuleType, loaded: int, foreign: bool) -> NoReturn:
    """Ends the process as the interpreter does, but for what the parent loaded: to tear that down, page by page, would
    take longer than most scripts do."""
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    atexit._run_exitfuncs()
    wrong = flush()
    if wrong is not None:
        status = LOST
        print("Exception ignored in:", repr(sys.stdout), file=sys.stderr)
        sys.__excepthook__(type(wrong), wrong, None)
    # To touch the name of each module would make its page ours: what came last is what the script imported.
    new = [name for name, _ in zip(reversed(sys.modules), range(len(sys.modules) - loaded))]  # noqa: B905
    modules = [main, *[sys.modules.pop(name) for name in new]]
    if not (foreign or any(is_foreign(module) for module in modules)):
        for module in modules:
            if type(module) is type(sys):
                forget(module.__dict__)
        gc.collect(0 if gc.get_count()[1:] == (0, 0) else 2)
        if flush() is not None:
            status = LOST
        if status >= 0:
            os._exit(status)
    if status < 0:
        _signal.signal(-status, _signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    raise SystemExit(status)


if __name__ == "__main__":
    parent = Parent()
    script, *modules = sys.argv[1:]
    code, main, hidden = prepare(script, modules)
    sys.modules["__main__"] = main
    del sys.argv[0], sys.argv[1:]
    if hasattr(sys, "orig_argv"):
        del sys.orig_argv[sys.orig_argv.index(__file__) :]
        sys.orig_argv.append(script)
    loaded = len(sys.modules)
    foreign = any(is_foreign(module) for module in list(sys.modules.values()))
    parent.ready(to_watch())
    arguments, environment = parent.serve()
    renew(environment)
    for name in hidden:
        loaded -= sys.modules.pop(name, None) is not None
    for argument in arguments[1:]:
        sys.argv.append(os.fsdecode(argument))
        sys.orig_argv.append(sys.argv[-1])
    gc.enable()
    error = None
    try:
        exec(code, main.__dict__)
    except BaseException as raised:
        error = raised
    finish(0 if error is None else exit_status(error), main, loaded, foreign)
