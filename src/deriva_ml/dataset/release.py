"""Versions of a dataset: the dev version that every change opens or advances, and releases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from deriva_ml import arguments
from deriva_ml.dataset import version as labels
from deriva_ml.dataset.view import lookup_row
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.patience import repeated_when_lost
from deriva_ml.ermrest.rids import resolve_rid
from deriva_ml.errors import (
    DerivaMLAuthenticationError,
    DerivaMLConflictError,
    DerivaMLReadOnlyError,
    DerivaMLTableTypeError,
    DerivaMLValidationError,
)
from deriva_ml.names import DRY_RUN_RID, DatasetVersion, MLTable, VersionPart

if TYPE_CHECKING:
    from deriva_ml.rows.reader import Row
    from deriva_ml.session import Session


def version_rows(session: Session, dataset_rid: str) -> dict[DatasetVersion, Row]:
    """Rows of Dataset_Version of a dataset by label, ascending.

    Raises
    ------
    DerivaMLDatasetNotFound
        If there is no such dataset, or it has no version.
    """
    table = session.ml_table(MLTable.dataset_version)
    found = {
        DatasetVersion(row["Version"]): row
        for row in session.reader.rows(table, where={"Dataset": [dataset_rid]})
    }
    if not found:
        lookup_row(session.reader, dataset_rid)
        raise labels.without_version(dataset_rid)
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
    DerivaMLDatasetNotFound
        If there is no such dataset (any more).
    DerivaMLReadOnlyError
        If the session is that of a snapshot.
    """
    description = arguments.text("description", description)
    # A version of which it is not known whether it was written is found, or written, by the next attempt.
    return repeated_when_lost(
        session.connection.authority, lambda: _advance(session, dataset_rid, description, execution_rid)
    )


def _advance(
    session: Session, dataset_rid: str, description: str, execution_rid: str | None
) -> DatasetVersion:
    pointer = _pointer_of_changeable(session, dataset_rid)
    found = version_rows(session, dataset_rid)
    label = labels.next_dev(found)
    table = session.ml_table(MLTable.dataset_version)
    values = {"Version": str(label), "Description": description, "Execution": _recorded(execution_rid)}
    current, row = next(reversed(found.items()))
    if current.dev is not None:
        _heal_pointer(session, dataset_rid, pointer, row["RID"])
        _guarded_update(session, dataset_rid, row, values)
        return label
    pinned(session, current, row["RID"], row["Snapshot"])
    try:
        (made,) = rows.insert(session.connection, table, [{"Dataset": dataset_rid, **values}])
    except DerivaMLConflictError as error:
        require_execution(session, execution_rid)
        raise _raced(dataset_rid) from error
    rows.update_one(session.connection, session.ml_table(MLTable.dataset), dataset_rid, Version=made["RID"])
    return label


@contextmanager
def changing(
    session: Session, dataset_rid: str, description: str = "", execution_rid: str | None = None
) -> Iterator[None]:
    """Change a dataset in the block: its dev version is opened or advanced before, and stands open after.

    Parameters and errors as for `advance`.
    """
    advance(session, dataset_rid, description, execution_rid)
    yield
    # Somebody else may have released between the two: what was changed after that belongs to the next version.
    while True:
        *older, (newest, row) = version_rows(session, dataset_rid).items()
        if newest.is_devrelease:
            break
        with suppress(DerivaMLConflictError):
            advance(session, dataset_rid, description, execution_rid)
    overtaken = [old["RID"] for label, old in older if label.is_devrelease]
    if overtaken:
        _heal_pointer(session, dataset_rid, None, row["RID"])
        rows.delete(session.connection, session.ml_table(MLTable.dataset_version), {"RID": overtaken})


def pin(session: Session, version_rows_: Iterable[Row]) -> None:
    """Note the present moment as the snapshot of releases, unless somebody else did so before.

    Parameters
    ----------
    session : Session
    version_rows_ : iterable of dict
        Rows of Dataset_Version as they were read or inserted.
    """
    snapshot = session.connection.snaptime()
    body = [{"RID": row["RID"], "RMT": row["RMT"], "Snapshot": snapshot} for row in version_rows_]
    table = session.ml_table(MLTable.dataset_version)
    rows.update(session.connection, table, body, keys=("RID", "RMT"), columns=("Snapshot",))


def pinned(session: Session, label: DatasetVersion, version_rid: str, snapshot: str | None) -> str | None:
    """Snapshot of a version; None for a dev version, which is what is there now.

    A release without one was made by a call that was interrupted just before its end: it gets its snapshot now, so
    that it reads the same from here on.

    Parameters
    ----------
    session : Session
    label : DatasetVersion
    version_rid, snapshot : str
        As they are in its row.
    """
    if snapshot or label.is_devrelease or session.connection.is_snapshot:
        return snapshot
    table = session.ml_table(MLTable.dataset_version)
    where = {"RID": [version_rid]}
    # Who may only read sees what is there now, until somebody who may write comes by.
    with suppress(DerivaMLAuthenticationError):
        pin(session, [row for row in session.reader.rows(table, where=where) if not row["Snapshot"]])
    return next((row["Snapshot"] for row in session.reader.rows(table, where=where)), None)


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
    description = arguments.text("description", description)
    pointer = _pointer_of_changeable(session, dataset_rid)
    found = version_rows(session, dataset_rid)
    current, row = next(reversed(found.items()))
    if not current.is_devrelease:
        raise DerivaMLValidationError(
            f"Dataset {dataset_rid} has not changed since release {current}; call mark_dev() first to release it again."
        )
    _heal_pointer(session, dataset_rid, pointer, row["RID"])
    label = labels.next_release(found, VersionPart(bump))
    values = {
        "Version": str(label),
        "Description": description,
        "Execution": _recorded(execution_rid) or row["Execution"],
        "Snapshot": session.connection.snaptime(),
    }
    _guarded_update(session, dataset_rid, row, values)
    return label


def _heal_pointer(session: Session, dataset_rid: str, pointer: str | None, version_rid: str) -> None:
    """Set the pointer to the current version, if an interruption left it at an older one."""
    if pointer != version_rid:
        table = session.ml_table(MLTable.dataset)
        rows.update_one(session.connection, table, dataset_rid, Version=version_rid)


def _guarded_update(session: Session, dataset_rid: str, row: Row, values: Mapping[str, str | None]) -> None:
    table = session.ml_table(MLTable.dataset_version)
    body = {"RID": row["RID"], "RMT": row["RMT"], **values}
    try:
        changed = rows.update(session.connection, table, [body], keys=("RID", "RMT"), columns=tuple(values))
    except DerivaMLConflictError as error:
        require_execution(session, values["Execution"])
        raise _raced(dataset_rid) from error
    if not changed:
        raise _raced(dataset_rid)


def require_changeable(session: Session, dataset_rid: str) -> None:
    """Check that a dataset is not seen as it was at a time.

    Raises
    ------
    DerivaMLReadOnlyError
        If it is.
    """
    if session.connection.is_snapshot:
        raise DerivaMLReadOnlyError(
            f"Dataset {dataset_rid} is seen at a snapshot, where nothing can change; look it up without a version."
        )


def _raced(dataset_rid: str) -> DerivaMLConflictError:
    return DerivaMLConflictError(
        f"Dataset {dataset_rid} was changed by somebody else at the same time; look it up again and repeat the call."
    )


def _recorded(execution_rid: str | None) -> str | None:
    return None if execution_rid == DRY_RUN_RID else execution_rid


def _pointer_of_changeable(session: Session, dataset_rid: str) -> str | None:
    """Version that a dataset points to; raises when it cannot change."""
    require_changeable(session, dataset_rid)
    pointer: str | None = lookup_row(session.reader, dataset_rid, deleted=False)["Version"]
    return pointer


def require_execution(session: Session, rid: str | None) -> None:
    """Check that an RID, if there is one, is that of an execution.

    Raises
    ------
    DerivaMLTableTypeError
        If it is that of something else.
    DerivaMLRidsNotFound
        If there is no such RID.
    """
    if rid is None or rid == DRY_RUN_RID:
        return
    if resolve_rid(session.connection, session.model, rid).table is not session.ml_table(MLTable.execution):
        raise DerivaMLTableTypeError("Execution", rid, f"{rid} is not the RID of an execution.")
