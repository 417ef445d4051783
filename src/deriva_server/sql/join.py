"""Joined table instances and predicates on them, as SQL."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from deriva_server.model.elements import Column, Table
from deriva_server.operators import ORDERS
from deriva_server.plan import relation as r
from deriva_server.sql.dialect import Expression, Expressions, quote
from deriva_server.sql.history import NEVER_REDACTED

SourceOf = Callable[[Table], sa.FromClause]
"""Gives the rows of a table."""

GIVEN = "given"
"""Name of the parameter with the texts that are given when a query is run."""


class Join:
    """The FROM clause of a path.

    Parameters
    ----------
    joined : Joined
        The plan.
    source : callable
        Gives the rows of a table.
    expressions : Expressions
        The database's words.
    """

    def __init__(self, joined: r.Joined, source: SourceOf, expressions: Expressions) -> None:
        self.joined = joined
        self.expressions = expressions
        sources = [source(table) for table in joined.tables]
        self._is_live = [isinstance(rows, sa.TableClause) for rows in sources]
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

    def is_live(self, instance: int) -> bool:
        """Whether the rows of an instance are a table as it is."""
        return self._is_live[instance]

    def is_given(self, instance: int, column: Column) -> bool:
        """Whether a column of an instance has a value in every row; redacted ones have none even where they must."""
        is_kept = self._is_live[instance] or column.name in NEVER_REDACTED
        return is_kept and self.joined.is_given(instance, column)

    def position(self, instance: int) -> Expression:
        """What orders the rows of an instance by their insertion."""
        return self.expressions.position(f"t{instance}", self.rid(instance), is_live=self._is_live[instance])

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
            *(
                self.expressions.linked(
                    (here.type, self.column(link.left, here)), (there.type, self.column(link.right, there))
                )
                for here, there in pairs
            )
        )

    @property
    def conditions(self) -> list[Expression]:
        """Every predicate of the path; where values are given, rows are sought by these."""
        where = self.joined.where
        made = [self.condition(predicate) for predicate in where]
        if not any(isinstance(predicate, r.Given) for predicate in where):
            return made
        return [
            condition if isinstance(predicate, r.Given) else self.expressions.checked(condition)
            for predicate, condition in zip(where, made, strict=True)
        ]

    def condition(self, predicate: r.Predicate) -> Expression:
        """One predicate."""
        if isinstance(predicate, r.Compare):
            return self._compared(predicate)
        if isinstance(predicate, r.IsNull):
            return self.column(predicate.instance, predicate.column).is_(None)
        if isinstance(predicate, r.Given):
            return self.expressions.among_given(self.column(predicate.instance, predicate.column), GIVEN)
        if isinstance(predicate, r.Negation):
            return sa.not_(sa.and_(self.condition(predicate.inner)).self_group())
        if isinstance(predicate, r.Match):
            return self._matched(predicate)
        terms = [self.condition(term) for term in predicate.terms]
        return sa.and_(*terms) if isinstance(predicate, r.AllOf) else sa.or_(*terms)

    def _compared(self, predicate: r.Compare) -> Expression:
        column, x = predicate.column, self.expressions
        value = self.column(predicate.instance, column)
        combine = sa.and_ if predicate.every else sa.or_
        if column.type.is_array:
            return combine(
                *(x.contains(column.type, value, predicate.operator, bound) for bound in predicate.values)
            )
        if predicate.operator == "=":
            if not predicate.every:
                return x.among(column.type, value, predicate.values)
            return sa.and_(*(x.among(column.type, value, [bound]) for bound in predicate.values))
        value, compare = x.order_value(column.type, value), ORDERS[predicate.operator].test
        return combine(*(compare(value, x.bound_order(column.type, bound)) for bound in predicate.values))

    def _matched(self, predicate: r.Match) -> Expression:
        texts = [
            sql_text(self.expressions.plain_text(column.type, self.sql(predicate.instance, column)))
            for column in predicate.columns
        ]
        found = [
            sa.or_(*(self.expressions.found(text, pattern, predicate.ignore_case) for text in texts))
            for pattern in predicate.patterns
        ]
        return sa.and_(*found) if predicate.every else sa.or_(*found)


def sql_text(text: str) -> Expression:
    """A piece of SQL as an expression."""
    return sa.literal_column(text)
