"""Choosing one of many feature records of the same thing: pure functions over records.

A selector takes a non-empty list of records of one target and returns one of them, or None to leave the target out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from deriva_ml.errors import DerivaMLException, DerivaMLValidationError
from deriva_ml.feature.record import FeatureRecord

RecordT = TypeVar("RecordT", bound=FeatureRecord)
Selector = Callable[[list[RecordT]], "RecordT | None"]
"""One record (or none) out of those of one target."""


class ListsWorkflowExecutions(Protocol):
    """Something that knows which executions ran a workflow: an open catalog, a dataset or a bag."""

    def list_workflow_executions(self, workflow: str) -> list[str]:
        """RIDs of the executions of a workflow (its RID, or a workflow type)."""
        ...


def _age(record: FeatureRecord) -> tuple[str, str]:
    return str(record.RCT or ""), str(record.Execution or "")


def select_newest(records: list[RecordT]) -> RecordT | None:
    """Choose the record that was created last.

    Parameters
    ----------
    records : list of FeatureRecord

    Returns
    -------
    FeatureRecord
    """
    return max(records, key=_age, default=None)


select_latest = select_newest


def select_first(records: list[RecordT]) -> RecordT | None:
    """Choose the record that was created first."""
    return min(records, key=_age, default=None)


def _newest_of(records: list[RecordT], executions: frozenset[str]) -> RecordT | None:
    return select_newest([record for record in records if record.Execution in executions])


def select_by_execution(execution_rid: str) -> Selector[RecordT]:
    """Make a selector of the newest record written by one execution.

    Parameters
    ----------
    execution_rid : str

    Returns
    -------
    callable
        Selector that gives None for a target which that execution did not label.
    """
    executions = frozenset({execution_rid})

    def select(records: list[RecordT]) -> RecordT | None:
        return _newest_of(records, executions)

    return select


def select_by_workflow(workflow: str, *, container: ListsWorkflowExecutions) -> Selector[RecordT]:
    """Make a selector of the newest record written by any run of a workflow.

    Parameters
    ----------
    workflow : str
        RID of a workflow, or a workflow type.
    container : DerivaML, Dataset or DatasetBag
        Where the runs of the workflow are looked up, once, when the selector is made.

    Returns
    -------
    callable
        Selector that gives None for a target which no such run labelled.

    Raises
    ------
    DerivaMLException
        If no execution of that workflow is known.
    """
    if not hasattr(container, "list_workflow_executions"):
        raise DerivaMLValidationError(
            f"container must be an open catalog, a dataset or a bag, which know executions; not {container!r}."
        )
    executions = frozenset(container.list_workflow_executions(workflow))

    def select(records: list[RecordT]) -> RecordT | None:
        return _newest_of(records, executions)

    return select


def select_majority_vote(column: str | None = None) -> Selector[RecordT]:
    """Make a selector of the value that most records agree on.

    Parameters
    ----------
    column : str, optional
        Column whose values are counted; may be left out for a feature with exactly one term column.

    Returns
    -------
    callable
        Selector that gives the newest record with the most frequent value; of several equally frequent values the
        one with the newest record wins.

    Raises
    ------
    DerivaMLException
        When used without `column` on records of a feature that has not exactly one term column, or with a column that
        the records do not have.
    """

    def select(records: list[RecordT]) -> RecordT | None:
        if not records:
            return None
        voted = column or _only_term_column(records[0])
        newest_first = sorted(records, key=_age, reverse=True)
        values = [_value(record, voted) for record in newest_first]
        winner, _count = Counter(values).most_common(1)[0]
        return newest_first[values.index(winner)]

    return select


def _value(record: FeatureRecord, column: str) -> Any:
    """Value of a column, hashable where it is a list or a document of the catalog."""
    value = getattr(record, _field(type(record), column))
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value


@lru_cache(64)
def _field(kind: type[FeatureRecord], column: str) -> str:
    fields = {field.alias or name: name for name, field in getattr(kind, "model_fields", {}).items()}
    if column not in fields and column not in fields.values():
        raise DerivaMLValidationError(
            f"{kind.__name__} has no column {column!r}; it has {', '.join(fields) or 'none'}."
        )
    return str(fields.get(column, column))


def _only_term_column(record: FeatureRecord) -> str:
    names = sorted(column.name for column in record.term_columns())
    if len(names) != 1:
        raise DerivaMLException(
            f"{type(record).__name__} has {len(names)} term columns ({', '.join(names) or 'none'}); "
            "name the one to vote on: select_majority_vote(column)."
        )
    return names[0]


def reduce_with_selector(
    records: Iterable[RecordT],
    target_col: str,
    selector: Selector[RecordT],
    qualifier_cols: Sequence[str] = (),
) -> Iterator[RecordT]:
    """Choose one record per target.

    Parameters
    ----------
    records : iterable of FeatureRecord
    target_col : str
        Column with the RID of the labelled thing.
    selector : callable
        Gets all records of a target, returns one or None.
    qualifier_cols : sequence of str
        Further key columns of the feature (left or right eye, say): one record is chosen per combination.

    Yields
    ------
    FeatureRecord
        In order of first appearance; targets for which the selector gives None are left out.

    Raises
    ------
    DerivaMLValidationError
        If the records have no such column, or the selector is no function or gives anything else.
    """
    if not callable(selector):
        raise DerivaMLValidationError(
            f"selector must be a function that chooses one of a list of records, not {selector!r}."
        )
    if not isinstance(records, Iterable):
        raise DerivaMLValidationError(f"records must be feature records, not {records!r}.")
    groups: dict[tuple[object, ...], list[RecordT]] = {}
    for record in records:
        key = tuple(_value(record, name) for name in (target_col, *qualifier_cols))
        groups.setdefault(key, []).append(record)
    for group in groups.values():
        chosen = selector(group)
        if chosen is None:
            continue
        if not isinstance(chosen, FeatureRecord):
            raise DerivaMLValidationError(
                f"The selector gave {chosen!r}; it must return one of the records that it gets, or None."
            )
        yield chosen
