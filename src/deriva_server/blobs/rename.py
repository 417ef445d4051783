"""Let versions of one object continue under another name."""

from __future__ import annotations

from collections.abc import Sequence

from deriva_server.blobs.access import Right, owned_by
from deriva_server.blobs.adding import writable_object
from deriva_server.blobs.directory import Directory, find_place
from deriva_server.blobs.versions import Guard, no_guard, tag_of
from deriva_server.errors import Conflict
from deriva_server.identity import Client
from deriva_server.sql import objects
from deriva_server.sql.dialect import Connection
from deriva_server.sql.objects import OBJECT, Name, Version
from deriva_server.values import Frozen


class Rename(Frozen, frozen=True):
    """A wish to let versions of one object continue under another name.

    Parameters
    ----------
    source : str
        Path of the object.
    target : str
        Path of the new one; it may exist.
    versions : sequence of str or None
        Which; all of them when None.
    copy_acls : bool
        Keep the rights; else the new ones belong to the caller.
    parents : bool
        Make missing namespaces above the target.
    """

    source: str
    target: str
    versions: Sequence[str] | None = None
    copy_acls: bool = False
    parents: bool = False


def rename(directory: Directory, client: Client, wish: Rename, guard: Guard = no_guard) -> list[str]:
    """Let versions continue under another name; the old locations go on to work.

    Returns
    -------
    list of str
        Locations of the new versions; empty when all had been renamed before.

    Raises
    ------
    Conflict
        If the source is no object, a version is missing or went elsewhere, or the target cannot be used.
    """
    if wish.source == wish.target:
        raise Conflict(f"{wish.source} has this name already")

    def move(connection: Connection) -> list[str]:
        source = find_place(connection, wish.source)
        if source.name is None or source.name.deleted or source.name.kind != OBJECT:
            raise Conflict(f"there is no object {wish.source} to rename")
        source.demand(client, Right.OWN)
        target = writable_object(connection, client, wish.target, parents=wish.parents, right=Right.OWN)
        name = target.living()
        guard(tag_of(objects.current_version(connection, name.id)))
        wanted = _wanted_versions(connection, source.name, wish)
        moving = [version for version in wanted if not _went_to(connection, version, name)]
        for version in moving:
            _move(connection, client, version, name, keep_acls=wish.copy_acls)
        if wish.copy_acls and moving:
            objects.set_name_acls(connection, name.id, source.name.acls)
        return [f"{wish.target}:{version.version}" for version in moving]

    return directory.write(move)


def _wanted_versions(connection: Connection, source: Name, wish: Rename) -> list[Version]:
    living = objects.versions_of(connection, [source.id])
    if wish.versions is None:
        return living
    known = {version.version for version in living}
    for wanted in wish.versions:
        if wanted not in known:
            raise Conflict(f"{wish.source} has no version {wanted}")
    return [version for version in living if version.version in wish.versions]


def _went_to(connection: Connection, version: Version, target: Name) -> bool:
    """Whether a version was renamed to `target` before.

    Raises
    ------
    Conflict
        If it was renamed to something else, or the target has another version of that id.
    """
    if version.moved is None:
        if objects.find_version(connection, target.id, version.version) is not None:
            raise Conflict(f"{target.path} has or had a version {version.version} already")
        return False
    if objects.version_by_id(connection, version.moved).name != target.id:
        raise Conflict(f"version {version.version} was renamed to another name before")
    return True


def _move(connection: Connection, client: Client, version: Version, target: Name, *, keep_acls: bool) -> None:
    acls = version.acls if keep_acls else owned_by(client)
    blob = (version.blob, version.length)
    new = objects.add_version(connection, target.id, version.version, blob, version.metadata, acls)
    objects.move_version(connection, version.id, new.id)
