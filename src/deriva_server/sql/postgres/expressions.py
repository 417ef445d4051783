"""What reads compute, in PostgreSQL's words; values have PostgreSQL's own types."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from deriva_server.errors import ServiceError
from deriva_server.model.elements import Column, Table, Type
from deriva_server.model.types import TYPES
from deriva_server.model.values import Stored
from deriva_server.names import to_microseconds
from deriva_server.operators import ORDERS
from deriva_server.plan import relation as r
from deriva_server.plan.patterns import literal
from deriva_server.sql.dialect import Connection, Expression, Parts, RowParts, first_column, history_name
from deriva_server.sql.postgres.floats import float_average, float_sum, single_average, single_sum
from deriva_server.sql.postgres.naming import history_column, schema_storage
from deriva_server.sql.postgres.texts import json_text, plain_text, row_text
from deriva_server.sql.postgres.values import column_type, list_text, text_value

_PIECE = 1000
_NUMBERS = frozenset(("int2", "int4", "int8", "float4", "float8", "numeric"))
_TEXTUAL = frozenset(("uuid", "json", "jsonb"))
_FLOAT_AGGREGATES = {
    ("float8", "sum"): float_sum,
    ("float8", "avg"): float_average,
    ("float4", "sum"): single_sum,
    ("float4", "avg"): single_average,
}
_TIMES = frozenset(("date", "timestamp", "timestamptz"))


class _Named(sa.types.UserDefinedType[Any]):
    """A type by PostgreSQL's name."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_options: Any) -> str:
        """The name."""
        return self.name


class PostgresExpressions:
    """PostgreSQL behind the `Expressions` protocol."""

    def source(self, table: Table) -> sa.TableClause:
        """A table in its schema."""
        columns: list[sa.ColumnClause[Any]] = [sa.column(column.storage) for column in table.columns]
        return sa.table(table.storage, *columns, schema=schema_storage(table.schema))

    def superseded(self, connection: Connection, table: Table, moment: str) -> sa.Select[Any]:
        """From the history table, whose columns are named by column RIDs and types."""
        stored = {c.rid: "rid" if c.name == "RID" else history_column(c) for c in table.columns}
        columns: list[sa.ColumnClause[Any]] = [
            sa.column(name) for name in dict.fromkeys(["rid", "since", "until", *stored.values()])
        ]
        rows = sa.table(history_name(table.rid), *columns)
        values = (rows.c[stored[c.rid]].label(c.storage) for c in table.columns)
        at = self.moment(moment)
        return sa.select(*values).where(rows.c.since <= at, rows.c.until > at)

    def merged(self, column: Column) -> Expression:
        """The column."""
        return sa.column(column.storage)

    def moment(self, text: str) -> Expression:
        """A timestamp."""
        return _given(text, "timestamptz")

    def position(self, alias: str, rid: Expression, *, is_live: bool) -> Expression:
        """Rows lie where there was room for them, but their RIDs ascend."""
        return rid

    def listed(self, values: Sequence[str]) -> sa.FromClause:
        """Members of an array with their numbers."""
        members = sa.func.unnest(_given(list_text(TYPES["text"], values), "text[]"))
        return members.table_valued("value", with_ordinality="key").render_derived()

    def growing(
        self, first: sa.Select[Any], steps: Callable[[sa.FromClause], Sequence[sa.Select[Any]]]
    ) -> sa.FromClause:
        """A recursive part may be named once, so all steps start from the same row of it."""
        walk = first.cte("walk", recursive=True)
        step = sa.union_all(*(each.correlate(walk) for each in steps(walk))).lateral("step")
        return walk.union(sa.select(step).select_from(walk.join(step, sa.true())))

    def row_parts(
        self, names: tuple[str, ...], types: tuple[Type, ...], values: tuple[str, ...], form: r.Format
    ) -> RowParts:
        """Printed by the database."""
        return RowParts((row_text(names, types, values, form),), first_column)

    def row_object(self, names: tuple[str, ...], types: tuple[Type, ...], values: tuple[str, ...]) -> str:
        """Printed by the database."""
        return row_text(names, types, values, "json")

    def json_text(self, type_: Type, value: str) -> str:
        """Printed by the database."""
        return json_text(type_, value)

    def plain_text(self, type_: Type, value: str) -> str:
        """Printed by the database."""
        return plain_text(type_, value)

    def order_value(self, type_: Type, value: Expression) -> Expression:
        """Types have their own order, but for JSON kept as text."""
        return _cast(value, "text") if type_.scalar == "json" else value

    def bound_order(self, type_: Type, value: Stored) -> Expression:
        """A value of the type."""
        return self.order_value(type_, _bound(type_, value))

    def among(self, type_: Type, value: Expression, values: Sequence[Stored]) -> Expression:
        """One parameter, whatever the number of values."""
        if type_.scalar == "json":
            type_, value = TYPES["text"], _cast(value, "text")
        if len(values) == 1:
            return value == _bound(type_, values[0])
        listed = _given(list_text(type_, values), f"{column_type(type_)}[]")
        return value == sa.func.any(listed)

    def checked(self, condition: Expression) -> Expression:
        """PostgreSQL has statistics."""
        return condition

    def among_given(self, value: Expression, name: str) -> Expression:
        """An array."""
        return value == sa.func.any(_cast(sa.bindparam(name, type_=_Named("text[]")), "text[]"))

    def among_shared(self, name: str) -> Callable[[Expression], Expression]:
        """PostgreSQL is sent the parameter once in any case."""
        return lambda value: self.among_given(value, name)

    def given(self, values: Sequence[str]) -> Any:
        """The text of an array."""
        return list_text(TYPES["text"], values)

    def linked(self, left: tuple[Type, Expression], right: tuple[Type, Expression]) -> Expression:
        """Values of different kinds are compared as texts."""
        kinds = [_kind(type_) for type_, _ in (left, right)]
        if kinds[0] == kinds[1] != "json":
            return left[1] == right[1]
        return _cast(left[1], "text") == _cast(right[1], "text")

    def contains(self, type_: Type, value: Expression, operator: str, bound: Stored) -> Expression:
        """The array's elements are on the right side there."""
        element = type_.base or type_
        if element.scalar == "json":
            element, value = TYPES["text"], _cast(value, "text[]")
        return _bound(element, bound).op(ORDERS[operator].mirrored, is_comparison=True)(sa.func.any(value))

    def found(self, text: Expression, pattern: str, ignore_case: bool) -> Expression:
        """PostgreSQL knows these patterns."""
        plain = literal(pattern)
        if plain is not None and not ignore_case:
            return sa.func.strpos(text, plain) > 0
        return text.op("~*" if ignore_case else "~", is_comparison=True)(pattern)

    def binned(self, expression: r.Binned, value: Expression) -> Expression:
        """By a function of ours, over numbers."""
        scalar = expression.column.type.scalar
        low, high = expression.low, expression.high
        if scalar in _TIMES:
            value = sa.extract("epoch", _cast(value, "timestamptz")) * 1_000_000
            low, high = _microseconds(low), _microseconds(high)
        elif scalar.startswith("float"):
            value = _cast(value, "text")
        bounds = [_given(text_value(TYPES["numeric"], bound), "numeric") for bound in (low, high)]
        kind = scalar if scalar in _TIMES else "number"
        return sa.func._ermrest_bin(_cast(value, "numeric"), expression.count, *bounds, kind)

    def bin_number(self, value: Expression) -> Expression:
        """The first member."""
        return _cast(_cast(value, "json").op("->>")(0), "int4")

    def some(self, type_: Type, value: Expression) -> Expression:
        """The least, where values have an order."""
        if type_.is_array or type_.scalar in _TEXTUAL:
            return _cast(sa.func.min(_cast(value, "text")), column_type(type_))
        return sa.func.bool_or(value) if type_.scalar == "boolean" else sa.func.min(value)

    def extreme(self, function: str, type_: Type, value: Expression) -> Expression:
        """Types have their own order."""
        return sa.Function(function, value)

    def numeric(self, function: str, type_: Type, value: Expression) -> Expression:
        """By functions of the database, but floats end in infinity."""
        known = _FLOAT_AGGREGATES.get((type_.scalar, function))
        return sa.Function(function, value) if known is None else known(value)

    def distinct_count(self, type_: Type, value: Expression) -> Expression:
        """JSON kept as text has no equality."""
        return sa.func.count(self.order_value(type_, value).distinct())

    def array(self, text: str, position: Expression) -> Expression:
        """The texts in brackets."""
        separator = sa.literal_column("','").op("ORDER BY")(position)
        return _bracketed(sa.func.string_agg(sa.literal_column(text), separator))

    def distinct_array(self, text: str, type_: Type | None, value: Expression | None) -> Expression:
        """Values in their own order, or texts in brackets."""
        if type_ is not None and value is not None and type_.scalar != "json":
            return _cast(sa.func.json_agg(value.distinct()), "text")
        shown: Expression = sa.literal_column(text)
        separator = sa.literal_column("','").op("ORDER BY")(shown)
        return _bracketed(sa.func.string_agg(shown.distinct(), separator))

    def parts(
        self, query: r.Query, rows: sa.FromClause, conditions: Sequence[Expression]
    ) -> tuple[sa.Select[Any], sa.FromClause] | None:
        """The server itself reads a table in parts."""
        return None

    def execute(
        self,
        connection: Connection,
        statement: sa.Select[Any],
        *,
        whole: bool,
        parts: Parts | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> sa.CursorResult[Any]:
        """A long result is fetched through a cursor, which the server keeps."""
        if not whole:
            statement = statement.execution_options(stream_results=True, yield_per=_PIECE)
        return connection.raw.execute(statement, parameters)

    def failure(self, connection: Connection) -> ServiceError | None:
        """The database's own error says it."""
        return None


def _cast(value: Expression, name: str) -> Expression:
    return sa.cast(value, _Named(name))


def _given(text: str | None, name: str) -> Expression:
    """A text as a parameter of a type: the server reads it once, where a text would be cast for every row."""
    return _cast(sa.literal(text, _Named(name)), name)


def _bound(type_: Type, value: Stored) -> Expression:
    return _given(text_value(type_, value), column_type(type_))


def _bracketed(text: Expression) -> Expression:
    return sa.literal_column("'['").op("||")(text).op("||")(sa.literal_column("']'"))


def _kind(type_: Type) -> str:
    name = column_type(type_)
    return "number" if name in _NUMBERS else name


def _microseconds(value: Stored) -> Stored:
    if not isinstance(value, str):
        return value
    moment = dt.datetime.fromisoformat(value)
    return to_microseconds(moment.replace(tzinfo=dt.UTC))
