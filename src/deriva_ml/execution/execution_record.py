"""Executions as the catalog has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from deriva_ml import markup
from deriva_ml.ermrest import rows
from deriva_ml.errors import DerivaMLException
from deriva_ml.execution.lifecycle import update_status
from deriva_ml.names import AssetRole, ExecutionStatus, MLAsset, MLTable
from deriva_ml.reexport import room
from deriva_ml.rows.reader import Row
from deriva_ml.schema.terms import UNKNOWN_FILE_URL
from deriva_ml.workflow import workflow as workflows
from deriva_ml.workflow.workflow import Workflow

if TYPE_CHECKING:
    from deriva_ml.asset import asset as assets
    from deriva_ml.asset.asset import Asset
    from deriva_ml.dataset import dataset as datasets
    from deriva_ml.dataset.dataset import Dataset
    from deriva_ml.execution import nested
    from deriva_ml.session import Session
else:
    assets = room("deriva_ml.asset.asset")
    datasets = room("deriva_ml.dataset.dataset")
    nested = room("deriva_ml.execution.nested")


class Workflows:
    """The workflows of several records, read together when the first one is asked for."""

    def __init__(self, session: Session, workflow_rids: Iterable[str | None]) -> None:
        self._session = session
        self._rids = {rid for rid in workflow_rids if rid}
        self._found: Mapping[str, Workflow] | None = None

    def get(self, workflow_rid: str | None) -> Workflow | None:
        """The workflow of a RID."""
        if self._found is None:
            self._found = workflows.lookup_many(self._session, self._rids)
        return self._found.get(workflow_rid or "")


class ExecutionRecord:
    """One execution as the catalog has it.

    Assigning `status` or `description` writes to the catalog. Times of start and end are known only to the machine that
    ran the execution.

    Parameters
    ----------
    session : Session, optional
        None for a record that is bound to no catalog.
    row : dict
        Row of the table Execution.
    known_workflows : Workflows, optional
        Shared by records that were found together.
    """

    def __init__(self, session: Session | None, row: Row, known_workflows: Workflows | None = None) -> None:
        self._session = session
        self._row = row
        self._workflows = known_workflows

    def _bound(self) -> Session:
        if self._session is None:
            raise DerivaMLException(
                "This execution record is bound to no catalog; use ml.lookup_execution()."
            )
        return self._session

    @property
    def execution_rid(self) -> str:
        """RID."""
        return str(self._row["RID"])

    @property
    def workflow_rid(self) -> str | None:
        """RID of the workflow that ran."""
        rid: str | None = self._row.get("Workflow")
        return rid

    @property
    def workflow(self) -> Workflow | None:
        """The workflow that ran."""
        if self.workflow_rid is None:
            return None
        if self._workflows is None:
            self._workflows = Workflows(self._bound(), [self.workflow_rid])
        return self._workflows.get(self.workflow_rid)

    @property
    def status(self) -> ExecutionStatus | str:
        """Status when the record was read; other words than those of today, in old catalogs, are given as text."""
        text = self._row.get("Status") or ""
        return ExecutionStatus(text) if text in ExecutionStatus.__members__ else str(text)

    @status.setter
    def status(self, status: ExecutionStatus | str) -> None:
        self._write(Status=str(ExecutionStatus(status)))

    @property
    def status_detail(self) -> str | None:
        """Progress message or error."""
        text: str | None = self._row.get("Status_Detail")
        return text

    @property
    def description(self) -> str | None:
        """Markdown."""
        text: str | None = self._row.get("Description")
        return text

    @description.setter
    def description(self, description: str | None) -> None:
        self._write(Description=description)

    @property
    def duration(self) -> str | None:
        """How long it ran."""
        return self._row.get("Execution_Duration") or self._row.get("Duration")

    @property
    def download_duration(self) -> str | None:
        """How long it took to bring the inputs."""
        return self._row.get("Download_Duration")

    @property
    def upload_duration(self) -> str | None:
        """How long it took to upload the outputs."""
        return self._row.get("Upload_Duration")

    @property
    def start_time(self) -> datetime | None:
        """When it began to run, where this machine knows it."""
        state = self._bound().workspace.executions.get(self.execution_rid)
        return state.start_time if state else _time(self._row.get("Start"))

    @property
    def stop_time(self) -> datetime | None:
        """When it ended, where this machine knows it."""
        state = self._bound().workspace.executions.get(self.execution_rid)
        return state.stop_time if state else _time(self._row.get("Stop"))

    def update_status(self, status: ExecutionStatus | str, status_detail: str = "") -> None:
        """Write status and message to the catalog, and to the local store where it knows this execution.

        Raises
        ------
        InvalidTransitionError
            If this machine knows the execution and the move is not allowed.
        """
        self._write(Status=str(ExecutionStatus(status)), Status_Detail=status_detail)

    def renew(self, values: Row) -> None:
        """Take over what is known of it now."""
        self._row |= values

    def _write(self, **values: Any) -> None:
        session = self._bound()
        session.require_writable("change an execution")
        if "Status" in values and session.workspace.executions.get(self.execution_rid) is not None:
            message = values.get("Status_Detail", self.status_detail or "")
            update_status(session, self.execution_rid, values["Status"], message)
        else:
            table = session.ml_table(MLTable.execution)
            rows.update_one(session.connection, table, self.execution_rid, **values)
        self._row |= values

    # Related ---------------------------------------------------------------------------------------------------------

    def list_execution_children(self, recurse: bool = False) -> Iterator[ExecutionRecord]:
        """Executions nested in this one, in their sequence; with `recurse` also theirs."""
        yield from records(self._bound(), nested.children(self._bound(), self.execution_rid, recurse=recurse))

    def list_execution_parents(self, recurse: bool = False) -> Iterator[ExecutionRecord]:
        """Executions that this one is nested in; with `recurse` also theirs."""
        yield from records(self._bound(), nested.parents(self._bound(), self.execution_rid, recurse=recurse))

    def is_nested(self) -> bool:
        """Whether it is part of another execution."""
        return bool(nested.parents(self._bound(), self.execution_rid))

    def is_parent(self) -> bool:
        """Whether other executions are part of it."""
        return bool(nested.children(self._bound(), self.execution_rid))

    def add_nested_execution(self, nested_execution: Any, sequence: int | None = None) -> None:
        """Record that another execution is part of this one; see `deriva_ml.execution.nested.add`."""
        nested.add(self._bound(), self.execution_rid, nested_execution, sequence)

    def list_input_datasets(self) -> list[Dataset]:
        """Datasets that it read."""
        return list_input_datasets(self._bound(), self.execution_rid)

    def list_assets(self, asset_role: str | None = None) -> list[Asset]:
        """Files that it read (``Input``) and made (``Output``)."""
        return list_assets(self._bound(), self.execution_rid, asset_role)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExecutionRecord) and other.execution_rid == self.execution_rid

    def __hash__(self) -> int:
        return hash(self.execution_rid)

    def __repr__(self) -> str:
        return f"<ExecutionRecord {self.execution_rid} {self.status}: {self.description or ''}>"

    def _repr_html_(self) -> str:
        facts = {"Execution": self.execution_rid, "Status": self.status, "Detail": self.status_detail}
        facts |= {"Description": self.description, "Duration": self.duration}
        return markup.facts(facts)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def records(session: Session, execution_rids: Iterable[str]) -> list[ExecutionRecord]:
    """Records of executions, in the order given, with one request per few hundred."""
    wanted = list(dict.fromkeys(execution_rids))
    if not wanted:
        return []
    table = session.ml_table(MLTable.execution)
    found = {row["RID"]: row for row in rows.read(session.connection, table, where={"RID": wanted})}
    return made_records(session, [found[rid] for rid in wanted if rid in found])


def made_records(session: Session, found: Iterable[Row]) -> list[ExecutionRecord]:
    """Records of rows of the table Execution."""
    members = list(found)
    shared = Workflows(session, (row.get("Workflow") for row in members))
    return [ExecutionRecord(session, row, shared) for row in members]


def list_input_datasets(session: Session, execution_rid: str) -> list[Dataset]:
    """Datasets that an execution read."""
    link = session.ml_table("Dataset_Execution")
    links = rows.read(
        session.connection, link, where={"Execution": [execution_rid]}, columns=["RID", "Dataset"]
    )
    rids = [row["Dataset"] for row in links]
    if not rids:
        return []
    table = session.ml_table(MLTable.dataset)
    return [
        datasets.Dataset(session, row["RID"], row)
        for row in rows.read(session.connection, table, where={"RID": rids})
    ]


def list_assets(session: Session, execution_rid: str, asset_role: str | None = None) -> list[Asset]:
    """Files that an execution read or made.

    Parameters
    ----------
    session : Session
    execution_rid : str
    asset_role : str, optional
        ``Input`` or ``Output``; both by default.

    Returns
    -------
    list of Asset
        What it made, then what it read, each as they came into the catalog; at last the files that describe the run.

    Raises
    ------
    DerivaMLValidationError
        If there is no such role.
    """
    found: list[tuple[tuple[Any, ...], Asset]] = []
    for table, association, asset_column, execution_column in session.model.linked_assets():
        where = {execution_column: [execution_rid]}
        if asset_role is not None:
            where["Asset_Role"] = [str(AssetRole(asset_role))]
        columns = ["RID", asset_column, "Asset_Role"]
        links = list(rows.read(session.connection, association, where=where, columns=columns))
        rids = list(dict.fromkeys(row[asset_column] for row in links))
        if not rids:
            continue
        made = {row[asset_column] for row in links if row["Asset_Role"] == AssetRole.output}
        about = table.name == MLAsset.execution_metadata
        types = assets.types_of(session, table, rids)
        members = rows.read(session.connection, table, where={"RID": rids})
        # What stands for an unknown input is no file that anybody read.
        known = (row for row in members if row["URL"] != UNKNOWN_FILE_URL)
        for row in known:
            place = (about, row["RID"] not in made, row["RCT"], len(row["RID"]), row["RID"])
            found.append((place, assets.Asset(session, table, row, types.get(row["RID"], []))))
    return [asset for _, asset in sorted(found, key=lambda item: item[0])]
