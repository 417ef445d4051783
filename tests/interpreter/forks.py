"""Import what programs need, then fork for each that is asked for; ends when its input does."""

import array
import atexit
import builtins
import contextlib
import gc
import importlib.machinery
import io
import marshal
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
import types
import warnings


class Forks:
    """Listens at `path`, and forks for every connection."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(64)
        self.ended, self.wake = socket.socketpair()
        self.running = {}
        # Kept apart from the streams, which are those of the programs in the forks.
        self.life = os.dup(0)
        self.selector = selectors.DefaultSelector()
        for each in (self.listener, self.ended, self.life):
            self.selector.register(each, selectors.EVENT_READ)
        self.wake.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake.fileno(), warn_on_full_buffer=False)

    def next(self):
        """Return what is asked for, in a fork; None at the end of who asks."""
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    if (asked := self._fork()) is not None:
                        return asked
                elif key.fileobj is self.ended:
                    self.ended.recv(1024)
                    self._reap()
                elif key.fileobj == self.life:
                    for pid in self.running:
                        os.kill(pid, signal.SIGKILL)
                    return None
                elif key.data in self.running:
                    # Who asked was killed.
                    os.kill(key.data, signal.SIGKILL)
                    self.selector.unregister(key.fileobj)

    def _fork(self):
        connection, _ = self.listener.accept()
        asked, streams = received(connection)
        pid = os.fork() if asked else None
        if pid == 0:
            self._leave(connection)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
        for stream in streams:
            os.close(stream)
        if pid == 0:
            return marshal.loads(asked)
        if pid:
            self.running[pid] = connection
            self.selector.register(connection, selectors.EVENT_READ, pid)
            tell(connection, pid)
        else:
            connection.close()
        return None

    def _leave(self, connection):
        """Forget in a fork what only the process that forks does."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.selector.close()
        os.close(self.life)
        for each in (self.listener, self.ended, self.wake, connection, *self.running.values()):
            each.close()

    def _reap(self):
        while self.running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            connection = self.running.pop(pid)
            with contextlib.suppress(KeyError):  # unregistered since who asked was killed
                self.selector.unregister(connection)
            tell(connection, os.waitstatus_to_exitcode(status))
            connection.close()


def received(connection):
    """What is asked for, empty when who asks is gone already; and the streams to use."""
    size, ancillary, *_ = connection.recvmsg(4, socket.CMSG_SPACE(3 * array.array("i").itemsize))
    streams = array.array("i")
    for _, _, data in ancillary:
        streams.frombytes(data)
    left, pieces = int.from_bytes(size, "big"), []
    while left and (piece := connection.recv(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"" if left else b"".join(pieces), streams


def tell(connection, number):
    """Send a number, unless who asked is gone."""
    with contextlib.suppress(OSError):
        connection.sendall(number.to_bytes(4, "big", signed=True))


def become(words, folder, environment, umask, ignored):
    """Make this process what an interpreter of its own would be that is started with these words."""
    os.chdir(folder)
    os.umask(umask)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    first = {"-c": "", "-m": folder}.get(words[0], os.path.dirname(os.path.realpath(words[0])))
    own = [os.path.abspath(each) for each in environment.get("PYTHONPATH", "").split(os.pathsep) if each]
    sys.path[:] = [first, *own, *PATH]
    sys.path_importer_cache.clear()
    sys.orig_argv = [sys.executable, *words]
    streams(environment.get("PYTHONIOENCODING", "utf-8"), bool(environment.get("PYTHONUNBUFFERED")))
    if environment.get("PYTHONWARNINGS"):
        warnings.simplefilter("ignore")
    if "numpy" in sys.modules:
        # What is random differs from process to process; the library `random` sees to it itself.
        sys.modules["numpy"].random.seed()


def streams(told, unbuffered):
    """Make the streams anew, for what they lead to is not what it was."""
    encoding, _, errors = told.partition(":")
    sys.stdin = sys.__stdin__ = open(0, encoding=encoding, errors=errors or None, closefd=False)  # noqa: SIM115
    for number, name, kept in ((1, "stdout", errors or "strict"), (2, "stderr", "backslashreplace")):
        stream = io.TextIOWrapper(
            open(number, "wb", buffering=0 if unbuffered else -1, closefd=False),  # noqa: SIM115
            encoding=encoding,
            errors=kept,
            line_buffering=number == 2 or os.isatty(number),
            write_through=unbuffered,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def run(words):
    """Run a module, code or a script as the main program."""
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__builtins__ = builtins
    if words[0] == "-m":
        sys.argv = ["-m", *words[2:]]
        sys.modules.pop(words[1], None)
        runpy._run_module_as_main(words[1])
        return
    if words[0] == "-c":
        sys.argv, name, text = ["-c", *words[2:]], "<string>", words[1].encode()
    else:
        sys.argv, name = list(words), words[0]
        try:
            with open(name, "rb") as file:
                text = file.read()
        except OSError as error:
            print(f"{sys.executable}: can't open file {name!r}: {error}", file=sys.stderr)
            sys.exit(2)
        main.__file__ = os.path.abspath(name)
        main.__loader__ = importlib.machinery.SourceFileLoader("__main__", name)
    exec(compile(text, name, "exec"), main.__dict__)


def end(run):
    """Run, and end the process as an interpreter does, but do not take its modules apart, for that takes long."""
    status, interrupted = 0, False
    try:
        try:
            run()
        except SystemExit as error:
            status = error.code
            if not isinstance(status, int | None):
                print(status, file=sys.stderr)
                status = 1
        except BaseException as error:
            # Without the frames of this module.
            error = error.with_traceback(error.__traceback__.tb_next.tb_next.tb_next)
            sys.excepthook(type(error), error, error.__traceback__)
            status, interrupted = 1, isinstance(error, KeyboardInterrupt)
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        status = 120
    if interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit((status or 0) & 0xFF)


PATH = sys.path[1 + len(os.environ["PYTHONPATH"].split(os.pathsep)) :]
for name in sys.argv[2:]:
    module = importlib.import_module(name.removesuffix(".*"))
    for each in pkgutil.iter_modules(module.__path__) if name.endswith(".*") else ():
        importlib.import_module(f"{module.__name__}.{each.name}")
gc.collect()
gc.freeze()
forks = Forks(sys.argv[1])
print("listening", flush=True)
asked = forks.next()
if asked:
    keep = sys.modules["__main__"]
    become(*asked)
    end(lambda: run(asked[0]))
