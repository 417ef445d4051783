"""Statements on the registry of a deployment: which catalogs and aliases exist."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deriva_server.sql.dialect import Connection

_TABLES = (
    """CREATE TABLE IF NOT EXISTS entry (
        id TEXT PRIMARY KEY,
        is_catalog INTEGER NOT NULL,
        owner TEXT NOT NULL,
        alias_target TEXT,
        name TEXT,
        description TEXT,
        is_persistent INTEGER NOT NULL DEFAULT 0,
        clone_source TEXT,
        created_on TEXT NOT NULL,
        deleted_on TEXT
    )""",
    "CREATE TABLE IF NOT EXISTS serial (one INTEGER PRIMARY KEY CHECK (one = 1), next INTEGER NOT NULL)",
    "INSERT INTO serial SELECT 1, 1 WHERE NOT EXISTS (SELECT 1 FROM serial)",
)

_COLUMNS = "id, is_catalog, owner, alias_target, name, description, is_persistent, clone_source, deleted_on, created_on"
_FIND = f"SELECT {_COLUMNS} FROM entry WHERE id = ?"


@dataclass(frozen=True, slots=True)
class Entry:
    """One catalog or alias, present or deleted."""

    id: str
    is_catalog: bool
    owner: tuple[str, ...]
    alias_target: str | None = None
    name: str | None = None
    description: str | None = None
    is_persistent: bool = False
    clone_source: str | None = None
    deleted_on: str | None = None
    created_on: str | None = None


def is_ready(connection: Connection) -> bool:
    """Whether the tables of the registry exist."""
    return "serial" in connection.dialect.list_tables(connection, "serial")


def create_tables(connection: Connection) -> None:
    """Make the tables of the registry where they are missing."""
    for statement in _TABLES:
        connection.run(statement)


def _entry(row: Any) -> Entry:
    id, is_catalog, owner, alias_target, name, description, is_persistent, *rest = row
    return Entry(
        id,
        bool(is_catalog),
        tuple(json.loads(owner)),
        alias_target,
        name,
        description,
        bool(is_persistent),
        *rest,
    )


def find(connection: Connection, id: str) -> Entry | None:
    """The entry of an id, deleted ones included."""
    row = connection.run(_FIND, (id,)).first()
    return None if row is None else _entry(row)


def list_present(connection: Connection) -> list[Entry]:
    """All catalogs and aliases that are not deleted, in the order of their creation."""
    rows = connection.run(f"SELECT {_COLUMNS} FROM entry WHERE deleted_on IS NULL ORDER BY created_on, id")
    return [_entry(row) for row in rows]


def list_deleted(connection: Connection) -> list[Entry]:
    """Catalogs that were deleted."""
    rows = connection.run(
        f"SELECT {_COLUMNS} FROM entry WHERE is_catalog = 1 AND deleted_on IS NOT NULL ORDER BY created_on, id"
    )
    return [_entry(row) for row in rows]


def list_catalogs(connection: Connection) -> list[str]:
    """Ids of all catalogs, deleted ones included."""
    return list(connection.run("SELECT id FROM entry WHERE is_catalog = 1 ORDER BY created_on, id").scalars())


def next_serial(connection: Connection) -> str:
    """The next free serial number as an id."""
    while True:
        number = connection.run("UPDATE serial SET next = next + 1 RETURNING next - 1").scalar_one()
        if find(connection, str(number)) is None:
            return str(number)


def insert(connection: Connection, entry: Entry, now: str) -> None:
    """Add an entry."""
    connection.run(
        f"INSERT INTO entry ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)",
        (
            entry.id,
            int(entry.is_catalog),
            json.dumps(entry.owner),
            entry.alias_target,
            entry.name,
            entry.description,
            int(entry.is_persistent),
            entry.clone_source,
            now,
        ),
    )


def update(connection: Connection, id: str, values: Mapping[str, Any]) -> None:
    """Set fields of an entry."""
    names = ", ".join(f"{name} = ?" for name in values)
    stored = [json.dumps(value) if isinstance(value, (list, tuple)) else value for value in values.values()]
    connection.run(f"UPDATE entry SET {names} WHERE id = ?", (*stored, id))


def remove(connection: Connection, id: str) -> None:
    """Remove an entry for good, so that its id is free again."""
    connection.run("DELETE FROM entry WHERE id = ?", (id,))
