"""Run the plan of a wide table over an SQLite file of rows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from deriva_ml.rows.local import LocalReader, decode, quoted, table_name
from deriva_ml.rows.wide_plan import Plan, Step

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table
    from deriva_ml.rows.reader import Row

Scope = Mapping[tuple[str, str], Collection[str]]
"""RIDs by schema and table; a table that is not there is not restricted."""

_PIECE = 2_000


def wide_rows(
    reader: LocalReader,
    plan: Plan,
    *,
    anchors: Mapping[tuple[str, str], Collection[str]],
    scope: Scope | None = None,
) -> Iterator[Row]:
    """Rows of a wide table.

    Parameters
    ----------
    reader : LocalReader
    plan : Plan
    anchors : mapping
        RIDs of the members of a dataset by schema and table. A member of an included table that no row refers to
        gives one row of its own.
    scope : mapping, optional
        Restricts which rows are used; the whole file by default.

    Yields
    ------
    dict
        Label to value, in the order of the plan's columns.
    """
    yield from _select(reader, plan, plan.row_per, list(plan.joins), scope, "")
    for table in plan.tables:
        key = (table.schema.name, table.name)
        if table is plan.row_per or not anchors.get(key):
            continue
        path = _path_to(plan, table)
        if path is not None:
            yield from _select(
                reader, plan, table, plan.below(table), {**(scope or {}), key: anchors[key]}, path
            )


def _select(
    reader: LocalReader, plan: Plan, start: Table, joins: list[Step], scope: Scope | None, condition: str
) -> Iterator[Row]:
    joins = [step for step in joins if reader.has(step.target)]
    if not reader.has(start):
        return
    alias = {_key(start): "t0"} | {_key(step.target): f"t{n}" for n, step in enumerate(joins, 1)}
    shown = [
        f"{alias[_key(column.table)]}.{quoted(column.column.name)}" if _key(column.table) in alias else "NULL"
        for column in plan.columns
    ]
    parameters: list[str] = []
    lines = [f"SELECT {', '.join(shown)} FROM {_source(start)} AS t0"]
    for step in joins:
        here, there = alias[_key(step.source)], alias[_key(step.target)]
        terms = [f"{here}.{quoted(a)} = {there}.{quoted(b)}" for a, b in step.pairs]
        terms += _restrict(step.target, there, scope, parameters)
        lines.append(f"LEFT JOIN {_source(step.target)} AS {there} ON {' AND '.join(terms)}")
    terms = _restrict(start, "t0", scope, parameters) + ([condition] if condition else [])
    if terms:
        lines.append(f"WHERE {' AND '.join(terms)}")
    lines.append("ORDER BY " + ", ".join(f"{name}.RID" for name in alias.values()))
    with closing(reader.connection.execute(" ".join(lines), parameters)) as cursor:
        while piece := cursor.fetchmany(_PIECE):
            for values in piece:
                yield {
                    column.label: decode(column.column, value)
                    for column, value in zip(plan.columns, values, strict=True)
                }


def _path_to(plan: Plan, table: Table) -> str | None:
    """Condition that no row of the plan's leaf leads to a row of a table."""
    chain: list[Step] = []
    place = table
    by_target = {_key(step.target): step for step in plan.joins}
    while place is not plan.row_per:
        step = by_target.get(_key(place))
        if step is None:
            return None
        chain.append(step)
        place = step.source
    names = {_key(table): "t0"} | {_key(step.source): f"u{n}" for n, step in enumerate(chain)}
    sources = ", ".join(f"{_source(step.source)} AS {names[_key(step.source)]}" for step in chain)
    terms = " AND ".join(
        f"{names[_key(step.source)]}.{quoted(a)} = {names[_key(step.target)]}.{quoted(b)}"
        for step in chain
        for a, b in step.pairs
    )
    return f"NOT EXISTS (SELECT 1 FROM {sources} WHERE {terms})"


def _restrict(table: Table, alias: str, scope: Scope | None, parameters: list[str]) -> list[str]:
    if scope is None or _key(table) not in scope:
        return []
    parameters.append(json.dumps(sorted(scope[_key(table)])))
    return [f"{alias}.RID IN (SELECT value FROM json_each(?))"]


def _key(table: Table) -> tuple[str, str]:
    return table.schema.name, table.name


def _source(table: Table) -> str:
    return table_name(table.schema.name, table.name)
