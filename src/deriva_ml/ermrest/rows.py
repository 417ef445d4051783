"""Rows in bulk: pages by RID, chunked inserts, updates and deletes."""

from __future__ import annotations

import heapq
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any
from urllib.parse import quote

from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.leases import lease
from deriva_ml.ermrest.lost import Insert, Row, as_sent
from deriva_ml.ermrest.patience import is_doubtful
from deriva_ml.errors import DerivaMLConflictError, DerivaMLNotFoundError, DerivaMLValidationError
from deriva_ml.model import tags
from deriva_ml.model.protocols import Table
from deriva_ml.names import SYSTEM_COLUMNS

TableLike = Table | tuple[str, str]
Where = Mapping[str, Collection[Any]]

PAGE = 10_000
PAGE_OF_KEYS = 100_000
"""Rows per request where no more than two columns are asked for: membership and keys."""
CHUNK = 1_000
"""Rows per request that writes, and values that are asked for at once."""
LOCAL_CHUNK = 10_000
"""The first of these for a server in this process, where nothing is on its way for long."""
_WHOLE = 10
"""Up to how many times as many values are read at once as are asked for."""
FILTER_BYTES = 6_000
"""Length of the values in one URL; web servers commonly accept 8 KiB in all."""
LOCAL_FILTER_BYTES = 100_000
"""The same for a server in this process, which has no such limit."""


_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch


def escaped(text: Any) -> str:
    """Percent-escape a name or value, leaving nothing that the URL grammar gives a meaning."""
    if isinstance(text, bool):
        return "true" if text else "false"
    text = str(text)
    # Of many thousand RIDs in one URL none needs it.
    return text if _PLAIN(text) else quote(text, safe="")


STORED = f"!(URL::regexp::{escaped('^tag:')})"
"""Path element that keeps rows of an asset table whose file is stored somewhere, not merely registered."""


def names_of(table: TableLike) -> tuple[str, str]:
    """Schema and name of a table."""
    return table if isinstance(table, tuple) else (table.schema.name, table.name)


def path_of(table: TableLike) -> str:
    """``schema:table`` of a table, escaped."""
    return ":".join(map(escaped, names_of(table)))


def _label(table: TableLike) -> str:
    return ":".join(names_of(table))


# Filters -----------------------------------------------------------------------------------------------------------


def _condition(column: str, values: Sequence[Any]) -> str:
    name = escaped(column)
    given = [escaped(value) for value in values if value is not None]
    parts = []
    if given:
        parts.append(f"{name}={given[0]}" if len(given) == 1 else f"{name}=any({','.join(given)})")
    if len(given) < len(values):
        parts.append(f"{name}::null::")
    return parts[0] if len(parts) == 1 else f"({';'.join(parts)})"


def _batches(values: Collection[Any], longest: int) -> list[list[Any]]:
    """Distinct values in order, in groups that fit into one URL."""
    groups: list[list[Any]] = []
    left = 0
    for value in sorted(set(values), key=lambda value: "" if value is None else str(value)):
        size = len(escaped(value)) + 1
        if not groups or size > left:
            groups.append([])
            left = longest
        groups[-1].append(value)
        left -= size
    return groups


def filters(where: Where | None, longest: int = FILTER_BYTES) -> list[str]:
    """URL parts (``/a=any(…)/b=…``) that together select what `where` says; several when one URL would be too long.

    Parameters
    ----------
    where : mapping, optional
        Column to accepted values, None among them for empty cells; all columns must match.
    longest : int
        Bytes that the values may take in one URL.

    Returns
    -------
    list of str
        ``[""]`` without conditions, nothing when a collection is empty.
    """
    combined = [""]
    for column, values in (where or {}).items():
        if isinstance(values, str | bytes):
            raise DerivaMLValidationError(f"The values of {column!r} must be a collection, not {values!r}.")
        conditions = [_condition(column, batch) for batch in _batches(values, longest // len(where or ()))]
        combined = [f"{left}/{right}" for left in combined for right in conditions]
    return combined


def conditions(connection: Connection, where: Where | None) -> list[str]:
    """URL parts as of `filters`, as long as the service behind a connection takes them."""
    return filters(where, LOCAL_FILTER_BYTES if connection.is_embedded else FILTER_BYTES)


# Reading -----------------------------------------------------------------------------------------------------------


def read(
    connection: Connection,
    table: TableLike,
    *,
    where: Where | None = None,
    columns: Sequence[str] | None = None,
    page: int | None = None,
) -> Iterator[Row]:
    """Rows of a table in RID order, one page at a time.

    Parameters
    ----------
    connection : Connection
    table : Table or (schema, name)
    where : mapping, optional
        Column to accepted values; all must match. An empty collection selects nothing.
    columns : sequence of str, optional
        Columns to return, all by default.
    page : int, optional
        Rows per request, by default `PAGE`, or `PAGE_OF_KEYS` where only two columns or one are asked for.

    Examples
    --------
    >>> list(read(connection, ("demo", "Image"), where={"Subject": ["1-ABC"]}))  # doctest: +SKIP
    """
    wanted = None if columns is None else list(dict.fromkeys(("RID", *columns)))
    page = page or (PAGE if wanted is None or len(wanted) > 2 else PAGE_OF_KEYS)
    streams = [_pages(connection, table, part, wanted, page) for part in conditions(connection, where)]
    in_order = len(streams) < 2 or list(where or ()) == ["RID"]
    rows = chain.from_iterable(streams) if in_order else heapq.merge(*streams, key=itemgetter("RID"))
    if columns is None or "RID" in columns:
        yield from rows
    else:
        yield from ({name: row[name] for name in columns} for row in rows)


def _pages(
    connection: Connection, table: TableLike, condition: str, columns: Sequence[str] | None, page: int
) -> Iterator[Row]:
    path = f"{path_of(table)}{condition}"
    base = f"/entity/{path}" if columns is None else f"/attribute/{path}/{','.join(map(escaped, columns))}"
    doing, after = f"Reading {_label(table)} of {connection.name}", ""
    while True:
        rows: list[Row] = connection.get(f"{base}@sort(RID){after}?limit={page}", doing=doing).json()
        yield from rows
        if len(rows) < page:
            return
        after = f"@after({escaped(rows[-1]['RID'])})"


def query(connection: Connection, path: str) -> list[Row]:
    """GET an ``/entity``, ``/attribute``, ``/attributegroup`` or ``/aggregate`` path.

    Parameters
    ----------
    connection : Connection
    path : str
        With its leading ``/``, names and values escaped.
    """
    rows: list[Row] = connection.get(path).json()
    return rows


def count(connection: Connection, table: TableLike, where: Where | None = None) -> int:
    """How many rows of a table match `where`."""
    doing = f"Counting {_label(table)} of {connection.name}"
    paths = [f"/aggregate/{path_of(table)}{part}/n:=cnt(RID)" for part in conditions(connection, where)]
    return sum(int(connection.get(path, doing=doing).json()[0]["n"]) for path in paths)


def stored_bytes(connection: Connection, table: TableLike) -> int:
    """How many bytes the files of an asset table have that are in an object store, not merely registered."""
    path = f"/aggregate/{path_of(table)}/{STORED}/n:=sum(Length)"
    found = connection.get(path, doing=f"Adding up {_label(table)} of {connection.name}").json()[0]["n"]
    return int(found or 0)


def present(
    connection: Connection, table: TableLike, column: str, values: Collection[Any], where: Where | None = None
) -> set[Any]:
    """Those of some values that a column has; of many values, all that there are is read where that is not much more.

    Parameters
    ----------
    connection : Connection
    table : Table or (schema, name)
    column : str
    values : collection
    where : mapping, optional
        What else must match.
    """
    if len(values) <= CHUNK or count(connection, table, where) > _WHOLE * len(values):
        where = {**(where or {}), column: values}
    return {row[column] for row in read(connection, table, where=where, columns=[column])}.intersection(
        values
    )


# Writing -----------------------------------------------------------------------------------------------------------


def _check_columns(table: TableLike, rows: Sequence[Row]) -> set[str]:
    """Names used by `rows`, which must be columns: the service would silently drop others."""
    used: set[str] = set().union(*(row.keys() for row in rows))
    if not isinstance(table, tuple):
        unknown = used - set(table.columns.elements)
        if unknown:
            raise DerivaMLValidationError(
                f"Table {_label(table)} has no column {', '.join(sorted(unknown))}."
            )
    return used


def _defaulted(table: TableLike, used: set[str], defaults: Collection[str]) -> list[str]:
    """Columns the service fills: those asked for, and those with a default that no row mentions."""
    filled = set(defaults)
    if not isinstance(table, tuple):
        own = {
            column.name
            for column in table.columns
            if column.default is not None or column.type.typename.startswith("serial")
        }
        filled |= own - used - set(SYSTEM_COLUMNS)
    return sorted(filled)


def insert(
    connection: Connection,
    table: TableLike,
    rows: Iterable[Row],
    *,
    with_rids: bool = False,
    keep: Collection[str] = (),
    skip_conflicts: bool = False,
    defaults: Collection[str] = (),
    chunk: int | None = None,
) -> list[Row]:
    """Insert rows, some per request.

    Parameters
    ----------
    connection : Connection
    table : Table or (schema, name)
        With a `Table`, unknown columns are refused, columns that no row mentions get their default, and rows without RIDs
        get leased ones where an annotation asks for it.
    rows : iterable of dict
        A column that only some rows mention is empty in the others.
    with_rids : bool
        Whether the rows carry the (leased) RIDs that they shall have.
    keep : collection of str
        Further system columns (``RCT``, ``RCB``) that the rows carry.
    skip_conflicts : bool
        Whether rows that violate a key are left out silently.
    defaults : collection of str
        Further columns that get their default.
    chunk : int, optional
        Rows per request; each request is all or nothing. By default `CHUNK` or `LOCAL_CHUNK`.

    Returns
    -------
    list of dict
        The rows that were inserted, complete, in order. When conflicts are skipped and the answer to a request was
        lost, also those of the request that are there with the values that were sent.

    Raises
    ------
    DerivaMLConflictError
        If a key or a reference is violated; chunks before the refused one stay.
    """
    pending = list(rows)
    if not pending:
        return []
    if not with_rids and not isinstance(table, tuple) and tags.is_strict(table.annotations):
        leased = lease(connection, len(pending))
        pending = [{**row, "RID": rid} for row, rid in zip(pending, leased, strict=True)]
        with_rids = True
    used = _check_columns(table, pending)
    options = []
    if skip_conflicts:
        options.append("onconflict=skip")
    filled = _defaulted(table, used, defaults)
    if filled:
        options.append("defaults=" + ",".join(escaped(name) for name in filled))
    kept = [*(["RID"] if with_rids else []), *keep]
    if kept:
        options.append("nondefaults=" + ",".join(kept))
    path = f"/entity/{path_of(table)}" + ("?" + "&".join(options) if options else "")
    doing = f"Inserting into {_label(table)} of {connection.name}"

    def post(piece: list[Row]) -> list[Row]:
        answer: list[Row] = connection.post(path, json=piece, doing=doing).json()
        return answer

    request = Insert(connection.authority, post, lambda where: read(connection, table, where=where))
    key = ["RID"] if with_rids else _telling_key(table, pending) if skip_conflicts else []
    sent = used - set(filled) - (set(SYSTEM_COLUMNS) - set(kept))
    made: list[Row] = []
    size = chunk or (LOCAL_CHUNK if connection.is_embedded else CHUNK)
    for start in range(0, len(pending), size):
        piece = pending[start : start + size]
        if not key:
            made += post(piece)
        elif skip_conflicts:
            made += request.skipping(piece, key, sent)
        else:
            made += request.of_leased(piece)
    return made


def _telling_key(table: TableLike, rows: Sequence[Row]) -> list[str]:
    """Columns of the shortest key that has a plain value in all rows, so that none of them can be there twice."""
    if isinstance(table, tuple):
        return []
    keys = [[column.name for column in key.unique_columns] for key in table.keys]
    telling = [
        key
        for key in keys
        if all(isinstance(row.get(name), str | int | float) for row in rows for name in key)
    ]
    return min(telling, key=len, default=[])


def update(
    connection: Connection,
    table: TableLike,
    rows: Iterable[Row],
    *,
    keys: Sequence[str] = ("RID",),
    columns: Sequence[str],
    chunk: int = CHUNK,
) -> list[Row]:
    """Set columns of the rows that agree in `keys`.

    Parameters
    ----------
    connection : Connection
    table : Table or (schema, name)
    rows : iterable of dict
        Each with `keys` and `columns`; one that matches nothing is ignored.
    keys : sequence of str
        ``("RID", "RMT")`` makes the update conditional on nobody having changed the row. When the answer to such a
        request was lost, a row that has the values by now counts as changed.
    columns : sequence of str
        What is set; a row without one of them empties it.

    Returns
    -------
    list of dict
        Keys and columns of the rows that were changed.
    """
    pending = list(rows)
    _check_columns(table, pending)
    path = (
        f"/attributegroup/{path_of(table)}/{','.join(map(escaped, keys))};{','.join(map(escaped, columns))}"
    )
    doing = f"Updating {_label(table)} of {connection.name}"
    changed: list[Row] = []
    wanted = (*keys, *columns)
    for start in range(0, len(pending), chunk):
        body = [{name: row.get(name) for name in wanted} for row in pending[start : start + chunk]]
        answer = connection.put(path, json=body, doing=doing)
        done: list[Row] = answer.json()
        if {"RID", "RMT"} <= set(keys) and len(done) < len(body) and is_doubtful(answer):
            done += _changed_before(connection, table, body, done, wanted)
        changed += done
    return changed


def _changed_before(
    connection: Connection, table: TableLike, body: list[Row], done: list[Row], wanted: Sequence[str]
) -> list[Row]:
    """Rows that a lost attempt at a guarded update has changed, so that the next one found them changed."""
    known = {row["RID"] for row in done}
    left = {row["RID"]: row for row in body if row["RID"] not in known}
    sent = set(wanted) - {"RMT"}
    # One that somebody else gave the same values meanwhile is as it should be, too.
    found = read(connection, table, where={"RID": left}, columns=[*wanted])
    return as_sent(left.values(), found, ["RID"], sent)


def update_one(connection: Connection, table: TableLike, rid: str, **values: Any) -> None:
    """Set columns of one row.

    Raises
    ------
    DerivaMLConflictError
        If there is no such row (any more).
    """
    if not update(connection, table, [{"RID": rid, **values}], columns=tuple(values)):
        raise DerivaMLConflictError(f"Row {rid} of {_label(table)} is gone.")


def delete(connection: Connection, table: TableLike, where: Where) -> int:
    """Delete the rows that match; how many there were."""
    if not where:
        raise DerivaMLValidationError(f"Deleting all rows of {_label(table)} needs a condition.")
    doing = f"Deleting from {_label(table)} of {connection.name}"
    gone = 0
    for part in conditions(connection, where):
        path = f"{path_of(table)}{part}"
        found = int(connection.get(f"/aggregate/{path}/n:=cnt(RID)", doing=doing).json()[0]["n"])
        if found:
            try:
                connection.delete(f"/entity/{path}", doing=doing)
            except DerivaMLNotFoundError:
                # Somebody else was faster.
                continue
            gone += found
    return gone
