"""A walk from one row over many: from place to place along the values that steps relate."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from deriva_server.errors import BadRequest
from deriva_server.plan import relation as r
from deriva_server.values import Frozen


class Step(Frozen, frozen=True):
    """From the values of one place to those of another.

    Parameters
    ----------
    origin, to : str
        Names of places.
    path : str
        A data path with two outputs: a value of `origin`, and the one it leads to.
    counts : bool
        Whether such a step begins a new generation.
    """

    origin: str
    to: str
    path: str
    counts: bool = False


class Look(Frozen, frozen=True):
    """What to read of the values that were reached in a place.

    Parameters
    ----------
    place : str
    path : str
        A data path whose first output is such a value.
    """

    place: str
    path: str


class Walk(Frozen, frozen=True):
    """A walk as it is asked for.

    Parameters
    ----------
    steps : tuple of Step
    looks : tuple of Look
    depth : int or None
        How many generations to go; None for all.
    limit : int
        Give up when more values than this are reached.
    """

    steps: tuple[Step, ...]
    looks: tuple[Look, ...]
    depth: int | None
    limit: int


class Leg(Frozen, frozen=True):
    """A step whose path is bound; places are numbered."""

    origin: int
    to: int
    counts: bool
    query: r.Query

    @property
    def ends(self) -> tuple[r.Value, r.Value]:
        """The columns of the two outputs."""
        here, there = (value_of(output, "step") for output in self.query.outputs)
        return here, there


def within_reach(steps: Collection[Step], start: str) -> Iterator[Step]:
    """The steps that a walk from a place can take."""
    reached, grown = {start}, True
    while grown:
        more = {step.to for step in steps if step.origin in reached} - reached
        reached |= more
        grown = bool(more)
    return (step for step in steps if step.origin in reached)


def check_step(query: r.Query) -> None:
    """Refuse a step that does not lead from one text to another.

    Raises
    ------
    BadRequest
    """
    if len(query.outputs) != 2 or query.order or query.api not in ("attribute", "attributegroup"):
        raise BadRequest("The path of a step must have two outputs, both of them columns, and no order.")
    for output in query.outputs:
        value_of(output, "step")


def sought(query: r.Query) -> r.Query:
    """A query for the rows whose first output is one of the values that are given when it is run.

    Raises
    ------
    BadRequest
        If the first output is no column with texts, or the query is of pages.
    """
    if query.api not in ("attribute", "attributegroup") or query.before or query.after:
        raise BadRequest("What is read in a place must be an attribute or attributegroup path without pages.")
    value = value_of(query.outputs[0], "read")
    condition = r.Given(value.instance, value.column)
    joined = query.joined
    where = (*joined.where, condition)
    return r.Query(
        query.api,
        r.Joined(joined.tables, joined.links, where, joined.context),
        query.outputs,
        query.keys,
        query.order,
    )


def value_of(output: r.Output, what: str) -> r.Value:
    """The column of an output that holds values of a place."""
    value = output.expression
    if not isinstance(value, r.Value) or value.type.is_array or value.type.scalar != "text":
        raise BadRequest(f'Output "{output.name}" of the path of a {what} must be a column with texts.')
    return value
