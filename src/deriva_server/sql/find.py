"""Statements that look for a row by its RID over all tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from deriva_server.sql.dialect import Connection, Expressions, history_name, quote, text_literal
from deriva_server.sql.history import Source, tables_with_history

_MOST_PARTS = 400
_WANTED = "wanted"


Statements = tuple[sa.CompoundSelect[Any], ...]
"""Together they look into every table."""


def looking_into(x: Expressions, tables: Sequence[tuple[str, Source, tuple[str, str]]]) -> Statements:
    """Statements that look for a row by its RID; they may be used again as long as the tables stay the same.

    Parameters
    ----------
    x : Expressions
        Of the database.
    tables : sequence of (table RID, rows, (name of the RID column, name of the RMT column))
        Where to look.
    """
    is_wanted = x.among_shared(_WANTED)
    parts = [
        sa.select(
            sa.literal_column(text_literal(table_rid)).label("t"),
            source.c[rid].label("r"),
            source.c[rmt].label("m"),
        ).where(is_wanted(source.c[rid]))
        for table_rid, source, (rid, rmt) in tables
    ]
    return tuple(
        sa.union_all(*parts[start : start + _MOST_PARTS]) for start in range(0, len(parts), _MOST_PARTS)
    )


def present_row(
    connection: Connection, statements: Statements, spellings: tuple[str, str]
) -> tuple[str, str] | None:
    """Table RID and stored RID of the newest row with a RID in either spelling."""
    newest: tuple[Any, ...] | None = None
    # Databases look one spelling up faster than twice the same.
    wanted = {_WANTED: connection.dialect.expressions.given(list(dict.fromkeys(spellings)))}
    for statement in statements:
        rows: Iterable[Any] = connection.raw.execute(statement, wanted)
        for row in rows:
            found = (row[0], row[1], row[2])
            if newest is None or found[2] > newest[2]:
                newest = found
    return None if newest is None else (newest[0], newest[1])


def deleted_row(connection: Connection, spellings: tuple[str, str]) -> tuple[str, str, int] | None:
    """Table RID, stored RID and end of the last version of a row that is gone; the end in microseconds since 1970."""
    wanted = ", ".join("?" for _ in spellings)
    latest: tuple[str, str, int] | None = None
    for table_rid in tables_with_history(connection):
        row = connection.run(
            f"SELECT rid, max(until) FROM {quote(history_name(table_rid))} WHERE rid IN ({wanted}) GROUP BY rid ORDER BY 2 DESC LIMIT 1",
            tuple(spellings),
        ).first()
        until = None if row is None else connection.dialect.microseconds(row[1])
        if row is not None and until is not None and (latest is None or until > latest[2]):
            latest = (table_rid, row[0], until)
    return latest
