"""The catalogs and aliases of one deployment."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deriva_server.access.acls import Rights
from deriva_server.catalogs.catalog import Catalog
from deriva_server.catalogs.system import initial_model
from deriva_server.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorized
from deriva_server.identity import ADMIN, Client
from deriva_server.model.values import storable
from deriva_server.names import stored_time
from deriva_server.sql import registry
from deriva_server.sql.databases import Databases
from deriva_server.sql.dialect import Connection
from deriva_server.sql.registry import Entry as Entry

MIRROR = "0"
"""Id of the catalog that shows the registry."""

SERVICE = Client("ermrest:registry", attributes=(ADMIN,))
"""Who makes and writes that catalog."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What an id in a URL leads to: the entry it names, and the catalog behind it."""

    entry: Entry
    target: Entry
    catalog: Catalog


class Registry:
    """Which catalogs exist in a deployment, and the open ones.

    Parameters
    ----------
    databases : Databases
        Where the registry and the catalogs are kept.
    creators : frozenset of str
        Roles that may create catalogs and aliases.
    """

    def __init__(self, databases: Databases, creators: frozenset[str] = frozenset((ADMIN,))) -> None:
        self._databases = databases
        self._creators = creators
        self._lock = threading.Lock()
        self._open: dict[str, Catalog] = {}
        self._database = databases.registry()
        with self._database.read() as connection:
            ready = registry.is_ready(connection)
        if not ready:
            with self._database.write() as connection:
                registry.create_tables(connection)

    def resolve(self, id: str) -> Resolved:
        """The catalog behind a catalog id or an alias.

        Raises
        ------
        NotFound
            If there is none, or the alias leads to none.
        """
        with self._database.glance() as connection:
            entry = _present(connection, id)
            target = entry
            if not entry.is_catalog:
                if entry.alias_target is None:
                    raise NotFound(f"catalog {id}: the alias is not bound to a catalog")
                target = _present(connection, entry.alias_target)
        return Resolved(entry, target, self._opened(target.id))

    def catalog(self, id: str) -> Catalog:
        """The catalog behind a catalog id or an alias; errors as in `resolve`."""
        return self.resolve(id).catalog

    def is_alias(self, id: str) -> bool:
        """Whether an id is that of an alias."""
        with self._database.read() as connection:
            entry = registry.find(connection, id)
        return entry is not None and not entry.is_catalog

    def entries(self, *, deleted: bool = False) -> list[Entry]:
        """All present catalogs and aliases, in the order of their creation; deleted catalogs after them if asked for."""
        with self._database.read() as connection:
            found = registry.list_present(connection)
            found += registry.list_deleted(connection) if deleted else []
        return [entry for entry in found if entry.id != MIRROR]

    def amend(self, id: str, values: Mapping[str, Any]) -> None:
        """Set ``is_persistent, clone_source, name, description`` of an entry."""
        if "is_persistent" in values:
            values = {**values, "is_persistent": int(bool(values["is_persistent"]))}
        with self._database.write() as connection:
            registry.update(connection, id, values)

    def create_mirror(self) -> Catalog:
        """Make the catalog that shows the registry, unless another process just did."""
        with contextlib.suppress(Conflict):
            self.create_catalog(SERVICE, {"id": MIRROR, "annotations": {}})
        return self.catalog(MIRROR)

    def close(self) -> None:
        """Close the open catalogs and the registry."""
        with self._lock:
            catalogs, self._open = list(self._open.values()), {}
        for catalog in catalogs:
            catalog.close()
        self._database.close()

    def create_catalog(self, client: Client, document: Mapping[str, Any]) -> str:
        """Create a catalog with the tables that every catalog has.

        Parameters
        ----------
        client : Client
            Needs a role that may create catalogs.
        document : mapping
            ``id, owner, annotations, name, description, is_persistent, clone_source``, all optional.

        Returns
        -------
        str
            Its id.
        """
        self._require_creator(client)
        owner = _owner(client, document)
        annotations = document.get("annotations")
        if annotations is not None and not isinstance(annotations, Mapping):
            raise BadRequest("annotations must be a JSON object.")
        entry = Entry(
            "",
            True,
            tuple(owner),
            None,
            _text(document, "name"),
            _text(document, "description"),
            _is_persistent(client, document),
            _id_or_none(document.get("clone_source"), "clone_source"),
        )
        with self._database.write() as connection:
            id = _claim(connection, client, document)
            try:
                catalog = self._made(id, client, owner, annotations)
            except BaseException:
                self._databases.remove_catalog(id)
                raise
            registry.insert(connection, replace(entry, id=id), _now())
        with self._lock:
            self._open[id] = catalog
        return id

    def delete(self, client: Client, id: str) -> None:
        """Delete a catalog, or the alias of that id; only an owner may."""
        with self._database.read() as connection:
            entry = _present(connection, id)
        if not entry.is_catalog:
            self.delete_alias(client, id)
            return
        catalog = self._opened(id)
        with catalog.read(client, admit_all=True) as reading:
            if not Rights(reading.model, client).catalog("owner"):
                raise denied(client, f"delete catalog {id}")
        with self._database.write() as connection:
            _present(connection, id)
            registry.update(connection, id, {"deleted_on": _now()})
        with self._lock:
            self._open.pop(id, None)
        catalog.close()

    def size(self, id: str) -> int:
        """Bytes that a catalog takes where it is kept, 0 when there is nothing of it."""
        return self._databases.size(id)

    def purgeable(self) -> list[Entry]:
        """Deleted catalogs whose databases are still there, in the order of their creation."""
        with self._database.read() as connection:
            return self._purgeable(connection)

    def _purgeable(self, connection: Connection) -> list[Entry]:
        return [entry for entry in registry.list_deleted(connection) if self._databases.has_catalog(entry.id)]

    def purge(self) -> list[str]:
        """Remove the databases of deleted catalogs; their ids stay taken.

        Returns
        -------
        list of str
            Ids of the catalogs whose databases were removed.
        """
        with self._database.write() as connection:
            gone = [entry.id for entry in self._purgeable(connection)]
            for id in gone:
                self._databases.remove_catalog(id)
        return gone

    def create_alias(self, client: Client, document: Mapping[str, Any]) -> str:
        """Create an alias, bound or not; fields ``id, owner, alias_target, name, description``."""
        self._require_creator(client)
        owner = _owner(client, document)
        with self._database.write() as connection:
            id = _claim(connection, client, document)
            entry = Entry(
                id,
                False,
                tuple(owner),
                _target(connection, document),
                _text(document, "name"),
                _text(document, "description"),
                _is_persistent(client, document),
            )
            registry.insert(connection, entry, _now())
        return id

    def alias(self, client: Client, id: str) -> dict[str, Any]:
        """The document of an alias, for its owner."""
        with self._database.read() as connection:
            return _alias_document(_own_alias(connection, client, id))

    def put_alias(self, client: Client, id: str, document: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """Create or change an alias; a document without target unbinds it.

        Returns
        -------
        tuple of (dict, bool)
            The document, and whether the alias is new.
        """
        if str(document.get("id", id)) != id:
            raise BadRequest(f'The id in the document differs from "{id}".')
        with self._database.read() as connection:
            found = registry.find(connection, id)
        if found is None:
            self.create_alias(client, {**document, "id": id})
            return self.alias(client, id), True
        with self._database.write() as connection:
            entry = _own_alias(connection, client, id)
            owner = _owner(client, document) if "owner" in document else list(entry.owner)
            registry.update(connection, id, {"owner": owner, "alias_target": _target(connection, document)})
            return _alias_document(_own_alias(connection, client, id)), False

    def delete_alias(self, client: Client, id: str) -> None:
        """Delete an alias; its id is free again, the target stays."""
        with self._database.write() as connection:
            _own_alias(connection, client, id)
            registry.remove(connection, id)

    def _require_creator(self, client: Client) -> None:
        if client is not SERVICE and client.roles.isdisjoint(self._creators):
            raise denied(client, "create catalogs")

    def _opened(self, id: str) -> Catalog:
        with self._lock:
            catalog = self._open.get(id)
            if catalog is None:
                catalog = self._open[id] = Catalog(id, self._databases.catalog(id))
            return catalog

    def _made(
        self, id: str, client: Client, owner: list[str], annotations: Mapping[str, Any] | None
    ) -> Catalog:
        catalog = Catalog.create(id, self._databases.create_catalog(id))
        with catalog.write(client, alters=True, admit_all=True) as writing:
            writing.change_model(initial_model(owner, annotations, lambda: writing.rids()[0]))
        self._databases.keep_catalog(id)
        return catalog


def denied(client: Client, action: str) -> Unauthorized | Forbidden:
    """The error for a caller without the right to do something."""
    return Unauthorized(action) if client.is_anonymous else Forbidden(action)


def _now() -> str:
    return stored_time(time.time_ns() // 1000)


def _present(connection: Connection, id: str) -> Entry:
    found = registry.find(connection, id)
    if found is None or found.deleted_on is not None:
        raise NotFound(f"catalog {id}")
    return found


def _own_alias(connection: Connection, client: Client, id: str) -> Entry:
    found = registry.find(connection, id)
    if found is None or found.is_catalog:
        raise NotFound(f"alias {id}")
    if client.roles.isdisjoint(found.owner):
        raise denied(client, f"access alias {id}")
    return found


def _alias_document(entry: Entry) -> dict[str, Any]:
    return {"id": entry.id, "owner": list(entry.owner), "alias_target": entry.alias_target}


def _owner(client: Client, document: Mapping[str, Any]) -> list[str]:
    owner = document.get("owner")
    if owner is None:
        owner = [client.id] if client.id is not None else []
    if isinstance(owner, str):
        owner = [owner]
    if not isinstance(owner, list) or not all(isinstance(role, str) for role in owner):
        raise BadRequest("owner must be a list of strings.")
    if client.roles.isdisjoint(owner):
        raise Conflict("The owner list must contain a role of the caller.")
    return owner


def _claim(connection: Connection, client: Client, document: Mapping[str, Any]) -> str:
    id = _id_or_none(document.get("id"), "id")
    if id is None:
        return registry.next_serial(connection)
    if id == MIRROR and client is not SERVICE:
        raise Conflict(f'The id "{id}" is reserved.')
    found = registry.find(connection, id)
    if found is None:
        return id
    if found.deleted_on is None and client.roles.isdisjoint(found.owner):
        raise Forbidden(f'The id "{id}" belongs to somebody else.')
    raise Conflict(f'The id "{id}" is in use or was used before.')


def _target(connection: Connection, document: Mapping[str, Any]) -> str | None:
    target = _id_or_none(document.get("alias_target"), "alias_target")
    if target is None:
        return None
    found = registry.find(connection, target)
    if found is None or not found.is_catalog or found.deleted_on is not None or target == MIRROR:
        raise Conflict(f'The alias target "{target}" is no catalog.')
    return target


def _id_or_none(value: Any, what: str) -> str | None:
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, (str, int))
        or not str(value)
        or len(str(value)) > 200
    ):
        raise BadRequest(f"{what} must be a non-empty string.")
    return storable(str(value))


def _is_persistent(client: Client, document: Mapping[str, Any]) -> bool:
    """Whether an entry shall be kept; only who may change any entry can ask for it."""
    value = document.get("is_persistent")
    if value is None:
        return False
    if not isinstance(value, bool):
        raise BadRequest("is_persistent must be true or false.")
    if ADMIN not in client.roles:
        raise denied(client, "make a catalog persistent")
    return value


def _text(document: Mapping[str, Any], name: str) -> str | None:
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"{name} must be a string.")
    return None if value is None else storable(value)
