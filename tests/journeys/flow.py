"""Random flows of data, written row by row into a catalog, and what their lineage must be by the plainest reading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from deriva_ml import DerivaML
from deriva_ml.names import DatasetVersion
from deriva_server.names import encode_id, to_microseconds

_BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
LABELS = ("0.2.0", "0.10.0", "0.9.0", "0.10.0.post1.dev1")


def moment(tick: int) -> datetime:
    return _BEGIN + timedelta(hours=tick)


@dataclass
class Flow:
    """Everything by number; times are ticks, None for never.

    Parameters
    ----------
    executions, assets, datasets : int
        How many there are.
    writes, reads : list of (execution, asset, tick) and (execution, asset)
    versions : dict
        By (dataset, label): the execution that made it, and when it was released.
    uses : dict
        By (execution, dataset): the label of the version that was read, None where it was not recorded.
    members, nested : dict
        By (dataset, asset) and (dataset, dataset): since when.
    """

    executions: int
    assets: int
    datasets: int
    writes: dict[tuple[int, int], int] = field(default_factory=dict)
    reads: set[tuple[int, int]] = field(default_factory=set)
    versions: dict[tuple[int, str], tuple[int | None, int | None]] = field(default_factory=dict)
    uses: dict[tuple[int, int], str | None] = field(default_factory=dict)
    members: dict[tuple[int, int], int] = field(default_factory=dict)
    nested: set[tuple[int, int]] = field(default_factory=set)

    # --- what must come out ---

    def inside(self, dataset: int) -> set[int]:
        """A dataset and all nested in it."""
        found, queue = {dataset}, [dataset]
        for each in queue:
            for outer, inner in self.nested:
                if outer == each and inner not in found:
                    found.add(inner)
                    queue.append(inner)
        return found

    def current(self, dataset: int) -> str | None:
        labels = [label for each, label in self.versions if each == dataset]
        released = [label for label in labels if "dev" not in label]
        return max(released or labels, key=DatasetVersion, default=None)

    def writers(self, asset: int) -> list[int]:
        return sorted((e for e, a in self.writes if a == asset), key=lambda e: (self.writes[e, asset], e))

    def member_makers(self, dataset: int, until: int | None) -> set[int]:
        return {
            writer
            for inner in self.inside(dataset)
            for (owner, asset), since in self.members.items()
            if owner == inner and (until is None or since <= until)
            for writer in self.writers(asset)
        }

    def read_version(self, execution: int, dataset: int) -> tuple[int | None, int | None]:
        label = self.uses[execution, dataset] or self.current(dataset)
        return self.versions[dataset, label] if label else (None, None)

    def parents(self, execution: int) -> set[int]:
        found: set[int | None] = set()
        for reader, dataset in self.uses:
            if reader == execution:
                producer, until = self.read_version(reader, dataset)
                found |= {producer} | self.member_makers(dataset, until)
        found |= {self.writers(asset)[0] for e, asset in self.reads if e == execution and self.writers(asset)}
        return {each for each in found if each is not None and each != execution}

    def up(self) -> dict[int, set[int]]:
        return {each: self.parents(each) for each in range(self.executions)}

    def down(self) -> dict[int, set[int]]:
        up = self.up()
        return {each: {other for other in up if each in up[other]} for each in up}

    def readers_of_dataset(self, dataset: int) -> set[int]:
        made_by_last = self.current(dataset)
        maker = self.versions[dataset, made_by_last][0] if made_by_last else None
        return {
            reader
            for reader, used in self.uses
            if dataset in self.inside(used) and self.read_version(reader, used)[0] != reader
        } - {maker}

    def readers_of_asset(self, asset: int) -> set[int]:
        found = {reader for reader, read in self.reads if read == asset}
        for reader, used in self.uses:
            until = self.read_version(reader, used)[1]
            for (owner, member), since in self.members.items():
                if member == asset and owner in self.inside(used) and (until is None or since <= until):
                    found.add(reader)
        return found - set(self.writers(asset)[:1])


def closure(graph: dict[int, set[int]], starts: set[int]) -> set[int]:
    found, queue = set(starts), list(starts)
    for each in queue:
        for other in graph[each] - found:
            found.add(other)
            queue.append(other)
    return found


@st.composite
def flows(draw: st.DrawFn, largest: int = 7) -> Flow:
    executions, assets, datasets = (
        draw(st.integers(1, largest)),
        draw(st.integers(0, 4)),
        draw(st.integers(0, 4)),
    )
    ticks, some = st.integers(0, 9), st.integers(0, executions - 1)

    def pairs(left: int, right: int, most: int = 8) -> Any:
        if not left or not right:
            return st.just([])
        return st.lists(
            st.tuples(st.integers(0, left - 1), st.integers(0, right - 1)), unique=True, max_size=most
        )

    flow = Flow(executions, assets, datasets)
    flow.writes = {pair: draw(ticks) for pair in draw(pairs(executions, assets))}
    # The link table has one row per asset and execution.
    flow.reads = {pair for pair in draw(pairs(executions, assets)) if pair not in flow.writes}
    for dataset in range(datasets):
        for label in draw(st.lists(st.sampled_from(LABELS), unique=True, max_size=3)):
            until = None if "dev" in label else draw(ticks)
            flow.versions[dataset, label] = draw(st.none() | some), until
    for execution, dataset in draw(pairs(executions, datasets)):
        known = [label for each, label in flow.versions if each == dataset]
        flow.uses[execution, dataset] = draw(st.none() | st.sampled_from(known)) if known else None
    flow.members = {pair: draw(ticks) for pair in draw(pairs(datasets, assets))}
    flow.nested = {pair for pair in draw(pairs(datasets, datasets, 4)) if pair[0] != pair[1]}
    return flow


@dataclass
class Written:
    """RIDs of what a flow consists of, by number."""

    executions: list[str]
    assets: list[str]
    datasets: list[str]


def write(ml: DerivaML, flow: Flow, table: str = "Image") -> Written:
    """Write a flow into a catalog."""

    def insert(name: str, rows: list[dict[str, Any]], options: str = "") -> list[str]:
        if not rows:
            return []
        return [row["RID"] for row in ml.catalog.post(f"/entity/{name}{options}", json=rows).json()]

    def at(tick: int) -> str:
        return moment(tick).isoformat()

    executions = insert("deriva-ml:Execution", [{"Status": "Uploaded"} for _ in range(flow.executions)])
    files = [
        {"URL": f"/hatrac/{executions[0]}/{n}", "Length": 1, "MD5": "0" * 32, "Filename": f"{n}"}
        for n in range(flow.assets)
    ]
    assets = insert(f"lab:{table}", files)
    datasets = insert(
        "deriva-ml:Dataset", [{"Description": f"{n}", "Deleted": False} for n in range(flow.datasets)]
    )
    links = [
        {table: assets[a], "Execution": executions[e], "Asset_Role": role, "RCT": at(tick)}
        for role, found in (("Output", flow.writes), ("Input", dict.fromkeys(flow.reads, 0)))
        for (e, a), tick in found.items()
    ]
    insert(f"lab:{table}_Execution", links, "?nondefaults=RCT")
    versions = dict(
        zip(
            flow.versions,
            insert(
                "deriva-ml:Dataset_Version",
                [
                    {
                        "Dataset": datasets[dataset],
                        "Version": label,
                        "Description": "",
                        "Execution": None if maker is None else executions[maker],
                        "Snapshot": None if until is None else encode_id(to_microseconds(moment(until))),
                    }
                    for (dataset, label), (maker, until) in flow.versions.items()
                ],
            ),
            strict=True,
        )
    )
    used = [
        {
            "Dataset": datasets[dataset],
            "Execution": executions[execution],
            "Dataset_Version": versions[dataset, label] if label else None,
        }
        for (execution, dataset), label in flow.uses.items()
    ]
    insert("deriva-ml:Dataset_Execution", used)
    members = [
        {"Dataset": datasets[dataset], table: assets[asset], "RCT": at(tick)}
        for (dataset, asset), tick in flow.members.items()
    ]
    insert(f"lab:Dataset_{table}", members, "?nondefaults=RCT")
    inner = [{"Dataset": datasets[outer], "Nested_Dataset": datasets[inner]} for outer, inner in flow.nested]
    insert("deriva-ml:Dataset_Dataset", inner)
    return Written(executions, assets, datasets)


def chain(length: int) -> Flow:
    """Each execution reads what the one before made."""
    made = {(number, number): 0 for number in range(length)}
    return Flow(length, length, 0, made, {(number + 1, number) for number in range(length - 1)})


def fan(width: int) -> Flow:
    """One execution reads what all others made."""
    made = {(number, number): 0 for number in range(width)}
    return Flow(width + 1, width, 0, made, {(width, number) for number in range(width)})


def mesh(side: int) -> Flow:
    """Each execution of a generation reads what all of the one before made."""
    count = side * side
    read = {
        (number, before)
        for number in range(side, count)
        for before in range((number // side - 1) * side, number // side * side)
    }
    return Flow(count, count, 0, {(number, number): 0 for number in range(count)}, read)


@contextmanager
def plain(ml: DerivaML) -> Iterator[None]:
    """As with a service that knows no walk."""
    site = ml._session.connection.site
    known, site.features = site.features, {}
    try:
        yield
    finally:
        site.features = known
