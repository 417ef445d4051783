"""Versions of a dataset: the dev version that every change opens or advances, releases, and what changed between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from deriva_ml.bag.walk import Policy, TableName, Walk, name_of
from deriva_ml.dataset import version as labels
from deriva_ml.dataset.export import policy
from deriva_ml.dataset.view import children, lookup_row
from deriva_ml.ermrest import rows
from deriva_ml.errors import (
    DerivaMLConflictError,
    DerivaMLException,
    DerivaMLReadOnlyError,
    DerivaMLValidationError,
)
from deriva_ml.names import DRY_RUN_RID, DatasetVersion, MLTable, VersionPart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deriva_ml.model.graph import Table
    from deriva_ml.rows.reader import Reader, Row
    from deriva_ml.session import Session

_BOOKKEEPING = ("Dataset", "Dataset_Version", "Dataset_Execution", "Execution", "Workflow")
"""Tables whose rows change without the dataset changing."""


def version_rows(session: Session, dataset_rid: str) -> dict[DatasetVersion, Row]:
    """Rows of Dataset_Version of a dataset by label, ascending.

    Raises
    ------
    DerivaMLDatasetNotFound
        If there is no such dataset.
    DerivaMLException
        If it has no version.
    """
    table = session.ml_table(MLTable.dataset_version)
    found = {
        DatasetVersion(row["Version"]): row
        for row in session.reader.rows(table, where={"Dataset": [dataset_rid]})
    }
    if not found:
        lookup_row(session.reader, dataset_rid)
        raise DerivaMLException(f"Dataset {dataset_rid} has no version; its creation was interrupted.")
    return dict(sorted(found.items()))


def advance(
    session: Session, dataset_rid: str, description: str = "", execution_rid: str | None = None
) -> DatasetVersion:
    """Open a dev period or advance its label, because the dataset is about to change.

    Called before the change is written: an interruption leaves a dev version without a change, never a change
    without a dev version.

    Parameters
    ----------
    session : Session
    dataset_rid : str
    description : str
    execution_rid : str, optional
        What makes the change.

    Returns
    -------
    DatasetVersion
        The dev label.

    Raises
    ------
    DerivaMLConflictError
        If somebody else changed the dataset at the same time.
    DerivaMLReadOnlyError
        If the session is that of a snapshot.
    """
    _require_live(session, dataset_rid)
    found = version_rows(session, dataset_rid)
    label = labels.next_dev(found)
    table = session.ml_table(MLTable.dataset_version)
    values = {"Version": str(label), "Description": description, "Execution": _recorded(execution_rid)}
    current, row = next(reversed(found.items()))
    if current.dev is not None:
        if current.dev == 1:
            _heal_pointer(session, dataset_rid, row["RID"])
        _guarded_update(session, dataset_rid, row, values)
        return label
    if not row["Snapshot"]:
        # The creation was interrupted just before its end, and nothing has changed since.
        rows.update_one(session.connection, table, row["RID"], Snapshot=session.connection.snaptime())
    try:
        (made,) = rows.insert(session.connection, table, [{"Dataset": dataset_rid, **values}])
    except DerivaMLConflictError as error:
        raise _raced(dataset_rid) from error
    rows.update_one(session.connection, session.ml_table(MLTable.dataset), dataset_rid, Version=made["RID"])
    return label


def release(
    session: Session, dataset_rid: str, bump: VersionPart, description: str, execution_rid: str | None = None
) -> DatasetVersion:
    """Turn the dev version into a release, and pin it to a snapshot of the catalog.

    Parameters
    ----------
    session : Session
    dataset_rid : str
    bump : VersionPart
        Which number is raised.
    description : str
        Release note.
    execution_rid : str, optional
        What makes the release.

    Returns
    -------
    DatasetVersion
        The label of the release.

    Raises
    ------
    DerivaMLValidationError
        If nothing has changed since the last release.
    DerivaMLConflictError
        If somebody else changed the dataset at the same time.
    """
    _require_live(session, dataset_rid)
    found = version_rows(session, dataset_rid)
    current, row = next(reversed(found.items()))
    if not current.is_devrelease:
        raise DerivaMLValidationError(
            f"Dataset {dataset_rid} has not changed since release {current}; call mark_dev() first to release it again."
        )
    _heal_pointer(session, dataset_rid, row["RID"])
    label = labels.next_release(found, VersionPart(bump))
    values = {
        "Version": str(label),
        "Description": description,
        "Execution": _recorded(execution_rid) or row["Execution"],
        "Snapshot": session.connection.snaptime(),
    }
    _guarded_update(session, dataset_rid, row, values)
    return label


def _heal_pointer(session: Session, dataset_rid: str, version_rid: str) -> None:
    """Set the pointer to the current version, if an interruption left it at an older one."""
    if lookup_row(session.reader, dataset_rid)["Version"] != version_rid:
        rows.update_one(
            session.connection, session.ml_table(MLTable.dataset), dataset_rid, Version=version_rid
        )


def _guarded_update(session: Session, dataset_rid: str, row: Row, values: Mapping[str, str | None]) -> None:
    table = session.ml_table(MLTable.dataset_version)
    body = {"RID": row["RID"], "RMT": row["RMT"], **values}
    try:
        changed = rows.update(session.connection, table, [body], keys=("RID", "RMT"), columns=tuple(values))
    except DerivaMLConflictError as error:
        raise _raced(dataset_rid) from error
    if not changed:
        raise _raced(dataset_rid)


def _raced(dataset_rid: str) -> DerivaMLConflictError:
    return DerivaMLConflictError(
        f"Dataset {dataset_rid} was changed by somebody else at the same time; look it up again and repeat the call."
    )


def _recorded(execution_rid: str | None) -> str | None:
    return None if execution_rid == DRY_RUN_RID else execution_rid


def _require_live(session: Session, dataset_rid: str) -> None:
    if session.connection.is_snapshot:
        raise DerivaMLReadOnlyError(f"Dataset {dataset_rid} is seen at a snapshot, where nothing can change.")


# --- what changed -----------------------------------------------------------------------------------------------------


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
    snapshot = found[labels.choose(found, label, dataset_rid)]["Snapshot"]
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
