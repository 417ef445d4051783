"""From a RID to the table that holds, or held, its row."""

from __future__ import annotations

from functools import lru_cache

from deriva_server.catalogs.catalog import Reading
from deriva_server.catalogs.modelstore import load
from deriva_server.model.elements import Model, Same, Table
from deriva_server.names import from_microseconds, normal_rid
from deriva_server.sql import find, modelstore
from deriva_server.sql.dialect import Expressions
from deriva_server.values import Frozen


class Found(Frozen, frozen=True):
    """Where a row is, or was.

    Parameters
    ----------
    rid : str
        As stored.
    schema, table : str
        Names at the time when the row was last visible.
    deleted : int or None
        When it was deleted, in microseconds since 1970; None for a present row.
    last_visible : int or None
        The last snapshot that shows a deleted row.
    """

    rid: str
    schema: str
    table: str
    deleted: int | None = None
    last_visible: int | None = None


def lookup(reading: Reading, text: str) -> Found | None:
    """The row with a RID, spelled in any way; None when there never was one.

    If several tables hold the RID the most recent row is given.
    """
    spellings = (text, normal_rid(text))
    x = reading.connection.dialect.expressions
    if reading.as_of is None:
        statements = _live_statements(x, Same(reading.model))
    else:
        statements = find.looking_into(
            x, [(table.rid, reading.source(table), _system(table)) for table in reading.model.tables()]
        )
    found = find.present_row(reading.connection, statements, spellings)
    if found is not None:
        table = next(table for table in reading.model.tables() if table.rid == found[0])
        return Found(found[1], table.schema, table.name)
    return None if reading.as_of is not None else _deleted(reading, spellings)


@lru_cache(maxsize=8)
def _live_statements(x: Expressions, model: Same[Model]) -> find.Statements:
    return find.looking_into(
        x, [(table.rid, x.source(table), _system(table)) for table in model.value.tables()]
    )


def _system(table: Table) -> tuple[str, str]:
    return table.column_by_name["RID"].storage, table.column_by_name["RMT"].storage


def _deleted(reading: Reading, spellings: tuple[str, str]) -> Found | None:
    gone = find.deleted_row(reading.connection, spellings)
    if gone is None:
        return None
    table_rid, rid, deleted = gone
    then = modelstore.latest_snapshot(reading.connection, deleted - 1)
    if then is None:
        return None
    model = load(reading.connection, then[1])
    table = next((table for table in model.tables() if table.rid == table_rid), None)
    return None if table is None else Found(rid, table.schema, table.name, deleted, then[0])


def shown_time(moment: int) -> str:
    """A time as the service prints it: with a space, in UTC."""
    return str(from_microseconds(moment))
