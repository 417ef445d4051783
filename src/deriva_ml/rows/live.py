"""A `Reader` over a catalog, live or at a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deriva_ml.ermrest import objects, rows
from deriva_ml.ermrest.connect import Connection
from deriva_ml.model.graph import CatalogModel, Table
from deriva_ml.rows.reader import Row, as_float, is_float

_MANY_PARTS = 4
"""Requests that one question may take, each answered in pages of its own, before other ways are looked for."""


def _with_floats(found: Iterator[Row], names: Sequence[str]) -> Iterator[Row]:
    for row in found:
        for name in names:
            row[name] = as_float(row[name])
        yield row


class LiveReader:
    """Rows of a catalog, by keyset pages.

    Parameters
    ----------
    connection : Connection
    model : callable
        Gives the model of that catalog.
    """

    def __init__(self, connection: Connection, model: Callable[[], CatalogModel]) -> None:
        self.connection = connection
        self._model = model

    @property
    def model(self) -> CatalogModel:
        """The catalog model at the moment that is read."""
        return self._model()

    def rows(
        self,
        table: Table,
        *,
        where: Mapping[str, Collection[Any]] | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[Row]:
        """Rows in RID order, streamed; see `Reader.rows`."""
        wide = self._wide_condition(table, where)
        if wide is None:
            found = rows.read(self.connection, table, where=where, columns=columns)
        else:
            found = self._sifted(table, dict(where or {}), wide, columns)
        floats = [column.name for column in table.columns if is_float(column)]
        floats = [name for name in floats if columns is None or name in columns]
        return _with_floats(found, floats) if floats else found

    def _wide_condition(self, table: Table, where: Mapping[str, Collection[Any]] | None) -> str | None:
        """The column with so many accepted values that reading the rest of the table asks for less."""
        widest = max(where or (), key=lambda column: len((where or {})[column]), default=None)
        if where is None or widest is None:
            return None
        others = {name: values for name, values in where.items() if name != widest}
        number = None
        if len(where[widest]) > rows.CHUNK:
            number = rows.count(self.connection, table, others)
            # To name a value costs about as much as to read a row.
            if number <= 2 * len(where[widest]):
                return widest
        parts = len(rows.conditions(self.connection, where))
        if number is None and parts >= _MANY_PARTS:
            number = rows.count(self.connection, table, others)
        return widest if number is not None and number // rows.PAGE < parts else None

    def _sifted(
        self, table: Table, where: dict[str, Collection[Any]], column: str, columns: Sequence[str] | None
    ) -> Iterator[Row]:
        """Rows that match, found among those that match all but one condition."""
        accepted = frozenset(where.pop(column))
        asked = None if columns is None else [*columns, column]
        for row in rows.read(self.connection, table, where=where, columns=asked):
            if row[column] in accepted:
                yield row if columns is None else {name: row[name] for name in columns}

    def count(self, table: Table, *, where: Mapping[str, Collection[Any]] | None = None) -> int:
        """How many rows `rows` would give."""
        return rows.count(self.connection, table, where)

    def file(self, table: Table, row: Row) -> Path | None:
        """The file that an asset row was registered from, when its URL names a place on this disk."""
        path = objects.local_path(row.get("URL") or "")
        return path if path is not None and path.is_file() else None
