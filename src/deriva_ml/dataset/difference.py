"""What differs between two versions of a dataset: rows added, changed or removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from deriva_ml.bag.walk import Policy, TableName, Walk, name_of
from deriva_ml.dataset import version as labels
from deriva_ml.dataset.export import policy
from deriva_ml.dataset.release import pinned, version_rows
from deriva_ml.dataset.view import children
from deriva_ml.errors import DerivaMLException
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
        raise DerivaMLException(f"Dataset {dataset_rid} has never been released.")
    return diff(session, dataset_rid, last, None)


def _reader_at(
    session: Session, found: Mapping[DatasetVersion, Row], label: DatasetVersion | None, dataset_rid: str
) -> Reader:
    if label is None:
        return session.reader
    row = found[labels.choose(found, label, dataset_rid)]
    snapshot = pinned(session, label, row["RID"], row["Snapshot"])
    return session.at(snapshot).reader if snapshot else session.reader


def _state(reader: Reader, dataset_rid: str) -> dict[TableName, dict[str, str]]:
    """When each row that belongs to a dataset was last changed, by table and RID."""
    ignored = {(reader.model.ml_schema, name) for name in _BOOKKEEPING}
    found: dict[TableName, dict[str, str]] = {}

    def keep(table: Table, rows_: Iterable[Row]) -> None:
        times = {row["RID"]: row["RMT"] for row in rows_}
        if name_of(table) not in ignored:
            found.setdefault(name_of(table), {}).update(times)

    rules: Policy = policy(reader.model)
    walk = Walk(reader, rules, keep, lambda table: walk.key_columns(table, "RMT"))
    walk.run([dataset_rid, *children(reader, [dataset_rid], recurse=True)])
    return {name: times for name, times in found.items() if name not in rules.whole}
