"""The order in which rows that were found are given to users."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.failures import translated
from deriva_ml.ermrest.lost import Row
from deriva_ml.ermrest.rows import TableLike, names_of
from deriva_ml.errors import DerivaMLValidationError

Sort = bool | Callable[[Any], Any] | None
"""True for the newest first; a callable that gives sort keys of a path of deriva-py; None for the catalog's order."""


def ordered(connection: Connection, table: TableLike, found: Sequence[Row], sort: Sort) -> list[Row]:
    """Put rows of a table into the order that is asked for.

    Parameters
    ----------
    connection : Connection
    table : Table or (schema, table)
    found : sequence of dict
        Whole rows.
    sort : optional
        See `Sort`; a callable may give one key or a list of them, each a column of the path or its ``.desc``.

    Raises
    ------
    DerivaMLValidationError
        If `sort` is something else, or gives what is no sort key.

    Examples
    --------
    >>> ml.find_executions(sort=lambda path: [path.Status, path.RCT.desc])  # doctest: +SKIP
    """
    if sort is True:
        return sorted(found, key=lambda row: (row["RCT"], row["RID"]), reverse=True)
    if not callable(sort):
        if sort is None or sort is False:
            return list(found)
        raise DerivaMLValidationError(
            f"sort cannot be {sort!r}; give True for the newest first, a function that makes sort keys of a path, or nothing."
        )
    schema, name = names_of(table)
    path = connection.catalog.getPathBuilder().schemas[schema].tables[name]
    try:
        keys = sort(path)
    except (TypeError, AttributeError, KeyError) as error:
        raise DerivaMLValidationError(
            f"sort failed: {error}. It is given the path of the table, as lambda path: path.RCT.desc is."
        ) from error
    try:
        asked = path.entities().sort(*(keys if isinstance(keys, list | tuple) else [keys]))
    except (TypeError, ValueError) as error:
        raise DerivaMLValidationError(
            f"sort gave {keys!r}; let it give columns of the path, such as lambda path: path.RCT.desc."
        ) from error
    with translated(f"Sorting the rows of {name}"):
        in_order = asked.fetch()
    place = {row["RID"]: number for number, row in enumerate(in_order)}
    return sorted(found, key=lambda row: place.get(row["RID"], len(place)))
