"""Joined table instances and predicates on them, as SQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from deriva_server.model.elements import Column, Table, Type
from deriva_server.model.values import Stored
from deriva_server.plan import relation as r
from deriva_server.plan.patterns import literal
from deriva_server.sql.dialect import quote
from deriva_server.sql.texts import plain_text

Expression = sa.ColumnElement[Any]
SourceOf = Callable[[Table], sa.FromClause]
"""Gives the rows of a table."""

_LIKE_SIGNS = re.compile("[%_!]")
_LONGEST_WORD = 1000
_OPERATORS: Mapping[str, Callable[[Expression, Any], Expression]] = {
    "=": lambda value, bound: value == bound,
    "lt": lambda value, bound: value < bound,
    "leq": lambda value, bound: value <= bound,
    "gt": lambda value, bound: value > bound,
    "geq": lambda value, bound: value >= bound,
}


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
        return sa.and_(
            *(self.column(link.left, here) == self.column(link.right, there) for here, there in pairs)
        )

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
        return combine(
            *(_OPERATORS[operator](value, bound_value(column.type, operator, v)) for v in predicate.values)
        )

    def _matched(self, predicate: r.Match) -> Expression:
        texts = [
            sql_text(plain_text(column.type, self.sql(predicate.instance, column)))
            for column in predicate.columns
        ]
        found = [
            sa.or_(*(_found_in(text, pattern, predicate.ignore_case) for text in texts))
            for pattern in predicate.patterns
        ]
        return sa.and_(*found) if predicate.every else sa.or_(*found)


def _found_in(text: Expression, pattern: str, ignore_case: bool) -> Expression:
    """Whether a pattern matches; plain words are looked for by the database itself."""
    plain = literal(pattern)
    if plain is None or not plain.isascii() or len(plain) > _LONGEST_WORD:
        return sa.func.deriva_match(pattern, int(ignore_case), text) == 1
    if ignore_case:
        return text.like("%" + _LIKE_SIGNS.sub(r"!\g<0>", plain) + "%", escape="!")
    return sa.func.instr(text, plain) > 0


def sql_text(text: str) -> Expression:
    return sa.literal_column(text)


def order_value(type_: Type, value: Expression) -> Expression:
    """What values of a type are compared and sorted by."""
    if not type_.is_array and type_.scalar == "numeric":
        is_digits = sa.and_(sa.func.typeof(value) == "text", value != "NaN")
        return sa.case((is_digits, sa.cast(value, sa.Double)), else_=value)
    if not type_.is_array and type_.scalar == "interval":
        return sa.func.deriva_interval(value)
    return value


def bound_value(type_: Type, operator: str, value: Stored) -> Expression:
    bound = sa.literal(value)
    return bound if operator == "=" else order_value(type_, bound)


def _contains(type_: Type, value: Expression, operator: str, bound: Stored) -> Expression:
    """Whether any element of an array satisfies a comparison; unknown for a NULL array."""
    elements = sa.func.json_each(value).table_valued("value").alias("element")
    element_type = type_.base or type_
    element = elements.c.value if operator == "=" else order_value(element_type, elements.c.value)
    if isinstance(bound, str) and element_type.scalar in ("timestamptz", "timestamp"):
        bound = bound[:19] + bound[19:26].rstrip("0").rstrip(".") + bound[26:]
    test = _OPERATORS[operator](element, bound_value(element_type, operator, bound))
    found = sa.select(sa.literal(1)).select_from(elements).where(test).exists()
    return sa.case((value.is_not(None), found)) == 1
