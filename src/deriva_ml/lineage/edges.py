"""Who made what and who read what: queries over the data-flow edges of a catalog, one generation at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from deriva_ml.ermrest.rows import conditions, escaped, path_of, query
from deriva_ml.lineage.report import AssetSummary, DatasetSummary, ExecutionSummary, WorkflowSummary
from deriva_ml.lineage.walk import Facts
from deriva_ml.names import AssetRole, DatasetVersion, MLTable

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table
    from deriva_ml.rows.reader import Row
    from deriva_ml.session import Session

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


State = tuple[str, datetime | None]
"""A dataset as it was at a moment, or is now."""


@dataclass(frozen=True)
class ReadDataset:
    """A dataset version that an execution read.

    Parameters
    ----------
    execution, dataset : str
        RIDs.
    description, version : str, optional
    producer : str, optional
        Execution that made the version.
    until : datetime, optional
        When the version was released; members added later do not count.
    """

    execution: str
    dataset: str
    description: str | None
    version: str | None
    producer: str | None
    until: datetime | None


class Edges:
    """Data-flow edges of a catalog.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.model = session.model
        self._assets = [
            (table, *self.model.asset_executions(table))
            for table in self.model.find_assets()
            if self._is_linked(table)
        ]

    def _is_linked(self, table: Table) -> bool:
        execution = self.model.ml_table(MLTable.execution)
        return any(
            other.pk_table is execution
            for association in self.model.find_associations(table, pure=False)
            for other in association.others
        )

    # --- one generation -------------------------------------------------------------------------------------------

    def inputs(self, rids: Sequence[str]) -> dict[str, Facts]:
        """Look up executions, what they read, and the executions that made that."""
        executions = self.summaries(rids)
        datasets = self.read_datasets(rids)
        members = self.member_producers({(read.dataset, read.until) for read in datasets})
        assets, makers = self.read_assets(rids)
        facts: dict[str, Facts] = {}
        for rid in rids:
            if rid not in executions:
                continue
            read = [each for each in datasets if each.execution == rid]
            producers = [each.producer for each in read if each.producer]
            producers += [
                producer for each in read for producer in members.get((each.dataset, each.until), ())
            ]
            producers += [maker for asset in assets.get(rid, ()) for maker in makers.get(asset.rid, ())[:1]]
            facts[rid] = Facts(
                execution=executions[rid],
                datasets=tuple(
                    DatasetSummary(rid=each.dataset, description=each.description, version=each.version)
                    for each in read
                ),
                assets=tuple(assets.get(rid, ())),
                neighbours=tuple(dict.fromkeys(producers)),
            )
        return facts

    def summaries(self, rids: Collection[str]) -> dict[str, ExecutionSummary]:
        """Summaries of executions."""
        execution, workflow = self._ml(MLTable.execution), self._ml(MLTable.workflow)
        columns = "rid:=E:RID,description:=E:Description,status:=E:Status,workflow:=W:RID,name:=W:Name"
        found = self._select(
            f"E:={execution}", {"RID": rids}, f"W:=left(E:Workflow)=({workflow}:RID)/$E/{columns}"
        )
        return {
            row["rid"]: ExecutionSummary(
                rid=row["rid"],
                description=row["description"],
                status=row["status"] or "Unknown",
                workflow=WorkflowSummary(rid=row["workflow"], name=row["name"]) if row["workflow"] else None,
            )
            for row in found
        }

    def read_datasets(self, rids: Collection[str]) -> list[ReadDataset]:
        """Dataset versions that executions read, by RID of the dataset."""
        dataset, versions = self._ml(MLTable.dataset), self._ml(MLTable.dataset_version)
        columns = (
            "execution:=L:Execution,dataset:=D:RID,description:=D:Description,"
            "version:=V:Version,producer:=V:Execution,snapshot:=V:Snapshot"
        )
        found = self._select(
            f"L:={self._ml('Dataset_Execution')}",
            {"Execution": rids},
            f"D:=(L:Dataset)=({dataset}:RID)/V:=left(L:Dataset_Version)=({versions}:RID)/$L/{columns}",
        )
        bare = {row["dataset"] for row in found if not row["version"]}
        current = self.current_versions(bare) if bare else {}
        return [
            ReadDataset(
                execution=row["execution"],
                dataset=row["dataset"],
                description=row["description"],
                version=version["version"],
                producer=version["producer"],
                until=moment_of(version["snapshot"]),
            )
            for row in sorted(found, key=lambda row: str(row["dataset"]))
            for version in [row if row["version"] else current.get(row["dataset"], row)]
        ]

    def current_versions(self, datasets: Collection[str]) -> dict[str, Row]:
        """Last release of datasets (the current version where nothing is released) with its producer."""
        columns = "dataset:=Dataset,version:=Version,producer:=Execution,snapshot:=Snapshot"
        found: dict[str, Row] = {}
        for row in self._select(self._ml(MLTable.dataset_version), {"Dataset": datasets}, columns):
            known = found.get(row["dataset"])
            if known is None or _rank(row) > _rank(known):
                found[row["dataset"]] = row
        return found

    def member_producers(self, wanted: Collection[State]) -> dict[State, list[str]]:
        """Executions that made assets which are members of datasets, or of datasets nested in them.

        Parameters
        ----------
        wanted : collection of (str, datetime or None)
            RIDs of datasets, each with the moment after which added members do not count.
        """
        if not wanted:
            return {}
        owners = self._owners({rid for rid, _ in wanted})
        states: dict[str, list[State]] = defaultdict(list)
        for state in wanted:
            states[state[0]].append(state)
        found: dict[State, set[str]] = defaultdict(set)
        for row in self._made_members(owners):
            since = _time(row["first"])
            for state in (state for owner in owners[row["dataset"]] for state in states[owner]):
                if state[1] is None or since <= state[1]:
                    found[state].add(row["producer"])
        return {state: sorted(producers) for state, producers in found.items()}

    def _made_members(self, datasets: Collection[str]) -> Iterator[Row]:
        """Per dataset and execution that made members of it: since when the first of these is a member."""
        linked = {path_of(asset): (link, here, there) for asset, link, here, there in self._assets}
        for element in self.model.dataset_elements():
            if path_of(element.table) not in linked:
                continue
            table, asset_column, execution_column = linked[path_of(element.table)]
            rest = (
                f"P:=(M:{escaped(element.element_column)})=({path_of(table)}:{escaped(asset_column)})"
                f"/Asset_Role={AssetRole.output}"
                f"/dataset:=M:{escaped(element.dataset_column)},producer:=P:{escaped(execution_column)}"
                ";first:=min(M:RCT)"
            )
            where = {element.dataset_column: datasets}
            yield from self._select(f"M:={path_of(element.association)}", where, rest, kind="attributegroup")

    def _owners(self, datasets: Collection[str]) -> dict[str, set[str]]:
        """For datasets and all nested in them: which of `datasets` contain them."""
        owners = {rid: {rid} for rid in datasets}
        level = set(datasets)
        while level:
            columns = "parent:=Dataset,child:=Nested_Dataset"
            below = self._select(self._ml("Dataset_Dataset"), {"Dataset": level}, columns)
            level = set()
            for row in below:
                known = owners.setdefault(row["child"], set())
                if not owners[row["parent"]] <= known:
                    known |= owners[row["parent"]]
                    level.add(row["child"])
        return owners

    def read_assets(
        self, rids: Collection[str]
    ) -> tuple[dict[str, list[AssetSummary]], dict[str, list[str]]]:
        """Assets that executions read, and the executions that wrote these assets, the first writer first."""
        read: dict[str, list[AssetSummary]] = defaultdict(list)
        makers: dict[str, list[str]] = defaultdict(list)
        for table, link, asset_column, execution_column in self._assets:
            asset, execution = escaped(asset_column), escaped(execution_column)
            role = f"Asset_Role={AssetRole.input}"
            found = self._select(
                f"L:={path_of(link)}",
                {execution_column: rids},
                f"{role}/A:=(L:{asset})=({path_of(table)}:RID)/$L/execution:=L:{execution},asset:=A:RID,filename:=A:Filename",
            )
            for row in sorted(found, key=lambda row: str(row["asset"])):
                summary = AssetSummary(rid=row["asset"], filename=row["filename"], asset_table=table.name)
                read[row["execution"]].append(summary)
            if found:
                makers.update(self.asset_producers(table, {row["asset"] for row in found}))
        return read, makers

    def asset_producers(self, table: Table, rids: Collection[str]) -> dict[str, list[str]]:
        """Executions that wrote assets, the first writer first."""
        link, asset_column, execution_column = self.model.asset_executions(table)
        columns = f"asset:={escaped(asset_column)},producer:={escaped(execution_column)},RCT"
        found = self._select(
            path_of(link), {asset_column: rids, "Asset_Role": [AssetRole.output.value]}, columns
        )
        makers: dict[str, list[str]] = defaultdict(list)
        for row in sorted(found, key=lambda row: (row["RCT"], row["producer"])):
            makers[row["asset"]].append(row["producer"])
        return makers

    # --- asking ---------------------------------------------------------------------------------------------------

    def _ml(self, name: str) -> str:
        return path_of(self.model.ml_table(name))

    def _select(
        self, table: str, where: Mapping[str, Collection[Any]], rest: str, kind: str = "attribute"
    ) -> list[Row]:
        return list(self._pieces(table, where, rest, kind))

    def _pieces(
        self, table: str, where: Mapping[str, Collection[Any]], rest: str, kind: str
    ) -> Iterator[Row]:
        for condition in conditions(self.session.connection, where):
            yield from query(self.session.connection, f"/{kind}/{table}{condition}/{rest}")


def _rank(row: Row) -> tuple[bool, DatasetVersion]:
    label = DatasetVersion(row["version"])
    return not label.is_devrelease, label


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def moment_of(snaptime: str | None) -> datetime | None:
    """When a snapshot was, from its id: microseconds since 1970 in base 32."""
    if not snaptime:
        return None
    number = 0
    for symbol in snaptime.replace("-", "").upper():
        number = number * 32 + _ALPHABET.index(symbol.replace("O", "0").replace("I", "1").replace("L", "1"))
    # Ids are 64-bit numbers; 13 symbols have 65 bits, of which the last one is always zero.
    return _EPOCH + timedelta(microseconds=number >> 1)
