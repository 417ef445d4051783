"""New datasets, seen all together and complete, or not at all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deriva_ml import arguments
from deriva_ml.dataset.members import insert_memberships, insert_types
from deriva_ml.dataset.release import pin, require_execution
from deriva_ml.dataset.version import FIRST_RELEASE
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.leases import lease
from deriva_ml.errors import DerivaMLException, DerivaMLValidationError
from deriva_ml.model.elements import dataset_element
from deriva_ml.names import DRY_RUN_RID, RID, DatasetVersion, MLTable

if TYPE_CHECKING:
    from deriva_ml.rows.reader import Row
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)

CREATED = "Initial dataset creation."


@dataclass(frozen=True)
class Draft:
    """A dataset that is to be made.

    Parameters
    ----------
    description : str
        Markdown.
    types : sequence of str
        Terms of Dataset_Type.
    members : mapping
        Element table to RIDs that its first release has.
    nested : sequence of int
        Places of the drafts that are made together with it and nested in it.
    """

    description: str = ""
    types: Sequence[str] = ()
    members: Mapping[str, Collection[str]] = field(default_factory=dict)
    nested: Sequence[int] = ()


@dataclass(frozen=True)
class Made:
    """A dataset that was made."""

    dataset_rid: RID
    version_rid: RID
    version: DatasetVersion
    draft: Draft


Extend = Callable[[list[Made]], None]


def is_unfinished(row: Row) -> bool:
    """Whether a row of Dataset is what an interrupted creation left: nobody is to see it."""
    return bool(row["Deleted"]) and row["Version"] is None


def create_together(
    session: Session,
    drafts: Sequence[Draft],
    execution_rid: str | None = None,
    version: DatasetVersion | str | None = None,
    extend: Extend | None = None,
) -> list[Made]:
    """Make datasets with their first releases.

    Until everything is written they count as deleted; one request makes all of them seen. So an interruption leaves
    nothing that is seen, and the same call may be made again. The number of requests does not depend on how many
    datasets there are.

    Parameters
    ----------
    session : Session
    drafts : sequence of Draft
    execution_rid : str, optional
        What makes them.
    version : DatasetVersion or str, optional
        Label of the first releases, 0.1.0 by default.
    extend : callable, optional
        Writes what else belongs to them, before they are seen; may be called for datasets that never will be.

    Returns
    -------
    list of Made
        In the order of the drafts.

    Raises
    ------
    DerivaMLValidationError
        If the version is a dev version, or members are no rows of their tables.
    """
    told = [arguments.text("description", draft.description) for draft in drafts]
    label = FIRST_RELEASE if version is None else DatasetVersion.coerce(version)
    if label.is_devrelease:
        raise DerivaMLValidationError(f"A dataset begins with a release, not with {label}.")
    connection = session.connection
    datasets = session.ml_table(MLTable.dataset)
    rids = lease(connection, 2 * len(drafts))
    made = [
        Made(rid, version_rid, label, draft)
        for rid, version_rid, draft in zip(rids[: len(drafts)], rids[len(drafts) :], drafts, strict=True)
    ]
    hidden = [
        {"RID": one.dataset_rid, "Description": text, "Deleted": True}
        for one, text in zip(made, told, strict=True)
    ]
    rows.insert(connection, datasets, hidden, with_rids=True)
    try:
        written = _write_all(session, made, None if execution_rid == DRY_RUN_RID else execution_rid)
        if extend is not None:
            extend(made)
    except DerivaMLException:
        _discard(session, made)
        require_execution(session, execution_rid)
        raise
    seen = [{"RID": one.dataset_rid, "Version": one.version_rid} for one in made]
    rows.update(connection, datasets, seen, columns=("Version", "Deleted"), chunk=len(seen))
    pin(session, written)
    return made


def _write_all(session: Session, made: list[Made], execution_rid: str | None) -> list[Row]:
    """Versions, types and members; the version rows as they were written."""
    first = [
        {
            "RID": one.version_rid,
            "Dataset": one.dataset_rid,
            "Version": str(one.version),
            "Description": CREATED,
            "Execution": execution_rid,
        }
        for one in made
    ]
    versions = session.ml_table(MLTable.dataset_version)
    written = rows.insert(session.connection, versions, first, with_rids=True)
    insert_types(session, [(one.dataset_rid, name) for one in made for name in one.draft.types])
    members: dict[str, list[tuple[RID, str]]] = {}
    for one in made:
        for name, rids in one.draft.members.items():
            members.setdefault(name, []).extend((one.dataset_rid, rid) for rid in rids)
        inside = [(one.dataset_rid, made[place].dataset_rid) for place in one.draft.nested]
        if inside:
            members.setdefault(MLTable.dataset.value, []).extend(inside)
    for name, pairs in members.items():
        insert_memberships(session, dataset_element(session.model, name), pairs)
    return written


def _discard(session: Session, made: list[Made]) -> None:
    """Take back what was written of datasets that could not be made."""
    rids = [one.dataset_rid for one in made]
    datasets, versions = session.ml_table(MLTable.dataset), session.ml_table(MLTable.dataset_version)
    # Whatever refers to datasets that nobody has seen yet was written for them; versions are referred to as well.
    referring = sorted(datasets.referenced_by, key=lambda key: key.table is versions)
    try:
        for key in referring:
            for column in key.foreign_key_columns:
                rows.delete(session.connection, key.table, {column.name: rids})
        rows.delete(session.connection, datasets, {"RID": rids})
    except DerivaMLException as error:
        logger.warning(
            "Dataset %s could not be made; what was written of it stays, unseen: %s", ", ".join(rids), error
        )
