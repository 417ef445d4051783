"""One process at a time works on the end of an execution; the lock of a process that died is free."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deriva_ml.errors import DerivaMLExecutionError
from deriva_ml.workspace import paths

try:
    import fcntl
except ImportError:  # not on Windows, where nothing guards against a second process
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from deriva_ml.session import Session


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
        If another process holds it; the message names host and process.
    """
    workspace = session.workspace
    path = paths.lock_file(workspace.root, workspace.authority, workspace.catalog_id, execution_rid)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise DerivaMLExecutionError(
                    f"Cannot {doing} execution {execution_rid}: {holder} works on it. Wait until that has ended."
                ) from error
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
