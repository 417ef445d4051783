"""Keep stored bytes from being removed for a while, by any process of this machine or of others."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

from deriva_server import locks
from deriva_server.errors import ServiceError
from deriva_server.sql import keeps
from deriva_server.sql.connect import Database

_LASTS = 3600.0
_RENEWED = 600.0
"""Seconds; a record outlives its process for a while, and clocks of machines may differ by the rest."""


@contextlib.contextmanager
def recorded(database: Database) -> Iterator[None]:
    """While this lasts nobody who uses the directory removes bytes, on whichever machine.

    Parameters
    ----------
    database : Database
        The directory.

    Raises
    ------
    ServiceError
        At the end, if the record could not be kept up, so that bytes may have gone.
    """
    id_, over, failures = uuid.uuid4().hex, threading.Event(), list[ServiceError]()

    def renew() -> None:
        while not over.wait(_RENEWED):
            try:
                with database.write() as connection:
                    keeps.keep(connection, id_, _LASTS)
            except ServiceError as error:
                failures.append(error)

    with database.write() as connection:
        keeps.keep(connection, id_, _LASTS)
    renewing = threading.Thread(target=renew, name="keeping", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        over.set()
        renewing.join()
        with database.write() as connection:
            keeps.end(connection, id_)
    if failures:
        raise failures[0]


class Keeping:
    """A lock between those who copy a store and those who remove from it.

    Parameters
    ----------
    folder : Path
        Is locked; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """While this lasts no process removes anything."""
        with self._locked(exclusive=False):
            yield

    @contextlib.contextmanager
    def removing(self) -> Iterator[bool]:
        """Tells whether something may be removed while this lasts; it is not waited for."""
        with self._locked(exclusive=True) as free:
            yield free

    @contextlib.contextmanager
    def _locked(self, *, exclusive: bool) -> Iterator[bool]:
        if sys.platform == "win32":
            yield True
            return
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            yield locks.lock(descriptor, exclusive=exclusive, wait=not exclusive)
        finally:
            os.close(descriptor)
