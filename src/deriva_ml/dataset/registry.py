"""Datasets of a catalog: make, delete, find, and say which tables' rows can be members; works on RIDs and rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from deriva_ml.dataset import version as labels
from deriva_ml.dataset.download import require_dataset, resolve, version_label
from deriva_ml.dataset.draft import Draft, create_together, is_unfinished
from deriva_ml.dataset.members import type_names
from deriva_ml.dataset.view import children, lookup_row, nesting, parents
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.ordering import Sort, ordered
from deriva_ml.errors import (
    DerivaMLDatasetNotFound,
    DerivaMLTableTypeError,
    DerivaMLValidationError,
)
from deriva_ml.model.build import element_association
from deriva_ml.model.elements import why_no_element
from deriva_ml.names import DRY_RUN_RID, RID, DatasetVersion, MLTable, did_you_mean
from deriva_ml.records import DatasetReference
from deriva_ml.specs import DatasetSpec

if TYPE_CHECKING:
    from deriva_ml.model.graph import Element, Table
    from deriva_ml.rows.reader import Row
    from deriva_ml.session import Session


def create(
    session: Session,
    *,
    execution_rid: str | None = None,
    dataset_types: str | Iterable[str] | None = None,
    description: str = "",
    version: DatasetVersion | str | None = None,
) -> RID:
    """Make a dataset with its first release, which has no members.

    Parameters
    ----------
    session : Session
    execution_rid : str, optional
        What makes it.
    dataset_types : str or iterable of str, optional
        Terms of Dataset_Type.
    description : str
        Markdown.
    version : DatasetVersion or str, optional
        Label of the first release, 0.1.0 by default.

    Returns
    -------
    str
        RID of the dataset.

    Raises
    ------
    DerivaMLInvalidTerm
        If a type is no term.
    DerivaMLValidationError
        If the version is a dev version.
    """
    draft = Draft(description, type_names(session, dataset_types))
    (made,) = create_together(session, [draft], execution_rid, version)
    return made.dataset_rid


def delete(session: Session, dataset_rid: str, *, recurse: bool = False) -> list[RID]:
    """Mark a dataset as deleted; nothing is removed, and its versions can still be read.

    Parameters
    ----------
    session : Session
    dataset_rid : str
    recurse : bool
        Whether the datasets nested in it, at any depth, are deleted too, unless others contain them as well.

    Returns
    -------
    list of str
        RIDs of the datasets that were marked.

    Raises
    ------
    DerivaMLDatasetNotFound
        If there is no such dataset.
    DerivaMLValidationError
        If another dataset contains it.
    """
    lookup_row(session.reader, dataset_rid, deleted=False)
    above = alive(session, parents(session.reader, [dataset_rid]))
    if above:
        raise DerivaMLValidationError(
            f"Dataset {dataset_rid} is a member of {', '.join(above)}; remove it there before deleting it."
        )
    gone = [dataset_rid, *_only_inside(session, dataset_rid)] if recurse else [dataset_rid]
    marked = [{"RID": rid, "Deleted": True} for rid in gone]
    # One request, so all of them or none.
    table = session.ml_table(MLTable.dataset)
    rows.update(session.connection, table, marked, columns=("Deleted",), chunk=len(marked))
    return gone


def _only_inside(session: Session, dataset_rid: str) -> list[RID]:
    """Datasets nested in one, at any depth, that no other dataset contains."""
    nested = children(session.reader, [dataset_rid], recurse=True)
    pairs = nesting(session.reader, nested)
    others = set(alive(session, list({above for above, _ in pairs}))) - {dataset_rid, *nested}
    kept: set[RID] = set()
    while True:
        # Whatever is in a dataset that stays, stays.
        more = {below for above, below in pairs if above in others | kept} - kept
        if not more:
            return [rid for rid in nested if rid not in kept]
        kept |= more


def alive(session: Session, rids: list[RID]) -> list[RID]:
    """Those of some datasets that are not deleted, in the same order."""
    if not rids:
        return []
    table = session.ml_table(MLTable.dataset)
    found = session.reader.rows(table, where={"RID": rids}, columns=["RID", "Deleted"])
    deleted = {row["RID"]: row["Deleted"] for row in found}
    return [rid for rid in rids if rid in deleted and not deleted[rid]]


def rid_of(dataset: Any) -> RID:
    """RID of a dataset, given by itself, by its RID or as a `DatasetSpec`.

    Raises
    ------
    DerivaMLValidationError
        If it is something else.
    """
    rid = getattr(dataset, "dataset_rid", getattr(dataset, "rid", dataset))
    if not isinstance(rid, str) or not rid:
        raise DerivaMLValidationError(f"{dataset!r} is no dataset; give its RID, a DatasetSpec or a Dataset.")
    return rid


def lookup(session: Session, dataset: Any, *, deleted: bool = False) -> Row:
    """Return the row of a dataset, given as for `rid_of`.

    Raises
    ------
    DerivaMLDatasetNotFound
        If there is none, or it is deleted and `deleted` is False.
    DerivaMLTableTypeError
        If the RID is that of something else.
    DerivaMLValidationError
        If it is neither a dataset nor a RID.
    """
    rid = rid_of(dataset)
    try:
        row = lookup_row(session.reader, rid, deleted=deleted)
        if is_unfinished(row):
            raise labels.without_version(rid)
        return row
    except DerivaMLDatasetNotFound:
        # It may be something else; that is said then.
        require_dataset(session, rid)
        raise


def find(session: Session, *, deleted: bool = False, sort: Sort = None) -> list[Row]:
    """Return the rows of all datasets.

    Parameters
    ----------
    session : Session
    deleted : bool
        Whether deleted ones are among them.
    sort : optional
        True for the newest first; a function that gives columns of a path, ``lambda path: path.RCT.desc``.

    Raises
    ------
    DerivaMLValidationError
        If `sort` is something else.
    """
    table = session.ml_table(MLTable.dataset)
    found = [
        row
        for row in session.reader.rows(table)
        if not row["Deleted"] or (deleted and not is_unfinished(row))
    ]
    return ordered(session.connection, table, found, sort)


def find_referencing(session: Session, table: Any, column: str | None = None) -> list[DatasetReference]:
    """Datasets that would be affected by a change of a table, or of one of its columns; deleted ones are left out.

    Parameters
    ----------
    session : Session
    table : str or Table
    column : str, optional
        Only members that have a value in this column count.

    Returns
    -------
    list of DatasetReference
        By RID of the dataset, with the number of its own members in the table. A table whose rows cannot be members
        gives none.

    Raises
    ------
    DerivaMLTableNotFound
        If there is no such table.
    DerivaMLValidationError
        If it has no such column.
    """
    wanted = session.model.name_to_table(table)
    names = {each.name for each in wanted.columns}
    if column is not None and column not in names:
        raise DerivaMLValidationError(
            f"Table {wanted.name} has no column {column!r}.{did_you_mean(column, names)}"
        )
    counts: Counter[RID] = Counter()
    for element in session.model.dataset_elements():
        if element.table is wanted:
            counts.update(_members_counted(session, element, column))
    return [DatasetReference(rid, wanted.name, counts[rid]) for rid in alive(session, sorted(counts))]


def _members_counted(session: Session, element: Element, column: str | None) -> dict[RID, int]:
    """Number of members of each dataset in a table, counted by the catalog."""
    having = ""
    if column is not None:
        member = f"{rows.path_of(element.table)}:{rows.escaped(element.element_key)}"
        having = (
            f"/(M:{rows.escaped(element.element_column)})=({member})/!({rows.escaped(column)}::null::)/$M"
        )
    path = f"M:={rows.path_of(element.association)}{having}/rid:={rows.escaped(element.dataset_column)};n:=cnt(RID)"
    return {row["rid"]: row["n"] for row in rows.query(session.connection, f"/attributegroup/{path}")}


def list_element_types(session: Session) -> list[Table]:
    """Tables whose rows can be members of datasets."""
    return [element.table for element in session.model.dataset_elements()]


def add_element_type(session: Session, table: Any) -> Table:
    """Let rows of a table be members of datasets; does nothing if they can be already.

    Parameters
    ----------
    session : Session
    table : str or Table

    Returns
    -------
    Table
        The table.

    Raises
    ------
    DerivaMLTableNotFound
        If there is no such table.
    DerivaMLTableTypeError
        If it belongs to the library itself, is a vocabulary, or only joins other tables.
    """
    wanted = session.model.name_to_table(table)
    if any(known.table is wanted for known in session.model.dataset_elements()):
        return wanted
    if why := why_no_element(session.model, wanted):
        raise DerivaMLTableTypeError(
            "dataset element", wanted.name, f"Rows of {wanted.name!r} cannot be members of datasets{why}"
        )
    key = session.model.reference_to(wanted).column
    definition = element_association(session.ml_schema, wanted.schema.name, wanted.name, key)
    session.create_tables([definition], schema=session.default_schema or wanted.schema.name)
    return wanted


def add_input(
    session: Session, execution_rid: str, dataset_rid: str, version: DatasetVersion | str | None = None
) -> bool:
    """Record that an execution read a version of a dataset; the first version recorded stays.

    Parameters
    ----------
    session : Session
    execution_rid, dataset_rid : str
    version : DatasetVersion or str, optional
        The last release by default.

    Returns
    -------
    bool
        Whether it was not recorded yet.
    """
    return bool(add_inputs(session, execution_rid, [(dataset_rid, version)]))


def recorded_input(session: Session, execution_rid: str, dataset_rid: str) -> RID | None:
    """RID of the version of a dataset that an execution is recorded to have read; None without a record."""
    where = {"Dataset": [dataset_rid], "Execution": [execution_rid]}
    found = session.reader.rows(session.ml_table("Dataset_Execution"), where=where)
    return next((row["Dataset_Version"] for row in found), None)


def add_inputs(
    session: Session, execution_rid: str, datasets: Iterable[tuple[str, DatasetVersion | str | None]]
) -> list[Row]:
    """Record that an execution read versions of datasets, with one request; nothing for a dry run."""
    if execution_rid == DRY_RUN_RID:
        return []
    read = [(rid, _version_rid(session, rid, version)) for rid, version in datasets]
    return insert_inputs(session, execution_rid, read)


def insert_inputs(session: Session, execution_rid: str, versions: Iterable[tuple[RID, RID]]) -> list[Row]:
    """Write that an execution read datasets, given with the RIDs of their versions; what is there stays."""
    new = [
        {"Dataset": rid, "Execution": execution_rid, "Dataset_Version": version_rid}
        for rid, version_rid in versions
    ]
    return rows.insert(session.connection, session.ml_table("Dataset_Execution"), new, skip_conflicts=True)


def _version_rid(session: Session, dataset_rid: str, version: DatasetVersion | str | None) -> RID:
    return resolve(session, DatasetSpec(rid=dataset_rid, version=version_label(version))).entry.version_rid
