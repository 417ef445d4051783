"""Objects and their versions: put, find, list, delete."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from deriva_server.blobs.access import Right, demand, denial, may
from deriva_server.blobs.adding import Outcome, Put, put_all
from deriva_server.blobs.directory import Directory, Place, find_place
from deriva_server.blobs.versions import Content, Guard, State, no_guard, tag_of
from deriva_server.errors import Conflict, NotFound, ServiceError
from deriva_server.http.message import Body
from deriva_server.identity import Client
from deriva_server.sql import objects
from deriva_server.sql.dialect import Connection
from deriva_server.sql.objects import OBJECT, Job, Name, Version

logger = logging.getLogger(__name__)


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

    def put(self, client: Client, put: Put) -> Content:
        """Add a version to an object; raises the errors that `put_all` gives."""
        outcome = self.put_all(client, [put])[0]
        if isinstance(outcome, ServiceError):
            raise outcome
        return outcome

    def put_all(self, client: Client, puts: Sequence[Put]) -> list[Outcome]:
        """Add versions to objects, see `adding.put_all`."""
        return put_all(self.directory, client, puts)

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
        """A stretch of the bytes.

        Raises
        ------
        NotFound
            If the store has lost them, or somebody has deleted the version a moment ago.
        """
        try:
            return self.backend.read(content.version.blob, start, length)
        except NotFound as error:
            said = (
                f"{error.detail}, but {content.location} is known. If it was not deleted a moment ago, its bytes are lost: "
                "`deriva-ml objects verify FOLDER` tells what else is, to be restored from a backup"
            )
            logger.warning("%s.", said)
            raise NotFound(said) from error

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
