"""Run the plan of a wide table over an SQLite file of rows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deriva_ml.rows.local import LocalReader, decode, is_special, quoted, table_name
from deriva_ml.rows.wide_plan import Plan, Step

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table
    from deriva_ml.rows.reader import Row

Scope = Mapping[tuple[str, str], Collection[str]]
"""RIDs by schema and table; a table that is not there is not restricted."""

Condition = tuple[str, list[str]]
"""SQL and its parameters."""

PIECE = 2_000
"""Rows that are taken from the database at a time."""


@dataclass(frozen=True)
class WideQuery:
    """A wide table of some rows.

    Parameters
    ----------
    reader : LocalReader
    plan : Plan
    anchors : mapping
        RIDs of the members of a dataset by schema and table. A member of an included table that no row refers to
        gives one row of its own.
    scope : mapping, optional
        Restricts which rows are used; the whole file by default.
    """

    reader: LocalReader
    plan: Plan
    anchors: Mapping[tuple[str, str], Collection[str]] = field(default_factory=dict)
    scope: Scope | None = None

    def rows(self) -> Iterator[Row]:
        """Label to value, in the order of the plan's columns; streamed."""
        labels = [column.label for column in self.plan.columns]
        special = [(column.label, column.column) for column in self.plan.columns if is_special(column.column)]
        for piece in self.pieces():
            for values in piece:
                row = dict(zip(labels, values, strict=True))
                for label, column in special:
                    row[label] = decode(column, row[label])
                yield row

    def pieces(self, size: int = PIECE) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Some rows at a time, as the SQLite file has them: in the order of the plan's columns, not decoded."""
        for query, parameters in self._selects(self._shown):
            with closing(self.reader.connection.execute(query, parameters)) as cursor:
                while piece := cursor.fetchmany(size):
                    yield piece

    def count(self) -> tuple[int, int]:
        """How many rows there are: those per row of the leaf, and those of members that nothing refers to."""
        numbers = [0, 0]
        leaf = iter((0,))
        for query, parameters in self._selects(None):
            with closing(self.reader.connection.execute(query, parameters)) as cursor:
                numbers[next(leaf, 1)] += int(cursor.fetchone()[0])
        return numbers[0], numbers[1]

    def _shown(self, alias: Mapping[tuple[str, str], str]) -> str:
        shown = (
            f"{alias[_key(column.table)]}.{quoted(column.column.name)}"
            if _key(column.table) in alias
            else "NULL"
            for column in self.plan.columns
        )
        return ", ".join(shown)

    def _selects(self, shown: Any) -> Iterator[Condition]:
        """Queries that give the rows one after another; the first one those per row of the leaf."""
        plan = self.plan
        yield self._select(plan.row_per, list(plan.joins), self.scope, ("", []), shown)
        for table in plan.tables:
            key = _key(table)
            if table is plan.row_per or not self.anchors.get(key) or not self.reader.has(table):
                continue
            if table not in plan.joined:
                continue
            scope = {**(self.scope or {}), key: self.anchors[key]}
            yield self._select(table, plan.below(table), scope, self._unreferred(table), shown)

    def _select(
        self, start: Table, joins: list[Step], scope: Scope | None, condition: Condition, shown: Any
    ) -> Condition:
        if not self.reader.has(start):
            return ("SELECT 0" if shown is None else "SELECT 0 WHERE 0"), []
        joins, alias = self._present(start, joins)
        parameters: list[str] = []
        lines = [f"SELECT {'count(*)' if shown is None else shown(alias)} FROM {_source(start)} AS t0"]
        for step in joins:
            here, there = alias[_key(step.source)], alias[_key(step.target)]
            terms = [f"{here}.{quoted(a)} = {there}.{quoted(b)}" for a, b in step.pairs]
            terms += _restrict(step.target, there, scope, parameters)
            lines.append(f"LEFT JOIN {_source(step.target)} AS {there} ON {' AND '.join(terms)}")
        terms = _restrict(start, "t0", scope, parameters)
        if condition[0]:
            terms.append(condition[0])
            parameters += condition[1]
        if terms:
            lines.append(f"WHERE {' AND '.join(terms)}")
        if shown is not None:
            lines.append("ORDER BY " + ", ".join(f"{name}.RID" for name in alias.values()))
        return " ".join(lines), parameters

    def _present(self, start: Table, joins: list[Step]) -> tuple[list[Step], dict[tuple[str, str], str]]:
        """Joins that the file has rows for, and the alias of each table; what lies behind a missing table is empty."""
        found: list[Step] = []
        alias = {_key(start): "t0"}
        for step in joins:
            if _key(step.source) in alias and self.reader.has(step.target):
                found.append(step)
                alias[_key(step.target)] = f"t{len(found)}"
        return found, alias

    def _unreferred(self, table: Table) -> Condition:
        """Condition that no used row of the plan's leaf leads to a row of a table."""
        chain: list[Step] = []
        place = table
        by_target = {_key(step.target): step for step in self.plan.joins}
        while place is not self.plan.row_per:
            chain.append(by_target[_key(place)])
            place = chain[-1].source
        if not all(self.reader.has(step.source) for step in chain):
            return "", []
        names = {_key(table): "t0"} | {_key(step.source): f"u{n}" for n, step in enumerate(chain)}
        sources = ", ".join(f"{_source(step.source)} AS {names[_key(step.source)]}" for step in chain)
        parameters: list[str] = []
        terms = [
            f"{names[_key(step.source)]}.{quoted(a)} = {names[_key(step.target)]}.{quoted(b)}"
            for step in chain
            for a, b in step.pairs
        ]
        for step in chain:
            terms += _restrict(step.source, names[_key(step.source)], self.scope, parameters)
        return f"NOT EXISTS (SELECT 1 FROM {sources} WHERE {' AND '.join(terms)})", parameters


def _restrict(table: Table, alias: str, scope: Scope | None, parameters: list[str]) -> list[str]:
    if scope is None or _key(table) not in scope:
        return []
    parameters.append(json.dumps(sorted(scope[_key(table)])))
    return [f"{alias}.RID IN (SELECT value FROM json_each(?))"]


def _key(table: Table) -> tuple[str, str]:
    return table.schema.name, table.name


def _source(table: Table) -> str:
    return table_name(table.schema.name, table.name)
