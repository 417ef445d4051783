"""Find many versions at once, with the rights of the caller on each."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from deriva_server.blobs.access import Right, denial, may
from deriva_server.blobs.content import find_content
from deriva_server.errors import Conflict, NotFound, ServiceError
from deriva_server.identity import Client
from deriva_server.sql import objects
from deriva_server.sql.dialect import Connection
from deriva_server.sql.objects import OBJECT, Name, Version

_BATCH = 500

Location = tuple[str, str | None]
"""Path of an object, and one of its versions or None for the current one."""


def locate(
    connection: Connection, client: Client, wanted: Sequence[Location]
) -> list[Version | ServiceError]:
    """For each location the version that may be read, or why it may not; a few queries for hundreds.

    Parameters
    ----------
    connection : Connection
        A transaction on the directory.
    client : Client
        Who wants to read.
    wanted : sequence
        May name the same more than once.
    """
    paths = dict.fromkeys(path for path, _ in wanted)
    names = _names(connection, itertools.chain.from_iterable(map(_with_above, paths)))
    living = [name.id for path in paths if (name := names.get(path)) is not None and not name.deleted]
    versions: dict[int, list[Version]] = {}
    for version in objects.versions_of(connection, living):
        versions.setdefault(version.name, []).append(version)
    return [_located(connection, client, place, names, versions) for place in wanted]


def _with_above(path: str) -> Iterable[str]:
    parts = path.strip("/").split("/")
    return ("/", *("/" + "/".join(parts[:count]) for count in range(1, len(parts) + 1)))


def _names(connection: Connection, paths: Iterable[str]) -> dict[str, Name]:
    found: dict[str, Name] = {}
    distinct = list(dict.fromkeys(paths))
    for start in range(0, len(distinct), _BATCH):
        found |= objects.names_at(connection, distinct[start : start + _BATCH])
    return found


def _located(
    connection: Connection,
    client: Client,
    place: Location,
    names: Mapping[str, Name],
    versions: Mapping[int, Sequence[Version]],
) -> Version | ServiceError:
    path, wanted = place
    name = names.get(path)
    if name is None or name.deleted or name.kind != OBJECT:
        return NotFound(f"{OBJECT} {path}")
    living = [each for each in versions.get(name.id, ()) if wanted in (None, each.version)]
    if not living:
        return (
            Conflict(f"object {path} has no version")
            if wanted is None
            else NotFound(f"version {path}:{wanted}")
        )
    found = living[-1]
    if found.moved is not None:
        try:
            return find_content(connection, client, path, wanted).version
        except ServiceError as error:
            return error
    around = [names[above].acls for above in _with_above(path) if above in names]
    return found if may(client, Right.READ, found.acls, around) else denial(client, f"read access to {path}")
