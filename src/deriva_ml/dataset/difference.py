"""What differs between two versions of a dataset: rows added, changed or removed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from deriva_ml.bag.walk import Walk
from deriva_ml.dataset import version as labels
from deriva_ml.dataset.release import pinned, version_rows
from deriva_ml.dataset.view import children
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.listing import time_of
from deriva_ml.errors import DerivaMLException
from deriva_ml.model.ways import ForeignKeyGraph, Policy, TableName, dataset_policy, name_of
from deriva_ml.names import DatasetVersion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deriva_ml.model.graph import Table
    from deriva_ml.rows.reader import Reader, Row
    from deriva_ml.session import Session

_BOOKKEEPING = ("Dataset", "Dataset_Version", "Dataset_Execution", "Execution", "Workflow")
"""Tables whose rows change without the dataset changing."""


def diff(
    session: Session, dataset_rid: str, before: DatasetVersion, after: DatasetVersion | None
) -> dict[str, int]:
    """Count the rows that were added, changed or removed between two versions.

    Parameters
    ----------
    session : Session
    dataset_rid : str
    before, after : DatasetVersion
        Versions of the dataset; `after` None stands for what is there now.

    Returns
    -------
    dict
        Table name to number of rows, without tables where nothing changed.

    Raises
    ------
    DerivaMLException
        If there is no such version; the message lists those there are.
    """
    found = version_rows(session, dataset_rid)
    states = [
        _state(_reader_at(session, found, label, dataset_rid), dataset_rid) for label in (before, after)
    ]
    counts: dict[str, int] = {}
    for name in states[0].keys() | states[1].keys():
        old, new = states[0].get(name, {}), states[1].get(name, {})
        differing = sum(old.get(rid) != new.get(rid) for rid in old.keys() | new.keys())
        if differing:
            counts[name[1]] = counts.get(name[1], 0) + differing
    return dict(sorted(counts.items()))


def diff_since_release(session: Session, dataset_rid: str) -> dict[str, int]:
    """Count the rows that were added, changed or removed since the last release."""
    last = labels.latest_release(version_rows(session, dataset_rid))
    if last is None:
        raise DerivaMLException(f"Dataset {dataset_rid} has never been released; call release() first.")
    return diff(session, dataset_rid, last, None)


def is_dirty(session: Session, dataset_rid: str) -> bool:
    """Whether rows of a dataset were added, changed or removed since its last release."""
    known = _told_by_numbers(session, dataset_rid)
    return bool(diff_since_release(session, dataset_rid)) if known is None else known


def _told_by_numbers(session: Session, dataset_rid: str) -> bool | None:
    """The same without a look at the rows, where nobody has changed their tables; None where that does not tell."""
    found = version_rows(session, dataset_rid)
    last = labels.latest_release(found)
    snapshot = last and _snapshot(session, found, last)
    if not snapshot:
        return None
    changes = _Changes(session, session.at(snapshot), time_of(snapshot))
    if not changes.is_same_model:
        return None
    rids = [dataset_rid, *children(session.reader, [dataset_rid], recurse=True)]
    suspects = {name_of(table): table for table in changes.tables() if changes.any_in(table)}
    columns = changes.walk.entered_from(changes.walk.policy.start)
    for name in suspects.keys() & columns.keys():
        if changes.any_in(suspects[name], {columns[name]: rids}):
            return True
    return None if suspects.keys() - columns.keys() else False


@dataclass(frozen=True)
class _Changes:
    """What is different now from what was then, told by numbers of rows and times alone."""

    now: Session
    then: Session
    moment: datetime

    @property
    def is_same_model(self) -> bool:
        """Whether the same tables refer to each other in the same way."""
        graphs = (ForeignKeyGraph(each.model).edges for each in (self.now, self.then))
        return next(graphs) == next(graphs)

    @cached_property
    def walk(self) -> Walk:
        """The walk that takes the rows of a dataset."""
        return Walk(self.now.reader, dataset_policy(self.now.model), lambda _table, _rows: None)

    def tables(self) -> list[Table]:
        """Tables that may have rows which count as those of a dataset."""
        ignored = {(self.now.ml_schema, name) for name in _BOOKKEEPING}
        names = self.walk.tables() - self.walk.policy.whole - ignored
        return [self.walk.graph.tables[name] for name in sorted(names)]

    def any_in(self, table: Table, where: Mapping[str, Collection[str]] | None = None) -> bool:
        """Whether rows of a table, all or some, were added, changed or removed."""
        path = rows.path_of(table)
        number = 0
        for part in rows.conditions(self.now.connection, where):
            aggregate = f"/aggregate/{path}{part}/n:=cnt(RID),last:=max(RMT)"
            (found,) = rows.query(self.now.connection, aggregate)
            if found["last"] and datetime.fromisoformat(found["last"]) > self.moment:
                return True
            number += found["n"]
        return number != rows.count(self.then.connection, table, where)


def _reader_at(
    session: Session, found: Mapping[DatasetVersion, Row], label: DatasetVersion | None, dataset_rid: str
) -> Reader:
    if label is None:
        return session.reader
    snapshot = _snapshot(session, found, labels.choose(found, label, dataset_rid))
    return session.at(snapshot).reader if snapshot else session.reader


def _snapshot(session: Session, found: Mapping[DatasetVersion, Row], label: DatasetVersion) -> str | None:
    return pinned(session, label, found[label]["RID"], found[label]["Snapshot"])


def _state(reader: Reader, dataset_rid: str) -> dict[TableName, dict[str, str]]:
    """When each row that belongs to a dataset was last changed, by table and RID."""
    ignored = {(reader.model.ml_schema, name) for name in _BOOKKEEPING}
    found: dict[TableName, dict[str, str]] = {}

    def keep(table: Table, rows_: Iterable[Row]) -> None:
        times = {row["RID"]: row["RMT"] for row in rows_}
        if name_of(table) not in ignored:
            found.setdefault(name_of(table), {}).update(times)

    rules: Policy = dataset_policy(reader.model)
    walk = Walk(reader, rules, keep, lambda table: walk.key_columns(table, "RMT"))
    walk.run([dataset_rid, *children(reader, [dataset_rid], recurse=True)])
    return {name: times for name, times in found.items() if name not in rules.whole}
