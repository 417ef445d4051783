"""What a column may be compared by, in URLs and in ACL bindings: one line per operator.

Columns are compared in the order of their type, or their text is searched for a pattern; what neither of them can say
is another predicate of `plan.relation`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from deriva_server.values import Frozen


class Order(Frozen, frozen=True):
    """A comparison of values.

    Parameters
    ----------
    test : callable
        Compares two values, or two expressions of SQL.
    mirrored : str
        The sign in SQL when the sides are swapped.
    """

    test: Callable[[Any, Any], Any]
    mirrored: str


class Pattern(Frozen, frozen=True):
    """A search of texts.

    Parameters
    ----------
    ignore_case : bool
    of : callable
        The regular expression that a value of the URL stands for.

    Examples
    --------
    An operator for texts that begin with a value would be:

    >>> import re
    >>> Pattern(of=lambda value: f"^{re.escape(value)}").of("eye")
    '^eye'
    """

    ignore_case: bool = False
    of: Callable[[str], str] = str


ORDERS: Mapping[str, Order] = {
    "=": Order(operator.eq, "="),
    "lt": Order(operator.lt, ">"),
    "leq": Order(operator.le, ">="),
    "gt": Order(operator.gt, "<"),
    "geq": Order(operator.ge, "<="),
}

PATTERNS: Mapping[str, Pattern] = {
    "regexp": Pattern(),
    "ciregexp": Pattern(ignore_case=True),
}

REFUSED: Mapping[str, str] = {"ts": "ciregexp"}
"""Known to the protocol but not supported, with what to use instead."""

OPERATORS = frozenset((*ORDERS, *PATTERNS, *REFUSED))
"""All that compare with a value; ``null`` has none."""


def written(name: str) -> str:
    """An operator as it stands between column and value.

    Examples
    --------
    >>> written("="), written("lt")
    ('=', '::lt::')
    """
    return name if name == "=" else f"::{name}::"
