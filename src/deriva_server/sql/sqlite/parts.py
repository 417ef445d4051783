"""Aggregates over a large table, read in ranges of its rows by two connections at once.

SQLite groups rows by sorting them, on one processor; several small sorts in two threads take less than half the time.
The ranges depend on the table alone, and so does the result, whether there is a second connection or not.
"""

from __future__ import annotations

import math
import os
import re
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from deriva_server.errors import TimeLimit
from deriva_server.plan import relation as r
from deriva_server.sql.dialect import INTERNAL, Connection, Expression, Parts, quote
from deriva_server.sql.sqlite.aggregates import Aggregate
from deriva_server.sql.sqlite.functions import DEADLINE, failure, prepare

_TABLE = f"{INTERNAL}parts"
_SHORTEST = 10_000
_MOST_RANGES = 64
_ROWS_PER_RESULT = 25
"""With fewer rows to each partial result, combining costs more than sorting in ranges saves."""
_MOST_RESULTS = 20_000
_WHOLE = re.compile(r"SCAN t0( USING INDEX .+)?")
"""How SQLite calls the reading of a whole table, which is aliased so; by an index it takes even longer."""
_helping = threading.Lock()
"""Held by the read that has a second thread; threads of many reads would only wait for processors."""

_Range = tuple[int, int]


def plan(
    query: r.Query, rows: sa.FromClause, conditions: Sequence[Expression], aggregates: Sequence[Aggregate]
) -> tuple[sa.Select[Any], sa.FromClause] | None:
    """Partial aggregates over the rows after ``low`` up to ``high``, and the outputs made of them; see `Expressions`."""
    keys: list[Expression] = []
    for output in query.outputs[: query.keys]:
        if not isinstance(output.expression, r.Value):
            return None
        keys.append(rows.c[output.expression.column.storage])
    if not _is_long(query, counts=all(aggregate.counts_rows for aggregate in aggregates)):
        return None
    values = [*keys, *(part.of_rows for aggregate in aggregates for part in aggregate.parts)]
    position: Expression = sa.literal_column("t0._rowid_")
    partial = (
        sa.select(*(value.label(f"c{at}") for at, value in enumerate(values)))
        .select_from(rows)
        .where(*conditions, position > sa.bindparam("low"), position <= sa.bindparam("high"))
        .group_by(*keys)
    )
    names = [f"c{at}" for at in range(len(values))]
    table = sa.table(_TABLE, *map(sa.column, names), schema="temp")
    columns = [table.c[name] for name in names]
    groups, rest = columns[: len(keys)], iter(columns[len(keys) :])
    made = [aggregate.of_parts([next(rest) for _ in aggregate.parts]) for aggregate in aggregates]
    outputs = [value.label(f"o{at}") for at, value in enumerate([*groups, *made])]
    return partial, sa.select(*outputs).select_from(table).group_by(*groups).subquery("found")


def _is_long(query: r.Query, *, counts: bool) -> bool:
    """Whether the database may have to read and sort all rows of the table for a few groups."""
    if query.keys:
        # By an index some groups are found without the others.
        return query.is_short and (query.limit is None or bool(query.order))
    # It counts rows without reading them.
    return not counts or bool(query.joined.where)


def collect(connection: Connection, statement: sa.Select[Any], parts: Parts) -> bool:
    """Fill the table of partial results; False where `statement`, which does without, is as good.

    Raises
    ------
    TimeLimit
        If it takes longer than the connection may.
    """
    ranges = _ranges(connection, parts)
    if not ranges or not _reads_all(connection, statement):
        return False
    rows = ranges[-1][1] - ranges[0][0]
    work = _Work(connection, parts.rows, ranges, min(rows // _ROWS_PER_RESULT, _MOST_RESULTS))
    found = work.shared()
    if found is None:
        return False
    columns = [quote(column.name) for column in parts.rows.selected_columns]
    connection.run(f"DROP TABLE IF EXISTS temp.{_TABLE}")
    # It goes with the transaction.
    connection.run(f"CREATE TEMP TABLE {_TABLE} ({', '.join(columns)})")
    if found:
        connection.run(f"INSERT INTO temp.{_TABLE} VALUES ({', '.join('?' * len(columns))})", found)
    return True


def _ranges(connection: Connection, parts: Parts) -> list[_Range]:
    """Positions after which ranges begin, and at which they end; none for a small table."""
    name = quote(parts.table.storage)
    first, last = connection.run(
        f"SELECT (SELECT min(_rowid_) FROM {name}), (SELECT max(_rowid_) FROM {name})"
    ).one()
    if first is None or last - first < 2 * _SHORTEST:
        return []
    size = max(_SHORTEST, -(-(last - first + 1) // _MOST_RANGES))
    return [(start, min(start + size, last)) for start in range(first - 1, last, size)]


def _reads_all(connection: Connection, statement: sa.Select[Any]) -> bool:
    """Whether SQLite would read all rows, and not an index alone."""
    text, parameters = _explaining(statement, connection.raw.dialect)
    return any(_WHOLE.fullmatch(step[3]) for step in connection.run(text, parameters))


@lru_cache(maxsize=64)
def _explaining(statement: sa.Select[Any], dialect: sa.Dialect) -> tuple[str, tuple[Any, ...]]:
    """The question how a statement would be run; kept, because it is made anew more slowly than it is answered."""
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    return f"EXPLAIN QUERY PLAN {compiled}", tuple(
        compiled.params[name] for name in compiled.positiontup or ()
    )


class _Work:
    """Ranges of rows that connections take one by one.

    Parameters
    ----------
    connection : Connection
        Whose read it is.
    rows : sa.Select
        Partial results.
    ranges : sequence of pairs of int
        From which rows.
    most : int
        How many results are worth the while.
    """

    def __init__(
        self, connection: Connection, rows: sa.Select[Any], ranges: Sequence[_Range], most: int
    ) -> None:
        self._connection, self._rows, self._most = connection, rows, most
        self._todo = deque(enumerate(ranges))
        self._found: list[Sequence[Sequence[Any]]] = [()] * len(ranges)
        self._end: float = connection.raw.info.get(DEADLINE, math.inf)
        self._error: Exception | None = None

    def shared(self) -> list[tuple[Any, ...]] | None:
        """Partial results in the order of the ranges, None when they are too many."""
        with self._connection.beside() if _processors() > 1 else nullcontext() as other:
            if other is None or not _helping.acquire(blocking=False):
                self._do(self._connection)
            else:
                try:
                    self._do_with(other)
                finally:
                    _helping.release()
        if self._is_too_much():
            return None
        return [tuple(row) for found in self._found for row in found]

    def _is_too_much(self) -> bool:
        return sum(map(len, self._found)) > self._most

    def _do_with(self, other: Connection) -> None:
        # No executor: its module holds a lock for the time of a fork, which waits until this read is over.
        helper = threading.Thread(target=self._help, args=(other,), name="deriva-parts", daemon=True)
        helper.start()
        try:
            self._do(self._connection)
        finally:
            # The other connection must be at rest before it is given back, also when this one failed.
            self._todo.clear()
            helper.join()
        if self._error is not None:
            raise self._error

    def _help(self, connection: Connection) -> None:
        try:
            prepare(connection)
            connection.limit_time(self._end - time.monotonic())
            self._do(connection)
        except sa.exc.OperationalError as error:
            self._error = failure(connection) or error
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits for this one
            self._error = error

    def _do(self, connection: Connection) -> None:
        # From either end, so that each connection finds in its cache what it read the last time.
        take = self._todo.popleft if connection is self._connection else self._todo.pop
        while not self._is_too_much():
            try:
                at, (low, high) = take()
            except IndexError:
                return
            if time.monotonic() > self._end:
                raise TimeLimit()
            with connection.raw.execute(self._rows, {"low": low, "high": high}) as result:
                self._found[at] = result.fetchmany(self._most + 1)


def _processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
