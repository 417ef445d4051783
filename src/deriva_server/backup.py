"""Copy a live deployment into a new folder that opens at once.

Other processes go on reading and writing. Every database is copied as of one moment, and the order makes the copies
fit each other: a row that names an object is written after the object and removed before it. So the objects that
live when the backup begins are copied first, then the catalogs, then the object directory and the objects that came
meanwhile. What is deleted while the backup runs lives in the copy: its bytes are removed when the backup is done.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from deriva_server.blobs.backend import Backend
from deriva_server.blobs.directory import Directory
from deriva_server.blobs.files import FilesBackend
from deriva_server.blobs.keeping import recorded
from deriva_server.blobs.restoring import Filled, NewPlace, give_back_noted
from deriva_server.blobs.store import open_backend
from deriva_server.catalogs.registry import MIRROR
from deriva_server.config import FILE as SETTINGS
from deriva_server.config import ServerConfig, keep_setting
from deriva_server.deployment import DOCUMENT, Deployment, new_folders, resolved, write_document
from deriva_server.errors import DeploymentError, NotFound, ServiceError
from deriva_server.mounts import network_file_system
from deriva_server.sql import backup as statements
from deriva_server.sql import keeps, registry
from deriva_server.sql.backup import Living
from deriva_server.sql.connect import Database
from deriva_server.sql.copies import Copies, open_copies
from deriva_server.unfinished import Unfinished, reason, unfinished
from deriva_server.values import Frozen

_WORKERS = 4
_BATCH = 256
_ADDRESS_LINE = re.compile(r"^\s*(database|objects)\s*=.*\n?", re.M)

Told = Callable[[str, int, int], None]
"""Gets what is copied, how much of it is done, and of how much."""


def _silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""


class Backup(Frozen, frozen=True):
    """A finished copy.

    Parameters
    ----------
    deployment : Deployment
        The copy.
    catalogs, objects : int
        How many catalogs and contents of objects it has.
    damaged : tuple of str
        Keys of contents that are missing or altered in the original, and so in the copy.
    database : str or None
        Address where the copy keeps its catalogs, without a password; None for files in its folder.
    bucket : str or None
        Where the copy keeps its objects; None for files in its folder.
    """

    deployment: Deployment
    catalogs: int
    objects: int
    damaged: tuple[str, ...] = ()
    database: str | None = None
    bucket: str | None = None


def back_up(
    folder: str | Path,
    target: str | Path,
    *,
    new_id: bool = False,
    database: str | None = None,
    objects: str | None = None,
    told: Told = _silent,
) -> Backup:
    """Copy a deployment that may be in use.

    Parameters
    ----------
    folder : str or Path
        A deployment.
    target : str or Path
        New or empty folder.
    new_id : bool
        Whether the copy becomes a deployment of its own. By default it is the same deployment at an earlier time, with
        the same id, so that citations and local files of users fit it when it takes the place of the original.
    database : str, optional
        ``postgresql://user@host/new_name``: where the copy keeps its catalogs, if the deployment keeps them on a
        PostgreSQL server. By default a free name there, after those of the deployment's database and of `target`.
    objects : str, optional
        ``s3://bucket/prefix``, a new place: where the copy keeps its objects; by default in its folder.
    told : callable, optional
        Told of the progress.

    Returns
    -------
    Backup

    Raises
    ------
    DeploymentError
        If `folder` is no deployment, or `target` or `objects` is not new or cannot be written. Nothing is left behind then.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     made = Deployment.create(f"{place}/lab")
    ...     back_up(made.folder, f"{place}/copy").deployment.id == made.id
    True
    """
    source = Deployment.open(folder)
    place = resolved(target)
    _check_target(source.folder, place)
    config = ServerConfig.load(source.folder)
    addresses = config.database, database
    bytes_ = open_backend(source, config.objects)
    try:
        with new_folders(place.parent), unfinished(place, give_back_noted) as work:
            partial = work.folder
            copies = open_copies(source.folder, partial, source.id, place.name, addresses)
            work.undo(copies.discard)
            (partial / "objects").mkdir()
            copy = Deployment(partial, uuid.uuid4().hex if new_id else source.id, source.name, source.format)
            bucket = None if objects is None else _taken(work, copy, objects)
            backup = _Copying(source, bytes_, copy, place, copies, told, bucket).run()
    except (OSError, ServiceError) as error:
        raise DeploymentError(f"The backup to {place} failed: {reason(error)}.") from error
    return backup


def _taken(work: Unfinished, copy: Deployment, address: str) -> NewPlace:
    place = NewPlace(copy, address)
    work.undo_noted(place.note(), place.give_back)
    place.take()
    return place


def _check_target(source: Path, place: Path) -> None:
    kind = network_file_system(place)
    if kind is not None:
        raise DeploymentError(
            f"{place} lies on a network file system ({kind}), where databases are not safe. Make the backup on a local "
            "disk; while nobody opens it, its folder can be copied anywhere by any means."
        )
    if place == source or source in place.parents:
        raise DeploymentError(f"{place} lies in the deployment itself. Choose a folder outside of it.")
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise DeploymentError(
            f"{place} exists already, and a backup overwrites nothing. Choose a new folder."
        )


@dataclass
class _Copying:
    source: Deployment
    bytes: Backend
    copy: Deployment
    place: Path
    copies: Copies
    told: Told
    bucket: NewPlace | None
    copied: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)

    @property
    def new(self) -> Filled:
        """Where the copy keeps the bytes of its objects."""
        return self.bucket or FilesBackend(self.copy.objects_folder)

    def run(self) -> Backup:
        """Fill the target folder, and what belongs to it elsewhere."""
        try:
            with self.bytes.kept(), self._recorded():
                before = self._objects_of_now()
                catalogs = self._catalogs()
                self._directory(before)
        finally:
            self._remove_deleted(self.bytes)
        if self.bucket is not None:
            self.bucket.confirm()
        deployment = self._documents()
        if catalogs is not None:
            self.copies.finish(deployment.id)
        damaged = tuple(sorted(self.damaged))
        bucket = None if self.bucket is None else self.bucket.address
        return Backup(deployment, catalogs or 0, len(self.copied), damaged, self.copies.address, bucket)

    @contextlib.contextmanager
    def _recorded(self) -> Iterator[None]:
        """Let the other machines that use the same directory know that bytes have to stay."""
        with self._live_directory() as database, contextlib.ExitStack() as kept:
            if database is not None:
                with database.read() as connection:
                    known = keeps.are_known(connection)
                if known:
                    kept.enter_context(recorded(database))
            yield

    def _objects_of_now(self) -> Living:
        """Copy the bytes of all present objects, and tell which these are."""
        with self._live_directory() as database:
            if database is None:
                return Living(set(), set(), set())
            with database.read() as connection:
                living = statements.living_objects(connection)
        self._bytes(living.blobs)
        return living

    def _catalogs(self) -> int | None:
        """Copy the registry and what is in it; the number of catalogs, None when there is no registry."""
        if not self.copies.copy_registry(self._teller("registry")):
            return None
        with contextlib.closing(self.copies.copied_registry()) as copy:
            with copy.read() as connection:
                entries = [entry for entry in registry.list_present(connection) if entry.is_catalog]
            gone = {entry.id for entry in entries if not self._catalog(entry.id)}
            if gone:
                self._forget(copy, gone)
        return sum(entry.id != MIRROR for entry in entries) - len(gone)

    def _catalog(self, id: str) -> bool:
        return self.copies.copy_catalog(id, self._teller(f"catalog {id}"))

    def _forget(self, copy: Database, gone: Set[str]) -> None:
        """Mark catalogs as deleted that were deleted and purged after the registry was copied."""
        with contextlib.closing(self.copies.live_registry()) as live, live.read() as connection:
            deleted = {entry.id: entry.deleted_on for entry in registry.list_deleted(connection)}
        if lost := gone - deleted.keys():
            raise DeploymentError(f"The database of catalog {min(lost)} is missing.")
        with copy.write() as connection:
            for id in gone:
                registry.update(connection, id, {"deleted_on": deleted[id]})

    def _teller(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: self.told(what, done, total)

    def _directory(self, before: Living) -> None:
        """Copy the directory, the objects that it knows besides, and let both fit what the catalogs may name."""
        if not self.copies.copy_directory(self._teller("object directory")):
            return
        with contextlib.closing(self.copies.copied_directory()) as database:
            with database.write() as connection:
                statements.revive_objects(connection, before)
                statements.forget_uploads(connection)
                if keeps.are_known(connection):
                    keeps.forget_all(connection)
                living = statements.living_objects(connection)
            self.damaged |= self._bytes(living.blobs - self.copied)
        self.new.sync()

    def _remove_deleted(self, bytes_: Backend) -> None:
        """Remove what was deleted while the bytes were kept, by this backup or by one that was killed."""
        with self._live_directory() as database:
            if database is None:
                return
            with database.read() as connection:
                deleted = {
                    key for key in statements.deleted_blobs(connection) if bytes_.size(key) is not None
                }
                known = keeps.are_known(connection)
            # Where nobody can tell that he still copies they are left to be collected as garbage.
            if deleted and known:
                Directory(database, bytes_).remove_unused(sorted(deleted))

    @contextlib.contextmanager
    def _live_directory(self) -> Iterator[Database | None]:
        database = self.copies.live_directory()
        try:
            yield database
        finally:
            if database is not None:
                database.close()

    def _bytes(self, keys: Iterable[str]) -> set[str]:
        """Copy contents; the keys of those that are not there."""
        new = self.new
        missing: set[str] = set()
        waiting = sorted(keys)
        rest = iter(waiting)

        def copy(key: str) -> None:
            try:
                sound = new.copy_from(self.bytes, key)
            except NotFound:
                missing.add(key)
                return
            self.copied.add(key)
            if not sound:
                self.damaged.add(key)

        with ThreadPoolExecutor(_WORKERS) as workers:
            for done in itertools.count(0, _BATCH):
                self.told("objects", min(done, len(waiting)), len(waiting))
                if not (batch := list(itertools.islice(rest, _BATCH))):
                    return missing
                list(workers.map(copy, batch))
        return missing

    def _documents(self) -> Deployment:
        target = self.copy.folder
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(self.source.folder / ".gitignore", target / ".gitignore")
        with contextlib.suppress(FileNotFoundError):
            settings = (self.source.folder / SETTINGS).read_text(encoding="utf-8")
            (target / SETTINGS).write_text(_ADDRESS_LINE.sub("", settings), encoding="utf-8")
        if self.copies.address is not None:
            keep_setting(target, "database", self.copies.address)
        if self.bucket is not None:
            keep_setting(target, "objects", self.bucket.address)
        document = json.loads((self.source.folder / DOCUMENT).read_text(encoding="utf-8"))
        document["id"] = self.copy.id
        write_document(target, document, replace=True)
        return Deployment(self.place, document["id"], document["name"], document["format"])
