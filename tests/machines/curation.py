"""Datasets that are made, filled, released, thinned out and split by a process that is killed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from deriva_ml.dataset import dataset as datasets
from deriva_ml.dataset import members as room
from deriva_ml.dataset import registry
from deriva_ml.dataset.dataset import Dataset
from deriva_ml.dataset.split import split_dataset
from deriva_ml.ermrest import rows
from deriva_ml.model.define import ColumnDefinition, TableDefinition
from deriva_ml.model.types import BuiltinTypes
from deriva_ml.schema.create import create_connected
from deriva_ml.session import Session
from deriva_ml.workflow.workflow import Workflow
from deriva_ml.workflow.workflow import add as add_workflow

SUBJECTS, SAMPLES, GONE = 20, 6, 4
STATES = {"0.1.0": 0, "0.2.0": SUBJECTS + SAMPLES, "0.3.0": SUBJECTS + SAMPLES - GONE}
PARTS = {"Training": 12, "Testing": 4}
_ROWS_PER_REQUEST = 8


@dataclass(frozen=True)
class Cabinet:
    """A catalog for datasets, with rows of two tables, and an execution that makes them."""

    host: str
    catalog_id: str
    execution_rid: str
    subjects: tuple[str, ...]
    samples: tuple[str, ...]

    @classmethod
    def made(cls, folder: Path) -> Cabinet:
        """A new one on SQLite files."""
        connection = create_connected(folder / "lab", "lab", domain_schema="lab")
        session = Session.open(connection.host, connection.catalog_id, working_dir=folder / "setup")
        found = []
        for name, number in (("Subject", SUBJECTS), ("Sample", SAMPLES)):
            session.create_tables([TableDefinition(name, [ColumnDefinition("Name", BuiltinTypes.text)])])
            registry.add_element_type(session, name)
            new = [{"Name": f"{name} {place}"} for place in range(number)]
            found.append(
                tuple(sorted(row["RID"] for row in rows.insert(connection, session.table(name), new)))
            )
        workflow = Workflow(
            name="cut", workflow_type="Testing", url="https://example.org/cut", checksum="c" * 40
        )
        made = {"Workflow": add_workflow(session, workflow), "Status": "Running"}
        (execution,) = rows.insert(connection, session.ml_table("Execution"), [made])
        return cls(connection.host, connection.catalog_id, execution["RID"], *found)

    def session(self, folder: Path) -> Session:
        """A session of its own working directory in `folder`."""
        return Session.open(self.host, self.catalog_id, working_dir=folder / "work")

    # Members take several requests.
    @patch.object(room, "_CHUNK", _ROWS_PER_REQUEST)
    def curate(self, session: Session, label: str) -> None:
        """What a user does, and does again after a crash: ask what is there, and make the calls whose result is not."""
        dataset = next(_named(session, label), None)
        if dataset is None:
            dataset = datasets.create(
                session, execution_rid=self.execution_rid, dataset_types=["Complete"], description=label
            )
        members = {"Subject": self.subjects, "Sample": self.samples}
        if "0.2.0" not in _labels(dataset):
            if _count(dataset) != STATES["0.2.0"]:
                dataset.add_dataset_members(members)
            dataset.release("minor", "filled")
        if "0.3.0" not in _labels(dataset):
            if _count(dataset) != STATES["0.3.0"]:
                dataset.delete_dataset_members({"Subject": self.subjects[:GONE]})
            dataset.release("minor", "thinned out")
        if next(_named(session, f"{label} split"), None) is None:
            split_dataset(
                session,
                dataset.dataset_rid,
                self.execution_rid,
                test_size=PARTS["Testing"],
                element_table="Subject",
                split_description=f"{label} split",
            )


def _named(session: Session, description: str) -> Iterator[Dataset]:
    return (found for found in datasets.find(session) if found.description == description)


def _labels(dataset: Dataset) -> list[str]:
    return [str(entry.dataset_version) for entry in dataset.dataset_history()]


def _count(dataset: Dataset, version: str | None = None) -> int:
    return sum(map(len, dataset.list_dataset_members(version=version).values()))


def broken(session: Session, label: str) -> list[str]:
    """What must not be, whenever a process died."""
    versions = session.reader.rows(session.ml_table("Dataset_Version"), columns=["Dataset"])
    versioned = {row["Dataset"] for row in versions}
    everything = registry.find(session, deleted=True)
    wrong = [f"{row['RID']} has no version" for row in everything if row["RID"] not in versioned]
    for dataset in _named(session, label):
        labels = _labels(dataset)
        if sum("dev" in text for text in labels) > 1:
            wrong.append(f"several dev versions: {labels}")
        for version, number in STATES.items():
            if version in labels and _count(dataset, version) != number:
                wrong.append(f"{version} has {_count(dataset, version)} members, not {number}")
    for name, parts in _splits(session, label).items():
        if len(parts) not in (0, len(PARTS)):
            wrong.append(f"{name} has parts {parts}")
    return wrong


def _splits(session: Session, label: str) -> dict[str, list[Dataset]]:
    return {whole.dataset_rid: whole.list_dataset_children() for whole in _named(session, f"{label} split")}


def outcome(session: Session, label: str) -> dict[str, Any]:
    """What the catalog holds in the end of the datasets of a label, without RIDs and times."""
    (dataset,) = _named(session, label)
    ((whole, parts),) = _splits(session, label).items()
    inside = {part.dataset_rid: part for part in parts}
    strays = [
        part.dataset_rid
        for part in datasets.find(session)
        if f"dataset {dataset.dataset_rid} " in part.description and part.dataset_rid not in inside
    ]
    rids = [rid for part in parts for rid in part.list_members("Subject")]
    pointers = {row["RID"]: row["Version"] for row in registry.find(session)}
    own = [dataset, datasets.lookup(session, whole), *parts]
    for one in own:
        # A process that died right before noting the snapshot of a first release left that to the first reader.
        assert _count(one, _labels(one)[0]) == _count(one) or one is dataset
    return {
        "versions": {version: _count(dataset, version) for version in _labels(dataset)},
        "types": [one.dataset_types for one in own],
        "parts": [len(part.list_members("Subject")) for part in parts],
        "leaks": len(rids) - len(set(rids)),
        "strays": strays,
        "current": [pointers[one.dataset_rid] == one.dataset_history()[-1].version_rid for one in own],
        "snapshots": [all(entry.snapshot for entry in one.dataset_history()) for one in own],
        "dirty": dataset.is_dirty(),
    }
