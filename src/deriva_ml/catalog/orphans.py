"""Rows of a slice that refer to rows outside of it, and what is done with them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from deriva_ml.errors import DerivaMLConflictError
from deriva_ml.model.ways import OUTSIDE, TableName, name_of
from deriva_ml.rows.local import quoted, table_name

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel
    from deriva_ml.model.protocols import ForeignKey

_SHOWN = 5


class OrphanStrategy(StrEnum):
    """What happens to a row that refers to a row which is not in the slice."""

    FAIL = "fail"
    """Nothing is cloned, and an error names the rows."""
    DELETE = "delete"
    """The row is left out, and so is what refers to it."""
    NULLIFY = "nullify"
    """The reference is emptied; where it must not be empty, the row is left out."""


def settle(database: Path, model: CatalogModel, strategy: OrphanStrategy) -> Counter[TableName]:
    """Apply a strategy to the SQLite file of a slice.

    Parameters
    ----------
    database : Path
    model : CatalogModel
        Of the moment when the rows were taken.
    strategy : OrphanStrategy

    Returns
    -------
    Counter
        How many rows of each table were left out or lost a reference.

    Raises
    ------
    DerivaMLConflictError
        If there are such rows, and the strategy is FAIL.
    """
    found: Counter[TableName] = Counter()
    with closing(sqlite3.connect(database)) as connection:
        keys = list(_keys(connection, model))
        if strategy is OrphanStrategy.FAIL:
            _refuse(connection, keys)
            return found
        # Rows that are left out make orphans of those that refer to them.
        while changed := {
            name_of(key.table): number for key in keys if (number := _settle(connection, key, strategy))
        }:
            found.update(changed)
        connection.commit()
    return found


def _keys(connection: sqlite3.Connection, model: CatalogModel) -> Iterator[ForeignKey]:
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for schema in model.schemas.values():
        for table in schema.tables.values():
            if f"{schema.name}:{table.name}" not in there:
                continue
            for key in table.foreign_keys:
                if key.pk_table.schema.name not in OUTSIDE:
                    yield key


def _condition(connection: sqlite3.Connection, key: ForeignKey) -> str:
    """SQL that is true for rows whose reference leads nowhere."""
    own = [quoted(column.name) for column in key.foreign_key_columns]
    filled = " AND ".join(f"{column} IS NOT NULL" for column in own)
    target = key.pk_table
    name = f"{target.schema.name}:{target.name}"
    if not connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)
    ).fetchone():
        return filled
    there = ", ".join(quoted(column.name) for column in key.referenced_columns)
    mine = own[0] if len(own) == 1 else f"({', '.join(own)})"
    some = " AND ".join(f"{quoted(column.name)} IS NOT NULL" for column in key.referenced_columns)
    return f"{filled} AND {mine} NOT IN (SELECT {there} FROM {table_name(*name_of(target))} WHERE {some})"


def _settle(connection: sqlite3.Connection, key: ForeignKey, strategy: OrphanStrategy) -> int:
    table = table_name(*name_of(key.table))
    empty = [quoted(column.name) for column in key.foreign_key_columns if column.nullok]
    if strategy is OrphanStrategy.NULLIFY and empty:
        change = f"UPDATE {table} SET {', '.join(f'{column} = NULL' for column in empty)}"
    else:
        change = f"DELETE FROM {table}"
    return connection.execute(f"{change} WHERE {_condition(connection, key)}").rowcount


def _refuse(connection: sqlite3.Connection, keys: list[ForeignKey]) -> None:
    said = []
    for key in keys:
        table = table_name(*name_of(key.table))
        query = f"SELECT RID FROM {table} WHERE {_condition(connection, key)} ORDER BY RID"
        rids = [rid for (rid,) in connection.execute(query)]
        if rids:
            columns = ", ".join(column.name for column in key.foreign_key_columns)
            shown = ", ".join(rids[:_SHOWN]) + (", …" if len(rids) > _SHOWN else "")
            said.append(f"{len(rids)} rows of {key.table.name} by {columns} to {key.pk_table.name} ({shown})")
    if said:
        raise DerivaMLConflictError(
            f"Rows of the slice refer to rows outside of it: {'; '.join(said)}. Take these tables in, or choose what "
            "shall happen: OrphanStrategy.NULLIFY empties the references, OrphanStrategy.DELETE leaves the rows out."
        )
