"""Sums and averages of floats that end in infinity, as floats do, where PostgreSQL's own would fail.

Values that could lead out of range are added apart from the others, scaled down by a power of two, which is exact.
"""

from __future__ import annotations

import sys

import sqlalchemy as sa

from deriva_server.model.values import LARGEST_SINGLE
from deriva_server.sql.dialect import Expression

_DOWN, _UP = 2.0**-64, 2.0**64
_LARGEST = sys.float_info.max * _DOWN
_HUGE = 1e290
_NO_SINGLE = 2.0**-150
"""Half of the least number of single precision: PostgreSQL takes it for a failure that this would become zero."""
_SMALLEST = 5e-324
"""A quotient that is less than half of it would be zero, which PostgreSQL takes for a failure."""


def float_sum(value: Expression) -> Expression:
    """The sum of float8 values."""
    return _total(value)


def float_average(value: Expression) -> Expression:
    """The average of float8 values: their sum divided by their number."""
    total, count = _total(value), sa.func.count(value)
    # The division of floats, where SQLAlchemy's own would be that of decimals.
    mean = total.op("/")(count)
    vanishes = sa.func.abs(total) * _number(2) <= _number(_SMALLEST) * count
    return sa.case((sa.func.abs(total) < _number(1), sa.case((vanishes, _number(0)), else_=mean)), else_=mean)


def single_sum(value: Expression) -> Expression:
    """The sum of float4 values, in float4 again where it has such a number; float8 has room for any sum of them."""
    total = sa.func.sum(_as_shown(value))
    size = sa.func.abs(total)
    return sa.case(
        (size <= _number(_NO_SINGLE), _number(0)),
        (size <= _number(LARGEST_SINGLE), _as_shown(sa.cast(total, sa.REAL))),
        else_=total,
    )


def single_average(value: Expression) -> Expression:
    """The average of float4 values."""
    return sa.func.avg(_as_shown(value))


def _as_shown(value: Expression) -> Expression:
    """A float4 as the float8 that its shortest text says, which is what people see."""
    return sa.cast(sa.cast(value, sa.Text), sa.Double)


def _total(value: Expression) -> Expression:
    # Not-a-number counts as huge, because it sorts after every number.
    is_small = sa.func.abs(value) < _number(_HUGE)
    small = sa.func.sum(value).filter(is_small)
    huge = sa.func.sum(value * _number(_DOWN)).filter(sa.not_(is_small))
    beside = sa.case((sa.func.abs(small) > _number(1), small * _number(_DOWN)), else_=_number(0))
    scaled = huge + beside
    infinite = scaled * sa.literal_column("float8 'Infinity'")
    whole = sa.case((sa.func.abs(scaled) <= _number(_LARGEST), scaled * _number(_UP)), else_=infinite)
    return sa.case((huge.is_(None), small), else_=whole)


def _number(value: float) -> Expression:
    return sa.literal_column(f"float8 '{value!r}'")
