"""Add versions to objects: many at once, each with the checks and the outcome that it has alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from deriva_server.blobs.access import Acls, Right, owned_by
from deriva_server.blobs.backend import Source, Staged
from deriva_server.blobs.directory import (
    Directory,
    Place,
    check_free,
    find_names,
    find_place,
    make_above,
    make_name,
    place_among,
)
from deriva_server.blobs.metadata import verified
from deriva_server.blobs.taken import stage_rest
from deriva_server.blobs.versions import Content, Guard, new_id, no_guard, tag_of
from deriva_server.errors import BadRequest, Conflict, ServiceError
from deriva_server.identity import Client
from deriva_server.sql import objects
from deriva_server.sql.dialect import Connection
from deriva_server.sql.objects import NAMESPACE, OBJECT, Metadata, Name, NewName, Version

_CHEAP = 1 << 20
"""Bytes that are taken in sooner than it is asked whether they may come: the answer of the final transaction does."""


@dataclass(frozen=True, slots=True)
class Put:
    """A version to add to an object, which is made when its name is free.

    Parameters
    ----------
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
    """

    path: str
    source: Source
    metadata: Metadata
    parents: bool = False
    guard: Guard = no_guard


@dataclass(frozen=True, slots=True)
class _Arrived:
    """The bytes of a put, which are those that were announced."""

    number: int
    put: Put
    staged: Staged
    metadata: Metadata


Outcome = Content | ServiceError
"""What became of one put."""


def put_all(directory: Directory, client: Client, puts: Sequence[Put]) -> list[Outcome]:
    """Add versions in their order, in one transaction and with as few syncs as possible; durable on return.

    Those that fail do not keep the others back.

    Parameters
    ----------
    directory : Directory
        Where to.
    client : Client
        Owner of what is made.
    puts : sequence of Put
        What to add.

    Returns
    -------
    list
        For each put its version, or the error: `NotFound`, `Conflict`, `Forbidden` or `Unauthorized` when its name
        cannot be used, `BadRequest` when the bytes are not those that were announced, what its guard raises,
        `StorageFull`.
    """
    outcomes: dict[int, Outcome] = dict(_refused(directory, client, puts))
    wanted = [number for number in range(len(puts)) if number not in outcomes]
    arrived = []
    staged = stage_rest(directory.backend, [puts[number].source for number in wanted])
    for number, item in zip(wanted, staged, strict=True):
        try:
            arrived.append(_verified(number, puts[number], item))
        except ServiceError as error:
            outcomes[number] = error

    def add(connection: Connection) -> tuple[dict[int, Outcome], list[Staged]]:
        made = _add(connection, client, arrived)
        kept = [item.staged for item in arrived if isinstance(made[item.number], Content)]
        return made, kept

    if arrived:
        outcomes |= directory.add(add, [item.staged for item in arrived])
    return [outcomes[number] for number in range(len(puts))]


def _refused(directory: Directory, client: Client, puts: Sequence[Put]) -> Iterable[tuple[int, ServiceError]]:
    """Those that are refused before their bytes are taken in."""
    large = [number for number, put in enumerate(puts) if put.source.length > _CHEAP]
    if not large:
        return
    with directory.read() as connection:
        adding = _Adding(connection, client, [puts[number].path for number in large])
        for number in large:
            try:
                adding.check(puts[number])
            except ServiceError as error:
                yield number, error


def _verified(number: int, put: Put, staged: Staged | ServiceError) -> _Arrived:
    if isinstance(staged, ServiceError):
        raise staged
    try:
        return _Arrived(number, put, staged, verified(put.metadata, staged.digests, BadRequest))
    except ServiceError:
        staged.discard()
        raise


def _add(connection: Connection, client: Client, arrived: Sequence[_Arrived]) -> dict[int, Outcome]:
    outcomes: dict[int, Outcome] = {}
    adding = _Adding(connection, client, [item.put.path for item in arrived])
    accepted = []
    for item in arrived:
        try:
            adding.add(item)
            accepted.append(item.number)
        except ServiceError as error:
            outcomes[item.number] = error
    outcomes.update(zip(accepted, adding.write(), strict=True))
    return outcomes


class _Adding:
    """What some puts find and make, one after another; written at the end with few statements."""

    def __init__(self, connection: Connection, client: Client, paths: Sequence[str]) -> None:
        self._connection = connection
        self._client = client
        self._names = find_names(connection, paths)
        self._new: list[NewName] = []
        self._versions: list[tuple[str, Version]] = []
        self._newest: dict[str, Version] = {}

    def check(self, put: Put) -> Place:
        """Refuse a put that cannot be."""
        place = place_among(self._names, put.path)
        check_writable(self._client, place, parents=put.parents)
        put.guard(None if place.name is None else tag_of(self._current(place.name)))
        return place

    def _current(self, name: Name) -> Version | None:
        return self._newest.get(name.path) or objects.current_version(self._connection, name.id)

    def add(self, item: _Arrived) -> None:
        """Note a version, and the name that it takes."""
        place, acls = self.check(item.put), owned_by(self._client)
        if place.name is None:
            enclosing = make_above(self._connection, self._client, place)
            self._names.update((name.path, name) for name in enclosing)
            self._new.append(NewName(place.path, enclosing[-1].id, OBJECT, acls))
            # It has no number yet, and needs none: nothing can be below an object.
            self._names[place.path] = Name(0, place.path, OBJECT, False, acls)
        version = _version_of(item.staged, item.metadata, acls)
        self._versions.append((place.path, version))
        self._newest[place.path] = version

    def write(self) -> list[Content]:
        """Insert everything."""
        self._names.update(objects.add_names(self._connection, self._new))
        named = [replace(version, name=self._names[path].id) for path, version in self._versions]
        added = objects.add_versions(self._connection, named)
        return [Content(path, version) for (path, _), version in zip(self._versions, added, strict=True)]


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
    version = replace(_version_of(staged, metadata, owned_by(client)), name=place.living(OBJECT).id)
    return Content(place.path, objects.add_versions(connection, [version])[0])


def _version_of(staged: Staged, metadata: Metadata, acls: Acls) -> Version:
    """A version that has no number yet, of an object that may have none either."""
    digests = staged.digests
    return Version(0, 0, new_id(), digests.sha256, digests.length, metadata, acls)
