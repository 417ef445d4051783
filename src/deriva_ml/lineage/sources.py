"""Where answers come from: one request per question and generation, or a walk that the service did beforehand."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from deriva_ml.ermrest.rids import ResolvedRid, located, plain_rid
from deriva_ml.ermrest.rows import conditions, query
from deriva_ml.errors import DerivaMLNotFoundError, DerivaMLRidsNotFound
from deriva_ml.lineage.links import Question
from deriva_ml.lineage.questions import Plan

if TYPE_CHECKING:
    from deriva_ml.ermrest.connect import Connection
    from deriva_ml.model.graph import CatalogModel
    from deriva_ml.rows.reader import Row

FEATURE = "walk"
"""What a service says that it can where it takes walks."""

_PATIENCE = 2

_PLENTY, _FACTOR, _MOST = 10_000, 20, 1_000_000


class Source(Protocol):
    """Answers questions."""

    def ask(self, question: Question, values: Collection[str]) -> list[Row]:
        """The rows that have one of some values in the column of a question."""


class Asked:
    """Answers by the plain protocol.

    Most catalogs have no row at all that could answer some of the questions (files of metadata are read by nobody), so a
    question that was answered twice by nothing is asked once of all rows, and then no more.

    Parameters
    ----------
    connection : Connection
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._in_vain: Counter[Question] = Counter()
        self._unanswerable: dict[Question, bool] = {}

    def ask(self, question: Question, values: Collection[str]) -> list[Row]:
        """As of `Source`."""
        if self._in_vain[question] >= _PATIENCE and self._has_no_answer(question):
            return []
        found: list[Row] = []
        for where in conditions(self._connection, {question.column: values}):
            found += query(self._connection, f"/{question.kind}/{question.table}{where}/{question.rest}")
        if not found:
            self._in_vain[question] += 1
        return found

    def _has_no_answer(self, question: Question) -> bool:
        if question not in self._unanswerable:
            path = f"/{question.kind}/{question.table}/{question.rest}?limit=1"
            self._unanswerable[question] = not query(self._connection, path)
        return self._unanswerable[question]


class Walked:
    """Answers that came with a walk.

    Parameters
    ----------
    answers : iterable of (question, rows)
        A question may have been asked of the values of several places.
    """

    def __init__(self, answers: Iterable[tuple[Question, Iterable[Row]]]) -> None:
        self._answers: dict[Question, dict[str, list[Row]]] = {}
        for question, found in answers:
            by_value: dict[str, list[Row]] = defaultdict(list)
            for row in found:
                by_value[row[question.first]].append(row)
            self._answers.setdefault(question, {}).update(by_value)

    def ask(self, question: Question, values: Collection[str]) -> list[Row]:
        """As of `Source`."""
        known = self._answers[question]
        return [row for value in dict.fromkeys(values) for row in known.get(value, ())]


def walk_from(
    connection: Connection,
    model: CatalogModel,
    rid: str,
    places: Mapping[str, str],
    plan: Plan,
    depth: int | None,
    max_executions: int,
) -> tuple[ResolvedRid, Walked | None]:
    """Let the service walk.

    Parameters
    ----------
    connection : Connection
    model : CatalogModel
    rid : str
    places : mapping
        Where a walk starts, by ``schema:table`` of the row.
    plan : Plan
    depth : int, optional
        Generations.
    max_executions : int
        Of how many executions the result may consist.

    Returns
    -------
    place : ResolvedRid
    source : Walked or None
        None where so much would have been reached that it is better to ask generation by generation.

    Raises
    ------
    DerivaMLException
        If there is no such row.
    """
    wish: dict[str, Any] = {
        "start": {"RID": plain_rid(rid), "places": dict(places)},
        **plan.document,
        "limit": min(_MOST, _PLENTY + _FACTOR * max_executions),
    }
    if depth is not None:
        wish["depth"] = min(depth, _MOST)
    try:
        answer = connection.ask("/walk", json=wish, doing=f"Following the flow of data from {rid}").json()
    except DerivaMLNotFoundError:
        raise DerivaMLRidsNotFound([rid], f"Invalid RID {rid!r}: no row of this catalog has it.") from None
    place = located(connection, model, rid, answer["start"])
    if not answer["complete"]:
        return place, None
    return place, Walked(
        (question, found) for (_, question), found in zip(plan.looks, answer["rows"], strict=True)
    )
