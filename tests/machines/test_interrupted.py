"""Ctrl-C at any call of what users do: it can be done again, and nothing that was kept contradicts itself."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.interrupting import calls_of, interrupted_at

from deriva_ml import (
    BuiltinTypes,
    ColumnDefinition,
    DatasetSpec,
    DerivaML,
    ExecutionConfiguration,
    TableDefinition,
)
from deriva_ml.dataset.split import split_dataset
from deriva_ml.errors import DerivaMLConflictError
from deriva_ml.schema import create_ml_catalog

# Python swallows an interruption that arrives in a callback of the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

FILES = 12
_numbers = itertools.count()


class Trial(NamedTuple):
    """Something to do, and what must hold afterwards, whether it was interrupted or not."""

    work: Callable[[], Any]
    check: Callable[[], None]


class Lab:
    """A catalog with files that have a feature."""

    def __init__(self, folder: Path) -> None:
        create_ml_catalog(folder / "lab", "texts")
        self.ml = ml = DerivaML(folder / "lab", 1, working_dir=folder / "work")
        ml.create_schema("texts")
        ml.create_asset("Document")
        ml.create_vocabulary("Quality", "How good a text is.")
        ml.add_term("Quality", "Good", "Worth reading.")
        ml.create_feature("Document", "Quality", terms=["Quality"])
        ml.add_dataset_element_type("Document")
        self.workflow = ml.create_workflow("Reading", "Analysis")
        with self.begin() as made:
            self.write(made, "Document")
        made.commit_output_assets()
        self.documents = [asset.asset_rid for asset in ml.list_assets("Document")]

    def begin(self, **inputs: Any) -> Any:
        return self.ml.create_execution(
            ExecutionConfiguration(workflow=self.workflow, description="a run", **inputs)
        )

    def write(self, execution: Any, table: str) -> None:
        for _ in range(FILES):
            number = next(_numbers)
            execution.asset_file_path(table, f"{number}.txt").write_text(str(number))

    def dataset(self, execution: Any) -> Any:
        made = execution.create_dataset(dataset_types=[], description="of files")
        made.add_dataset_members(self.documents)
        return made


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
        return Lab(tmp_path_factory.mktemp("interrupted"))


def run(lab: Lab) -> Trial:
    """What the catalog says of an execution is what this machine says, once it is taken up."""
    before = {record.execution_rid for record in lab.ml.find_executions()}

    def work() -> None:
        with lab.begin(assets=[lab.documents[0]]) as execution:
            lab.write(execution, "Document")

    def check() -> None:
        for record in lab.ml.find_executions():
            if record.execution_rid not in before:
                taken_up = lab.ml.resume_execution(record.execution_rid)
                assert lab.ml.lookup_execution(record.execution_rid).status == taken_up.status

    return Trial(work, check)


def commit(lab: Lab) -> Trial:
    """Once more, by the same object or another, and everything is there once."""
    with lab.begin() as execution:
        lab.write(execution, "Document")
        record = lab.ml.feature_record_class("Document", "Quality")
        execution.add_features([record(Document=rid, Quality="Good") for rid in lab.documents])
    rid = execution.execution_rid
    again = execution if next(_numbers) % 2 else None

    def check() -> None:
        (again or lab.ml.resume_execution(rid)).commit_output_assets()
        outputs = [asset.asset_table for asset in execution.list_assets(asset_role="Output")]
        values = [
            value.Document for value in lab.ml.feature_values("Document", "Quality") if value.Execution == rid
        ]
        assert outputs.count("Document") == FILES and sorted(values) == sorted(lab.documents)
        assert lab.ml.lookup_execution(rid).status == execution.status == "Uploaded"

    return Trial(execution.commit_output_assets, check)


def dataset(lab: Lab) -> Trial:
    """Has a version, and all of its members or none."""
    with lab.begin() as execution:
        pass
    before = {found.dataset_rid for found in lab.ml.find_datasets()}

    def check() -> None:
        for found in lab.ml.find_datasets():
            if found.dataset_rid not in before:
                members = found.list_dataset_members().get("Document", [])
                assert found.dataset_history() and len(members) in (0, FILES)

    return Trial(lambda: lab.dataset(execution), check)


def download(lab: Lab) -> Trial:
    """Once more, and the bag is complete."""
    with lab.begin() as execution:
        made = lab.dataset(execution)
    spec = DatasetSpec(rid=made.dataset_rid, version=made.current_version)

    def check() -> None:
        bag = lab.ml.download_dataset_bag(spec)
        assert len(bag.list_dataset_members()["Document"]) == FILES

    return Trial(lambda: lab.ml.download_dataset_bag(spec), check)


def define(lab: Lab) -> Trial:
    """Once more, and what is refused then is there and can be used."""
    number, ml = next(_numbers), lab.ml
    steps: list[Callable[[], Any]] = [
        lambda: ml.create_asset(f"Asset{number}"),
        lambda: ml.create_feature(f"Asset{number}", "Quality", terms=["Quality"]),
        lambda: ml.create_vocabulary(f"Terms{number}", "Some words."),
        lambda: ml.add_term(f"Terms{number}", "one", "The first."),
        lambda: ml.create_table(
            TableDefinition(f"Plain{number}", [ColumnDefinition("Name", BuiltinTypes.text)])
        ),
    ]

    def work() -> None:
        for step in steps:
            step()

    def check() -> None:
        for step in steps:
            with suppress(DerivaMLConflictError):
                step()
        assert [feature.feature_name for feature in ml.find_features(f"Asset{number}")] == ["Quality"]
        assert [term.name for term in ml.list_vocabulary_terms(f"Terms{number}")] == ["one"]
        with lab.begin() as execution:
            lab.write(execution, f"Asset{number}")
        assert execution.commit_output_assets().total_uploaded == FILES

    return Trial(work, check)


def split(lab: Lab) -> Trial:
    """Three datasets with the members of the first, or none."""
    with lab.begin() as execution:
        whole = lab.dataset(execution)
    before = {found.dataset_rid for found in lab.ml.find_datasets()}

    def check() -> None:
        new = [found for found in lab.ml.find_datasets() if found.dataset_rid not in before]
        sizes = sorted(len(found.list_dataset_members().get("Document", [])) for found in new)
        assert sizes in ([], [0, FILES // 4, FILES - FILES // 4])

    return Trial(
        lambda: split_dataset(lab.ml, whole.dataset_rid, test_size=0.25, seed=1, execution=execution), check
    )


TRIALS = [run, commit, dataset, download, define, split]


def interrupt(lab: Lab, prepare: Callable[[Lab], Trial], times: int, seed: int) -> None:
    chance, pressed = random.Random(seed), 0
    # What is loaded and compiled by the first is not what the others have to do.
    for _ in range(2):
        trial = prepare(lab)
        calls = calls_of(trial.work)
        trial.check()
    for _ in range(times):
        moment, trial = chance.randrange(1, calls), prepare(lab)
        pressed += interrupted_at([moment], trial.work)
        trial.check()
    print(f"{prepare.__name__}: interrupted {pressed} times at one of {calls} calls")
    assert pressed


@pytest.mark.parametrize("prepare", TRIALS)
def test_interrupted_a_few_times(lab: Lab, prepare: Callable[[Lab], Trial]) -> None:
    interrupt(lab, prepare, 4, 1)


@pytest.mark.soak
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("prepare", TRIALS)
def test_interrupted_many_times(lab: Lab, prepare: Callable[[Lab], Trial]) -> None:
    interrupt(lab, prepare, 150, 2)
