"""Which rows belong together: from some rows along foreign keys, both ways, under a policy.

A row belongs to a walk when a chain of foreign keys leads to it from a starting row without meeting any table twice.
So images bring their subject and what hangs on that subject, but not its other images. Every row that a taken row
refers to is taken as well, so that the result can be loaded elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from deriva_ml.ermrest.rows import PAGE
from deriva_ml.model.ways import Columns, Edge, ForeignKeyGraph, Policy, TableName, name_of
from deriva_ml.rows.reader import Reader, Row

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table

Values = set[Any]
"""Values of one column, or tuples of values of several: a set of a million values is large enough without tuples."""

Sink = Callable[["Table", Iterable[Row]], None]
"""Takes rows; the same row may be given more than once."""

_BATCH = 2_000
"""Values in one question; what fits into few URLs, so that a reader need not merge many answers."""

_FIRST = 100
"""Values in the first question; how many rows there are of each is not known yet."""


def _getter(columns: Columns) -> Callable[[Row], Any]:
    """Gives the value of one column of a row, of several a tuple; None where one of them is empty."""
    get = itemgetter(*columns)
    if len(columns) == 1:
        return get
    return lambda row: None if None in (values := get(row)) else values


@dataclass(frozen=True)
class _Stop:
    """Rows of a table to be taken on the way, and the tables that may still be entered from there."""

    table: TableName
    allowed: frozenset[TableName]


@dataclass
class Walk:
    """A walk over a reader.

    Parameters
    ----------
    reader : Reader
    policy : Policy
    sink : callable
        Gets the rows.
    columns : callable, optional
        Which columns of a table to read; all by default. Foreign-key and referenced columns must be among them.
    """

    reader: Reader
    policy: Policy
    sink: Sink
    columns: Callable[[Table], list[str] | None] = lambda _table: None
    graph: ForeignKeyGraph = field(init=False)

    def __post_init__(self) -> None:
        self.graph = ForeignKeyGraph(self.reader.model)
        self._reach: dict[tuple[TableName, frozenset[TableName]], frozenset[TableName]] = {}
        self._taken: dict[TableName, dict[Columns, Values]] = {}
        self._wanted: dict[TableName, dict[Columns, Values]] = {}
        self._asked: dict[_Stop, dict[Columns, Values]] = {}
        self._complete: set[TableName] = set(self.policy.excluded)
        self._referred = self._referred_columns()

    def run(self, rids: Iterable[str], start: TableName | None = None) -> None:
        """Walk from the rows with these RIDs, by default of the table where the policy starts."""
        start = start or self.policy.start
        everything = frozenset(self.graph.tables) - self.policy.excluded - {start}
        first = _Stop(start, self._reachable(start, everything))
        frontier: dict[_Stop, dict[Columns, Values]] = {first: {("RID",): set(rids)}}
        ends: dict[_Stop, dict[Columns, Values]] = {}
        while frontier:
            upcoming: dict[_Stop, dict[Columns, Values]] = {}
            for stop, keys in frontier.items():
                self._take(stop, keys, upcoming, ends)
            frontier = upcoming
        for stop, keys in ends.items():
            self._take(stop, keys, {}, {})
        self.close()

    def tables(self) -> set[TableName]:
        """Tables of which a walk from where the policy starts may take rows."""
        start = self.policy.start
        everything = frozenset(self.graph.tables) - self.policy.excluded - {start}
        found = {start, *self._reachable(start, everything)}
        stack = list(found)
        while stack:
            for edge in self.graph.edges[stack.pop()]:
                if not edge.inbound and self._is_open(edge.target) and edge.target not in found:
                    found.add(edge.target)
                    stack.append(edge.target)
        return found

    def entered_from(self, source: TableName) -> dict[TableName, str]:
        """Tables of which a walk takes a row only because it refers to a row of `source`, with the column that refers.

        ``Dataset_Image`` is one for ``Dataset``, by its column ``Dataset``, where nothing else leads to its rows.
        """
        everything = frozenset(self.graph.tables)
        ways: dict[TableName, list[Edge]] = {}
        for name, edges in self.graph.edges.items():
            for edge in edges:
                if name not in self.policy.whole and self.policy.enters(edge, everything):
                    ways.setdefault(edge.target, []).append(edge)
        return {
            name: only.target_columns[0]
            for name, (only, *others) in ways.items()
            if not others and only.source == source and only.inbound and only.source_columns == ("RID",)
            # Through these a change of other rows could bring in more.
            if not any(edge.inbound for edge in self.graph.edges[name])
        }

    def add(self, table: Table, where: Mapping[str, Collection[Any]]) -> list[Row]:
        """Take further rows, without walking on from them; call `close` afterwards."""
        rows = list(self.reader.rows(table, where=where, columns=self.columns(table)))
        self._give(name_of(table), rows)
        return rows

    def add_all(self, table: Table) -> None:
        """Take all rows of a table, without walking on from them; call `close` afterwards."""
        name = name_of(table)
        if name not in self._complete:
            self._complete.add(name)
            self._give(name, self._read(name, None))

    def taken(self, table: Table) -> set[str]:
        """RIDs of the rows taken so far, of a table that others refer to by RID."""
        return set(self._taken.get(name_of(table), {}).get(("RID",), set()))

    def key_columns(self, table: Table, *others: str) -> list[str]:
        """Columns of a table that a walk needs, and some others."""
        names = {"RID", *others}
        for edge in self.graph.edges[name_of(table)]:
            names.update(edge.source_columns)
        return sorted(names)

    def close(self) -> None:
        """Take the rows that taken rows refer to, until nothing is missing."""
        self._close_rows()
        for name in sorted(self.policy.whole - self._complete):
            if name in self._wanted:
                self._complete.add(name)
                self._give(name, self._read(name, None))

    def _close_rows(self) -> None:
        while True:
            missing = [
                (name, columns, values - self._taken.get(name, {}).get(columns, set()))
                for name, by_columns in self._wanted.items()
                if name not in self.policy.whole
                for columns, values in by_columns.items()
            ]
            missing = [(name, columns, values) for name, columns, values in missing if values]
            if not missing:
                return
            for name, columns, values in missing:
                self._give(name, self._select(name, columns, values))
                # What is still missing after being asked for is not there: a dangling or hidden reference.
                self._wanted[name][columns] -= values - self._taken.get(name, {}).get(columns, set())

    # --- one stop -----------------------------------------------------------------------------------------------

    def _take(
        self,
        stop: _Stop,
        keys: dict[Columns, Values],
        upcoming: dict[_Stop, dict[Columns, Values]],
        ends: dict[_Stop, dict[Columns, Values]],
    ) -> None:
        onward = [edge for edge in self.graph.edges[stop.table] if self.policy.enters(edge, stop.allowed)]
        found: dict[Edge, Values] = {edge: set() for edge in onward}
        for columns, values in keys.items():
            asked = self._asked.setdefault(stop, {}).setdefault(columns, set())
            fresh = values - asked
            asked |= fresh
            if fresh:
                self._give(stop.table, self._collect(self._select(stop.table, columns, fresh), found))
        for edge, values in found.items():
            if values:
                allowed = self._reachable(edge.target, stop.allowed - {edge.target})
                queue = upcoming if allowed else ends
                group = queue.setdefault(_Stop(edge.target, allowed), {})
                group.setdefault(edge.target_columns, set()).update(values)

    @staticmethod
    def _collect(rows: Iterable[Row], found: dict[Edge, Values]) -> Iterator[Row]:
        wanted = [(_getter(edge.source_columns), values) for edge, values in found.items()]
        for row in rows:
            for get, values in wanted:
                value = get(row)
                if value is not None:
                    values.add(value)
            yield row

    def _give(self, name: TableName, rows: Iterable[Row]) -> None:
        self.sink(self.graph.tables[name], self._note(name, rows))

    def _note(self, name: TableName, rows: Iterable[Row]) -> Iterator[Row]:
        """Remember which rows are there and what they refer to."""
        outward = [edge for edge in self.graph.edges[name] if not edge.inbound and self._is_open(edge.target)]
        noted = [
            (
                _getter(edge.source_columns),
                self._wanted.setdefault(edge.target, {}).setdefault(edge.target_columns, set()),
            )
            for edge in outward
        ]
        noted += [
            (_getter(columns), self._taken.setdefault(name, {}).setdefault(columns, set()))
            for columns in self._referred[name]
        ]
        for row in rows:
            for get, values in noted:
                value = get(row)
                if value is not None:
                    values.add(value)
            yield row

    # --- reading ------------------------------------------------------------------------------------------------

    def _read(self, name: TableName, where: Mapping[str, Collection[Any]] | None) -> Iterator[Row]:
        table = self.graph.tables[name]
        return self.reader.rows(table, where=where, columns=self.columns(table))

    def _select(self, name: TableName, columns: Columns, values: Values) -> Iterator[Row]:
        """Rows where some columns have one of many combinations of values, a manageable number at a time."""
        if columns == ("RID",):
            # No more rows than values: the reader knows best how to ask for them.
            yield from self._read(name, {"RID": values})
            return
        ordered = sorted(values, key=repr)
        start, size = 0, _FIRST
        while start < len(ordered):
            batch = set(ordered[start : start + size])
            found = 0
            for row in self._matching(name, columns, batch):
                found += 1
                yield row
            start += size
            # A service sorts all that matches again for each page, so that what fits on one page is asked for.
            size = max(1, min(_BATCH, PAGE * len(batch) // (found + 1)))

    def _matching(self, name: TableName, columns: Columns, batch: Values) -> Iterator[Row]:
        if len(columns) == 1:
            yield from self._read(name, {columns[0]: batch})
            return
        where = {column: {value[place] for value in batch} for place, column in enumerate(columns)}
        get = itemgetter(*columns)
        yield from (row for row in self._read(name, where) if get(row) in batch)

    # --- the graph under the policy -----------------------------------------------------------------------------

    def _is_open(self, name: TableName) -> bool:
        return name not in self.policy.excluded

    def _reachable(self, name: TableName, allowed: frozenset[TableName]) -> frozenset[TableName]:
        """Which of the allowed tables can still be entered from a table."""
        known = self._reach.get((name, allowed))
        if known is not None:
            return known
        reached: set[TableName] = set()
        stack = [name]
        while stack:
            for edge in self.graph.edges[stack.pop()]:
                if edge.target not in reached and self.policy.enters(edge, allowed):
                    reached.add(edge.target)
                    stack.append(edge.target)
        self._reach[name, allowed] = frozenset(reached)
        return self._reach[name, allowed]

    def _referred_columns(self) -> dict[TableName, list[Columns]]:
        return {
            name: sorted(
                {edge.source_columns for edge in edges if edge.inbound and name not in self.policy.whole}
            )
            for name, edges in self.graph.edges.items()
        }


def reached(reader: Reader, policy: Policy, rids: Iterable[str]) -> dict[TableName, set[str]]:
    """RIDs of the rows that belong to a walk, by table, reading only keys.

    Parameters
    ----------
    reader : Reader
    policy : Policy
    rids : iterable of str
        Rows of the table where the policy starts.
    """
    found: dict[TableName, set[str]] = {}

    def keep(table: Table, rows: Iterable[Row]) -> None:
        found.setdefault(name_of(table), set()).update(row["RID"] for row in rows)

    walk = Walk(reader, policy, keep, lambda table: walk.key_columns(table))
    walk.run(rids)
    return found
