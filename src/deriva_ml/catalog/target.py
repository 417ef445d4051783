"""The catalog that a clone goes into: a new one with the schema of the source, or one that is there and fits."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from deriva_ml.catalog.slice import copied_tables
from deriva_ml.ermrest import connect, rows, schemas
from deriva_ml.ermrest.address import Address, read_address
from deriva_ml.ermrest.connect import Connection, Host
from deriva_ml.errors import (
    DerivaMLAuthenticationError,
    DerivaMLCatalogNotFound,
    DerivaMLConfigurationError,
    DerivaMLConflictError,
    DerivaMLReadOnlyError,
    DerivaMLSchemaError,
)
from deriva_ml.model import tags
from deriva_ml.model.document import DocumentModel
from deriva_ml.model.graph import CatalogModel, Table
from deriva_ml.names import ML_SCHEMA
from deriva_ml.schema import terms

_PRIVATE = frozenset({"acls", "acl_bindings", "rights"})
"""Parts of a schema document that belong to the source alone: who may do what there."""

_SHOWN = 5


def open_target(
    hostname: Host, catalog_id: str | int, credential: dict[str, Any] | None, source: Connection
) -> Connection:
    """Connect to an existing catalog that shall receive a clone.

    Raises
    ------
    DerivaMLCatalogNotFound
        If there is none.
    DerivaMLConfigurationError
        If it is the source itself, or a snapshot.
    """
    asked = connect.connect(hostname, catalog_id, credential=credential)
    if asked.is_snapshot:
        raise DerivaMLReadOnlyError(
            f"{asked.name} is a snapshot and cannot receive a clone; name the catalog alone."
        )
    found = asked.behind(asked.document().get("alias_target"))
    if found.catalog_id == source.catalog_id and same_site(source, found.site.address):
        raise DerivaMLConfigurationError(
            f"{found.name} is the source itself. Leave out the destination catalog to make a new one."
        )
    return found


def same_site(one: Connection, other: Address) -> bool:
    """Whether an address is that of the deployment of a catalog, so that catalogs there share its object store."""
    mine = one.site.address
    if mine.folder is not None and other.folder is not None:
        return mine.folder.resolve() == other.folder.resolve()
    return (mine.folder, mine.network_name) == (other.folder, other.network_name)


def aliased(hostname: Host, alias: str, credential: dict[str, Any] | None) -> Connection | None:
    """The catalog that an id leads to, None where it is free."""
    address = read_address(hostname)
    if address.folder is not None and not address.folder.exists():
        return None
    try:
        found = connect.connect(hostname, alias, credential=credential)
        return found.behind(found.document().get("alias_target"))
    except DerivaMLCatalogNotFound:
        return None


def check_room(target: Host, needed: int, doing: str) -> None:
    """Check that a folder has room for some bytes.

    Raises
    ------
    DerivaMLConfigurationError
        If it has not.
    """
    folder = read_address(target).folder if not isinstance(target, Path) else target
    while folder is not None and not folder.exists():
        folder = folder.parent
    if folder is None:
        return
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DerivaMLConfigurationError(
            f"{doing} takes {needed} bytes, and {folder} has room for {free}. Free disk space or choose another place."
        )


def fitting_schemas(document: Mapping[str, Any], existing: Connection | None) -> dict[str, Any]:
    """Documents of the schemas of a source that a destination lacks.

    Parameters
    ----------
    document : mapping
        Schema document of the source.
    existing : Connection, optional
        The destination, where it exists.

    Raises
    ------
    DerivaMLSchemaError
        If it has schemas of the same names with other tables.
    """
    wanted = {name: _plain(schema) for name, schema in document["schemas"].items() if name != "public"}
    for schema in wanted.values():
        schema["tables"] = {
            name: table for name, table in schema["tables"].items() if table.get("kind", "table") == "table"
        }
    if existing is None:
        return wanted
    there = existing.model()
    lacking = {name: schema for name, schema in wanted.items() if name not in there.schemas}
    wrong = list(_differences(DocumentModel({"schemas": wanted}), there))
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise DerivaMLSchemaError(
            f"{existing.name} has another schema than the source: {'; '.join(wrong[:_SHOWN])}{more}. "
            "Clone into a new catalog."
        )
    return lacking


def _plain(part: Any) -> Any:
    """A part of a schema document without what belongs to the source alone."""
    if isinstance(part, dict):
        return {
            key: value if key == "annotations" else _plain(value)
            for key, value in part.items()
            if key not in _PRIVATE
        }
    return [_plain(each) for each in part] if isinstance(part, list) else part


def _differences(wanted: Any, there: Any) -> Iterator[str]:
    for name, schema in wanted.schemas.items():
        if name not in there.schemas:
            continue
        for table_name, table in schema.tables.items():
            label = f"{name}:{table_name}"
            if table_name not in there.schemas[name].tables:
                yield f"it has no table {label}"
                continue
            columns = there.schemas[name].tables[table_name].columns.elements
            for column in table.columns:
                if column.name not in columns:
                    yield f"{label} has no column {column.name}"
                elif columns[column.name].type.typename != column.type.typename:
                    yield (
                        f"{label}:{column.name} is {columns[column.name].type.typename}, not {column.type.typename}"
                    )


def occupied(connection: Connection, model: CatalogModel) -> None:
    """Check that a catalog which is no clone yet has no rows besides those that every new one has.

    Raises
    ------
    DerivaMLConflictError
        If it has; says which.
    """
    found = [
        f"{table.schema.name}:{table.name}"
        for table in copied_tables(model)
        if rows.count(connection, table) > _seeds(connection, table)
    ]
    if found:
        more = ", …" if len(found) > _SHOWN else ""
        raise DerivaMLConflictError(
            f"{connection.name} has rows of its own in {', '.join(found[:_SHOWN])}{more}, whose RIDs may be those of "
            "rows of the source. Clone into a new catalog."
        )


def _seed_conditions(table: Table) -> dict[str, list[str]] | None:
    """What selects the rows of a table that every new catalog has."""
    if table.schema.name != ML_SCHEMA:
        return None
    if table.name in terms.TERMS:
        return {"Name": list(terms.TERMS[table.name])}
    return next(({column: [value]} for name, column, value in terms.SENTINELS if name == table.name), None)


def _seeds(connection: Connection, table: Table) -> int:
    where = _seed_conditions(table)
    return rows.count(connection, table, where) if where else 0


def clear_seeds(connection: Connection, model: CatalogModel) -> None:
    """Remove the rows that every new catalog has: those of the source come with the RIDs that they have there."""
    order = ["Execution", "File", "Workflow", *terms.TERMS]
    for name in order:
        table = model.schemas[ML_SCHEMA].tables.get(name)
        where = None if table is None else _seed_conditions(table)
        if table is not None and where and any(where.values()):
            rows.delete(connection, table, where)


def make_catalog(hostname: Host, source: Connection, credential: dict[str, Any] | None) -> Connection:
    """Make an empty catalog for a clone."""
    name = source.document().get("name") or f"catalog {source.catalog_id}"
    return connect.create_catalog(
        hostname, credential=credential, name=f"Clone of {name}", description=f"Made from {source.name}"
    )


def give_schemas(connection: Connection, lacking: Mapping[str, Any]) -> None:
    """Make the schemas that a destination lacks, all or nothing."""
    if lacking:
        schemas.create_schemas(connection, dict(lacking))


def give_annotations(connection: Connection, source: Connection, document: Mapping[str, Any]) -> None:
    """Show the clone as the source is shown: menus, titles, what of tables is seen.

    Parameters
    ----------
    connection : Connection
    source : Connection
    document : mapping
        Schema document of the source.
    """
    shown = {
        key: value
        for key, value in (document.get("annotations") or {}).items()
        if key not in (tags.CATALOG_PROVENANCE, tags.CLONE_STATE)
    }
    # Links to pages of a catalog name it by its id.
    text = re.sub(
        rf"#{re.escape(source.catalog_id)}(?=[/\"])", f"#{connection.catalog_id}", json.dumps(shown)
    )
    for key, value in json.loads(text).items():
        connection.put(f"/annotation/{rows.escaped(key)}", json=value)
    for name, table in document["schemas"].get("public", {}).get("tables", {}).items():
        if table.get("annotations"):
            # Not every service lets its own tables be described.
            with suppress(DerivaMLAuthenticationError):
                connection.put(
                    f"/schema/public/table/{rows.escaped(name)}", json={"annotations": table["annotations"]}
                )
