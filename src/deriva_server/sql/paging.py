"""Sorting, and pages that begin or end at a boundary."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from deriva_server.model.values import Stored
from deriva_server.plan import relation as r
from deriva_server.sql.dialect import Expression
from deriva_server.sql.join import Join


class Paging:
    """The order of a query and the page that it asks for.

    NULL comes last in ascending order and first in descending order.

    Parameters
    ----------
    query : Query
        The plan.
    values : sequence of expressions
        Its outputs.
    join : Join
        Where they come from.
    """

    def __init__(self, query: r.Query, values: Sequence[Expression], join: Join) -> None:
        self._query = query
        self._expressions = join.expressions
        self.keys = [
            self._sort_value(query.outputs[key.output].expression, values[key.output]) for key in query.order
        ]
        self._firm = [_never_null(query, key.output, join) for key in query.order]

    @property
    def is_backwards(self) -> bool:
        """Whether the last rows before a boundary are wanted, which must be found from their end."""
        return self._query.before is not None and self._query.after is None

    def conditions(self) -> list[Expression]:
        """What rows of the page satisfy."""
        found = []
        if self._query.after is not None:
            found.append(self._beyond(self._query.after, after=True))
        if self._query.before is not None:
            found.append(self._beyond(self._query.before, after=False))
        return found

    def ordering(self) -> list[Expression]:
        """The order in which to find the rows of the page."""
        return self._ordered(self.keys, self.is_backwards)

    def forward(self, keys: Sequence[Expression]) -> list[Expression]:
        """The order in which to deliver rows whose sort keys are at hand."""
        return self._ordered(keys, False)

    def _ordered(self, keys: Sequence[Expression], backwards: bool) -> list[Expression]:
        found: list[Expression] = []
        for value, order, firm in zip(keys, self._query.order, self._firm, strict=True):
            ordered = value.desc() if order.descending != backwards else value.asc()
            if not firm:
                ordered = ordered.nulls_last() if order.descending == backwards else ordered.nulls_first()
            found.append(ordered)
        return found

    def _beyond(self, page: Sequence[Stored], *, after: bool) -> Expression:
        """Rows strictly beyond a boundary, key by key."""
        condition: Expression | None = None
        for at in range(len(self.keys) - 1, -1, -1):
            value, order, firm = self.keys[at], self._query.order[at], self._firm[at]
            bound = None if page[at] is None else self._bound(order.output, page[at])
            upwards = after != order.descending
            strict: Expression
            equal: Expression
            if bound is None:
                strict = sa.false() if upwards else value.is_not(None)
                equal = value.is_(None)
            else:
                strict = value > bound if upwards else value < bound
                strict = sa.or_(strict, value.is_(None)) if upwards and not firm else strict
                equal = value == bound
            if condition is None:
                condition = strict
                continue
            condition = sa.or_(strict, sa.and_(equal, condition))
            if firm and bound is not None:
                # Implied, but lets an index find the boundary.
                condition = sa.and_(value >= bound if upwards else value <= bound, condition)
        assert condition is not None
        return condition

    def _sort_value(self, expression: r.Expression, value: Expression) -> Expression:
        if isinstance(expression, r.Binned):
            return self._expressions.bin_number(value)
        return self._expressions.order_value(expression.type, value)

    def _bound(self, output: int, value: Stored) -> Expression:
        expression = self._query.outputs[output].expression
        if isinstance(expression, r.Binned):
            return sa.literal(value)
        return self._expressions.bound_order(expression.type, value)


def _never_null(query: r.Query, output: int, join: Join) -> bool:
    expression = query.outputs[output].expression
    if isinstance(expression, r.Aggregated):
        return expression.function.startswith("cnt")
    return isinstance(expression, r.Value) and join.is_given(expression.instance, expression.column)
