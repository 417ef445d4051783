"""What reads compute, in SQLite's words; values are kept in their stored forms."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from deriva_server.errors import ServiceError
from deriva_server.model.elements import Column, Table, Type
from deriva_server.model.values import Stored
from deriva_server.operators import ORDERS
from deriva_server.plan import relation as r
from deriva_server.plan.patterns import literal
from deriva_server.sql.dialect import Connection, Expression, Parts, RowParts, history_name, quote
from deriva_server.sql.sqlite import aggregates
from deriva_server.sql.sqlite.functions import failure, prepare
from deriva_server.sql.sqlite.naming import column_type
from deriva_server.sql.sqlite.parts import collect, plan
from deriva_server.sql.sqlite.texts import json_text, plain_text, row_object, row_parts

_LIKE_SIGNS = re.compile("[%_!]")
_LONGEST_WORD = 1000
# Looked up one by one by their ends; more are sooner found by walking the index of all versions.
_FEW_VERSIONS = 1000


class SqliteExpressions:
    """SQLite behind the `Expressions` protocol."""

    def source(self, table: Table) -> sa.TableClause:
        """A table."""
        return sa.table(table.storage, *(sa.column(column.storage) for column in table.columns))

    def superseded(self, connection: Connection, table: Table, moment: str) -> sa.Select[Any]:
        """By that index of the history table which has to be read less; its columns are named by column RIDs."""
        name = history_name(table.rid)
        ended = connection.run(
            f"SELECT count(*) FROM (SELECT 1 FROM {quote(name)} WHERE until > ? LIMIT {_FEW_VERSIONS})",
            (moment,),
        ).scalar_one()
        index = f"{name}_until" if ended < _FEW_VERSIONS else f"{name}_rid"
        # The column `rid` has the index.
        values = [
            sa.column("rid") if column.name == "RID" else _as_live(column.type, column.rid)
            for column in table.columns
        ]
        labelled = [value.label(column.storage) for value, column in zip(values, table.columns, strict=True)]
        rows = sa.text(f"{quote(name)} INDEXED BY {quote(index)}")
        return (
            sa.select(*labelled)
            .select_from(rows)
            .where(sa.column("since") <= moment, sa.column("until") > moment)
        )

    def merged(self, column: Column) -> Expression:
        """SQLite orders a union by its parts only if their columns have the same affinities."""
        if column_type(column.type) == "REAL":
            return _as_live(column.type, column.storage)
        return sa.column(column.storage)

    def moment(self, text: str) -> Expression:
        """Times are texts."""
        return sa.literal(text)

    def position(self, alias: str, rid: Expression, *, is_live: bool) -> Expression:
        """The number of the row; versions in the history have none."""
        return sa.literal_column(f"{alias}._rowid_") if is_live else rid

    def listed(self, values: Sequence[str]) -> sa.FromClause:
        """Members of a JSON array."""
        return sa.func.json_each(json.dumps(values)).table_valued("key", "value")

    def growing(
        self, first: sa.Select[Any], steps: Callable[[sa.FromClause], Sequence[sa.Select[Any]]]
    ) -> sa.FromClause:
        """SQLite takes any number of recursive parts."""
        walk = first.cte("walk", recursive=True)
        return walk.union(*steps(walk))

    def row_parts(
        self, names: tuple[str, ...], types: tuple[Type, ...], values: tuple[str, ...], form: r.Format
    ) -> RowParts:
        """Partly printed by the database."""
        return row_parts(names, types, values, form)

    def row_object(self, names: tuple[str, ...], types: tuple[Type, ...], values: tuple[str, ...]) -> str:
        """Printed by the database."""
        return row_object(names, types, values)

    def json_text(self, type_: Type, value: str) -> str:
        """Printed by the database."""
        return json_text(type_, value)

    def plain_text(self, type_: Type, value: str) -> str:
        """Printed by the database."""
        return plain_text(type_, value)

    def order_value(self, type_: Type, value: Expression) -> Expression:
        """Stored forms sort as the values do, but for arrays, decimals and intervals."""
        if type_.is_array:
            return sa.func.deriva_array_key(value, type_.scalar)
        if type_.scalar == "numeric":
            return sa.func.deriva_decimal_key(value)
        return sa.func.deriva_interval(value) if type_.scalar == "interval" else value

    def bound_order(self, type_: Type, value: Stored) -> Expression:
        """The stored form, treated as the column is."""
        return self.order_value(type_, sa.literal(value))

    def among(self, type_: Type, value: Expression, values: Sequence[Stored]) -> Expression:
        """SQLite looks a list up in an index value by value; equal intervals may be written in several ways."""
        if type_.scalar == "interval":
            return self.order_value(type_, value).in_([self.bound_order(type_, bound) for bound in values])
        return value == sa.literal(values[0]) if len(values) == 1 else value.in_(values)

    def checked(self, condition: Expression) -> Expression:
        """SQLite has no statistics, and would often look up the one of few values that half of the rows have."""
        return sa.case((condition, sa.literal_column("1"))) == sa.literal_column("1")

    def among_given(self, value: Expression, name: str) -> Expression:
        """Members of a JSON array are looked up in an index one by one."""
        texts = sa.func.json_each(sa.bindparam(name)).table_valued("value")
        return value.in_(sa.select(texts.c.value))

    def among_shared(self, name: str) -> Callable[[Expression], Expression]:
        """Read into a table that every part is joined with: for a list SQLite would make one in each of them."""
        texts = sa.func.json_each(sa.bindparam(name)).table_valued("value")
        wanted = sa.select(texts.c.value).distinct().cte("wanted")
        return lambda value: value == wanted.c.value

    def given(self, values: Sequence[str]) -> Any:
        """A JSON array."""
        return json.dumps(values)

    def linked(self, left: tuple[Type, Expression], right: tuple[Type, Expression]) -> Expression:
        """SQLite compares values of any types."""
        return left[1] == right[1]

    def contains(self, type_: Type, value: Expression, operator: str, bound: Stored) -> Expression:
        """Arrays are JSON texts, whose times have no trailing zeros."""
        elements = sa.func.json_each(value).table_valued("value").alias("element")
        element_type = type_.base or type_
        element = elements.c.value if operator == "=" else self.order_value(element_type, elements.c.value)
        if isinstance(bound, str) and element_type.scalar in ("timestamptz", "timestamp"):
            bound = bound[:19] + bound[19:26].rstrip("0").rstrip(".") + bound[26:]
        other = sa.literal(bound) if operator == "=" else self.bound_order(element_type, bound)
        test = ORDERS[operator].test(element, other)
        found = sa.select(sa.literal(1)).select_from(elements).where(test).exists()
        return sa.case((value.is_not(None), found)) == 1

    def found(self, text: Expression, pattern: str, ignore_case: bool) -> Expression:
        """Plain words are looked for by the database itself."""
        plain = literal(pattern)
        if plain is None or not plain.isascii() or len(plain) > _LONGEST_WORD:
            return sa.func.deriva_match(pattern, int(ignore_case), text) == 1
        if ignore_case:
            return text.like("%" + _LIKE_SIGNS.sub(r"!\g<0>", plain) + "%", escape="!")
        return sa.func.instr(text, plain) > 0

    def binned(self, expression: r.Binned, value: Expression) -> Expression:
        """By a function of ours."""
        scalar = expression.column.type.scalar
        kind = scalar if scalar in ("timestamptz", "timestamp", "date") else "number"
        return sa.func.deriva_bin(value, expression.count, expression.low, expression.high, kind)

    def bin_number(self, value: Expression) -> Expression:
        """The first member."""
        return sa.func.json_extract(value, "$[0]")

    def some(self, type_: Type, value: Expression) -> Expression:
        """The least."""
        return sa.func.min(value)

    def extreme(self, function: str, type_: Type, value: Expression) -> Expression:
        """By functions of ours where the order is not that of the stored forms."""
        key = self.order_value(type_, value)
        if key is value:
            return aggregates.extreme(function, value).of_rows()
        return sa.Function(f"deriva_{function}", value, key)

    def numeric(self, function: str, type_: Type, value: Expression) -> Expression:
        """By a function of ours for decimals only."""
        known = aggregates.numeric(function, type_, value)
        return sa.Function(f"deriva_{function}", value) if known is None else known.of_rows()

    def distinct_count(self, type_: Type, value: Expression) -> Expression:
        """Equal values are stored alike."""
        return sa.func.count(value.distinct())

    def array(self, text: str, position: Expression) -> Expression:
        """By a function of ours."""
        return sa.Function("deriva_array", sa.literal_column(text), position)

    def distinct_array(self, text: str, type_: Type | None, value: Expression | None) -> Expression:
        """By a function of ours."""
        shown: Expression = sa.literal_column(text)
        order = shown if type_ is None or value is None else self.order_value(type_, value)
        return sa.Function("deriva_array_d", shown, order)

    def parts(
        self, query: r.Query, rows: sa.FromClause, conditions: Sequence[Expression]
    ) -> tuple[sa.Select[Any], sa.FromClause] | None:
        """Where every aggregate can be made of parts."""
        made = [
            self._aggregate(query.joined, rows, output.expression) for output in query.outputs[query.keys :]
        ]
        known = [aggregate for aggregate in made if aggregate is not None]
        return plan(query, rows, conditions, known) if len(known) == len(made) else None

    def _aggregate(
        self, joined: r.Joined, rows: sa.FromClause, expression: r.Expression
    ) -> aggregates.Aggregate | None:
        if not isinstance(expression, r.Aggregated):
            return None
        column, function = expression.column, expression.function
        value = None if column is None else rows.c[column.storage]
        if function == "cnt":
            given = column is None or joined.is_given(expression.instance, column)
            return aggregates.counted(None if given else value)
        if column is None or value is None:
            return None
        if function in ("sum", "avg"):
            return aggregates.numeric(function, column.type, value)
        if function == "any":
            return aggregates.extreme("min", value)
        is_plain = function in ("min", "max") and self.order_value(column.type, value) is value
        return aggregates.extreme(function, value) if is_plain else None

    def execute(
        self,
        connection: Connection,
        statement: sa.Select[Any],
        *,
        whole: bool,
        parts: Parts | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> sa.CursorResult[Any]:
        """Rows are made while they are fetched in either case."""
        prepare(connection)
        if parts is not None and collect(connection, statement, parts):
            statement = parts.statement
        return connection.raw.execute(statement, parameters)

    def failure(self, connection: Connection) -> ServiceError | None:
        """What a function of ours stumbled over."""
        return failure(connection)


def _as_live(type_: Type, name: str) -> Expression:
    """A column of a history table with the affinity of a live one; floats, for not-a-number, have none in either."""
    affinity = column_type(type_)
    if affinity == "REAL":
        return sa.literal_column(f"+{quote(name)}")
    return sa.literal_column(f"CAST({quote(name)} AS {affinity})") if affinity else sa.column(name)
