"""The predicate language: ``a=1&!(b::gt::2;c=any(x,y))``."""

from __future__ import annotations

from deriva_server.errors import BadRequest
from deriva_server.grammar.nodes import And, Comparison, Filter, Group, Not, Null, Or, QName, Quantifier
from deriva_server.grammar.tokens import Cursor
from deriva_server.operators import OPERATORS, REFUSED, written

_QUANTIFIERS: dict[str, Quantifier] = {"any": "any", "all": "all"}


def parse_qname(cursor: Cursor) -> QName:
    """Read ``[":"] string {":" string}``."""
    rooted = cursor.accept(":")
    parts = [cursor.string("a name")]
    while cursor.sees(":") and cursor.sees_string(1):
        cursor.take()
        parts.append(cursor.take().text)
    return QName(tuple(parts), rooted)


def parse_filter(cursor: Cursor) -> Filter:
    """Read an OR of ANDs.

    Raises
    ------
    BadRequest
        If no predicate comes next.
    """
    terms = cursor.listed(_conjunction, ";")
    return terms[0] if len(terms) == 1 else Or(terms)


def _conjunction(cursor: Cursor) -> Filter:
    terms = cursor.listed(_negatable, "&")
    return terms[0] if len(terms) == 1 else And(terms)


def _negatable(cursor: Cursor) -> Filter:
    if cursor.accept("!"):
        return Not(_predicate(cursor))
    return _predicate(cursor)


def _predicate(cursor: Cursor) -> Filter:
    if cursor.accept("("):
        cursor.deeper()
        inner = parse_filter(cursor)
        cursor.shallower()
        cursor.expect(")")
        return Group(inner)
    column = parse_qname(cursor)
    if cursor.accept("="):
        return _comparison(cursor, column, "=")
    cursor.expect("::")
    word = cursor.string("an operator")
    cursor.expect("::")
    if word.lower() == "null":
        return Null(column)
    if word not in OPERATORS:
        known = ", ".join(sorted(map(written, (*OPERATORS - REFUSED.keys(), "null"))))
        raise BadRequest(f"Unknown operator {word!r} in a predicate on {column}; there are {known}.")
    return _comparison(cursor, column, word)


def _comparison(cursor: Cursor, column: QName, operator: str) -> Comparison:
    if cursor.sees_string() and cursor.sees("(", 1):
        word = cursor.take().text
        quantifier = _QUANTIFIERS.get(word.lower())
        if quantifier is None:
            raise BadRequest(
                f"Unknown quantifier {word!r} in a predicate on {column}; use any(..) or all(..)."
            )
        cursor.expect("(")
        values = cursor.listed(parse_value)
        cursor.expect(")")
        return Comparison(column, operator, values, quantifier)
    return Comparison(column, operator, (parse_value(cursor),))


def parse_value(cursor: Cursor) -> str:
    """Read a value; an absent one is the empty string."""
    return cursor.take().text if cursor.sees_string() else ""
