"""Statements on the copied object directory of a backup, which make it fit the copied catalogs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from deriva_server.sql.dialect import Connection


@dataclass(frozen=True, slots=True)
class Living:
    """What of the object directory is not deleted.

    Parameters
    ----------
    names, versions : set of int
        Ids of the names, and of the versions.
    blobs : set of str
        Keys of the bytes behind the versions.
    """

    names: set[int]
    versions: set[int]
    blobs: set[str]


def living_objects(connection: Connection) -> Living:
    """What of an object directory is not deleted."""
    run = connection.raw.exec_driver_sql
    names = set(run("SELECT id FROM hatrac_name WHERE deleted = 0").scalars())
    versions, blobs = set(), set()
    for id_, blob, moved in run("SELECT id, blob, moved FROM hatrac_version WHERE deleted = 0"):
        versions.add(id_)
        if moved is None:
            blobs.add(blob)
    return Living(names, versions, blobs)


def revive_objects(connection: Connection, earlier: Living) -> int:
    """Take back the deletion of what lived earlier and whose bytes are at hand; returns how many versions that are."""
    run = connection.raw.exec_driver_sql
    found = run("SELECT id, blob FROM hatrac_version WHERE deleted = 1")
    versions = [(id_,) for id_, blob in found if id_ in earlier.versions and blob in earlier.blobs]
    if versions:
        run("UPDATE hatrac_version SET deleted = 0 WHERE id = ?", versions)
    found = run(
        "SELECT id FROM hatrac_name WHERE deleted = 1"
        " AND (kind = 'namespace' OR id IN (SELECT name FROM hatrac_version WHERE deleted = 0))"
    )
    names = [(id_,) for (id_,) in found if id_ in earlier.names]
    if names:
        run("UPDATE hatrac_name SET deleted = 0 WHERE id = ?", names)
    return len(versions)


def forget_objects(connection: Connection, blobs: Collection[str]) -> None:
    """Mark versions as deleted whose bytes were removed."""
    if blobs:
        connection.raw.execute(_FORGET, [{"blob": blob} for blob in blobs])


def forget_uploads(connection: Connection) -> None:
    """Forget the uploads that are not finished."""
    connection.raw.exec_driver_sql("DELETE FROM hatrac_job")


_FORGET = sa.text("UPDATE hatrac_version SET deleted = 1 WHERE blob = :blob")
