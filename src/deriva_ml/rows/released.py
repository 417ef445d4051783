"""A `Reader` at a snapshot, in which the version that was released from just that state is that release."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml.names import MLTable
from deriva_ml.rows.reader import Reader, Row

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel, Table

_FACTS = ("Version", "Description", "Execution", "Snapshot")


class ReleasedReader:
    """A reader at a snapshot.

    A release gets its label after the snapshot that it stands for: there its row still says what was developed, and a
    first release does not know its snapshot yet. Both are taken from the catalog as it is now.

    Parameters
    ----------
    reader : Reader
        The catalog at the snapshot.
    now : callable
        Gives a reader of the catalog as it is.
    snapshot : str
    """

    def __init__(self, reader: Reader, now: Callable[[], Reader], snapshot: str) -> None:
        self._reader, self._now, self._snapshot = reader, now, snapshot

    @property
    def model(self) -> CatalogModel:
        """The catalog model at the snapshot."""
        return self._reader.model

    def rows(
        self,
        table: Table,
        *,
        where: Mapping[str, Collection[Any]] | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[Row]:
        """Rows in RID order, streamed; see `Reader.rows`."""
        if (table.schema.name, table.name) != (self.model.ml_schema, MLTable.dataset_version):
            return self._reader.rows(table, where=where, columns=columns)
        return self._versions(table, where, columns)

    def _versions(
        self, table: Table, where: Mapping[str, Collection[Any]] | None, columns: Sequence[str] | None
    ) -> Iterator[Row]:
        asked = None if columns is None else [*columns, "RID", "Snapshot"]
        found = list(self._reader.rows(table, where=where, columns=asked))
        unnamed = {"RID": [row["RID"] for row in found if not row["Snapshot"]], "Snapshot": [self._snapshot]}
        released = {
            row["RID"]: row for row in (self._now().rows(table, where=unnamed) if unnamed["RID"] else ())
        }
        for row in found:
            facts = released.get(row["RID"], {})
            known = {**row, **{name: facts[name] for name in _FACTS if name in row and name in facts}}
            yield known if columns is None else {name: known[name] for name in columns}

    def count(self, table: Table, *, where: Mapping[str, Collection[Any]] | None = None) -> int:
        """How many rows `rows` would give."""
        return self._reader.count(table, where=where)

    def file(self, table: Table, row: Row) -> Path | None:
        """Local path of the bytes of an asset row, None where they are not on this disk."""
        return self._reader.file(table, row)
