"""Statements that look for a row by its RID over all tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from deriva_server.names import to_microseconds
from deriva_server.sql.connect import Connection
from deriva_server.sql.dialect import quote
from deriva_server.sql.history import Source, history_name

_MOST_PARTS = 400


Statements = tuple[sa.CompoundSelect[Any], ...]
"""Together they look into every table."""


def looking_into(tables: Sequence[tuple[str, Source, tuple[str, str]]]) -> Statements:
    """Statements that look for a row by its RID; they may be used again as long as the tables stay the same.

    Parameters
    ----------
    tables : sequence of (table RID, rows, (name of the RID column, name of the RMT column))
        Where to look.
    """
    wanted: sa.BindParameter[Any] = sa.bindparam("spellings", expanding=True)
    parts = [
        sa.select(sa.literal(table_rid).label("t"), source.c[rid].label("r"), source.c[rmt].label("m")).where(
            source.c[rid].in_(wanted)
        )
        for table_rid, source, (rid, rmt) in tables
    ]
    return tuple(
        sa.union_all(*parts[start : start + _MOST_PARTS]) for start in range(0, len(parts), _MOST_PARTS)
    )


def present_row(
    connection: Connection, statements: Statements, spellings: Sequence[str]
) -> tuple[str, str] | None:
    """Table RID and stored RID of the newest row with one of these RIDs."""
    newest: tuple[str, str, str] | None = None
    for statement in statements:
        rows: Iterable[Any] = connection.raw.execute(statement, {"spellings": list(spellings)})
        for row in rows:
            found = (row[0], row[1], row[2])
            if newest is None or found[2] > newest[2]:
                newest = found
    return None if newest is None else (newest[0], newest[1])


def deleted_row(connection: Connection, spellings: Sequence[str]) -> tuple[str, str, int] | None:
    """Table RID, stored RID and end of the last version of a row that is gone; the end in microseconds since 1970."""
    prefix = history_name("")
    names = connection.raw.exec_driver_sql(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, ?) = ?",
        (len(prefix), prefix),
    )
    wanted = ", ".join("?" for _ in spellings)
    latest: tuple[str, str, str] | None = None
    for (name,) in list(names):
        row = connection.raw.exec_driver_sql(
            f"SELECT rid, max(until) FROM {quote(name)} WHERE rid IN ({wanted}) GROUP BY rid ORDER BY 2 DESC LIMIT 1",
            tuple(spellings),
        ).first()
        if row is not None and (latest is None or row[1] > latest[2]):
            latest = (name[len(prefix) :], row[0], row[1])
    return (
        None
        if latest is None
        else (latest[0], latest[1], to_microseconds(dt.datetime.fromisoformat(latest[2])))
    )
