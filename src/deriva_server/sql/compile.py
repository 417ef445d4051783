"""Read plans to statements: every row of the result is one text, made by the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from deriva_server.model.shown import RowTexts
from deriva_server.plan import relation as r
from deriva_server.plan.relation import Format
from deriva_server.sql.dialect import Expression, Expressions, Parts, quote
from deriva_server.sql.join import Join, SourceOf, sql_text
from deriva_server.sql.paging import Paging

RightsTexts = Mapping[tuple[int, bool], str]
"""JSON text of rights summaries by table instance and whether they go by column."""


@dataclass(frozen=True, slots=True)
class Read:
    """A read as the database runs it.

    Parameters
    ----------
    statement : sa.Select
        What to run.
    assemble : callable
        Makes the text of each row.
    is_short : bool
        Whether few rows are to be expected.
    parts : Parts, optional
        How it may be made of parts of its table.
    """

    statement: sa.Select[Any]
    assemble: RowTexts
    is_short: bool
    parts: Parts | None = None


@dataclass(frozen=True, slots=True)
class _Result:
    """Outputs as expressions over a FROM clause."""

    values: Sequence[Expression]
    texts: Sequence[str]
    clause: sa.FromClause
    conditions: Sequence[Expression]
    natural_order: Expression | None = None
    is_merged: bool = False
    """Whether the rows are those of live and history tables, which the database may merge by index."""
    parts: tuple[sa.Select[Any], sa.FromClause] | None = None
    """What `Expressions.parts` says."""


def compile_read(
    expressions: Expressions,
    query: r.Query,
    source: SourceOf,
    form: Format,
    rights: RightsTexts | None = None,
) -> Read:
    """The statement of a read.

    Parameters
    ----------
    expressions : Expressions
        The database's words.
    query : Query
        The plan.
    source : callable
        Gives the rows of a table.
    form : str
        What text each row becomes.
    rights : mapping, optional
        JSON text of each rights summary of the query.

    Returns
    -------
    Read
        The statement, and how its rows become texts.
    """
    join = Join(query.joined, source, expressions)
    result = _result(query, join, source, rights or {})
    names = tuple(output.name for output in query.outputs)
    types = tuple(output.expression.type for output in query.outputs)
    row = expressions.row_parts(names, types, tuple(result.texts), form)
    statement, parts = _statement(query, result, row.columns, join), None
    if result.parts is not None:
        partial, combined = result.parts
        whole = _statement(query, _found(combined, len(names), []), row.columns, join)
        parts = Parts(query.joined.table, partial, whole)
    return Read(statement, row.assemble, query.is_short, parts)


def _statement(query: r.Query, result: _Result, columns: Sequence[str], join: Join) -> sa.Select[Any]:
    """The rows of a page in their order."""
    paging = Paging(query, result.values, join)
    ordering = paging.ordering()
    if not query.order and result.natural_order is not None:
        ordering = [result.natural_order]
    outputs: list[Any] = [sql_text(part).label(f"p{at}") for at, part in enumerate(columns)]
    keys = paging.keys if query.order else ordering
    if paging.is_backwards or result.is_merged:
        # SQLite merges only by columns of the result.
        outputs += [value.label(f"k{at}") for at, value in enumerate(keys)]
    conditions = [*result.conditions, *paging.conditions()]
    statement = sa.select(*outputs).select_from(result.clause).where(*conditions).order_by(*ordering)
    if query.limit is not None:
        statement = statement.limit(query.limit)
    if not paging.is_backwards:
        return statement
    page = statement.subquery("page")
    forward = paging.forward([page.c[f"k{at}"] for at in range(len(query.order))])
    found = [page.c[f"p{at}"] for at in range(len(columns))]
    return sa.select(*found).order_by(*forward)


def compile_rids(expressions: Expressions, joined: r.Joined, source: SourceOf) -> sa.Select[tuple[str]]:
    """The distinct RIDs of the context of a path."""
    join = Join(joined, source, expressions)
    rid = join.rid(joined.context)
    statement = sa.select(rid).select_from(join.clause).where(*join.conditions)
    if joined.may_be_missing(joined.context):
        statement = statement.where(rid.is_not(None))
    return statement if joined.determined() == frozenset(range(len(joined.tables))) else statement.distinct()


def _result(query: r.Query, join: Join, source: SourceOf, rights: RightsTexts) -> _Result:
    joined = query.joined
    if query.api in ("attributegroup", "aggregate"):
        return _grouped(query, join, rights)
    single = len(joined.determined()) == len(joined.tables) and not joined.may_be_missing(joined.context)
    columns = [o.expression for o in query.outputs if isinstance(o.expression, r.Value)]
    if len(columns) == len(query.outputs):
        if single:
            natural = join.position(0) if len(joined.tables) == 1 else None
            values = [join.column(value.instance, value.column) for value in columns]
            texts = [join.sql(value.instance, value.column) for value in columns]
            merged = len(joined.tables) == 1 and not join.is_live(0)
            return _Result(values, texts, join.clause, join.conditions, natural, merged)
        if all(value.instance == joined.context for value in columns) and not joined.may_be_missing(
            joined.context
        ):
            return _semijoin(joined, columns, join, source)
    labelled: list[Any] = [_plain(join, o.expression).label(f"o{at}") for at, o in enumerate(query.outputs)]
    if not single:
        labelled.append(sa.func.row_number().over(partition_by=join.rid(joined.context)).label("number"))
    rows = sa.select(*labelled).select_from(join.clause).where(*join.conditions).subquery("found")
    return _found(rows, len(query.outputs), [] if single else [rows.c.number == 1])


def _found(rows: sa.FromClause, count: int, conditions: Sequence[Expression]) -> _Result:
    """Outputs that a subquery has made already."""
    return _Result(
        [rows.c[f"o{at}"] for at in range(count)], [f"found.o{at}" for at in range(count)], rows, conditions
    )


def _semijoin(joined: r.Joined, columns: Sequence[r.Value], join: Join, source: SourceOf) -> _Result:
    """Rows of the context for which the path matches; the path itself is only asked for their RIDs."""
    wanted = sa.select(join.rid(joined.context)).select_from(join.clause).where(*join.conditions)
    outer = source(joined.table).alias("c")
    rid = outer.c[joined.table.column_by_name["RID"].storage]
    values = [outer.c[value.column.storage] for value in columns]
    texts = [f"c.{quote(value.column.storage)}" for value in columns]
    return _Result(values, texts, outer, [rid.in_(wanted)])


def _grouped(query: r.Query, join: Join, rights: RightsTexts) -> _Result:
    keys = [_plain(join, output.expression) for output in query.outputs[: query.keys]]
    leaves = [_leaf(join, output.expression, rights) for output in query.outputs[query.keys :]]
    labelled = [value.label(f"o{at}") for at, value in enumerate(keys + leaves)]
    narrowed, parts = _narrowed(query, join, keys), None
    rows = sa.select(*labelled).select_from(join.clause).where(*join.conditions, *narrowed)
    if keys:
        rows = rows.group_by(*keys)
    if len(query.joined.tables) == 1 and join.is_live(0) and not narrowed:
        parts = join.expressions.parts(query, join.clause, join.conditions)
    return replace(_found(rows.subquery("found"), len(labelled), []), parts=parts)


def _narrowed(query: r.Query, join: Join, keys: Sequence[Expression]) -> list[Expression]:
    """Keep a page of groups from being sought by aggregating all of them.

    Where one group key is a RID and the order depends on group keys alone, the RIDs of the page are found first.
    """
    if query.limit is None or not all(order.output < query.keys for order in query.order):
        return []
    for output, key in zip(query.outputs[: query.keys], keys, strict=True):
        expression = output.expression
        if (
            isinstance(expression, r.Value)
            and expression.column.name == "RID"
            and not query.joined.may_be_missing(expression.instance)
        ):
            paging = Paging(query, keys, join)
            wanted = sa.select(key).select_from(join.clause).where(*join.conditions, *paging.conditions())
            wanted = wanted.group_by(key, *paging.keys).order_by(*paging.ordering()).limit(query.limit)
            return [key.in_(wanted)]
    return []


def _plain(join: Join, expression: r.Expression) -> Expression:
    assert expression.column is not None
    value = join.column(expression.instance, expression.column)
    return join.expressions.binned(expression, value) if isinstance(expression, r.Binned) else value


def _leaf(join: Join, expression: r.Expression, rights: RightsTexts) -> Expression:
    if isinstance(expression, r.Binned):
        return sa.func.min(_plain(join, expression))
    if isinstance(expression, r.RowRights):
        row = sa.func.min(join.rid(expression.instance))
        return sa.case((row.is_not(None), sa.literal(rights[expression.instance, expression.by_column])))
    assert isinstance(expression, r.Aggregated)
    return _aggregate(join, expression)


def _aggregate(join: Join, expression: r.Aggregated) -> Expression:
    function, column, x = expression.function, expression.column, join.expressions
    if column is None:
        return _whole_rows(join, expression)
    value, type_ = join.column(expression.instance, column), column.type
    match function:
        case "cnt":
            # Rows are counted without looking at them.
            return sa.func.count() if join.is_given(expression.instance, column) else sa.func.count(value)
        case "cnt_d":
            return x.distinct_count(type_, value)
        case "min" | "max":
            return x.extreme(function, type_, value)
        case "any":
            return x.some(type_, value)
        case "sum" | "avg":
            return x.numeric(function, type_, value)
    text = x.json_text(type_, join.sql(expression.instance, column))
    if function == "array":
        return x.array(text, join.position(expression.instance))
    return x.distinct_array(text, type_, value)


def _whole_rows(join: Join, expression: r.Aggregated) -> Expression:
    if expression.function == "cnt":
        return sa.func.count()
    text = _row_object(join, expression)
    if expression.function == "array":
        return join.expressions.array(text, join.position(expression.instance))
    return join.expressions.distinct_array(text, None, None)


def _row_object(join: Join, expression: r.Aggregated) -> str:
    columns = expression.row
    names, types = tuple(column.name for column in columns), tuple(column.type for column in columns)
    values = tuple(join.sql(expression.instance, column) for column in columns)
    text = join.expressions.row_object(names, types, values)
    if not join.joined.may_be_missing(expression.instance):
        return text
    rid = join.joined.tables[expression.instance].column_by_name["RID"]
    return f"CASE WHEN {join.sql(expression.instance, rid)} IS NULL THEN 'null' ELSE {text} END"
