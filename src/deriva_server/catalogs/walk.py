"""Run walks on one catalog: from one row over many in a single transaction, and read what lies on the way."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache, partial
from itertools import islice

from deriva_server.access.acls import Rights
from deriva_server.access.rights import RowAccess
from deriva_server.catalogs import rows
from deriva_server.catalogs.catalog import Reading
from deriva_server.grammar.parse import parse_data_path
from deriva_server.identity import Client
from deriva_server.model.elements import Model, Same
from deriva_server.plan.bind import bind
from deriva_server.plan.relation import Query
from deriva_server.plan.walk import Leg, Look, Step, Walk, check_step, sought, within_reach
from deriva_server.sql import walk as statements
from deriva_server.sql.compile import Read, compile_read
from deriva_server.sql.dialect import Expressions
from deriva_server.sql.join import SourceOf
from deriva_server.sql.rows import texts

Reached = dict[str, list[str]]
"""Values by place, the nearest first."""

_AT_ONCE, _FEW = 10_000, 1000


def walk(reading: Reading, start: tuple[str, str], wish: Walk) -> tuple[Reached, bool]:
    """Find all that steps lead to.

    Parameters
    ----------
    reading : Reading
    start : tuple of (place, value)
    wish : Walk

    Returns
    -------
    reached : dict
    complete : bool
        Whether the limit was not passed.

    Raises
    ------
    BadRequest, Conflict, Forbidden, Unauthorized
        As the paths of the steps deserve.
    """
    x, bounded = reading.connection.dialect.expressions, wish.depth is not None
    steps = tuple(within_reach(wish.steps, start[0]))
    places = list(dict.fromkeys((start[0], *(step.to for step in steps))))
    if reading.as_of is None:
        statement = _live(x, Same(reading.model), reading.client, steps, tuple(places), bounded=bounded)
    else:
        allowed = rows.access(reading)
        statement = _compiled(x, allowed, steps, places, partial(rows.source, reading), bounded=bounded)
    found, complete = statements.reached(reading.connection, statement, start[1], wish.depth, wish.limit)
    return {places[at]: list(values) for at, values in found.items()}, complete


def look(reading: Reading, wish: Look, values: Collection[str]) -> Iterator[list[str]]:
    """Read what is asked for of the values of a place; yields rows as texts, some at a time."""
    if not values:
        return
    x = reading.connection.dialect.expressions
    if reading.as_of is None:
        found = _live_look(x, Same(reading.model), reading.client, wish.path)
    else:
        found = _looking(x, rows.access(reading), wish.path, partial(rows.source, reading))
    left = iter(values)
    while some := tuple(islice(left, _AT_ONCE)):
        yield from texts(
            reading.connection, found.statement, found.assemble, given=some, whole=len(some) < _FEW
        )


def _compiled(
    x: Expressions,
    allowed: RowAccess,
    steps: Collection[Step],
    places: Collection[str],
    source: SourceOf,
    *,
    bounded: bool,
) -> statements.Statement:
    at = {place: number for number, place in enumerate(places)}
    legs = []
    for step in steps:
        query = _bound(allowed, step.path)
        check_step(query)
        legs.append(Leg(at[step.origin], at[step.to], step.counts, query))
    return statements.compile_walk(x, legs, source, bounded=bounded)


def _bound(allowed: RowAccess, path: str) -> Query:
    query = bind(allowed.model, parse_data_path(path))
    allowed.check_read(query)
    return query


@lru_cache(maxsize=64)
def _live(
    x: Expressions,
    model: Same[Model],
    client: Client,
    steps: tuple[Step, ...],
    places: tuple[str, ...],
    *,
    bounded: bool,
) -> statements.Statement:
    """The same walk is asked for from many rows."""
    allowed = RowAccess(Rights(model.value, client))
    return _compiled(x, allowed, steps, places, partial(rows.live_source, x, model.value), bounded=bounded)


def _looking(x: Expressions, allowed: RowAccess, path: str, source: SourceOf) -> Read:
    query = sought(_bound(allowed, path))
    return compile_read(x, query, source, "json", allowed.summary(query))


@lru_cache(maxsize=1024)
def _live_look(x: Expressions, model: Same[Model], client: Client, path: str) -> Read:
    allowed = RowAccess(Rights(model.value, client))
    return _looking(x, allowed, path, partial(rows.live_source, x, model.value))
