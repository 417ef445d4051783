"""The one way to read rows: a live catalog, a catalog at a snapshot and a downloaded bag are all a `Reader`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel, Column, Table

Row = dict[str, Any]
"""Column name to JSON value."""


def is_float(column: Column) -> bool:
    """Whether values of a column, or those in its arrays, are floats; JSON writes whole ones without a point."""
    return bool(column.type.typename.startswith("float"))


def as_float(value: Any) -> Any:
    """Return a value of a column of floats as Python has it."""
    if isinstance(value, list):
        return [as_float(each) for each in value]
    return None if value is None else float(value)


@runtime_checkable
class Reader(Protocol):
    """Rows and files of a catalog, wherever they are; never writes."""

    @property
    def model(self) -> CatalogModel:
        """The catalog model at the moment that is read."""
        ...

    def rows(
        self,
        table: Table,
        *,
        where: Mapping[str, Collection[Any]] | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[Row]:
        """Rows in RID order, streamed.

        Parameters
        ----------
        table : Table
            A table of `model`.
        where : mapping, optional
            Column to accepted values; all columns must match. An empty collection selects nothing.
        columns : sequence of str, optional
            Columns to return, all by default.
        """
        ...

    def count(self, table: Table, *, where: Mapping[str, Collection[Any]] | None = None) -> int:
        """How many rows `rows` would give."""
        ...

    def file(self, table: Table, row: Row) -> Path | None:
        """Local path of the bytes of an asset row, None where they are not on this disk."""
        ...
