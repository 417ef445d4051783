"""Find executions in the catalog, each call with a number of requests that does not grow with the result."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deriva_ml.asset import asset as assets
from deriva_ml.asset.asset import Asset
from deriva_ml.dataset.download import resolve
from deriva_ml.dataset.view import lookup_row, workflow_executions
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.ordering import Sort, ordered
from deriva_ml.ermrest.rids import resolve_rid
from deriva_ml.errors import (
    DerivaMLException,
    DerivaMLNotFoundError,
    DerivaMLTableTypeError,
    DerivaMLValidationError,
    NoAssociationException,
)
from deriva_ml.execution import execution_record
from deriva_ml.execution.execution_record import ExecutionRecord, made_records, records
from deriva_ml.names import AssetRole, ExecutionStatus, MLTable, MLVocab, is_rid
from deriva_ml.specs import DatasetSpec, WorkflowSpec
from deriva_ml.vocabulary import lookup_term
from deriva_ml.workflow import workflow as workflows

if TYPE_CHECKING:
    from deriva_ml.session import Session


def lookup_execution(session: Session, execution_rid: str) -> ExecutionRecord:
    """The record of an execution.

    Raises
    ------
    DerivaMLNotFoundError
        If no execution has that RID.
    """
    found = records(session, [execution_rid]) if execution_rid else []
    if not found:
        raise DerivaMLNotFoundError(
            f"There is no execution {execution_rid!r} in {session.connection.name}; see ml.find_executions()."
        )
    return found[0]


def find_executions(
    session: Session,
    workflow: WorkflowSpec | str | None = None,
    workflow_type: str | None = None,
    status: ExecutionStatus | str | None = None,
    sort: Sort = None,
    dataset: DatasetSpec | str | None = None,
    dataset_role: str = "any",
) -> list[ExecutionRecord]:
    """Executions that match everything that is given.

    Parameters
    ----------
    session : Session
    workflow : Workflow or str, optional
        A workflow, or its RID.
    workflow_type : str, optional
        Term of the vocabulary Workflow_Type.
    status : ExecutionStatus, optional
    sort : optional
        True for the newest first; a function that gives columns of a path, ``lambda path: path.RCT.desc``.
    dataset : DatasetSpec or str, optional
        A dataset, or its RID; with a version only that version counts.
    dataset_role : str
        ``input``: read it; ``output``: made it; ``any``.

    Returns
    -------
    list of ExecutionRecord

    Raises
    ------
    ValueError
        If `dataset_role` is another word, or is given without a dataset.
    DerivaMLNotFoundError
        If there is no such workflow or dataset.
    DerivaMLTableTypeError
        If the RID of the workflow is that of something else.
    """
    if dataset_role not in {"input", "output", "any"}:
        raise ValueError(f"dataset_role is 'input', 'output' or 'any', not {dataset_role!r}.")
    if dataset is None and dataset_role != "any":
        raise ValueError("dataset_role needs a dataset.")
    where = conditions(session, workflow, workflow_type, status, (dataset, dataset_role))
    table = session.ml_table(MLTable.execution)
    found = list(rows.read(session.connection, table, where=where)) if all(where.values()) else []
    if not found and isinstance(workflow, str):
        require_workflow(session, workflow)
    return made_records(session, ordered(session.connection, table, found, sort))


def conditions(
    session: Session,
    workflow: WorkflowSpec | str | None = None,
    workflow_type: str | None = None,
    status: ExecutionStatus | str | None = None,
    dataset: tuple[DatasetSpec | str | None, str] = (None, "any"),
) -> dict[str, Collection[Any]]:
    """Columns of the table Execution and the values that `find_executions` accepts; none of a column: nothing matches.

    Parameters
    ----------
    session : Session
    workflow, workflow_type, status
        As of `find_executions`.
    dataset : tuple
        The dataset, and whether it was input, output or any of these.
    """
    where: dict[str, Collection[Any]] = {}
    if workflow is not None or workflow_type is not None:
        where["Workflow"] = _workflow_rids(session, workflow, workflow_type)
    if status is not None:
        where["Status"] = [str(ExecutionStatus(status))]
    which, role = dataset
    if which is not None:
        where["RID"] = _of_dataset(session, which, role)
    return where


def _workflow_rids(
    session: Session, workflow: WorkflowSpec | str | None, workflow_type: str | None
) -> set[str]:
    wanted: set[str] | None = None
    if workflow is not None:
        rid = _rid_of(session, workflow)
        if not is_rid(rid):
            raise DerivaMLValidationError(
                f"{rid!r} is no RID of a workflow; ml.find_workflows() has the RIDs and names of all."
            )
        wanted = {rid}
    if workflow_type is not None:
        name = lookup_term(session, MLVocab.workflow_type, workflow_type).name
        table = session.ml_table("Workflow_Workflow_Type")
        links = rows.read(
            session.connection, table, where={"Workflow_Type": [name]}, columns=["RID", "Workflow"]
        )
        typed = {row["Workflow"] for row in links}
        wanted = typed if wanted is None else wanted & typed
    return wanted or set()


def _rid_of(session: Session, workflow: WorkflowSpec | str) -> str:
    rid = workflow if isinstance(workflow, str) else workflows.find_rid(session, workflow)
    if rid is None:
        raise DerivaMLException("This workflow is not registered, so no execution can have run it.")
    return rid


def require_workflow(session: Session, rid: str) -> str:
    """The RID of a workflow, as the catalog writes it.

    Raises
    ------
    DerivaMLRidsNotFound
        If the catalog has no such row.
    DerivaMLTableTypeError
        If it is one of another table.
    """
    found = resolve_rid(session.connection, session.model, rid)
    if found.table is not session.ml_table(MLTable.workflow):
        raise DerivaMLTableTypeError("Workflow", rid)
    return found.rid


def _of_dataset(session: Session, dataset: DatasetSpec | str, role: str) -> set[str]:
    if isinstance(dataset, str) and not is_rid(dataset):
        raise DerivaMLValidationError(
            f"{dataset!r} is no RID of a dataset; ml.find_datasets() has the RIDs and descriptions of all."
        )
    spec = dataset if isinstance(dataset, DatasetSpec) else DatasetSpec(rid=dataset)
    version = resolve(session, spec).entry.version_rid if spec.version is not None else None
    found: set[str] = set()
    if role in {"input", "any"}:
        where = {"Dataset": [spec.rid]} | ({"Dataset_Version": [version]} if version else {})
        found |= _column(session, "Dataset_Execution", where)
    if role in {"output", "any"}:
        where = {"Dataset": [spec.rid]} | ({"RID": [version]} if version else {})
        found |= _column(session, MLTable.dataset_version, where)
    if not found:
        lookup_row(session.reader, spec.rid)
    return found


def _column(session: Session, table: str, where: dict[str, list[str]]) -> set[str]:
    links = rows.read(session.connection, session.ml_table(table), where=where, columns=["RID", "Execution"])
    return {row["Execution"] for row in links if row["Execution"]}


def find_executions_consuming(session: Session, rid: str) -> list[ExecutionRecord]:
    """Executions that read a dataset or an asset.

    Raises
    ------
    DerivaMLException
        If the RID is neither that of a dataset nor of an asset.
    """
    table = resolve_rid(session.connection, session.model, rid).table
    if table.name == MLTable.dataset and table.schema.name == session.ml_schema:
        return records(session, sorted(_column(session, "Dataset_Execution", {"Dataset": [rid]})))
    if not session.model.is_asset(table):
        raise DerivaMLTableTypeError(
            "dataset or asset", table.name, f"{rid} is a row of {table.name!r}, which nobody reads."
        )
    return list_asset_executions(session, rid, AssetRole.input)


def list_asset_executions(
    session: Session, asset_rid: str, asset_role: str | None = None
) -> list[ExecutionRecord]:
    """Executions that read or made an asset.

    Parameters
    ----------
    session : Session
    asset_rid : str
    asset_role : str, optional
        ``Input`` or ``Output``.

    Raises
    ------
    DerivaMLException
        If the RID is not that of an asset.
    """
    table = assets.table_of(session, asset_rid)
    try:
        association, asset_column, execution_column = session.model.asset_executions(table)
    except NoAssociationException:
        return []
    where = {asset_column: [asset_rid]}
    if asset_role is not None:
        where["Asset_Role"] = [str(AssetRole(asset_role))]
    links = rows.read(session.connection, association, where=where, columns=["RID", execution_column])
    return records(session, [row[execution_column] for row in links])


def list_execution_assets(session: Session, execution_rid: str, asset_role: str | None = None) -> list[Asset]:
    """Files that an execution read or made; see `deriva_ml.execution.execution_record.list_assets`."""
    lookup_execution(session, execution_rid)
    return execution_record.list_assets(session, execution_rid, asset_role)


@dataclass(frozen=True)
class MultirunStatusSummary:
    """How far the executions of a workflow are.

    Parameters
    ----------
    workflow_rid : str
    counts : dict
        Number of executions by status.
    """

    workflow_rid: str
    counts: dict[str, int]

    @property
    def total(self) -> int:
        """Number of executions."""
        return sum(self.counts.values())

    def __str__(self) -> str:
        counts = ", ".join(f"{number} {status}" for status, number in self.counts.items())
        return f"Workflow {self.workflow_rid}: {self.total} executions" + (f" ({counts})" if counts else "")


def multirun_status_summary(session: Session, workflow_rid: str) -> MultirunStatusSummary:
    """How many executions of a workflow, for example the jobs of a sweep, have which status.

    Raises
    ------
    DerivaMLRidsNotFound, DerivaMLTableTypeError
        If the RID is not that of a workflow.
    """
    of_workflow = rows.conditions(session.connection, {"Workflow": [require_workflow(session, workflow_rid)]})
    path = f"/attributegroup/{rows.path_of(session.ml_table(MLTable.execution))}{of_workflow[0]}/Status;n:=cnt(RID)"
    counts = {row["Status"]: row["n"] for row in rows.query(session.connection, path)}
    order = [str(status) for status in ExecutionStatus]
    known = {status: counts.pop(status) for status in order if status in counts}
    return MultirunStatusSummary(workflow_rid, known | counts)


def list_workflow_executions(session: Session, workflow: WorkflowSpec | str) -> list[str]:
    """RIDs of the executions of a workflow, or of all workflows of a type.

    Parameters
    ----------
    session : Session
    workflow : Workflow or str
        A workflow, its RID, a term of Workflow_Type, or its name.

    Raises
    ------
    DerivaMLException
        If there are none.
    """
    asked = _rid_of(session, workflow) if isinstance(workflow, WorkflowSpec) else workflow
    return workflow_executions(session.reader, asked)
