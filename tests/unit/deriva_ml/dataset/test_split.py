"""Whatever is drawn, no member is in two parts; and what was drawn is recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deriva_ml.dataset import dataset as datasets
from deriva_ml.dataset import partition
from deriva_ml.dataset.draw import Drawing, Source, random_split, stratified_split
from deriva_ml.dataset.split import split_dataset, subsample
from deriva_ml.ermrest import rows
from deriva_ml.errors import DerivaMLException, DerivaMLTableTypeError, DerivaMLValidationError
from deriva_ml.execution.execution import create_execution
from deriva_ml.specs import ExecutionConfiguration
from deriva_ml.workflow.workflow import Workflow

GRADE = "Execution_Subject_Graded.Grade"
WIDE = {"include_tables": ("Subject", "Graded")}
WAYS: list[dict[str, Any]] = [
    {},
    {"shuffle": False},
    {"stratify_by_column": GRADE, "stratify_missing": "drop", **WIDE},
    {"stratify_by_column": GRADE, "stratify_missing": "include", **WIDE},
    {"selection_fn": random_split, **WIDE},
    {"selection_fn": stratified_split(GRADE, "drop"), **WIDE},
    {"selection_fn": stratified_split(GRADE, "include"), "partition_by": "element", **WIDE},
]


def grown(lab: Any, grades: list[str | None], nested: int) -> tuple[Any, dict[str, str | None]]:
    """A dataset of graded subjects, the first of which are in a nested dataset too, graded twice alike."""
    rids = lab.subjects(len(grades))
    graded = dict(zip(rids, grades, strict=True))
    lab.grade(graded)
    inner, outer = lab.dataset(), lab.dataset()
    lab.grade({rid: graded[rid] for rid in rids[:nested]}, again=True)
    inner.add_dataset_members({"Subject": rids[: nested + 1]})
    outer.add_dataset_members({"Subject": rids, "Dataset": [inner.dataset_rid]})
    return outer, graded


def check_parts(lab: Any, dataset: Any, graded: dict[str, str | None], seed: int, share: float) -> None:
    for way in WAYS:
        drops = way.get("stratify_missing") == "drop" or (
            way.get("selection_fn") not in (None, random_split) and way is WAYS[5]
        )
        usable = [rid for rid, grade in graded.items() if grade or not drops]

        def sizes(total: int) -> dict[str, int]:
            return partition.part_sizes(total, test_size=share, val_size=1)

        def draw(way: dict[str, Any] = way) -> dict[str, list[str]]:
            drawing = Drawing(seed=seed, element_table="Subject", **way)
            return Source(lab.session, dataset, drawing).draw(sizes)

        parts = draw()
        assert list(parts) == ["Training", "Validation", "Testing"]
        drawn = [rid for rids in parts.values() for rid in rids]
        assert len(set(drawn)) == len(drawn), way
        assert set(drawn) <= set(usable), way
        if way is not WAYS[5]:
            assert {name: len(rids) for name, rids in parts.items()} == sizes(len(usable)), way
            assert set(drawn) == set(usable), way
        if way is WAYS[0] or way is WAYS[3]:
            assert draw() == parts, way


counts = st.lists(st.sampled_from(["Mild", "Severe", None]), min_size=7, max_size=24).filter(
    lambda grades: sum(grade is not None for grade in grades) > 5
)
_found = {"suppress_health_check": list(HealthCheck), "derandomize": True, "phases": [Phase.generate]}


@settings(max_examples=2, **_found)  # type: ignore[arg-type]
@given(counts, st.integers(0, 5), st.integers(0, 99), st.sampled_from([0.2, 0.5, 2]))
def test_no_member_is_in_two_parts(
    lab: Any, grades: list[str | None], nested: int, seed: int, share: float
) -> None:
    check_parts(lab, *grown(lab, grades, nested), seed, share)


@pytest.mark.soak
@settings(max_examples=60, **_found)  # type: ignore[arg-type]
@given(counts, st.integers(0, 5), st.integers(0, 99), st.sampled_from([0.2, 0.5, 2]))
def test_no_member_is_in_two_parts_at_length(
    lab: Any, grades: list[str | None], nested: int, seed: int, share: float
) -> None:
    check_parts(lab, *grown(lab, grades, nested), seed, share)


def test_grades_that_are_missing_or_disagree_are_errors(lab: Any) -> None:
    dataset, graded = grown(lab, ["Mild", "Severe", "Mild", "Severe", None], 0)
    asked = {"element_table": "Subject", "stratify_by_column": GRADE, "dry_run": True}
    wide = ["Subject", "Graded"]
    with pytest.raises(ValueError, match="1 of 5 items have no"):
        split_dataset(lab.session, dataset.dataset_rid, include_tables=wide, test_size=2, **asked)
    lab.grade({next(iter(graded)): "Severe"}, again=True)
    with pytest.raises(ValueError, match="several values"):
        subsample(
            lab.session, dataset.dataset_rid, size=2, include_tables=wide, stratify_missing="drop", **asked
        )


def test_rows_of_joined_tables_are_drawn_at_random_if_asked_for(
    lab: Any, caplog: pytest.LogCaptureFixture
) -> None:
    dataset, graded = grown(lab, ["Mild"] * 8, 7)
    asked = {"include_tables": ["Subject", "Graded"], "row_per": "Graded", "element_table": "Subject"}

    def drawn(**how: Any) -> tuple[int, set[str]]:
        """How many members the parts have together, and which."""
        drawing = Drawing(**asked, **how)
        parts = Source(lab.session, dataset, drawing).draw(lambda total: {"A": total // 2, "B": total // 2})
        return sum(map(len, parts.values())), {rid for rids in parts.values() for rid in rids}

    assert drawn(partition_by="element") == (8, set(graded))
    assert caplog.text == ""
    number, rids = drawn(partition_by="row")
    assert number > len(rids)
    assert (
        f"{number - len(rids)} of {len(rids)} members of Subject are in more than one of A, B" in caplog.text
    )
    assert "pass partition_by='element'" in caplog.text


def test_a_split_is_recorded(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    dataset = lab.dataset(Subject=lab.subjects(10))
    workflow = Workflow(name="s", workflow_type="Testing", url="https://example.org/s", checksum="e" * 40)
    config = ExecutionConfiguration(workflow=workflow, description="split")
    with create_execution(lab.session, config) as exe:
        # As after a process was killed right before the parts were made.
        for _ in range(2):
            result = split_dataset(lab.session, dataset.dataset_rid, exe, test_size=3, val_size=0.2)
        subsample(lab.session, dataset.dataset_rid, exe, size=0.5)
        subsample(lab.session, dataset.dataset_rid, exe, size=4, seed=1)
        kept = {path.name: path.read_text() for path in exe.working_dir.glob("*_config*.json")}
    exe.commit_output_assets()
    made = [result.training, result.validation, result.testing]
    assert [part.count for part in made] == [5, 2, 3]
    whole = datasets.lookup(lab.session, result.split.rid)
    assert [child.dataset_rid for child in whole.list_dataset_children()] == [part.rid for part in made]
    for part in [*made, result.split]:
        (entry,) = datasets.lookup(lab.session, part.rid).dataset_history()
        assert (str(entry.dataset_version), entry.execution_rid) == (part.version, exe.execution_rid)
    assert [str(entry.dataset_version) for entry in dataset.dataset_history()] == ["0.1.0", "0.2.0"]
    recorded = {asset.filename: asset for asset in exe.list_assets("Output")}
    assert {"split_config.json", "subsample_config.json", "subsample_config_2.json"} <= set(recorded)
    assert {"split_config.json", "subsample_config.json", "subsample_config_2.json"} == set(kept)
    assert json.loads(kept["subsample_config_2.json"])["size"] == 4
    stored = lab.session.connection.store.get_obj(recorded["split_config.json"].url)
    document = json.loads(stored.content)
    assert (document["source"], document["source_version"]) == (dataset.dataset_rid, "0.2.0")
    assert document["source_snapshot"] == dataset.dataset_history()[-1].snapshot
    assert (document["test_size"], document["val_size"], document["seed"]) == (3, 0.2, 42)
    assert [read.dataset_rid for read in exe.list_input_datasets()] == [dataset.dataset_rid]


@pytest.fixture(scope="module")
def six(lab: Any) -> Any:
    """A dataset of six subjects."""
    return lab.dataset(Subject=lab.subjects(6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_size": 0.7, "train_size": 0.7}, "cannot be split"),
        ({"test_size": 50}, "cannot be split"),
        ({"test_size": "a"}, "test_size"),
        ({"stratify_by_column": GRADE + "s", **WIDE}, "no column.*Graded.Grade"),
        ({"stratify_by_column": GRADE + "s", **WIDE}, r"no column '\S+'\. Did you mean [^,]*\?$"),
        ({"stratify_by_column": "Zzz.Qqq", **WIDE}, r"no column 'Zzz.Qqq'\. There are: .*Graded.Grade"),
        ({"stratify_by_column": GRADE, "include_tables": ["Subjekt"]}, "Subjekt"),
        ({"stratify_by_column": GRADE, "include_tables": "Subject"}, "include_tables cannot be"),
        ({"element_table": "Subjekt"}, "Subjekt"),
        ({"training_types": ["Nonsense"]}, "Nonsense"),
        ({"selection_fn": lambda *_: None, **WIDE}, "must return a mapping"),
        ({"selection_fn": "random", **WIDE}, "selection_fn cannot be 'random'"),
        ({"selection_fn": random_split}, "selection_fn needs include_tables"),
        ({"row_per": "Graded"}, "row_per needs include_tables"),
        ({"via": ["Graded"]}, "via needs include_tables"),
        ({"partition_by": "row"}, "partition_by='row' needs include_tables"),
        ({"stratify_missing": "drop"}, "stratify_missing='drop' needs stratify_by_column"),
        ({"stratify_missing": "ignore"}, "must be 'error', 'drop' or 'include'"),
        ({"stratify_by_column": GRADE, "shuffle": False, **WIDE}, "shuffle=False takes members in RID order"),
        ({"include_tables": ["Graded"]}, "must include the element table Subject"),
        ({"row_per": "Graded", **WIDE}, "pass partition_by='element'"),
        ({"seed": "1"}, "seed must be a whole number"),
        ({"seed": 1.5}, "seed must be a whole number"),
    ],
)
def test_splits_that_make_no_sense(lab: Any, six: Any, options: dict[str, Any], message: str) -> None:
    before = len(datasets.find(lab.session, deleted=True))
    for dry_run in (True, False):
        with pytest.raises(DerivaMLException, match=message):
            split_dataset(
                lab.session, six.dataset_rid, lab.execution_rid, dry_run=dry_run, **{"seed": 1, **options}
            )
    assert len(datasets.find(lab.session, deleted=True)) == before


def test_an_execution_that_is_none_is_refused_before_anything_is_made(lab: Any, six: Any) -> None:
    before = len(datasets.find(lab.session, deleted=True))
    with pytest.raises(DerivaMLTableTypeError, match="is not the RID of an execution"):
        split_dataset(lab.session, six.dataset_rid, six.dataset_rid)
    assert len(datasets.find(lab.session, deleted=True)) == before


def test_one_execution_draws_from_one_version(lab: Any) -> None:
    dataset = lab.dataset(Subject=lab.subjects(4))
    (exe,) = rows.insert(lab.session.connection, lab.session.ml_table("Execution"), [{"Status": "Running"}])
    for _ in range(2):
        subsample(lab.session, dataset.dataset_rid, exe["RID"], size=2)
    dataset.add_dataset_members({"Subject": lab.subjects(1)})
    before = len(datasets.find(lab.session, deleted=True))
    with pytest.raises(
        DerivaMLValidationError, match=r"another version of dataset .* than 0\.2\.0\.post1\.dev1"
    ):
        subsample(lab.session, dataset.dataset_rid, exe["RID"], size=2)
    assert len(datasets.find(lab.session, deleted=True)) == before
