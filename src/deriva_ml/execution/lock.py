"""One process at a time works on the end of an execution; the lock of a process that died is free."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from deriva_ml.errors import DerivaMLExecutionError
from deriva_ml.workspace import paths
from deriva_ml.workspace.processes import Process

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from deriva_ml.session import Session

_OTHERS = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_BEHIND = 1 << 30
"""Windows does not let others read what is locked; this is behind all that is written."""

_here: dict[Path, IO[str]] = {}
"""Files that this process has locked: not every kind of lock keeps its threads apart."""

_guard = threading.Lock()


@contextmanager
def locked(session: Session, execution_rid: str, doing: str) -> Iterator[None]:
    """Hold the lock of an execution.

    Parameters
    ----------
    session : Session
    execution_rid : str
    doing : str
        What is done, for the message to others.

    Raises
    ------
    DerivaMLExecutionError
        If another process, or another thread, holds it; the message names host and process.
    """
    workspace = session.workspace
    path = paths.lock_file(workspace.root, workspace.authority, workspace.catalog_id, execution_rid)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _guard:
        file = None if path in _here else _taken(path)
        if file is None:
            holder = _holder(path)
            raise DerivaMLExecutionError(
                f"Cannot {doing} execution {execution_rid}: {holder}. Wait until that has ended, or end that process."
            )
        _here[path] = file
    file.seek(0)
    file.truncate()
    file.write(f"{Process.this()} is at work on it ({doing})")
    file.flush()
    try:
        yield
    finally:
        with _guard:
            # A forked child has closed it.
            if _here.pop(path, None) is file:
                _give_back(path, file)


def _taken(path: Path) -> IO[str] | None:
    """The file with its lock, None when somebody else has it."""
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            _lock(file)
        except OSError as error:
            file.close()
            if error.errno in _OTHERS:
                return None
            raise DerivaMLExecutionError(
                f"{path} cannot be locked: {error.strerror}. Pass working_dir= with a folder on a local disk."
            ) from error
        # The one who held it before may have removed the file meanwhile; its lock would keep nobody out.
        if sys.platform == "win32" or _is_at(path, file):
            return file
        file.close()


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip() or "another process is at work on it"
    except OSError:
        return "another process was at work on it"


def _is_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":

    def _lock(file: IO[str]) -> None:
        file.seek(_BEHIND)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _give_back(path: Path, file: IO[str]) -> None:
        file.seek(_BEHIND)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
        file.close()

else:

    def _lock(file: IO[str]) -> None:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _OTHERS:
                raise
            # Some network file systems have only the kind of locks that SQLite uses.
            fcntl.lockf(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _give_back(path: Path, file: IO[str]) -> None:
        path.unlink(missing_ok=True)
        file.close()


def _in_child() -> None:
    """A forked child would keep the lock when its parent dies."""
    global _guard
    _guard = threading.Lock()
    for file in _here.values():
        file.close()
    _here.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
