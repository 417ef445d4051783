"""The recursive statement of a walk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from deriva_server.plan.walk import Leg
from deriva_server.sql.dialect import STATEMENT_SECONDS, Connection, Expression, Expressions
from deriva_server.sql.join import Join, SourceOf

Statement = sa.Select[Any]
"""A walk, ready to be run from any value of place 0."""


def compile_walk(x: Expressions, legs: Sequence[Leg], source: SourceOf, *, bounded: bool) -> Statement:
    """The statement that finds all that legs lead to from place 0; each place and value once per generation.

    Parameters
    ----------
    x : Expressions
        The database's words.
    legs : sequence of Leg
    source : callable
        Gives the rows of a table.
    bounded : bool
        Whether generations are counted, so that the walk may end at one.
    """
    # One row: its place, its value, its generation.
    first: Any = sa.select(
        _number(0).label("place"),
        sa.cast(sa.bindparam("start"), sa.Text).label("value"),
        _number(0).label("generation"),
    )

    def steps(walk: sa.FromClause) -> list[sa.Select[Any]]:
        return [_step(x, leg, source, walk, bounded=bounded) for leg in legs]

    walk = x.growing(first, steps) if legs else first.subquery("walk")
    return sa.select(walk.c.place, walk.c.value).limit(sa.bindparam("most"))


def _number(value: int) -> Expression:
    return sa.literal_column(str(value), sa.Integer)


def _step(
    x: Expressions, leg: Leg, source: SourceOf, walk: sa.FromClause, *, bounded: bool
) -> sa.Select[Any]:
    join = Join(leg.query.joined, source, x)
    here, there = leg.ends
    value = join.column(there.instance, there.column)
    conditions = [
        walk.c.place == _number(leg.origin),
        join.column(here.instance, here.column) == walk.c.value,
        value.is_not(None),
        *map(x.checked, join.conditions),
    ]
    generation = walk.c.generation + _number(1) if bounded and leg.counts else walk.c.generation
    if bounded and leg.counts:
        conditions.append(walk.c.generation < sa.bindparam("depth"))
    return (
        sa.select(
            _number(leg.to).label("place"),
            value.label("value"),
            generation.label("generation"),
        )
        .select_from(walk, join.clause)
        .where(*conditions)
    )


def reached(
    connection: Connection, statement: Statement, start: str, depth: int | None, limit: int
) -> tuple[dict[int, dict[str, None]], bool]:
    """Run a walk.

    Returns
    -------
    values : dict
        By place, the nearest first.
    complete : bool
        Whether the limit was not passed.
    """
    found: dict[int, dict[str, None]] = {}
    connection.limit_time(STATEMENT_SECONDS)
    parameters = {"start": start, "most": limit + 1} | ({} if depth is None else {"depth": depth})
    count = 0
    rows: Iterable[Any] = connection.raw.execute(statement, parameters)
    for place, value in rows:
        count += 1
        found.setdefault(place, {})[value] = None
    return found, count <= limit
