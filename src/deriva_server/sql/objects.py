"""Statements of the object directory: names, versions with their metadata, upload jobs.

Rows are never taken away while anything could still refer to them: deleted names and versions stay, marked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from deriva_server.sql.dialect import Connection

Acls = Mapping[str, Sequence[str]]

NAMESPACE, OBJECT = "namespace", "object"

_BATCH = 500
LONGEST_INDEXED = 2000
"""Characters of a path that stands in the index itself: PostgreSQL takes a third of a page."""


@dataclass(frozen=True, slots=True)
class Name:
    """A namespace or an object; `path` begins with a slash and is the escaped spelling."""

    id: int
    path: str
    kind: str
    deleted: bool
    acls: Acls

    @property
    def is_namespace(self) -> bool:
        """Whether it is a namespace, not an object."""
        return self.kind == NAMESPACE


@dataclass(frozen=True, slots=True)
class NewName:
    """A path that is to be taken; `parent` is the id of the namespace that holds it."""

    path: str
    parent: int | None
    kind: str
    acls: Acls


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is told about content; digests in hexadecimal."""

    content_type: str | None = None
    content_disposition: str | None = None
    md5: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One content of an object.

    Parameters
    ----------
    id : int
        Ascends in the order of creation.
    name : int
        Id of the object.
    version : str
        As in URLs.
    blob : str
        Key of the bytes in the back end.
    moved : int or None
        Id of the version that took its place when the object was renamed.
    """

    id: int
    name: int
    version: str
    blob: str
    length: int
    metadata: Metadata
    acls: Acls
    deleted: bool = False
    moved: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """An upload in chunks that is not finished; `began` is in seconds since 1970."""

    id: str
    name: int
    chunk_length: int
    length: int
    metadata: Metadata = field(default_factory=Metadata)
    acls: Acls = field(default_factory=dict)
    began: int = 0

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.length // self.chunk_length)

    def size(self, index: int) -> int:
        """Bytes of one chunk."""
        return min(self.chunk_length, self.length - index * self.chunk_length)


def stored(path: str) -> tuple[str, str | None]:
    """A path as it stands in the index, and whole where that is another text."""
    if len(path) <= LONGEST_INDEXED:
        return path, None
    return f"sha256:{hashlib.sha256(path.encode()).hexdigest()}", path


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """A part of the transaction that is undone alone when it fails."""
    try:
        with connection.raw.begin_nested():
            yield
    except sa.exc.DBAPIError as error:
        known = connection.dialect.translate(error)
        if known is None:
            raise
        raise known from error


# names


def names_at(connection: Connection, paths: Sequence[str]) -> dict[str, Name]:
    """The names at some paths, deleted ones included."""
    found: dict[str, Name] = {}
    for batch in _batches(list(paths)):
        places, keys = ", ".join("?" for _ in batch), tuple(stored(path)[0] for path in batch)
        rows = connection.run(f"SELECT {_NAME_COLUMNS} FROM hatrac_name WHERE path IN ({places})", keys)
        found.update((row.path, _name(row)) for row in rows)
    return found


def name_by_id(connection: Connection, id_: int) -> Name:
    """The name with an id."""
    return _name(connection.run(_NAME_BY_ID, (id_,)).one())


def add_name(connection: Connection, path: str, parent: int | None, kind: str, acls: Acls) -> Name:
    """Take a free path."""
    return add_names(connection, [NewName(path, parent, kind, acls)])[path]


def add_names(connection: Connection, names: Sequence[NewName]) -> dict[str, Name]:
    """Take some free paths at once."""
    values = [(*stored(new.path), new.parent, new.kind, _dump(new.acls)) for new in names]
    ids = {row.path: row.id for row in _insert(connection, _ADD_NAMES, values, f"id, {_PATH}")}
    return {new.path: Name(ids[new.path], new.path, new.kind, False, new.acls) for new in names}


def children(connection: Connection, parent: int) -> list[str]:
    """Paths directly below a namespace that are not deleted, in order."""
    return list(connection.run(_CHILDREN, (parent,)).scalars())


def names_below(connection: Connection, id_: int) -> list[tuple[int | None, Name]]:
    """A name and everything below it that is not deleted, each with the id of its parent, parents first."""
    return [(row.parent, _name(row)) for row in connection.run(_BELOW, (id_,))]


def delete_names(connection: Connection, ids: Iterable[int]) -> None:
    """Retire names for ever, with their versions and jobs."""
    for batch in _batches(list(ids)):
        connection.raw.execute(_DELETE_NAMES, {"ids": batch})
        connection.raw.execute(_DELETE_VERSIONS_OF, {"ids": batch})
        connection.raw.execute(_DELETE_JOBS_OF, {"ids": batch})


def set_name_acls(connection: Connection, id_: int, acls: Acls) -> None:
    """Replace the rights on a name."""
    connection.run(_SET_NAME_ACLS, (_dump(acls), id_))


# versions


def current_version(connection: Connection, name: int) -> Version | None:
    """The newest version of an object that is not deleted."""
    row = connection.run(_CURRENT, (name,)).one_or_none()
    return None if row is None else _version(row)


def find_version(connection: Connection, name: int, version: str) -> Version | None:
    """One version of an object, also a deleted one."""
    row = connection.run(_VERSION, (name, version)).one_or_none()
    return None if row is None else _version(row)


def version_by_id(connection: Connection, id_: int) -> Version:
    """The version with an id."""
    return _version(connection.run(_VERSION_BY_ID, (id_,)).one())


def versions_of(connection: Connection, names: Iterable[int]) -> list[Version]:
    """Versions of some objects that are not deleted, oldest first."""
    found: list[Version] = []
    for batch in _batches(list(names)):
        found += map(_version, connection.raw.execute(_VERSIONS_OF, {"names": batch}))
    return found


def add_version(
    connection: Connection, name: int, version: str, blob: tuple[str, int], metadata: Metadata, acls: Acls
) -> Version:
    """Add a version; `blob` is the key of its bytes and their number."""
    return add_versions(connection, [Version(0, name, version, *blob, metadata, acls)])[0]


def add_versions(connection: Connection, versions: Sequence[Version]) -> list[Version]:
    """Add some versions at once, in their order; gives them with the ids that they have got."""
    values = [
        (new.name, new.version, new.blob, new.length, *_metadata_values(new.metadata), _dump(new.acls))
        for new in versions
    ]
    ids = {
        (row.name, row.version): row.id
        for row in _insert(connection, _ADD_VERSIONS, values, "id, name, version")
    }
    return [replace(new, id=ids[new.name, new.version]) for new in versions]


def set_version_metadata(connection: Connection, id_: int, metadata: Metadata) -> None:
    """Replace what is told about a version."""
    connection.run(_SET_METADATA, (*_metadata_values(metadata), id_))


def set_version_acls(connection: Connection, id_: int, acls: Acls) -> None:
    """Replace the rights on a version."""
    connection.run(_SET_VERSION_ACLS, (_dump(acls), id_))


def move_version(connection: Connection, id_: int, moved: int) -> None:
    """Let a version stand for another from now on."""
    connection.run(_MOVE_VERSION, (moved, id_))


def delete_version(connection: Connection, id_: int) -> None:
    """Delete one version."""
    connection.run(_DELETE_VERSION, (id_,))


def unused_blobs(connection: Connection, blobs: Iterable[str]) -> set[str]:
    """Those of `blobs` that no living version refers to."""
    candidates = set(blobs)
    used: set[str] = set()
    for batch in _batches(list(candidates)):
        used.update(connection.raw.execute(_USED, {"blobs": batch}).scalars())
    return candidates - used


# jobs


def add_job(connection: Connection, job: Job) -> None:
    """Begin an upload."""
    values = (job.id, job.name, job.chunk_length, job.length, *_metadata_values(job.metadata))
    connection.run(_ADD_JOB, (*values, _dump(job.acls), job.began))


def find_job(connection: Connection, name: int, id_: str) -> Job | None:
    """One unfinished upload of an object."""
    row = connection.run(_JOB, (name, id_)).one_or_none()
    return None if row is None else _job(row)


def jobs_of(connection: Connection, names: Iterable[int]) -> list[Job]:
    """Unfinished uploads of some objects."""
    found: list[Job] = []
    for batch in _batches(list(names)):
        found += map(_job, connection.raw.execute(_JOBS_OF, {"names": batch}))
    return found


def delete_job(connection: Connection, id_: str) -> None:
    """End an upload."""
    connection.run(_DELETE_JOB, (id_,))


def _many(statement: str, parameter: str) -> sa.TextClause:
    return sa.text(statement).bindparams(sa.bindparam(parameter, expanding=True))


_PATH = "coalesce(long_path, path) AS path"
_NAME_COLUMNS = f"id, {_PATH}, kind, deleted, acls"
_METADATA_COLUMNS = "content_type, content_disposition, md5, sha256"
_VERSION_COLUMNS = f"id, name, version, blob, length, {_METADATA_COLUMNS}, acls, deleted, moved"
_JOB_COLUMNS = f"id, name, chunk_length, length, {_METADATA_COLUMNS}, acls, began"

_NAME_BY_ID = f"SELECT {_NAME_COLUMNS} FROM hatrac_name WHERE id = ?"
_ADD_NAMES = "INSERT INTO hatrac_name (path, long_path, parent, kind, acls)"
_CHILDREN = f"SELECT {_PATH} FROM hatrac_name WHERE parent = ? AND deleted = 0 ORDER BY 1"
_BELOW = (
    "WITH RECURSIVE below (id) AS (SELECT id FROM hatrac_name WHERE id = ? UNION ALL"
    " SELECT n.id FROM hatrac_name n JOIN below b ON n.parent = b.id WHERE n.deleted = 0)"
    f" SELECT parent, {_NAME_COLUMNS} FROM hatrac_name WHERE id IN (SELECT id FROM below) ORDER BY id"
)
_DELETE_NAMES = _many("UPDATE hatrac_name SET deleted = 1 WHERE id IN :ids", "ids")
_DELETE_VERSIONS_OF = _many("UPDATE hatrac_version SET deleted = 1 WHERE name IN :ids", "ids")
_DELETE_JOBS_OF = _many("DELETE FROM hatrac_job WHERE name IN :ids", "ids")
_SET_NAME_ACLS = "UPDATE hatrac_name SET acls = ? WHERE id = ?"
_CURRENT = (
    f"SELECT {_VERSION_COLUMNS} FROM hatrac_version WHERE name = ? AND deleted = 0 ORDER BY id DESC LIMIT 1"
)
_VERSION = f"SELECT {_VERSION_COLUMNS} FROM hatrac_version WHERE name = ? AND version = ?"
_VERSION_BY_ID = f"SELECT {_VERSION_COLUMNS} FROM hatrac_version WHERE id = ?"
_VERSIONS_OF = _many(
    f"SELECT {_VERSION_COLUMNS} FROM hatrac_version WHERE name IN :names AND deleted = 0 ORDER BY id", "names"
)
_ADD_VERSIONS = f"INSERT INTO hatrac_version (name, version, blob, length, {_METADATA_COLUMNS}, acls)"
_SET_METADATA = (
    "UPDATE hatrac_version SET content_type = ?, content_disposition = ?, md5 = ?, sha256 = ? WHERE id = ?"
)
_SET_VERSION_ACLS = "UPDATE hatrac_version SET acls = ? WHERE id = ?"
_MOVE_VERSION = "UPDATE hatrac_version SET moved = ? WHERE id = ?"
_DELETE_VERSION = "UPDATE hatrac_version SET deleted = 1 WHERE id = ?"
_USED = _many(
    "SELECT DISTINCT blob FROM hatrac_version WHERE blob IN :blobs AND deleted = 0 AND moved IS NULL", "blobs"
)
_ADD_JOB = f"INSERT INTO hatrac_job ({_JOB_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_JOB = f"SELECT {_JOB_COLUMNS} FROM hatrac_job WHERE name = ? AND id = ?"
_JOBS_OF = _many(f"SELECT {_JOB_COLUMNS} FROM hatrac_job WHERE name IN :names ORDER BY id", "names")
_DELETE_JOB = "DELETE FROM hatrac_job WHERE id = ?"


def _batches(values: list[Any]) -> Iterator[list[Any]]:
    """Databases limit how many parameters a statement may have."""
    for start in range(0, len(values), _BATCH):
        yield values[start : start + _BATCH]


def _insert(
    connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]], wanted: str
) -> Iterator[Any]:
    """Insert rows, and give columns of each; they are numbered in their order."""
    for batch in _batches(list(rows)):
        row = f"({', '.join('?' for _ in batch[0])})"
        places = ", ".join(row for _ in batch)
        values = tuple(value for values in batch for value in values)
        yield from connection.run(f"{statement} VALUES {places} RETURNING {wanted}", values)


def _dump(acls: Acls) -> str:
    return json.dumps({name: list(roles) for name, roles in acls.items() if roles})


def _metadata_values(metadata: Metadata) -> tuple[str | None, ...]:
    return metadata.content_type, metadata.content_disposition, metadata.md5, metadata.sha256


def _metadata(row: Any) -> Metadata:
    return Metadata(row.content_type, row.content_disposition, row.md5, row.sha256)


def _name(row: Any) -> Name:
    return Name(row.id, row.path, row.kind, bool(row.deleted), json.loads(row.acls))


def _version(row: Any) -> Version:
    return Version(
        row.id,
        row.name,
        row.version,
        row.blob,
        row.length,
        _metadata(row),
        json.loads(row.acls),
        bool(row.deleted),
        row.moved,
    )


def _job(row: Any) -> Job:
    acls = json.loads(row.acls)
    return Job(row.id, row.name, row.chunk_length, row.length, _metadata(row), acls, row.began)
