"""What exports say of executions beyond their summaries: times, code, and which file or version each one made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deriva_ml.ermrest import rows
from deriva_ml.lineage.questions import questions_of
from deriva_ml.lineage.report import ExecutionSummary
from deriva_ml.lineage.text import heading
from deriva_ml.names import AssetRole, MLTable

if TYPE_CHECKING:
    from deriva_ml.lineage.report import DescendantsResult, LineageResult
    from deriva_ml.session import Session

_FILE = ("RID", "Filename", "URL", "Length", "MD5", "Description")


@dataclass
class Thing:
    """A file or a version of a dataset.

    Parameters
    ----------
    key : str
        Its RID, with the version of a dataset.
    rid : str
    kind : str
        The asset table, or ``Dataset``.
    name : str
    version : str, optional
    row : dict
        What is known of a file.
    """

    key: str
    rid: str
    kind: str
    name: str
    version: str | None = None
    row: dict[str, Any] = field(default_factory=dict)


@dataclass
class Run:
    """An execution with what it read and made.

    Parameters
    ----------
    summary : ExecutionSummary
    workflow, row : dict
        Rows of the catalog.
    read, made : list of str
        Keys of things.
    """

    summary: ExecutionSummary
    workflow: dict[str, Any] = field(default_factory=dict)
    row: dict[str, Any] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)

    @property
    def begin(self) -> str | None:
        """When it started, or was registered."""
        return self.row.get("Start") or self.row.get("RCT")

    @property
    def end(self) -> str | None:
        """When it ended, where the catalog knows."""
        return self.row.get("Stop")


@dataclass
class Provenance:
    """All that an export says.

    Parameters
    ----------
    title : str
    session : Session
    runs : dict of Run
        By RID.
    things : dict of Thing
        By key.
    root : str
        RID of what was asked for.
    """

    title: str
    session: Session
    root: str
    runs: dict[str, Run] = field(default_factory=dict)
    things: dict[str, Thing] = field(default_factory=dict)

    def url(self, rid: str) -> str:
        """Where a row is shown."""
        connection = self.session.connection
        plain, _, _ = rid.partition("@")
        return connection.url(f"/id/{connection.catalog_id}/{plain}")


def provenance(session: Session, result: LineageResult | DescendantsResult) -> Provenance:
    """Look up what a lineage leaves out; a few requests whatever its size."""
    found = Provenance(heading(result), session, result.root.rid)
    summaries = {each.rid: each for each in result.executions}
    if result.root.producing_execution is not None:
        summaries.setdefault(result.root.producing_execution.rid, result.root.producing_execution)
    found.runs = {rid: Run(summary) for rid, summary in summaries.items()}
    _describe(session, found)
    _datasets(session, found)
    _files(session, found)
    return found


def _describe(session: Session, found: Provenance) -> None:
    def read(table: str, rids: set[str]) -> dict[str, dict[str, Any]]:
        where = {"RID": rids}
        return {
            row["RID"]: row for row in rows.read(session.connection, session.ml_table(table), where=where)
        }

    executions = read(MLTable.execution, set(found.runs))
    workflows = read(MLTable.workflow, {row["Workflow"] for row in executions.values()} - {None})
    for rid, run in found.runs.items():
        run.row = executions.get(rid, {})
        run.workflow = workflows.get(run.row.get("Workflow") or "", {})


def _datasets(session: Session, found: Provenance) -> None:
    connection, links = session.connection, session.ml_table("Dataset_Execution")
    read = list(rows.read(connection, links, where={"Execution": set(found.runs)}))
    versions = session.ml_table(MLTable.dataset_version)
    made = list(rows.read(connection, versions, where={"Execution": set(found.runs)}))
    known = {row["RID"]: row for row in made}
    named = {row["Dataset_Version"] for row in read} - {None} - set(known)
    known |= {row["RID"]: row for row in rows.read(connection, versions, where={"RID": named})}
    rids = {row["Dataset"] for row in [*read, *made]}
    table = session.ml_table(MLTable.dataset)
    datasets = {row["RID"]: row for row in rows.read(connection, table, where={"RID": rids})}

    def thing(rid: str, version: str | None) -> str:
        key = f"{rid}@{version}" if version else rid
        name = datasets.get(rid, {}).get("Description") or f"Dataset {rid}"
        found.things.setdefault(key, Thing(key, rid, "Dataset", name, version, datasets.get(rid, {})))
        return key

    for row in made:
        found.runs[row["Execution"]].made.append(thing(row["Dataset"], row["Version"]))
    for row in read:
        version = known.get(row["Dataset_Version"], {}).get("Version")
        found.runs[row["Execution"]].read.append(thing(row["Dataset"], version))


def _files(session: Session, found: Provenance) -> None:
    connection = session.connection
    for assets in questions_of(session.model).assets:
        links = list(rows.read(connection, assets.link, where={assets.execution: set(found.runs)}))
        rids = {row[assets.asset] for row in links}
        files = rows.read(connection, assets.table, where={"RID": rids}, columns=_FILE)
        for row in files:
            name = row["Filename"] or f"{assets.table.name} {row['RID']}"
            found.things[row["RID"]] = Thing(row["RID"], row["RID"], assets.table.name, name, row=row)
        for row in links:
            run = found.runs[row[assets.execution]]
            if row[assets.asset] in found.things:
                (run.made if row["Asset_Role"] == AssetRole.output else run.read).append(row[assets.asset])
