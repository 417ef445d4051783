"""The tree of a data path: frozen values that can print themselves back into a URL."""

from __future__ import annotations

from typing import Literal

from deriva_server.grammar.tokens import encode
from deriva_server.operators import written
from deriva_server.values import Frozen

Api = Literal["entity", "attribute", "attributegroup", "aggregate"]
Outer = Literal["left", "right", "full"]
Quantifier = Literal["any", "all"]
WILDCARD = "*"


class QName(Frozen, frozen=True):
    """A name of one or more parts, such as ``schema:table`` or ``alias:column``.

    Parameters
    ----------
    parts : tuple of str
        Decoded parts, at least one.
    rooted : bool
        Whether a colon stood before the first part; it means nothing.
    """

    parts: tuple[str, ...]
    rooted: bool = False

    def __str__(self) -> str:
        return (":" if self.rooted else "") + ":".join(encode(part) for part in self.parts)


class Null(Frozen, frozen=True):
    """``column::null::``."""

    column: QName

    def __str__(self) -> str:
        return f"{self.column}::null::"


class Comparison(Frozen, frozen=True):
    """A column compared with one value, or with a quantified list of values.

    Parameters
    ----------
    column : QName
        What is compared.
    operator : str
        ``=``, or a word such as ``geq``.
    values : tuple of str
        Exactly one without quantifier.
    quantifier : {"any", "all"} or None
        How several values combine.
    """

    column: QName
    operator: str
    values: tuple[str, ...]
    quantifier: Quantifier | None = None

    def __str__(self) -> str:
        values = ",".join(encode(value) for value in self.values)
        return f"{self.column}{written(self.operator)}" + (
            f"{self.quantifier}({values})" if self.quantifier else values
        )


class Group(Frozen, frozen=True):
    """A predicate in parentheses."""

    inner: Filter

    def __str__(self) -> str:
        return f"({self.inner})"


class Not(Frozen, frozen=True):
    """The three-valued negation of one predicate."""

    inner: Filter

    def __str__(self) -> str:
        return f"!{self.inner}"


class And(Frozen, frozen=True):
    """All of at least two predicates."""

    terms: tuple[Filter, ...]

    def __str__(self) -> str:
        return "&".join(map(str, self.terms))


class Or(Frozen, frozen=True):
    """Any of at least two predicates."""

    terms: tuple[Filter, ...]

    def __str__(self) -> str:
        return ";".join(map(str, self.terms))


Filter = Null | Comparison | Group | Not | And | Or


def _names(names: tuple[QName, ...]) -> str:
    return "(" + ",".join(map(str, names)) + ")"


class TableLink(Frozen, frozen=True):
    """A step to another table along the foreign keys between it and the context."""

    table: QName
    alias: str | None = None

    def __str__(self) -> str:
        return _bound(self.alias, str(self.table))


class ColumnLink(Frozen, frozen=True):
    """A step along named columns; `right` is None in the single-sided form."""

    left: tuple[QName, ...]
    right: tuple[QName, ...] | None = None
    outer: Outer | None = None
    alias: str | None = None

    def __str__(self) -> str:
        link = (self.outer or "") + _names(self.left)
        return _bound(self.alias, link if self.right is None else f"{link}={_names(self.right)}")


class Reset(Frozen, frozen=True):
    """``$alias``: the context moves back."""

    alias: str

    def __str__(self) -> str:
        return f"${encode(self.alias)}"


class Where(Frozen, frozen=True):
    """A filter on the rows so far."""

    filter: Filter

    def __str__(self) -> str:
        return str(self.filter)


Step = TableLink | ColumnLink | Reset | Where


class Path(Frozen, frozen=True):
    """A root table and the steps from it."""

    table: QName
    aliases: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        root = "".join(f"{encode(alias)}:=" for alias in self.aliases) + str(self.table)
        return "/".join((root, *map(str, self.steps)))


class Bin(Frozen, frozen=True):
    """``bin(column;count;low;high)``, bounds still as text."""

    column: QName
    count: str
    low: str
    high: str

    def __str__(self) -> str:
        return f"bin({self.column};{encode(self.count)};{encode(self.low)};{encode(self.high)})"


class Call(Frozen, frozen=True):
    """An aggregate or a rights summary of one column."""

    function: str
    column: QName

    def __str__(self) -> str:
        return f"{self.function}({self.column})"


class Item(Frozen, frozen=True):
    """One output: an expression and the name given to it."""

    expression: QName | Bin | Call
    alias: str | None = None

    def __str__(self) -> str:
        return _bound(self.alias, str(self.expression))


class SortKey(Frozen, frozen=True):
    """One output column to sort by."""

    name: str
    descending: bool = False

    def __str__(self) -> str:
        return encode(self.name) + ("::desc::" if self.descending else "")


PageValue = str | None
"""A page boundary for one sort key; None is NULL."""


class DataPath(Frozen, frozen=True):
    """A whole data request.

    Parameters
    ----------
    api : {"entity", "attribute", "attributegroup", "aggregate"}
        What the result holds.
    path : Path
        Which rows.
    columns : tuple of Item
        Projection of ``attribute``, keys of ``attributegroup``.
    leaves : tuple of Item
        Outputs of ``aggregate``; of ``attributegroup`` after the semicolon.
    sort : tuple of SortKey
        Empty when the request does not sort.
    before, after : tuple of page values, or None
        Page boundaries, as many as sort keys.
    """

    api: Api
    path: Path
    columns: tuple[Item, ...] = ()
    leaves: tuple[Item, ...] = ()
    sort: tuple[SortKey, ...] = ()
    before: tuple[PageValue, ...] | None = None
    after: tuple[PageValue, ...] | None = None

    def __str__(self) -> str:
        text = f"{self.api}/{self.path}"
        if self.api == "aggregate":
            text += "/" + ",".join(map(str, self.leaves))
        elif self.columns:
            text += "/" + ",".join(map(str, self.columns))
            if self.leaves:
                text += ";" + ",".join(map(str, self.leaves))
        if self.sort:
            text += "@sort(" + ",".join(map(str, self.sort)) + ")"
        text += _page("before", self.before)
        return text + _page("after", self.after)


def _bound(alias: str | None, text: str) -> str:
    return text if alias is None else f"{encode(alias)}:={text}"


def _page(word: str, values: tuple[PageValue, ...] | None) -> str:
    if values is None:
        return ""
    return f"@{word}(" + ",".join("::null::" if value is None else encode(value) for value in values) + ")"
