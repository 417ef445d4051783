"""What counts as a value of a metric, and the names of nested ones (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

Scalar = int | float | str
Record = dict[str, Scalar]

MOST_VALUES = 10_000
"""Values of one record: a document that refers to itself over and over would have no end of them."""
_DEEPEST = 50
_LONGEST_TEXT = 2000
_WIDEST = 1 << 63


def flattened(document: Mapping[Any, Any], left_out: set[str]) -> Record:
    """The scalars of an object, those of nested objects under names with dots; null is no value, true is 1.

    Parameters
    ----------
    document : mapping
        As JSON or YAML give it.
    left_out : set of str
        Gets the names of lists, which are no scalars.

    Raises
    ------
    ValueError
        If it has more values than any record should, or is nested too deeply.

    Examples
    --------
    >>> flattened({"epoch": 3, "val": {"loss": 0.5, "best": True}}, set())
    {'epoch': 3, 'val.loss': 0.5, 'val.best': 1}
    """
    found: Record = {}
    for number, (name, value) in enumerate(_leaves(document, "")):
        if number >= MOST_VALUES:
            raise ValueError(f"it has more than {MOST_VALUES:,} values")
        if isinstance(value, list | tuple | set):
            left_out.add(name)
        elif (scalar := _scalar(value)) is not None:
            found[name] = scalar
    return found


def _leaves(document: Mapping[Any, Any], prefix: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} times")
    for key, value in document.items():
        name = f"{prefix}{clean_text(str(key))}"
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{name}.", depth + 1)
        else:
            yield name, value


def _scalar(value: Any) -> Scalar | None:
    match value:
        case bool():
            return int(value)
        case int():
            return value if -_WIDEST <= value < _WIDEST else _rounded(value)
        case float():
            return value
        case str():
            return clean_text(value)
        case date():
            return value.isoformat()
    return None


def _rounded(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def clean_text(text: str) -> str:
    """A text that every database keeps: no halves of surrogate pairs, no zeros, not endless."""
    if text.isascii() and len(text) <= _LONGEST_TEXT and "\0" not in text:
        return text
    cut = text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
    return cut.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
