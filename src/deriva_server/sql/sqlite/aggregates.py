"""Aggregates that SQLite computes itself: of rows, or of what the same aggregates gave for parts of the rows.

Every part of an aggregate can be made of rows and again of such parts, so that a large table may be read in ranges.
Sums of floats are the only ones whose last digit depends on the ranges, as it depends on the order of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import sqlalchemy as sa

from deriva_server.model.elements import Type
from deriva_server.plan import relation as r
from deriva_server.sql.dialect import Expression
from deriva_server.values import Frozen

FLOATS = frozenset(("float4", "float8"))
_WIDE = frozenset(("int8", "serial8"))
_LOW_BITS = 0xFFFFFFFF


class Part(Frozen, frozen=True):
    """One column of an aggregate.

    Parameters
    ----------
    of_rows : Expression
        Its value over rows.
    of_parts : callable
        Makes one value of a column of them.
    """

    of_rows: Expression
    of_parts: Callable[[Expression], Expression]


class Aggregate(Frozen, frozen=True):
    """An aggregate made of parts.

    Parameters
    ----------
    parts : tuple of Part
        What is computed.
    finish : callable
        Makes the aggregate of the values of its parts.
    counts_rows : bool
        Whether it takes no value of any row.
    """

    parts: tuple[Part, ...]
    finish: Callable[..., Expression] = lambda value: value
    counts_rows: bool = False

    def of_rows(self) -> Expression:
        """The aggregate over rows."""
        return self.finish(*(part.of_rows for part in self.parts))

    def of_parts(self, columns: Sequence[Expression]) -> Expression:
        """The aggregate over columns that hold its parts."""
        return self.finish(*(part.of_parts(column) for part, column in zip(self.parts, columns, strict=True)))


def counted(value: Expression | None) -> Aggregate:
    """How many rows there are, or how many values that are not NULL."""
    return Aggregate((_count(value),), counts_rows=value is None)


def extreme(function: str, value: Expression) -> Aggregate:
    """The least or greatest value in the order of the stored forms."""
    return Aggregate((Part(sa.Function(function, value), partial(sa.Function, function)),))


def numeric(function: str, type_: Type, value: Expression) -> Aggregate | None:
    """The ``sum`` or ``avg`` of integers or floats; None for decimals, whose sum needs a function of ours."""
    total: tuple[Part, ...]
    whole: Callable[..., Expression]
    if type_.scalar in FLOATS:
        total, whole = (Part(_float_sum(value), _float_sum),), _as_it_is
    elif type_.scalar in _WIDE:
        # Either half of the bits leaves room to add up two thousand million of them.
        total = (_sum(value.op(">>")(32)), _sum(value.op("&")(_LOW_BITS)))
        whole = sa.func.deriva_whole
    elif type_.scalar in r.INTEGERS:
        total, whole = (_sum(value),), _as_it_is
    else:
        return None
    if function == "sum":
        return Aggregate(total, sa.func.deriva_single if type_.scalar == "float4" else whole)

    def average(*parts: Expression) -> Expression:
        return _average(whole(*parts[:-1]), parts[-1], may_be_nan=type_.scalar in FLOATS)

    return Aggregate((*total, _count(value)), average)


def _as_it_is(value: Expression) -> Expression:
    return value


def _count(value: Expression | None) -> Part:
    return Part(sa.func.count() if value is None else sa.func.count(value), sa.func.sum)


def _sum(value: Expression) -> Part:
    return Part(sa.func.sum(value), sa.func.sum)


def _average(total: Expression, count: Expression, *, may_be_nan: bool) -> Expression:
    # The division of the database, where SQLAlchemy's own would make both numbers floats once more.
    mean = sa.cast(total, sa.REAL).op("/")(count)
    return sa.case((total == "NaN", "NaN"), else_=mean) if may_be_nan else mean


def _float_sum(value: Expression) -> Expression:
    """The database's own sum; not-a-number, which it cannot add, sorts after every number."""
    total, greatest = sa.func.sum(value), sa.func.max(value)
    is_nan = sa.or_(greatest == "NaN", sa.and_(greatest.is_not(None), total.is_(None)))
    return sa.case((is_nan, "NaN"), else_=total)
