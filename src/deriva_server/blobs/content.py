"""Objects and their versions: put, find, list, delete."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deriva_server.blobs.access import Right, demand, denial, may, owned_by
from deriva_server.blobs.backend import Source, Staged
from deriva_server.blobs.directory import Directory, Place, check_free, find_place, make_name
from deriva_server.blobs.metadata import verified
from deriva_server.errors import BadRequest, Conflict, NotFound, ServiceError
from deriva_server.http.message import Body
from deriva_server.identity import Client
from deriva_server.sql import objects
from deriva_server.sql.dialect import Connection
from deriva_server.sql.objects import NAMESPACE, OBJECT, Job, Metadata, Name, Version

_CHEAP = 1 << 20
"""Bytes that are taken in sooner than it is asked whether they may come: the answer of the final transaction does."""

State = str | Sequence[str] | None
"""What a request would change: the tag of the current version, the paths in a namespace, None where there is neither."""

Guard = Callable[[State], None]
"""Refuses a request by what it would change."""


def no_guard(state: State) -> None:
    """No precondition."""


@dataclass(frozen=True, slots=True)
class Content:
    """One version, with the object that it finally belongs to."""

    path: str
    version: Version

    @property
    def location(self) -> str:
        """Path of the version below the service."""
        return f"{self.path}:{self.version.version}"

    @property
    def tag(self) -> str:
        """Quoted entity tag."""
        return f'"{self.version.version}"'


def new_id() -> str:
    """A random id of 26 letters and digits, for versions and uploads."""
    return base64.b32encode(os.urandom(16)).decode("ascii").rstrip("=")


def tag_of(version: Version | None) -> str | None:
    """Quoted entity tag of a version."""
    return None if version is None else f'"{version.version}"'


class Contents:
    """Operations on objects and versions.

    Parameters
    ----------
    directory : Directory
        Names and versions, and the bytes behind them.
    """

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.backend = directory.backend

    def put(
        self,
        client: Client,
        path: str,
        source: Source,
        metadata: Metadata,
        *,
        parents: bool = False,
        guard: Guard = no_guard,
    ) -> Content:
        """Add a version to an object, which is made when its name is free.

        Parameters
        ----------
        client : Client
            Owner of what is made.
        path : str
            Of the object.
        source : Source
            The bytes.
        metadata : Metadata
            Given digests are verified.
        parents : bool
            Make missing namespaces above.
        guard : callable
            Refuses by the tag of the current version.

        Raises
        ------
        NotFound, Conflict, Forbidden, Unauthorized
            If the name cannot be used.
        BadRequest
            If the bytes are not those that were announced.
        """
        if source.length > _CHEAP:
            with self.directory.read() as connection:
                _check_put(connection, client, path, parents, guard)
        staged = self.backend.stage(source)
        try:
            described = verified(metadata, staged.digests, BadRequest)
        except ServiceError:
            staged.discard()
            raise

        def add(connection: Connection) -> Content:
            place = _check_put(connection, client, path, parents, guard)
            if place.name is None:
                place = make_name(connection, client, place, OBJECT, parents=parents)
            return add_content(connection, client, place, staged, described)

        return self.directory.write(add, staged)

    def find(self, client: Client, path: str, version: str | None, right: Right = Right.READ) -> Content:
        """One version, or the current one; renamed ones are followed, and the rights of the final place count.

        Raises
        ------
        NotFound
            If the object or version is missing or deleted.
        Conflict
            If the object has no version, or what it was renamed to is deleted.
        """
        with self.directory.read() as connection:
            return find_content(connection, client, path, version, right)

    def read(self, content: Content, start: int, length: int) -> Body:
        """A stretch of the bytes."""
        return self.backend.read(content.version.blob, start, length)

    def list_versions(self, client: Client, path: str) -> list[str]:
        """Locations of the versions of an object, newest first."""
        with self.directory.read() as connection:
            place = find_place(connection, path)
            name = place.living(OBJECT)
            place.demand(client, Right.READ)
            return [
                f"{path}:{version.version}"
                for version in reversed(objects.versions_of(connection, [name.id]))
            ]

    def delete_version(self, client: Client, path: str, version: str, guard: Guard = no_guard) -> None:
        """Delete one version; the one before it becomes current."""

        def delete(connection: Connection) -> str:
            place = find_place(connection, path)
            found = objects.find_version(connection, place.living(OBJECT).id, version)
            if found is None or found.deleted:
                raise NotFound(f"version {path}:{version}")
            demand(client, Right.OWN, found.acls, place.within, f"{path}:{version}")
            guard(tag_of(found))
            objects.delete_version(connection, found.id)
            return found.blob

        self.directory.tidy([self.directory.write(delete)])

    def delete_name(self, client: Client, path: str, guard: Guard = no_guard) -> None:
        """Delete a namespace or object with everything in it; the names are never available again.

        Raises
        ------
        Forbidden
            If the caller does not own all of it, or it is the root. Nothing is deleted then.
        """

        def delete(connection: Connection) -> tuple[list[str], list[Job]]:
            place = find_place(connection, path)
            name = place.living()
            if path == "/":
                raise denial(client, "right to delete the root")
            below = objects.names_below(connection, name.id)
            ids = [inner.id for _, inner in below]
            versions, jobs = objects.versions_of(connection, ids), objects.jobs_of(connection, ids)
            _demand_all(client, place, below, versions, jobs)
            guard(_state(connection, name))
            objects.delete_names(connection, ids)
            return [version.blob for version in versions], jobs

        blobs, jobs = self.directory.write(delete)
        self.directory.tidy(blobs)
        for job in jobs:
            self.backend.abandon(job.id)


def _state(connection: Connection, name: Name) -> State:
    if name.is_namespace:
        return objects.children(connection, name.id)
    return tag_of(objects.current_version(connection, name.id))


def check_writable(client: Client, place: Place, *, parents: bool, right: Right = Right.UPDATE) -> None:
    """Refuse a path where the client cannot add to an object, or make one.

    Raises
    ------
    Conflict
        If it is a namespace or a deleted name.
    """
    if place.name is None or place.name.deleted:
        check_free(client, place, parents=parents)
    elif place.name.kind == NAMESPACE:
        place.demand(client, Right.OWN)
        raise Conflict(f"{place.path} is a namespace")
    else:
        place.demand(client, right)


def _check_put(connection: Connection, client: Client, path: str, parents: bool, guard: Guard) -> Place:
    place = find_place(connection, path)
    check_writable(client, place, parents=parents)
    guard(None if place.name is None else tag_of(objects.current_version(connection, place.name.id)))
    return place


def writable_object(
    connection: Connection, client: Client, path: str, *, parents: bool, right: Right = Right.UPDATE
) -> Place:
    """An object that the client may add to, made when the name is free; raises as `check_writable`."""
    place = find_place(connection, path)
    check_writable(client, place, parents=parents, right=right)
    return place if place.name is not None else make_name(connection, client, place, OBJECT, parents=parents)


def add_content(
    connection: Connection, client: Client, place: Place, staged: Staged, metadata: Metadata
) -> Content:
    """Add a version for staged bytes to an object, inside a transaction."""
    blob = (staged.digests.sha256, staged.digests.length)
    version = objects.add_version(
        connection, place.living(OBJECT).id, new_id(), blob, metadata, owned_by(client)
    )
    return Content(place.path, version)


def find_content(
    connection: Connection, client: Client, path: str, version: str | None, right: Right = Right.READ
) -> Content:
    """As `Contents.find`, inside a transaction."""
    place = find_place(connection, path)
    name = place.living(OBJECT)
    if version is None:
        found = objects.current_version(connection, name.id)
        if found is None:
            raise Conflict(f"object {path} has no version")
    else:
        found = objects.find_version(connection, name.id, version)
        if found is None or found.deleted:
            raise NotFound(f"version {path}:{version}")
    if found.moved is not None:
        found = _final(connection, found)
        if found.deleted:
            raise Conflict(f"what {path} was renamed to is deleted")
        place = find_place(connection, objects.name_by_id(connection, found.name).path)
    demand(client, right, found.acls, place.within, place.path)
    return Content(place.path, found)


def _final(connection: Connection, version: Version) -> Version:
    """What stands for a version after all renames."""
    while version.moved is not None:
        version = objects.version_by_id(connection, version.moved)
    return version


def _demand_all(
    client: Client,
    place: Place,
    below: Sequence[tuple[int | None, Name]],
    versions: Sequence[Version],
    jobs: Sequence[Job],
) -> None:
    """Refuse unless the client owns every part, by itself or by something around it."""
    covered: dict[int, bool] = {}
    for parent, name in below:
        inherited = covered.get(parent, False) if parent is not None else False
        if name.id == place.living().id:
            inherited = may(client, Right.OWN, {}, place.around)
        if not inherited and not may(client, Right.OWN, name.acls, ()):
            raise denial(client, f"ownership of {name.path}")
        covered[name.id] = inherited or may(client, Right.OWN, {}, [name.acls])
    parts: list[Version | Job] = [*versions, *jobs]
    for part in parts:
        if not covered[part.name] and not may(client, Right.OWN, part.acls, ()):
            raise denial(client, f"ownership of everything in {place.path}")
