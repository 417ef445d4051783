"""SQL functions in Python: what SQLite itself would do inexactly or not at all.

They are made known to a connection before its first use by the row statements.
"""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from deriva_server.errors import Conflict, ServiceError, TimeLimit
from deriva_server.model import times
from deriva_server.model.shown import array_text, number, number_text
from deriva_server.model.values import LARGEST_SINGLE, Stored, exact_number, single
from deriva_server.plan.patterns import matcher
from deriva_server.sql.dialect import Connection
from deriva_server.sql.sqlite.convert import FUNCTION, convert
from deriva_server.sql.sqlite.order import Greatest, Least, array_key, decimal_key

DEADLINE = "deriva_deadline"
"""Where a connection notes until when its statement may run."""

_KNOWN = "deriva_functions"
_FAILURE = "deriva_failure"
_EPOCH = dt.datetime(1970, 1, 1)


def prepare(connection: Connection) -> None:
    """Make the functions known to a connection."""
    info = connection.raw.info
    if _KNOWN in info:
        return
    driver: Any = connection.raw.connection.driver_connection
    for name, arity, function in _FUNCTIONS:
        driver.create_function(name, arity, _remembering(function, info), deterministic=True)
    for name, arity, aggregate in _AGGREGATES:
        driver.create_aggregate(name, arity, aggregate)
    info[_KNOWN] = True


def failure(connection: Connection) -> ServiceError | None:
    """Why a function failed in the statement just run; the database itself forgets the reason."""
    found: ServiceError | None = connection.raw.info.pop(_FAILURE, None)
    return found


def _remembering(function: Callable[..., Any], info: dict[Any, Any]) -> Callable[..., Any]:
    # A match may be slow, and SQLite itself looks at the clock only every so many of its own steps.
    limited = function is match

    def call(*arguments: Stored) -> Any:
        try:
            if limited and time.monotonic() > info.get(DEADLINE, math.inf):
                raise TimeLimit()
            return function(*arguments)
        except ServiceError as error:
            info[_FAILURE] = error
            raise

    return call


def match(pattern: str, ignore_case: int, text: str | None) -> bool | None:
    """Whether a regular expression matches somewhere in a text."""
    return None if text is None else matcher(pattern, bool(ignore_case))(text)


def number_or_null(value: Stored) -> str:
    """JSON text of a number, ``null`` without one."""
    return "null" if value is None else number(value)


def whole(high: int | None, low: int) -> Stored:
    """The number with these bits above and below the lowest 32, which either may exceed."""
    return None if high is None else exact_number(Decimal((high << 32) + low))


def single_or_more(number: Stored) -> Stored:
    """A number of single precision where there is one, else the number itself."""
    return single(number) if isinstance(number, float) and abs(number) <= LARGEST_SINGLE else number


def _text_of(write: Callable[..., str]) -> Callable[..., str | None]:
    """NULL for NULL."""
    return lambda value, *more: None if value is None else write(value, *more)


def bin_of(value: Stored, count: int, low: Stored, high: Stored, kind: str) -> str:
    """The bin of a value as JSON text of ``[number, low, high]``; both bounds are null for a null value."""
    if value is None:
        return "[null,null,null]"
    least, most, subject = _scale(low, kind), _scale(high, kind), _scale(value, kind)
    if not least < most:
        raise Conflict("The lower bound of bins must be less than the upper bound.")
    if subject < least:
        return _bin_text(0, None, least, kind)
    if subject >= most:
        return _bin_text(count + 1, most, None, kind)
    if math.isfinite(least) and not math.isfinite((most - least) * count):
        share = (Fraction(subject) - Fraction(least)) / (Fraction(most) - Fraction(least))
        at = min(count, int(share * count) + 1)
    else:
        at = min(count, int((subject - least) * count / (most - least)) + 1)
    # Rounding may put a value that lies on a bound into the neighbour.
    if at > 1 and subject < _bound(at - 1, count, least, most):
        at -= 1
    elif at < count and subject >= _bound(at, count, least, most):
        at += 1
    return _bin_text(at, _bound(at - 1, count, least, most), _bound(at, count, least, most), kind)


def _bound(at: int, count: int, least: float, most: float) -> float:
    if at == count:
        return most
    bound = least + (most - least) * at / count
    if not math.isfinite(bound):
        return float(Fraction(least) + (Fraction(most) - Fraction(least)) * at / count)
    return int(bound) if bound == int(bound) and isinstance(least, int) and isinstance(most, int) else bound


@lru_cache(maxsize=4096)
def _bin_text(at: int, low: float | None, high: float | None, kind: str) -> str:
    bounds = ",".join("null" if bound is None else _unscale(bound, kind) for bound in (low, high))
    return f"[{at},{bounds}]"


def _scale(value: Stored, kind: str) -> float:
    if kind == "number":
        return value if isinstance(value, (int, float)) else float(value or 0)
    moment = dt.datetime.fromisoformat(str(value)).replace(tzinfo=None)
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def _unscale(bound: float, kind: str) -> str:
    if kind == "number":
        return number(bound)
    text = (_EPOCH + dt.timedelta(microseconds=round(bound))).isoformat(timespec="microseconds")
    return f'"{times.shorten(text + ("+00:00" if kind == "timestamptz" else ""))}"'


def interval_length(text: str | None) -> float | None:
    """What intervals are ordered by."""
    return None if text is None else times.interval_length(text)


class ArrayAggregate:
    """JSON array of JSON texts, in the order of a second argument."""

    def __init__(self) -> None:
        self.members: list[tuple[Any, str]] = []

    def step(self, text: str, position: Stored) -> None:
        """Take one row."""
        self.members.append((_sortable(position), str(text)))

    def finalize(self) -> str | None:
        """The array; NULL without rows."""
        if not self.members:
            return None
        self.members.sort(key=lambda member: member[0])
        return "[" + ",".join(text for _, text in self.members) + "]"


class DistinctArrayAggregate:
    """JSON array of the distinct JSON texts, sorted by a second argument."""

    def __init__(self) -> None:
        self.members: dict[str, Any] = {}

    def step(self, text: str, order: Stored) -> None:
        """Take one row."""
        self.members.setdefault(str(text), _sortable(order))

    def finalize(self) -> str | None:
        """The array; NULL without rows."""
        if not self.members:
            return None
        return "[" + ",".join(sorted(self.members, key=self.members.__getitem__)) + "]"


def _sortable(value: Stored) -> tuple[int, Any]:
    if value is None:
        return (2, 0)
    return (1, value) if isinstance(value, str) else (0, value)


class SumAggregate:
    """Exact sum; decimal texts are added as decimals."""

    def __init__(self) -> None:
        self.numbers: list[int | float] = []
        self.exact = Decimal(0)
        self.count = 0
        self.is_nan = False

    def step(self, value: Stored) -> None:
        """Take one row."""
        if value is None:
            return
        self.count += 1
        if isinstance(value, str):
            if value == "NaN":
                self.is_nan = True
            else:
                self.exact += Decimal(value)
        else:
            self.numbers.append(value)

    def total(self) -> Stored:
        """The sum as a stored number."""
        if self.is_nan:
            return "NaN"
        if all(isinstance(value, int) for value in self.numbers):
            whole = sum(self.numbers)
            return exact_number(self.exact + Decimal(whole)) if self.exact or abs(whole) >= 1 << 63 else whole
        if not all(map(math.isfinite, self.numbers)):
            total = sum(self.numbers)
            return "NaN" if math.isnan(total) else total
        try:
            near = math.fsum(self.numbers) + float(self.exact)
        except OverflowError:
            near = math.inf
        return (
            near
            if math.isfinite(near)
            else exact_number(self.exact + sum(Decimal(repr(number)) for number in self.numbers))
        )

    def finalize(self) -> Stored:
        """The sum; NULL without values."""
        return self.total() if self.count else None


class AverageAggregate(SumAggregate):
    """Sum divided by count."""

    def finalize(self) -> Stored:
        """The average; NULL without values."""
        if not self.count:
            return None
        total = self.total()
        if total == "NaN":
            return total
        mean = float(total or 0) / self.count
        return (
            exact_number(Decimal(total) / self.count) if isinstance(total, str) and math.isinf(mean) else mean
        )


_FUNCTIONS: tuple[tuple[str, int, Callable[..., Any]], ...] = (
    ("deriva_match", 3, match),
    ("deriva_number", 1, number_or_null),
    ("deriva_number_text", 1, _text_of(number_text)),
    ("deriva_whole", 2, whole),
    ("deriva_single", 1, single_or_more),
    ("deriva_array_text", 2, _text_of(array_text)),
    ("deriva_bin", 5, bin_of),
    ("deriva_interval", 1, interval_length),
    ("deriva_decimal_key", 1, decimal_key),
    ("deriva_array_key", 2, array_key),
    (FUNCTION, 3, convert),
)
_AGGREGATES: tuple[tuple[str, int, Any], ...] = (
    ("deriva_array", 2, ArrayAggregate),
    ("deriva_array_d", 2, DistinctArrayAggregate),
    ("deriva_sum", 1, SumAggregate),
    ("deriva_avg", 1, AverageAggregate),
    ("deriva_min", 2, Least),
    ("deriva_max", 2, Greatest),
)
