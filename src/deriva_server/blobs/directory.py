"""The directory of names, and the transactions on it.

Writers that wait together share one transaction and so one sync: the first in line does the work of all. When one of
them fails the work is done again, each in a part of its own that fails or succeeds alone.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from deriva_server.blobs.access import Acls, Right, demand, owned_by
from deriva_server.blobs.backend import Backend, Staged, give_up
from deriva_server.errors import Busy, Conflict, NotFound, Unclear
from deriva_server.identity import Client
from deriva_server.sql import keeps, objects
from deriva_server.sql.connect import Database
from deriva_server.sql.dialect import Connection
from deriva_server.sql.metrics import forget_summaries
from deriva_server.sql.objects import NAMESPACE, OBJECT, Name
from deriva_server.values import Frozen

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Task(Generic[T]):
    work: Callable[[Connection], tuple[T, Sequence[Staged]]]
    adds: bool
    result: T | None = None
    wanted: Sequence[Staged] = ()
    error: BaseException | None = None
    done: bool = False

    def run(self, connection: Connection) -> None:
        self.result, self.wanted = self.work(connection)


class Directory:
    """Transactions on the directory, together with the bytes that they make visible.

    Parameters
    ----------
    database : Database
        Where names and versions are.
    backend : Backend
        Where bytes are.
    """

    def __init__(self, database: Database, backend: Backend) -> None:
        self.database = database
        self.backend = backend
        self._start()
        _all.add(self)

    def _start(self) -> None:
        self._leading = threading.Lock()
        self._queue: deque[_Task[Any]] = deque()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one moment."""
        with self.database.read() as connection:
            yield connection

    def write(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in a transaction; durable on return.

        Parameters
        ----------
        work : callable
            Gets the connection and does nothing outside it: it may run in the thread of another writer, and twice.
        """
        return self.add(lambda connection: (work(connection), ()), ())

    def add(self, work: Callable[[Connection], tuple[T, Sequence[Staged]]], staged: Sequence[Staged]) -> T:
        """Do `work` in a transaction and make bytes part of the store; durable on return.

        Parameters
        ----------
        work : callable
            As for `write`; gives with its result those bytes that become visible with it.
        staged : sequence of Staged
            All bytes that arrived for it; the others are given up, and all of them when it fails.
        """
        task = _Task(work, bool(staged))
        self._queue.append(task)
        with self._leading:
            if not task.done:
                self._commit([self._queue.popleft() for _ in range(len(self._queue))])
        wanted = set() if task.error else set(map(id, task.wanted))
        give_up(item for item in staged if id(item) not in wanted)
        if task.error is not None:
            raise task.error
        return task.result  # type: ignore[return-value]

    def _commit(self, batch: Sequence[_Task[Any]]) -> None:
        try:
            alone = self.database.dialect.alone() if any(task.adds for task in batch) else nullcontext()
            with alone, self.database.write() as connection:
                self._work(batch, connection)
                arrived = [staged for task in batch if task.error is None for staged in task.wanted]
                if arrived:
                    self.backend.adopt(arrived)
        except BaseException as error:  # noqa: BLE001 - every waiting writer must learn that nothing was committed
            for task in batch:
                task.error = task.error or error
        finally:
            for task in batch:
                task.done = True

    @staticmethod
    def _work(batch: Sequence[_Task[Any]], connection: Connection) -> None:
        if len(batch) == 1:
            batch[0].run(connection)
            return
        try:
            with objects.savepoint(connection):
                for task in batch:
                    task.run(connection)
        except Exception:  # noqa: BLE001 - met again below, by the task that it belongs to
            for task in batch:
                try:
                    with objects.savepoint(connection):
                        task.run(connection)
                except Exception as error:  # noqa: BLE001 - raised again in the thread that asked for this part
                    task.error = error

    def remove_unused(self, blobs: Sequence[str]) -> set[str]:
        """Remove the bytes that no living version refers to any more, unless they are kept; gives their keys.

        In a transaction apart: what another writer deletes in the same one may yet be undone.
        """
        if not blobs:
            return set()
        with self.database.dialect.alone() as unsettled:
            if unsettled:
                # Else a version might come back to which these bytes were added by a process that died.
                with self.database.write() as connection:
                    connection.dialect.settle(connection)
            with self.database.write() as connection:
                unused = objects.unused_blobs(connection, blobs)
                if not keeps.are_kept(connection):
                    self.backend.remove(unused)
                    forget_summaries(connection, unused)
        return unused

    def tidy(self, blobs: Sequence[str]) -> None:
        """As `remove_unused`, once the deletion counts: bytes that cannot be removed now are orphans until `collect`."""
        try:
            self.remove_unused(blobs)
        except (Busy, Unclear) as error:
            logger.warning("deleted contents are kept until garbage is collected: %s", error.detail)

    def close(self) -> None:
        """Close the connections."""
        self.database.close()


class Place(Frozen, frozen=True):
    """A path with what stands there and around it.

    Parameters
    ----------
    path : str
        The path.
    name : Name or None
        What stands there, also when it is deleted; None when the path is free.
    enclosing : tuple of Name
        Existing names above it, from the root down; deleted ones included.
    missing : tuple of str
        Paths above it where nothing stands, from the top down.
    """

    path: str
    name: Name | None
    enclosing: tuple[Name, ...] = ()
    missing: tuple[str, ...] = field(default=())

    @property
    def around(self) -> list[Acls]:
        """Access lists of everything above."""
        return [name.acls for name in self.enclosing]

    @property
    def within(self) -> list[Acls]:
        """Access lists that count for what is inside the name itself."""
        return [*self.around, self.living().acls]

    def living(self, kind: str | None = None) -> Name:
        """What stands there.

        Raises
        ------
        NotFound
            If nothing does, it is deleted, or of another kind.
        """
        if self.name is None or self.name.deleted or kind not in (None, self.name.kind):
            raise NotFound(f"{kind or 'name'} {self.path}")
        return self.name

    def demand(self, client: Client, right: Right) -> None:
        """Refuse a client without a right on what stands there."""
        demand(client, right, self.living().acls, self.around, self.path)


def find_place(connection: Connection, path: str) -> Place:
    """Look a path up, with everything above it."""
    return place_among(find_names(connection, [path]), path)


def find_names(connection: Connection, paths: Iterable[str]) -> dict[str, Name]:
    """Everything that stands at some paths and above them."""
    wanted = dict.fromkeys(place for path in paths for place in (*_above(path), path))
    return objects.names_at(connection, list(wanted))


def place_among(found: Mapping[str, Name], path: str) -> Place:
    """A path, of which it is known what stands there and above."""
    above = _above(path)
    return Place(
        path,
        found.get(path),
        tuple(found[place] for place in above if place in found),
        tuple(place for place in above if place not in found),
    )


def _above(path: str) -> list[str]:
    if path == "/":
        return []
    parts = path.split("/")
    return ["/", *("/".join(parts[:count]) for count in range(2, len(parts)))]


def check_free(client: Client, place: Place, *, parents: bool) -> None:
    """Refuse a path that cannot be taken, or a client that may not take it.

    Raises
    ------
    NotFound
        If the parent is missing.
    Conflict
        If the name was used before, or something above is an object or was deleted.
    """
    if place.name is not None:
        raise Conflict(f"the name {place.path} was deleted and is not available again")
    for above in place.enclosing:
        if above.kind == OBJECT:
            raise Conflict(f"{above.path} is an object, nothing can be below it")
        if above.deleted and not parents:
            raise NotFound(f"namespace {above.path}")
        if above.deleted:
            raise Conflict(f"the name {above.path} was deleted and is not available again")
    if place.missing and not parents:
        raise NotFound(f"parent namespace {place.missing[-1]}; ?parents=true makes it")
    *outer, parent = place.enclosing
    demand(client, Right.CREATE, parent.acls, [name.acls for name in outer], parent.path)


def make_name(connection: Connection, client: Client, place: Place, kind: str, *, parents: bool) -> Place:
    """Take a free path, and the missing ones above it if `parents`; raises as `check_free`."""
    check_free(client, place, parents=parents)
    enclosing = make_above(connection, client, place)
    name = objects.add_name(connection, place.path, enclosing[-1].id, kind, owned_by(client))
    return Place(place.path, name, enclosing)


def make_above(connection: Connection, client: Client, place: Place) -> tuple[Name, ...]:
    """Make the namespaces that are missing above a free path; gives everything above it."""
    enclosing = list(place.enclosing)
    for path in place.missing:
        enclosing.append(objects.add_name(connection, path, enclosing[-1].id, NAMESPACE, owned_by(client)))
    return tuple(enclosing)


_all: weakref.WeakSet[Directory] = weakref.WeakSet()


def _after_fork() -> None:
    """Another thread of the parent may have been writing at the fork."""
    for directory in list(_all):
        directory._start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
