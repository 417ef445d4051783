"""What a request means, free of URLs and of SQL: joined table instances, predicates and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from deriva_server.grammar.nodes import Api
from deriva_server.model.elements import Column, Table, Type
from deriva_server.model.types import TYPES
from deriva_server.model.values import Stored
from deriva_server.values import Frozen

JoinKind = Literal["inner", "left", "right", "full"]
Format = Literal["json", "csv", "csv-json-arrays"]
"""What text a row becomes: a JSON object, or a line of CSV with arrays in PostgreSQL's or JSON's form."""

INTEGERS = frozenset(("int2", "int4", "int8", "serial2", "serial4", "serial8"))
NUMBERS = INTEGERS | {"float4", "float8", "numeric"}
_SHORT = 5000
DOCUMENT = TYPES["json"]
"""Type of outputs that are JSON texts already."""


class Link(Frozen, frozen=True):
    """How the instance `right` is joined to the instances before it.

    Parameters
    ----------
    kind : {"inner", "left", "right", "full"}
        Inner or outer.
    left, right : int
        Indexes of table instances.
    alternatives : tuple of tuples of column pairs
        Rows are related when all pairs of any alternative are equal.
    """

    kind: JoinKind
    left: int
    right: int
    alternatives: tuple[tuple[tuple[Column, Column], ...], ...]


class Compare(Frozen, frozen=True):
    """A column compared with stored values; with `every` all of them must hold, else any."""

    instance: int
    column: Column
    operator: str
    values: tuple[Stored, ...]
    every: bool = False


class IsNull(Frozen, frozen=True):
    """A column without value."""

    instance: int
    column: Column


class Match(Frozen, frozen=True):
    """Regular expressions found in the text form of any of the columns of an instance."""

    instance: int
    columns: tuple[Column, ...]
    patterns: tuple[str, ...]
    ignore_case: bool
    every: bool = False


class Given(Frozen, frozen=True):
    """A column with one of the texts that are given when the query is run."""

    instance: int
    column: Column


class Negation(Frozen, frozen=True):
    """Three-valued NOT."""

    inner: Predicate


class AllOf(Frozen, frozen=True):
    """AND."""

    terms: tuple[Predicate, ...]


class AnyOf(Frozen, frozen=True):
    """OR."""

    terms: tuple[Predicate, ...]


Predicate = Compare | IsNull | Given | Match | Negation | AllOf | AnyOf


class Joined(Frozen, frozen=True):
    """Table instances, how they are joined, and which rows of the join count.

    Parameters
    ----------
    tables : tuple of Table
        One per instance, the root first.
    links : tuple of Link
        One per instance but the root, in order.
    where : tuple of predicates
        All must hold.
    context : int
        The instance that the path ends at.
    """

    tables: tuple[Table, ...]
    links: tuple[Link, ...] = ()
    where: tuple[Predicate, ...] = ()
    context: int = 0

    @property
    def table(self) -> Table:
        """The table of the context."""
        return self.tables[self.context]

    def may_be_missing(self, instance: int) -> bool:
        """Whether an outer join can leave the instance without a row."""
        for at, link in enumerate(self.links, start=1):
            if at == instance and link.kind in ("left", "full"):
                return True
            if at > instance and link.kind in ("right", "full"):
                return True
        return False

    def is_given(self, instance: int, column: Column) -> bool:
        """Whether every row of the join has a value in a column of an instance."""
        return not column.nullok and not self.may_be_missing(instance)

    def determined(self) -> frozenset[int]:
        """Instances that have at most one row for each row of the context."""
        found = {self.context}
        grown = True
        while grown:
            grown = False
            for link in self.links:
                if len(link.alternatives) != 1 or (link.left in found) == (link.right in found):
                    continue
                side = 0 if link.right in found else 1
                other = link.left if side == 0 else link.right
                names = {pair[side].name for pair in link.alternatives[0]}
                if any(names.issuperset(key.columns) for key in self.tables[other].keys):
                    found.add(other)
                    grown = True
        return frozenset(found)

    def columns_filtered(self) -> Iterator[tuple[int, Column]]:
        """Every column that a predicate reads, with its instance."""
        for predicate in self.where:
            yield from _columns_of(predicate)


def _columns_of(predicate: Predicate) -> Iterator[tuple[int, Column]]:
    if isinstance(predicate, (Compare, IsNull, Given)):
        yield predicate.instance, predicate.column
    elif isinstance(predicate, Match):
        yield from ((predicate.instance, column) for column in predicate.columns)
    elif isinstance(predicate, Negation):
        yield from _columns_of(predicate.inner)
    else:
        for term in predicate.terms:
            yield from _columns_of(term)


class Value(Frozen, frozen=True):
    """The value of a column."""

    instance: int
    column: Column

    @property
    def type(self) -> Type:
        """Type of the output."""
        return self.column.type


class Binned(Frozen, frozen=True):
    """The bin that a value falls in, as ``[number, low, high]``; bounds are in stored form."""

    instance: int
    column: Column
    count: int
    low: Stored
    high: Stored

    @property
    def type(self) -> Type:
        """Type of the output."""
        return DOCUMENT


class Aggregated(Frozen, frozen=True):
    """An aggregate of one column.

    Parameters
    ----------
    function : str
        ``cnt``, ``cnt_d``, ``min``, ``max``, ``sum``, ``avg``, ``array``, ``array_d``; ``any`` takes some value.
    instance : int
        Which table instance.
    column : Column or None
        None for whole rows.
    row : tuple of Column
        The columns of row objects when `column` is None.
    """

    function: str
    instance: int
    column: Column | None
    row: tuple[Column, ...] = ()

    @property
    def type(self) -> Type:
        """Type of the output."""
        if self.function.startswith("cnt"):
            return TYPES["int8"]
        if self.function.startswith("array"):
            return DOCUMENT
        if self.function in ("sum", "avg"):
            return TYPES["numeric"]
        assert self.column is not None
        return self.column.type


class RowRights(Frozen, frozen=True):
    """What the caller may do with a row, as a JSON object; with `by_column` also with each column of it."""

    instance: int
    column: Column
    by_column: bool

    @property
    def type(self) -> Type:
        """Type of the output."""
        return DOCUMENT


Expression = Value | Binned | Aggregated | RowRights


class Output(Frozen, frozen=True):
    """One named output."""

    name: str
    expression: Expression


class Order(Frozen, frozen=True):
    """Sorting by the output at an index."""

    output: int
    descending: bool


class Query(Frozen, frozen=True):
    """A whole read.

    Parameters
    ----------
    api : str
        Which of the four interfaces; it decides what one row of the result is.
    joined : Joined
        Where rows come from.
    outputs : tuple of Output
        Group keys first.
    keys : int
        How many of the outputs are group keys.
    order : tuple of Order
        Sorting.
    before, after : tuple of stored values, or None
        Page boundaries.
    limit : int or None
        At most so many rows.
    """

    api: Api
    joined: Joined
    outputs: tuple[Output, ...]
    keys: int = 0
    order: tuple[Order, ...] = ()
    before: tuple[Stored, ...] | None = None
    after: tuple[Stored, ...] | None = None
    limit: int | None = None

    @property
    def is_short(self) -> bool:
        """Whether few rows are to be expected, so that a database may be asked for all of them at once."""
        if self.api == "aggregate" or (self.limit is not None and self.limit <= _SHORT):
            return True
        if self.api == "attributegroup":
            keys = [output.expression for output in self.outputs[: self.keys]]
            return not any(_is_key(self.joined, key) for key in keys if isinstance(key, Value))
        sought = [p for p in self.joined.where if isinstance(p, Compare) and p.operator == "="]
        return len(self.joined.tables) == 1 and any(
            _is_key(self.joined, p) and len(p.values) <= _SHORT for p in sought if not p.column.type.is_array
        )

    def columns_read(self) -> Iterator[tuple[int, Column]]:
        """Every column that the caller must be allowed to select, with its instance."""
        yield from self.joined.columns_filtered()
        for output in self.outputs:
            expression = output.expression
            if isinstance(expression, Aggregated) and expression.column is None:
                yield from ((expression.instance, column) for column in expression.row)
            elif expression.column is not None:
                yield expression.instance, expression.column


def _is_key(joined: Joined, value: Value | Compare) -> bool:
    """Whether a column is a key all by itself."""
    return any(key.columns == (value.column.name,) for key in joined.tables[value.instance].keys)
