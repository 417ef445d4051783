"""Read plans to statements: every row of the result is one text, made by the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from deriva_server.model.elements import Column, Table, Type
from deriva_server.model.values import Stored
from deriva_server.plan import relation as r
from deriva_server.plan.relation import Format
from deriva_server.sql.dialect import quote
from deriva_server.sql.texts import json_text, plain_text, row_text

Expression = sa.ColumnElement[Any]
Statement = sa.Select[tuple[str]]
SourceOf = Callable[[Table], sa.FromClause]
RightsTexts = Mapping[tuple[int, bool], str]
"""JSON text of rights summaries by table instance and whether they go by column."""

_OPERATORS: Mapping[str, Callable[[Expression, Any], Expression]] = {
    "=": lambda value, bound: value == bound,
    "lt": lambda value, bound: value < bound,
    "leq": lambda value, bound: value <= bound,
    "gt": lambda value, bound: value > bound,
    "geq": lambda value, bound: value >= bound,
}
_INTEGERS = frozenset(("int2", "int4", "int8", "serial2", "serial4", "serial8"))


class Join:
    """The FROM clause of a path.

    Parameters
    ----------
    joined : Joined
        The plan.
    source : callable
        Gives the rows of a table.
    """

    def __init__(self, joined: r.Joined, source: SourceOf) -> None:
        self.joined = joined
        sources = [source(table) for table in joined.tables]
        self._has_row_ids = [isinstance(rows, sa.TableClause) for rows in sources]
        self._rows = [rows.alias(f"t{at}") for at, rows in enumerate(sources)]

    def column(self, instance: int, column: Column) -> Expression:
        """A column of an instance."""
        return self._rows[instance].c[column.storage]

    def sql(self, instance: int, column: Column) -> str:
        """A column of an instance as SQL."""
        return f"t{instance}.{quote(column.storage)}"

    def rid(self, instance: int) -> Expression:
        """The RID of an instance."""
        return self.column(instance, self.joined.tables[instance].column_by_name["RID"])

    def position(self, instance: int) -> Expression:
        """What orders the rows of an instance by their insertion."""
        if self._has_row_ids[instance]:
            return sa.literal_column(f"t{instance}._rowid_")
        return self.rid(instance)

    @property
    def clause(self) -> sa.FromClause:
        """All instances joined."""
        clause: sa.FromClause = self._rows[0]
        for link in self.joined.links:
            right = self._rows[link.right]
            condition = sa.or_(*(self._equal(link, pairs) for pairs in link.alternatives))
            if link.kind == "right":
                clause = right.outerjoin(clause, condition)
            else:
                clause = clause.join(right, condition, isouter=link.kind == "left", full=link.kind == "full")
        return clause

    def _equal(self, link: r.Link, pairs: tuple[tuple[Column, Column], ...]) -> Expression:
        return sa.and_(*(self.column(link.left, here) == self.column(link.right, there) for here, there in pairs))

    @property
    def conditions(self) -> list[Expression]:
        """Every predicate of the path."""
        return [self.condition(predicate) for predicate in self.joined.where]

    def condition(self, predicate: r.Predicate) -> Expression:
        """One predicate."""
        if isinstance(predicate, r.Compare):
            return self._compared(predicate)
        if isinstance(predicate, r.IsNull):
            return self.column(predicate.instance, predicate.column).is_(None)
        if isinstance(predicate, r.Negation):
            return sa.not_(sa.and_(self.condition(predicate.inner)).self_group())
        if isinstance(predicate, r.Match):
            return self._matched(predicate)
        terms = [self.condition(term) for term in predicate.terms]
        return sa.and_(*terms) if isinstance(predicate, r.AllOf) else sa.or_(*terms)

    def _compared(self, predicate: r.Compare) -> Expression:
        column, operator = predicate.column, predicate.operator
        value = self.column(predicate.instance, column)
        combine = sa.and_ if predicate.every else sa.or_
        if column.type.is_array:
            return combine(*(_contains(column.type, value, operator, bound) for bound in predicate.values))
        if operator == "=" and not predicate.every and len(predicate.values) > 1:
            return value.in_(predicate.values)
        if operator != "=":
            value = order_value(column.type, value)
        return combine(*(_OPERATORS[operator](value, _bound(column.type, operator, v)) for v in predicate.values))

    def _matched(self, predicate: r.Match) -> Expression:
        texts = [_sql(plain_text(column.type, self.sql(predicate.instance, column))) for column in predicate.columns]
        found = [
            sa.or_(*(sa.func.deriva_match(pattern, int(predicate.ignore_case), text) == 1 for text in texts))
            for pattern in predicate.patterns
        ]
        return sa.and_(*found) if predicate.every else sa.or_(*found)


def _sql(text: str) -> Expression:
    return sa.literal_column(text)


def order_value(type_: Type, value: Expression) -> Expression:
    """What values of a type are compared and sorted by."""
    if not type_.is_array and type_.scalar == "numeric":
        is_digits = sa.and_(sa.func.typeof(value) == "text", value != "NaN")
        return sa.case((is_digits, sa.cast(value, sa.Double)), else_=value)
    if not type_.is_array and type_.scalar == "interval":
        return sa.func.deriva_interval(value)
    return value


def _bound(type_: Type, operator: str, value: Stored) -> Expression:
    bound = sa.literal(value)
    return bound if operator == "=" else order_value(type_, bound)


def _contains(type_: Type, value: Expression, operator: str, bound: Stored) -> Expression:
    """Whether any element of an array satisfies a comparison; unknown for a NULL array."""
    elements = sa.func.json_each(value).table_valued("value").alias("element")
    element_type = type_.base or type_
    element = elements.c.value if operator == "=" else order_value(element_type, elements.c.value)
    if isinstance(bound, str) and element_type.scalar in ("timestamptz", "timestamp"):
        bound = bound[:19] + bound[19:26].rstrip("0").rstrip(".") + bound[26:]
    test = _OPERATORS[operator](element, _bound(element_type, operator, bound))
    found = sa.select(sa.literal(1)).select_from(elements).where(test).exists()
    return sa.case((value.is_not(None), found)) == 1


@dataclass(frozen=True, slots=True)
class _Result:
    """Outputs as expressions over a FROM clause."""

    values: Sequence[Expression]
    texts: Sequence[str]
    clause: sa.FromClause
    conditions: Sequence[Expression]
    natural_order: Expression | None = None


def compile_read(
    query: r.Query, source: SourceOf, form: Format, rights: RightsTexts | None = None
) -> Statement:
    """The statement of a read.

    Parameters
    ----------
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
    sa.Select
        One column, the text of a row.
    """
    result = _result(query, source, rights or {})
    names = tuple(output.name for output in query.outputs)
    types = tuple(output.expression.type for output in query.outputs)
    text = _sql(row_text(names, types, tuple(result.texts), form))
    keys = [_sort_value(query.outputs[key.output].expression, result.values[key.output]) for key in query.order]
    firm = [_never_null(query, key.output) for key in query.order]
    conditions = list(result.conditions)
    if query.after is not None:
        conditions.append(_beyond(query, keys, firm, query.after, True))
    if query.before is not None:
        conditions.append(_beyond(query, keys, firm, query.before, False))
    backwards = query.before is not None and query.after is None
    ordering = [_ordering(keys[at], key, firm[at], backwards) for at, key in enumerate(query.order)]
    if not query.order and result.natural_order is not None:
        ordering = [result.natural_order]
    outputs: list[Any] = [text.label("row")]
    if backwards:
        outputs += [value.label(f"k{at}") for at, value in enumerate(keys)]
    statement = sa.select(*outputs).select_from(result.clause).where(*conditions).order_by(*ordering)
    if query.limit is not None:
        statement = statement.limit(query.limit)
    if not backwards:
        return statement
    page = statement.subquery("page")
    forward = [_ordering(page.c[f"k{at}"], key, firm[at], False) for at, key in enumerate(query.order)]
    return sa.select(page.c["row"]).order_by(*forward)


def compile_rids(joined: r.Joined, source: SourceOf) -> sa.Select[tuple[str]]:
    """The distinct RIDs of the context of a path."""
    join = Join(joined, source)
    rid = join.rid(joined.context)
    statement = sa.select(rid).select_from(join.clause).where(*join.conditions)
    if joined.may_be_missing(joined.context):
        statement = statement.where(rid.is_not(None))
    return statement if joined.determined() == frozenset(range(len(joined.tables))) else statement.distinct()


def _result(query: r.Query, source: SourceOf, rights: RightsTexts) -> _Result:
    joined, join = query.joined, Join(query.joined, source)
    if query.api in ("attributegroup", "aggregate"):
        return _grouped(query, join, rights)
    single = len(joined.determined()) == len(joined.tables) and not joined.may_be_missing(joined.context)
    columns = [o.expression for o in query.outputs if isinstance(o.expression, r.Value)]
    if len(columns) == len(query.outputs):
        if single:
            natural = join.position(0) if len(joined.tables) == 1 else None
            values = [join.column(value.instance, value.column) for value in columns]
            texts = [join.sql(value.instance, value.column) for value in columns]
            return _Result(values, texts, join.clause, join.conditions, natural)
        if all(value.instance == joined.context for value in columns) and not joined.may_be_missing(joined.context):
            return _semijoin(joined, columns, join, source)
    labelled: list[Any] = [_plain(join, o.expression).label(f"o{at}") for at, o in enumerate(query.outputs)]
    if not single:
        labelled.append(sa.func.row_number().over(partition_by=join.rid(joined.context)).label("number"))
    rows = sa.select(*labelled).select_from(join.clause).where(*join.conditions).subquery("found")
    return _found(rows, len(query.outputs), [] if single else [rows.c.number == 1])


def _found(rows: sa.Subquery, count: int, conditions: Sequence[Expression]) -> _Result:
    """Outputs that a subquery has made already."""
    return _Result([rows.c[f"o{at}"] for at in range(count)], [f"found.o{at}" for at in range(count)], rows, conditions)


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
    rows = sa.select(*labelled).select_from(join.clause).where(*join.conditions)
    if keys:
        rows = rows.group_by(*keys)
    return _found(rows.subquery("found"), len(labelled), [])


def _plain(join: Join, expression: r.Expression) -> Expression:
    assert expression.column is not None
    value = join.column(expression.instance, expression.column)
    return _binned(expression, value) if isinstance(expression, r.Binned) else value


def _binned(expression: r.Binned, value: Expression) -> Expression:
    scalar = expression.column.type.scalar
    kind = scalar if scalar in ("timestamptz", "timestamp", "date") else "number"
    return sa.func.deriva_bin(value, expression.count, expression.low, expression.high, kind)


def _leaf(join: Join, expression: r.Expression, rights: RightsTexts) -> Expression:
    if isinstance(expression, r.Binned):
        return sa.func.min(_plain(join, expression))
    if isinstance(expression, r.RowRights):
        row = sa.func.min(join.rid(expression.instance))
        return sa.case((row.is_not(None), sa.literal(rights[expression.instance, expression.by_column])))
    assert isinstance(expression, r.Aggregated)
    return _aggregate(join, expression)


def _aggregate(join: Join, expression: r.Aggregated) -> Expression:
    function, column = expression.function, expression.column
    if column is None:
        if function == "cnt":
            return sa.func.count()
        text = _row_object(join, expression)
        order = join.position(expression.instance) if function == "array" else text
        return sa.Function(f"deriva_{function}", text, order)
    value = join.column(expression.instance, column)
    if function == "cnt":
        return sa.func.count(value)
    if function == "cnt_d":
        return sa.func.count(value.distinct())
    if function in ("min", "max", "any"):
        return sa.func.max(value) if function == "max" else sa.func.min(value)
    if function in ("array", "array_d"):
        order = join.position(expression.instance) if function == "array" else order_value(column.type, value)
        return sa.Function(f"deriva_{function}", _sql(json_text(column.type, join.sql(expression.instance, column))), order)
    if function == "avg" and column.type.scalar in _INTEGERS:
        return sa.func.avg(value)
    return sa.Function(f"deriva_{function}", value)


def _row_object(join: Join, expression: r.Aggregated) -> Expression:
    columns = expression.row
    names, types = tuple(column.name for column in columns), tuple(column.type for column in columns)
    values = tuple(join.sql(expression.instance, column) for column in columns)
    text = _sql(row_text(names, types, values, "json"))
    if not join.joined.may_be_missing(expression.instance):
        return text
    return sa.case((join.rid(expression.instance).is_(None), sa.literal("null")), else_=text)


def _sort_value(expression: r.Expression, value: Expression) -> Expression:
    if isinstance(expression, r.Binned):
        return sa.func.json_extract(value, "$[0]")
    return order_value(expression.type, value)


def _never_null(query: r.Query, output: int) -> bool:
    expression = query.outputs[output].expression
    if isinstance(expression, r.Aggregated):
        return expression.function.startswith("cnt")
    return (
        isinstance(expression, r.Value)
        and not expression.column.nullok
        and not query.joined.may_be_missing(expression.instance)
    )


def _ordering(value: Expression, key: r.Order, firm: bool, backwards: bool) -> Expression:
    ordered = value.desc() if key.descending != backwards else value.asc()
    if firm:
        return ordered
    return ordered.nulls_last() if key.descending == backwards else ordered.nulls_first()


def _beyond(
    query: r.Query, keys: Sequence[Expression], firm: Sequence[bool], page: Sequence[Stored], after: bool
) -> Expression:
    """Rows after (or before) a boundary, key by key; NULL comes last in ascending order."""
    condition: Expression | None = None
    for at in range(len(keys) - 1, -1, -1):
        value, stored, descending = keys[at], page[at], query.order[at].descending
        type_ = query.outputs[query.order[at].output].expression.type
        bound = None if stored is None else _bound(type_, "lt", stored)
        upwards = after != descending
        strict: Expression
        equal: Expression
        if bound is None:
            strict = sa.false() if upwards else value.is_not(None)
            equal = value.is_(None)
        else:
            strict = value > bound if upwards else value < bound
            if upwards and not firm[at]:
                strict = sa.or_(strict, value.is_(None))
            equal = value == bound
        if condition is None:
            condition = strict
            continue
        condition = sa.or_(strict, sa.and_(equal, condition))
        if firm[at] and bound is not None:
            # Implied, but lets an index find the boundary.
            condition = sa.and_(value >= bound if upwards else value <= bound, condition)
    assert condition is not None
    return condition
