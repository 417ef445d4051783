"""Statements on the copied object directory of a backup, which make it fit the copied catalogs."""

from __future__ import annotations

from deriva_server.sql.dialect import Connection
from deriva_server.values import Frozen


class Living(Frozen, frozen=True):
    """What of the object directory is not deleted.

    Parameters
    ----------
    names, versions : set of int
        Ids of the names, and of the versions.
    blobs : set of str
        Keys of the bytes behind the versions.
    last_name, last_version : int
        Highest ids of all, deleted ones included.
    """

    names: set[int]
    versions: set[int]
    blobs: set[str]
    last_name: int = 0
    last_version: int = 0


def living_objects(connection: Connection) -> Living:
    """What of an object directory is not deleted."""
    run = connection.run
    names = set(run("SELECT id FROM hatrac_name WHERE deleted = 0").scalars())
    versions, blobs = set(), set()
    for id_, blob, moved in run("SELECT id, blob, moved FROM hatrac_version WHERE deleted = 0"):
        versions.add(id_)
        if moved is None:
            blobs.add(blob)
    last = [
        run(f"SELECT coalesce(max(id), 0) FROM hatrac_{what}").scalar_one() for what in ("name", "version")
    ]
    return Living(names, versions, blobs, *last)


def revive_objects(connection: Connection, earlier: Living) -> None:
    """Take back the deletion of everything that lived at some moment since `earlier`."""
    run = connection.run
    for what, lived, last in (
        ("version", earlier.versions, earlier.last_version),
        ("name", earlier.names, earlier.last_name),
    ):
        found = run(f"SELECT id FROM hatrac_{what} WHERE deleted = 1").scalars()
        revived = [(id_,) for id_ in found if id_ in lived or id_ > last]
        if revived:
            run(f"UPDATE hatrac_{what} SET deleted = 0 WHERE id = ?", revived)


def deleted_blobs(connection: Connection) -> set[str]:
    """Keys of the bytes behind deleted versions; living ones may have the same."""
    return set(connection.run("SELECT DISTINCT blob FROM hatrac_version WHERE deleted = 1").scalars())


def forget_uploads(connection: Connection) -> None:
    """Forget the uploads that are not finished."""
    connection.run("DELETE FROM hatrac_job")
