"""Namespaces, and the rights and metadata of any resource."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deriva_server.blobs.access import ACCESS_NAMES, Right, check_access_name, demand
from deriva_server.blobs.content import find_content
from deriva_server.blobs.directory import Directory, Place, find_place, make_name
from deriva_server.blobs.metadata import attribute_of, field_text, with_field
from deriva_server.blobs.versions import Guard, no_guard
from deriva_server.errors import Conflict, NotFound
from deriva_server.identity import Client
from deriva_server.sql import objects
from deriva_server.sql.dialect import Connection
from deriva_server.sql.objects import NAMESPACE, Metadata
from deriva_server.values import Frozen

AclGuard = Callable[[list[str]], None]
"""Refuses a request by the roles that a list holds before the change."""

FieldGuard = Callable[[str | None], None]
"""Refuses a request by the text of a metadata field before the change, None when it is unset."""


class _Listed(Frozen, frozen=True):
    """A resource with lists of its own."""

    kind: str
    id: int
    acls: objects.Acls


class Resources:
    """Operations on namespaces, access lists and metadata.

    Parameters
    ----------
    directory : Directory
        Where they are.
    """

    def __init__(self, directory: Directory) -> None:
        self.directory = directory

    def is_namespace(self, path: str) -> bool | None:
        """Whether a namespace or an object stands at a path; None when nothing does."""
        with self.directory.read() as connection:
            name = find_place(connection, path).name
            return None if name is None or name.deleted else name.is_namespace

    def create_namespace(
        self, client: Client, path: str, *, parents: bool = False, guard: Guard = no_guard
    ) -> None:
        """Make a namespace.

        Raises
        ------
        Conflict
            If the name is taken or was.
        NotFound
            If its parent is missing.
        """

        def create(connection: Connection) -> None:
            place = find_place(connection, path)
            if place.name is not None and not place.name.deleted:
                place.demand(client, Right.OWN)
                raise Conflict(f"{path} exists")
            make_name(connection, client, place, NAMESPACE, parents=parents)
            guard(None)

        self.directory.write(create)

    def list_namespace(self, client: Client, path: str) -> list[str]:
        """Paths of the names directly below a namespace, in order."""
        with self.directory.read() as connection:
            place = find_place(connection, path)
            name = place.living(NAMESPACE)
            place.demand(client, Right.READ)
            return objects.children(connection, name.id)

    def read_acls(self, client: Client, path: str, version: str | None) -> dict[str, list[str]]:
        """The own access lists of a resource, empty ones included."""
        with self.directory.read() as connection:
            listed = _find_listed(connection, client, path, version)
            return {name: list(listed.acls.get(name, ())) for name in ACCESS_NAMES[listed.kind]}

    def read_acl(self, client: Client, path: str, version: str | None, access: str) -> list[str]:
        """One own access list of a resource.

        Raises
        ------
        BadRequest
            If the resource has no such list.
        """
        with self.directory.read() as connection:
            listed = _find_listed(connection, client, path, version)
            check_access_name(listed.kind, access)
            return list(listed.acls.get(access, ()))

    def change_acl(
        self,
        client: Client,
        resource: tuple[str, str | None],
        access: str,
        change: Callable[[list[str]], Sequence[str]],
        guard: AclGuard,
    ) -> None:
        """Change one access list.

        Parameters
        ----------
        client : Client
            Who asks; must own the resource.
        resource : tuple
            Path, and version or None.
        access : str
            Name of the list.
        change : callable
            Turns the roles of the list into those it shall hold.
        guard : callable
            Refuses by the roles before the change.
        """

        def work(connection: Connection) -> None:
            listed = _find_listed(connection, client, *resource)
            check_access_name(listed.kind, access)
            roles = list(listed.acls.get(access, ()))
            guard(roles)
            acls = {**listed.acls, access: list(dict.fromkeys(change(roles)))}
            setter = objects.set_version_acls if listed.kind == "version" else objects.set_name_acls
            setter(connection, listed.id, acls)

        self.directory.write(work)

    def read_metadata(self, client: Client, path: str, version: str | None) -> Metadata:
        """What is told about a version, or the current one."""
        with self.directory.read() as connection:
            return find_content(connection, client, path, version).version.metadata

    def set_metadata(
        self,
        client: Client,
        resource: tuple[str, str | None],
        field: str,
        text: str | None,
        guard: FieldGuard,
    ) -> None:
        """Set one field of a version, or of the current one.

        Parameters
        ----------
        client : Client
            Who asks; must own the version.
        resource : tuple
            Path, and version or None.
        field : str
            Its name in URLs.
        text : str or None
            The value as a client writes it; None removes it.
        guard : callable
            Refuses by the value before the change.
        """
        attribute = attribute_of(field)

        def work(connection: Connection) -> None:
            found = find_content(connection, client, *resource, Right.OWN).version
            guard(field_text(found.metadata, field))
            if text is None:
                values = {name: getattr(found.metadata, name) for name in Metadata.__slots__}
                metadata = Metadata(**{**values, attribute: None})
            else:
                metadata = with_field(found.metadata, field, text)
            objects.set_version_metadata(connection, found.id, metadata)

        self.directory.write(work)


def _find_listed(connection: Connection, client: Client, path: str, version: str | None) -> _Listed:
    """A resource whose lists the client may read and write: the owner's business only."""
    place: Place = find_place(connection, path)
    name = place.living()
    if version is None:
        place.demand(client, Right.OWN)
        return _Listed(name.kind, name.id, name.acls)
    found = None if name.kind == NAMESPACE else objects.find_version(connection, name.id, version)
    if found is None or found.deleted:
        raise NotFound(f"version {path}:{version}")
    demand(client, Right.OWN, found.acls, place.within, f"{path}:{version}")
    return _Listed("version", found.id, found.acls)
