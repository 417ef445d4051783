"""Wide tables as Arrow batches and Parquet files; the only place that knows pyarrow.

Values are those of the rows: whole numbers, floats and booleans as such, arrays as lists, JSON documents as JSON text, all
else (dates and times too, which may be infinite in a catalog) as text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml.copies import holding
from deriva_ml.extras import needed
from deriva_ml.rows.local import is_boolean, is_json

if TYPE_CHECKING:
    import pyarrow as pa

    from deriva_ml.model.graph import Column
    from deriva_ml.rows.wide import WideQuery

_BATCH = 20_000
"""Rows of one batch."""

_INTEGERS = {
    "int2": "int16",
    "int4": "int32",
    "int8": "int64",
    "serial2": "int16",
    "serial4": "int32",
    "serial8": "int64",
}
_FLOATS = frozenset({"float4", "float8", "numeric"})


def _pyarrow() -> Any:
    with needed("Arrow and Parquet need", "arrow"):
        import pyarrow
    return pyarrow


def batches(query: WideQuery) -> pa.RecordBatchReader:
    """Read a wide table as Arrow batches, streamed.

    Parameters
    ----------
    query : WideQuery

    Returns
    -------
    pyarrow.RecordBatchReader

    Raises
    ------
    DerivaMLDependencyError
        If pyarrow is not installed.
    """
    arrow = _pyarrow()
    columns = [column.column for column in query.plan.columns]
    kinds = [_kind(arrow, column.type.typename) for column in columns]
    labels = [column.label for column in query.plan.columns]
    schema = arrow.schema(list(zip(labels, kinds, strict=True)))
    converters = [_converter(column) for column in columns]

    def made() -> Iterator[Any]:
        for piece in query.pieces(_BATCH):
            yield arrow.record_batch(_arrays(arrow, piece, kinds, converters), schema=schema)

    return arrow.RecordBatchReader.from_batches(schema, made())


def write_parquet(query: WideQuery, path: Path) -> Path:
    """Write a wide table to a Parquet file, a batch at a time; it appears when it is complete.

    Parameters
    ----------
    query : WideQuery
    path : Path

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DerivaMLDependencyError
        If pyarrow is not installed.
    DerivaMLConfigurationError
        If there is no room for the file, or it must not be written.
    """
    found = batches(query)
    from pyarrow import parquet

    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    with holding(f"{path} cannot be written", "Name another file, or free disk space."):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with parquet.ParquetWriter(partial, found.schema) as writer:
                for batch in found:
                    writer.write_batch(batch)
            partial.replace(path)
        finally:
            with suppress(OSError):
                partial.unlink()
    return path


def _arrays(
    arrow: Any,
    piece: Sequence[tuple[Any, ...]],
    kinds: Sequence[Any],
    converters: Sequence[Callable[[Any], Any] | None],
) -> list[Any]:
    made = []
    for values, kind, convert in zip(zip(*piece, strict=True), kinds, converters, strict=True):
        if convert is None:
            made.append(arrow.array(values, kind))
        else:
            made.append(arrow.array([None if each is None else convert(each) for each in values], kind))
    return made


def _kind(arrow: Any, name: str) -> Any:
    if name.endswith("[]"):
        return arrow.list_(_kind(arrow, name[:-2]))
    if name == "boolean":
        return arrow.bool_()
    if name in _FLOATS:
        return arrow.float64()
    return getattr(arrow, _INTEGERS.get(name, "string"))()


def _converter(column: Column) -> Callable[[Any], Any] | None:
    """How a value of the SQLite file becomes what Arrow takes; None where it is that already."""
    name = column.type.typename
    if is_boolean(column):
        return bool
    if is_json(column):
        return json.loads if name.endswith("[]") else None
    return float if name in _FLOATS else None
