"""Statements that count what the object directory holds."""

from __future__ import annotations

from collections.abc import Collection

from deriva_server.sql.dialect import Connection
from deriva_server.values import Frozen

_PAGE = 1000
_IN_USE = "deleted = 0 AND moved IS NULL"


class Usage(Frozen, frozen=True):
    """What is not deleted.

    Parameters
    ----------
    namespaces, objects, versions : int
        How many.
    length : int
        Bytes of all versions.
    contents, stored : int
        How many different contents these are, and their bytes.
    uploads : int
        Unfinished uploads.
    """

    namespaces: int
    objects: int
    versions: int
    length: int
    contents: int
    stored: int
    uploads: int


def usage(connection: Connection) -> Usage:
    """Count everything."""
    row = connection.run(
        "SELECT (SELECT count(*) FROM hatrac_name WHERE deleted = 0 AND kind = 'namespace'),"
        " (SELECT count(*) FROM hatrac_name WHERE deleted = 0 AND kind = 'object'),"
        " coalesce(sum(versions), 0), coalesce(sum(versions * length), 0),"
        " count(*), coalesce(sum(length), 0), (SELECT count(*) FROM hatrac_job)"
        " FROM (SELECT blob, count(*) AS versions, max(length) AS length"
        f" FROM hatrac_version WHERE {_IN_USE} GROUP BY blob) AS contents"
    ).one()
    return Usage(*map(int, row))


def contents(connection: Connection, after: str = "") -> list[tuple[str, int]]:
    """Keys and lengths of contents in use, in order, some thousand that follow `after`."""
    found = connection.run(
        f"SELECT blob, max(length) FROM hatrac_version WHERE {_IN_USE} AND blob > ?"
        f" GROUP BY blob ORDER BY blob LIMIT {_PAGE}",
        (after,),
    )
    return [(key, length) for key, length in found]


def locations(connection: Connection, key: str) -> list[str]:
    """Paths of the versions that have a content."""
    found = connection.run(
        "SELECT coalesce(n.long_path, n.path), v.version FROM hatrac_version v JOIN hatrac_name n ON n.id = v.name"
        " WHERE v.blob = ? AND v.deleted = 0 AND v.moved IS NULL ORDER BY v.id",
        (key,),
    )
    return [f"{path}:{version}" for path, version in found]


def unfinished(connection: Connection) -> dict[str, int]:
    """When each unfinished upload began, in seconds since 1970, by id."""
    found = connection.run("SELECT id, began FROM hatrac_job ORDER BY began, id")
    return {job.id: job.began for job in found}


def forget_uploads(connection: Connection, ids: Collection[str]) -> None:
    """End uploads; ones that are finished meanwhile do not matter."""
    if ids:
        connection.run("DELETE FROM hatrac_job WHERE id = ?", [(id_,) for id_ in ids])
