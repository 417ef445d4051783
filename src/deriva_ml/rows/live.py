"""A `Reader` over a catalog, live or at a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deriva_ml.ermrest import objects, rows
from deriva_ml.ermrest.connect import Connection
from deriva_ml.model.graph import CatalogModel, Table
from deriva_ml.rows.reader import Row


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
        return rows.read(self.connection, table, where=where, columns=columns)

    def count(self, table: Table, *, where: Mapping[str, Collection[Any]] | None = None) -> int:
        """How many rows `rows` would give."""
        return rows.count(self.connection, table, where)

    def file(self, table: Table, row: Row) -> Path | None:
        """The file that an asset row was registered from, when its URL names a place on this disk."""
        path = objects.local_path(row.get("URL") or "")
        return path if path is not None and path.is_file() else None
