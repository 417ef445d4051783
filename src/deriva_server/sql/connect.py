"""Connections and transactions of one database, shared by the threads of a process and safe across forks.

SQLite keeps its locks per process, so a connection that lives through a fork corrupts data, even when the child
never touches it. Idle connections are therefore closed before every fork, and the child starts with none.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import sqlalchemy as sa

from deriva_server.errors import Busy, StorageUnusable, Unclear
from deriva_server.sql.dialect import BUSY_SECONDS, Connection, Dialect

_FORK_PATIENCE = 5.0
_ORDINARY = (Exception, GeneratorExit)
"""All but Ctrl-C and what else ends a program, which may come between any two steps."""


class _Lease:
    """One use of a connection by one thread; known to the database before the connection is made."""

    __slots__ = ("driver", "raw", "thread")

    def __init__(self) -> None:
        self.raw: sa.Connection | None = None
        self.driver: Any = None
        self.thread = threading.get_ident()

    def abandon(self) -> None:
        """Close the connection whatever SQLAlchemy, which Ctrl-C may have met between two steps, takes it for."""
        raw, self.raw = self.raw, None
        with suppress(Exception):
            if raw is not None:
                raw.invalidate()
        with suppress(Exception):
            if self.driver is not None:
                self.driver.close()


class Database:
    """One database file, or one database of a server.

    Parameters
    ----------
    dialect : Dialect
        Which one.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._start()
        _open.add(self)

    def _start(self) -> None:
        self._engine: sa.Engine | None = None
        self._idle: list[sa.Connection] = []
        self._busy: set[_Lease] = set()
        self._gate = threading.Condition()
        self._writing = threading.Lock()
        self._writer: int | None = None
        self._used = 0.0
        self._forking = False
        self._tainted = False

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """Statements without a transaction: each of them sees a moment of its own."""
        with self._translated(), self._leased(self._begin()) as raw:
            yield Connection(raw, self.dialect)

    @contextmanager
    def read(self, first: str | None = None) -> Iterator[Connection]:
        """A transaction that sees one moment of the database and writes nothing.

        Parameters
        ----------
        first : str, optional
            A query for one row, which is asked with the beginning. Its answer must change with every commit that
            `Connection.beside` shall notice.
        """
        with self._reading(first, self._begin()) as connection:
            yield connection

    @contextmanager
    def _reading(self, first: str | None, lease: _Lease) -> Iterator[Connection]:
        with self._translated(), self._leased(lease) as raw:
            row = self.dialect.begin(raw, write=False, first=first)
            yield Connection(raw, self.dialect, row, partial(self._beside, first, row))

    @contextmanager
    def write(self, first: str | None = None, *, suspend_references: bool = False) -> Iterator[Connection]:
        """The only writing transaction of the moment; commits on success, rolls back on any error.

        Parameters
        ----------
        first : str, optional
            A query for one row, which is asked with the beginning.
        suspend_references : bool
            Do not enforce foreign keys, so that tables can be rebuilt; the caller checks them before the end.

        Raises
        ------
        Busy
            If other writers kept the lock for longer than the generous limit.
        Unclear
            If the server went away while it committed.
        """
        had, me = False, threading.get_ident()
        try:
            # What this very thread holds, Ctrl-C kept it from letting go of.
            had = self._writer == me or self._writing.acquire(timeout=BUSY_SECONDS)
            if not had:
                raise Busy("Other requests of this process kept the catalog locked.")
            self._writer = me
            with (
                self._translated(),
                self._leased(self._begin(), suspend_references=suspend_references) as raw,
            ):
                row = self.dialect.begin(raw, write=True, first=first)
                yield Connection(raw, self.dialect, row)
                _commit(raw)
        finally:
            if had:
                self._writer = None
                self._writing.release()

    @contextmanager
    def _beside(self, first: str | None, row: Sequence[Any] | None) -> Iterator[Connection | None]:
        """A reading transaction in which `first` has the same answer."""
        lease = None if first is None else self._begin_now()
        if lease is None:
            yield None
            return
        with self._reading(first, lease) as other:
            yield other if other.first == row else None

    def close(self) -> None:
        """Close the idle connections; ones in use close when they are given back."""
        with self._gate:
            self._engine = None
        self._close_idle()

    def _close_idle(self) -> None:
        with self._gate:
            while self._idle:
                self._idle.pop().close()

    @contextmanager
    def _leased(self, lease: _Lease, *, suspend_references: bool = False) -> Iterator[sa.Connection]:
        clean, known = False, sys.exception()
        try:
            if lease.raw is not None and self.dialect.is_lost(lease.raw):
                # What ended it, such as a new start of the server, has most likely ended the others that are idle.
                lease.raw.invalidate()
                self._close_idle()
                lease.raw.close()
                lease.raw = None
            if lease.raw is None:
                lease.raw = self.dialect.connect(self._current_engine())
            lease.driver = lease.raw.connection.driver_connection
            if suspend_references:
                self.dialect.suspend_references(lease.raw)
            try:
                yield lease.raw
            except _ORDINARY:
                self._come_to_rest(lease.raw, suspend_references)
                raise
            self._come_to_rest(lease.raw, suspend_references)
            clean = not lease.raw.invalidated
        except _ORDINARY as error:
            if (interruption := _interruption(error, known)) is not None:
                lease.abandon()
                raise interruption from None
            # A database error may have broken the connection; any other error only ended the transaction.
            clean = (
                lease.raw is not None
                and not lease.raw.invalidated
                and not isinstance(error, sa.exc.OperationalError)
            )
            raise
        except BaseException:
            lease.abandon()
            raise
        finally:
            self._end(lease, clean=clean)

    def _come_to_rest(self, raw: sa.Connection, suspend_references: bool) -> None:
        if raw.in_transaction():
            raw.rollback()
        if not raw.invalidated:
            self.dialect.limit_time(raw, None)
            if suspend_references:
                self.dialect.resume_references(raw)

    def _begin(self) -> _Lease:
        if self._tainted:
            raise Busy(
                "This process was forked in the middle of a catalog request, so it must not use the catalog. "
                "Fork before the request begins or after its answer is read, or start processes with 'spawn'."
            )
        with self._gate:
            self._gate.wait_for(lambda: not self._forking, timeout=_FORK_PATIENCE)
            return self._lease()

    def _begin_now(self) -> _Lease | None:
        """For a thread that has a lease already: a fork waits for that one, so that the thread cannot wait for it."""
        with self._gate:
            return None if self._forking or self._tainted else self._lease()

    def _lease(self) -> _Lease:
        lease = _Lease()
        lease.raw = self._idle.pop() if self._idle else None
        self._busy.add(lease)
        return lease

    def _current_engine(self) -> sa.Engine:
        with self._gate:
            if self._engine is None:
                self._engine = self.dialect.engine()
            return self._engine

    def _end(self, lease: _Lease, *, clean: bool) -> None:
        # Closed before the lease ends, because a fork may begin as soon as none is left.
        with self._gate:
            keep = clean and len(self._idle) < self.dialect.idle and not self._forking
            keep = keep and lease.raw is not None and lease.raw.engine is self._engine
        if lease.raw is not None and not keep:
            lease.raw.close()
        with self._gate:
            if keep and lease.raw is not None:
                self._idle.append(lease.raw)
                self._used = time.monotonic()
            self._busy.discard(lease)
            self._gate.notify_all()
        if keep and self.dialect.idle_together is not None:
            _close_oldest(self.dialect.name, self.dialect.idle_together)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            known = self.dialect.translate(error)
            if known is None:
                raise
            if isinstance(known, StorageUnusable):
                raise StorageUnusable(f"{self.dialect.place}: {known.detail}") from error
            raise known from error

    def _before_fork(self) -> None:
        """Let the other threads finish, then close what is idle; transactions of this very thread stay its own."""
        me, end = threading.get_ident(), time.monotonic() + _FORK_PATIENCE
        self._gate.acquire()
        self._forking = True
        self._gate.wait_for(
            lambda: all(lease.thread == me for lease in self._busy), timeout=max(0.0, end - time.monotonic())
        )
        while self._idle:
            self._idle.pop().close()

    def _after_fork_in_parent(self) -> None:
        self._forking = False
        self._gate.notify_all()
        self._gate.release()

    def _after_fork_in_child(self) -> None:
        # Neither closed nor collected: closing would drop locks that the parent holds.
        inside = list(self._busy)
        _inherited.extend(inside)
        self._start()
        self._tainted = bool(inside)


def _interruption(error: BaseException | None, known: BaseException | None) -> BaseException | None:
    """Ctrl-C that made SQLAlchemy stumble when it tidied up; not one that was met before."""
    while error is not None and error is not known:
        if not isinstance(error, _ORDINARY):
            return error
        error = error.__context__
    return None


def _commit(raw: sa.Connection) -> None:
    try:
        raw.commit()
    except sa.exc.DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise Unclear("The database server went away; look whether the change is there.") from error


def _close_oldest(name: str, most: int) -> None:
    """Close idle connections of the databases that were not used for longest, until no more than `most` are left."""
    waiting = [database for database in list(_open) if database.dialect.name == name and database._idle]
    surplus = sum(len(database._idle) for database in waiting) - most
    if surplus <= 0:
        return
    for database in sorted(waiting, key=lambda database: database._used):
        with database._gate:
            while surplus > 0 and database._idle:
                database._idle.pop(0).close()
                surplus -= 1


_open: weakref.WeakSet[Database] = weakref.WeakSet()
_inherited: list[_Lease] = []
_held: list[Database] = []


def _before_fork() -> None:
    _held.extend(_open)
    for database in _held:
        database._before_fork()


def _after_fork_in_parent() -> None:
    for database in _held:
        database._after_fork_in_parent()
    _held.clear()


def _after_fork_in_child() -> None:
    for database in _held:
        database._after_fork_in_child()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )
