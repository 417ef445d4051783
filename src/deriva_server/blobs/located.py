"""Find many versions at once, with the rights of the caller on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deriva_server.blobs.access import Right, demand
from deriva_server.blobs.content import find_content
from deriva_server.blobs.directory import find_names, place_among
from deriva_server.errors import ServiceError
from deriva_server.identity import Client
from deriva_server.sql import objects
from deriva_server.sql.dialect import Connection
from deriva_server.sql.objects import OBJECT, Name, Version

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
    names = find_names(connection, (path for path, _ in wanted))
    living = {name.id for path, _ in wanted if (name := names.get(path)) is not None and not name.deleted}
    versions: dict[int, list[Version]] = {}
    for version in objects.versions_of(connection, sorted(living)):
        versions.setdefault(version.name, []).append(version)
    return [_located(connection, client, place, names, versions) for place in wanted]


def _located(
    connection: Connection,
    client: Client,
    location: Location,
    names: Mapping[str, Name],
    versions: Mapping[int, Sequence[Version]],
) -> Version | ServiceError:
    path, wanted = location
    place = place_among(names, path)
    try:
        of_object = versions.get(place.living(OBJECT).id, ())
        living = [each for each in of_object if wanted in (None, each.version)]
        if not living or living[-1].moved is not None:
            # Seldom: what a rename leads to, and the error of what is missing.
            return find_content(connection, client, path, wanted).version
        demand(client, Right.READ, living[-1].acls, place.within, path)
        return living[-1]
    except ServiceError as error:
        return error
