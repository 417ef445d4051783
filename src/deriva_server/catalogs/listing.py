"""Catalog ``0``: the registry as a table, which is read like any other.

It is a catalog of its own, with history and validators, that is brought up to date before it is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from deriva_server.catalogs import rows
from deriva_server.catalogs.catalog import Catalog, Reading, Writing
from deriva_server.catalogs.system import initial_model, system_table
from deriva_server.grammar.nodes import DataPath
from deriva_server.grammar.routes import CatalogRoute, parse_target
from deriva_server.grammar.tokens import encode
from deriva_server.identity import ADMIN, Client
from deriva_server.model import changes, parse
from deriva_server.model.values import stored_from_json
from deriva_server.plan.writes import Field, plan_insert, plan_update
from deriva_server.sql.registry import Entry

ID = "0"
"""Its id, which no other catalog can have."""

_SERVICE = Client("ermrest", display_name="ERMrest", attributes=(ADMIN,))
_COLUMNS = {
    "id": ("text", False),
    "is_catalog": ("boolean", False),
    "is_persistent": ("boolean", False),
    "deleted_on": ("timestamptz", True),
    "owner": ("text[]", True),
    "alias_target": ("text", True),
    "clone_source": ("text", True),
    "name": ("text", True),
    "description": ("text", True),
}
_TARGETS = [name for name in _COLUMNS if name != "id"]
_ENTITY = "entity/ermrest:registry"
_UPDATE = f"attributegroup/ermrest:registry/id;{','.join(_TARGETS)}"

Row = Mapping[str, Any]


def fill(catalog: Catalog) -> None:
    """Make the model of a new catalog ``0``."""
    with catalog.write(_SERVICE, alters=True, admit_all=True) as writing:

        def new_rid() -> str:
            return writing.rids()[0]

        model = initial_model([ADMIN], None, new_rid)
        model = changes.add_schema(model, parse.schema({"schema_name": "ermrest"}, new_rid))
        document = system_table("registry", _COLUMNS, [["id"]], {})
        table, keys, _ = parse.table(document, "ermrest", new_rid)
        writing.change_model(changes.add_table(model, table, keys, new_rid))


def refresh(catalog: Catalog, entries: Callable[[], Sequence[tuple[Entry, str]]]) -> None:
    """Bring the rows up to date.

    Parameters
    ----------
    catalog : Catalog
        Catalog ``0``.
    entries : callable
        Gives everything that is in the registry now, and when it was created.
    """
    wanted = _wanted(entries)
    with catalog.read(_SERVICE, admit_all=True) as reading:
        if _stored(reading) == {id: _comparable(row) for id, row in wanted.items()}:
            return
    with catalog.write(_SERVICE, admit_all=True) as writing:
        # Asked again, because another one may have written later entries meanwhile.
        wanted, stored = _wanted(entries), _stored(writing)
        _insert(writing, [row for id, row in wanted.items() if id not in stored])
        _update(
            writing, [row for id, row in wanted.items() if id in stored and _comparable(row) != stored[id]]
        )
        for id in stored.keys() - wanted.keys():
            rows.delete(writing, _parsed(f"{_ENTITY}/id={encode(id)}"))


def _wanted(entries: Callable[[], Sequence[tuple[Entry, str]]]) -> dict[str, Row]:
    return {entry.id: _row(entry, created) for entry, created in entries() if entry.id != ID}


def _row(entry: Entry, created: str) -> Row:
    found = {name: getattr(entry, name) for name in _COLUMNS}
    return {**found, "owner": list(entry.owner), "RCT": created}


def _comparable(row: Row) -> Row:
    deleted = row["deleted_on"]
    kept = {name: row[name] for name in _COLUMNS}
    return {**kept, "deleted_on": None if deleted is None else datetime.fromisoformat(deleted)}


def _stored(reading: Reading) -> dict[str, Row]:
    _, pieces = rows.read(reading, _parsed(_ENTITY), "json")
    found = [json.loads(text) for texts in pieces for text in texts]
    return {row["id"]: _comparable(row) for row in found}


def _insert(writing: Writing, new: Sequence[Row]) -> None:
    if new:
        plan = plan_insert(writing.model, _parsed(_ENTITY), nondefaults=["RCT"])
        list(rows.insert(writing, plan, [[_values(plan.given, row) for row in new]], "json"))


def _update(writing: Writing, changed: Sequence[Row]) -> None:
    if changed:
        plan = plan_update(writing.model, _parsed(_UPDATE))
        list(rows.update(writing, plan, [[_values((*plan.keys, *plan.targets), row) for row in changed]]))


def _values(fields: Sequence[Field], row: Row) -> rows.Row:
    return tuple(
        None if row[field.name] is None else stored_from_json(field.column.type, row[field.name])
        for field in fields
    )


def _parsed(path: str) -> DataPath:
    route = parse_target(f"/ermrest/catalog/{ID}/{path}").route
    assert isinstance(route, CatalogRoute) and isinstance(route.resource, DataPath)
    return route.resource
