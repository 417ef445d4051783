"""Who made what and who read what, from the answers of a source, one generation at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from deriva_ml.lineage.questions import EXECUTION, Questions
from deriva_ml.lineage.report import AssetSummary, DatasetSummary, ExecutionSummary, WorkflowSummary
from deriva_ml.lineage.walk import Facts
from deriva_ml.names import DatasetVersion

if TYPE_CHECKING:
    from deriva_ml.lineage.sources import Source
    from deriva_ml.model.graph import Table
    from deriva_ml.rows.reader import Row

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

UNKNOWN = "Unknown"

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
    questions : Questions
    source : Source

    Attributes
    ----------
    questions : Questions
    ask : callable
        Asks the source.
    """

    def __init__(self, questions: Questions, source: Source) -> None:
        self.questions, self.ask = questions, source.ask
        self._facts: dict[str, Facts] = {}
        self._nameless: dict[str, ExecutionSummary] = {}
        self.reads: dict[str, list[ReadDataset]] = defaultdict(list)
        """Dataset versions that executions read, as far as these were looked up."""

    # --- what executions read -------------------------------------------------------------------------------------

    def inputs(self, rids: Collection[str]) -> dict[str, Facts]:
        """Executions, what they read, and the executions that made that; each is looked up once.

        Their descriptions come with `name_all`, so that all of them take one request.
        """
        fresh = [rid for rid in dict.fromkeys(rids) if rid not in self._facts]
        if fresh:
            self._look_up(fresh)
        return {rid: self._facts[rid] for rid in rids}

    def name_all(self) -> None:
        """Complete the summaries of all executions that were looked up."""
        known = self.summaries(self._nameless)
        for rid, summary in self._nameless.items():
            for name, value in known.get(rid, summary):
                setattr(summary, name, value)
        self._nameless = {}

    def _look_up(self, rids: Sequence[str]) -> None:
        datasets = self.read_datasets(rids)
        members = self.member_producers({(read.dataset, read.until) for read in datasets})
        assets, makers = self.read_assets(rids)
        for read in datasets:
            self.reads[read.execution].append(read)
        for rid in rids:
            reads = self.reads.get(rid, [])
            producers = [each.producer for each in reads if each.producer]
            producers += [maker for each in reads for maker in members.get((each.dataset, each.until), ())]
            producers += [maker for asset in assets.get(rid, ()) for maker in makers.get(asset.rid, ())[:1]]
            self._nameless[rid] = ExecutionSummary(rid=rid, status=UNKNOWN)
            self._facts[rid] = Facts(
                execution=self._nameless[rid],
                datasets=tuple(
                    DatasetSummary(rid=each.dataset, description=each.description, version=each.version)
                    for each in reads
                ),
                assets=tuple(assets.get(rid, ())),
                neighbours=tuple(maker for maker in dict.fromkeys(producers) if maker != rid),
            )

    def summaries(self, rids: Collection[str]) -> dict[str, ExecutionSummary]:
        """Summaries of executions."""
        return {
            row["rid"]: ExecutionSummary(
                rid=row["rid"],
                description=row["description"],
                status=row["status"] or UNKNOWN,
                workflow=WorkflowSummary(rid=row["workflow"], name=row["name"]) if row["workflow"] else None,
            )
            for row in self.ask(self.questions.summaries, rids)
        }

    def read_datasets(self, rids: Collection[str]) -> list[ReadDataset]:
        """Dataset versions that executions read, by RID of the dataset."""
        found = self.ask(self.questions.read_datasets, rids)
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
            for row in sorted(found, key=lambda row: (str(row["dataset"]), str(row["version"])))
            for version in [row if row["version"] else current.get(row["dataset"], row)]
        ]

    def versions(self, datasets: Collection[str]) -> list[Row]:
        """All versions of datasets."""
        return self.ask(self.questions.versions, datasets)

    def current_versions(self, datasets: Collection[str]) -> dict[str, Row]:
        """Last release of datasets (the current version where nothing is released) with its producer."""
        found: dict[str, Row] = {}
        for row in self.versions(datasets):
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
        if not wanted or not self.questions.made_members:
            return {}
        owners = self._owners({rid for rid, _ in wanted})
        states: dict[str, list[State]] = defaultdict(list)
        for state in wanted:
            states[state[0]].append(state)
        found: dict[State, set[str]] = defaultdict(set)
        for members, assets in self.questions.made_members:
            for row in self.ask(members.makers(assets), owners):
                since = time_of(row["first"])
                for state in (state for owner in owners[row["dataset"]] for state in states[owner]):
                    if state[1] is None or since <= state[1]:
                        found[state].add(row["producer"])
        return {state: sorted(producers) for state, producers in found.items()}

    def _owners(self, datasets: Collection[str]) -> dict[str, set[str]]:
        """For datasets and all nested in them: which of `datasets` contain them."""
        owners = {rid: {rid} for rid in datasets}
        level = set(datasets)
        while level:
            below = self.ask(self.questions.nested, level)
            level = set()
            for row in below:
                known = owners.setdefault(row["there"], set())
                if not owners[row["here"]] <= known:
                    known |= owners[row["here"]]
                    level.add(row["there"])
        return owners

    def read_assets(
        self, rids: Collection[str]
    ) -> tuple[dict[str, list[AssetSummary]], dict[str, list[str]]]:
        """Assets that executions read, and the executions that wrote these assets, the first writer first."""
        read: dict[str, list[AssetSummary]] = defaultdict(list)
        makers: dict[str, list[str]] = defaultdict(list)
        for assets in self.questions.assets:
            found = self.ask(assets.read, rids)
            for row in sorted(found, key=lambda row: str(row["asset"])):
                name = assets.table.name
                summary = AssetSummary(rid=row["asset"], filename=row["filename"], asset_table=name)
                read[row["execution"]].append(summary)
            if found:
                makers.update(self.asset_producers(assets.table, {row["asset"] for row in found}))
        return read, makers

    def asset_producers(self, table: Table, rids: Collection[str]) -> dict[str, list[str]]:
        """Executions that wrote assets of a table, the first writer first."""
        makers: dict[str, list[str]] = defaultdict(list)
        found = self.ask(self.questions.links(table).makers, rids)
        for row in sorted(found, key=lambda row: (row["made"], row["producer"])):
            makers[row["asset"]].append(row["producer"])
        return makers

    # --- who read what executions made ----------------------------------------------------------------------------

    def outputs(self, rids: Sequence[str]) -> dict[str, Facts]:
        """Look up executions, what they read, and the executions that read what they made.

        An execution comes after another exactly where the other is among those that made its inputs.
        """
        candidates: set[str] = set()
        containers: set[str] = set()
        for step in self.questions.down:
            if step.origin == EXECUTION:
                found = {row["there"] for row in self.ask(step.question, rids)}
                (candidates if step.to == EXECUTION else containers).update(found)
        candidates |= self.readers(self.containers(containers))
        facts = self.inputs([*rids, *sorted(candidates - {None})])
        after: dict[str, list[str]] = defaultdict(list)
        for rid in sorted(facts):
            for maker in facts[rid].neighbours:
                after[maker].append(rid)
        return {rid: facts[rid].leading_to(after[rid]) for rid in rids if rid in facts}

    def containers(self, datasets: Collection[str]) -> dict[str, set[str]]:
        """Datasets, and all that contain them: each with those of `datasets` that are in it."""
        inside = {rid: {rid} for rid in datasets}
        level = set(datasets)
        while level:
            above = self.ask(self.questions.containers, level)
            level = set()
            for row in above:
                known = inside.setdefault(row["there"], set())
                if not inside[row["here"]] <= known:
                    known |= inside[row["here"]]
                    level.add(row["there"])
        return inside

    def readers(self, datasets: Collection[str]) -> set[str]:
        """Executions that read datasets in any version."""
        if not datasets:
            return set()
        return {row["there"] for row in self.ask(self.questions.readers, datasets)}


def _rank(row: Row) -> tuple[bool, DatasetVersion]:
    label = DatasetVersion(row["version"])
    return not label.is_devrelease, label


def time_of(text: str) -> datetime:
    """A time as the service writes it."""
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
