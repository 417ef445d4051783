"""Selectors are pure functions over records."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deriva_ml.errors import DerivaMLException
from deriva_ml.feature.feature import lookup_feature
from deriva_ml.feature.record import FeatureRecord
from deriva_ml.feature.select import (
    reduce_with_selector,
    select_by_execution,
    select_by_workflow,
    select_first,
    select_latest,
    select_majority_vote,
    select_newest,
)
from deriva_ml.model.graph import CatalogModel


@pytest.fixture(scope="module")
def record(model: CatalogModel) -> Any:
    record_class = lookup_feature(model, "Image", "Label").feature_record_class()

    def make(image: str, digit: str, time: int, execution: str = "E1") -> FeatureRecord:
        return record_class(
            Image=image, Digit=digit, RCT=f"2026-01-01T00:00:{time:02}+00:00", Execution=execution
        )

    return make


def test_newest_and_first(record: Any) -> None:
    records = [record("1", "a", 2), record("1", "b", 9), record("1", "c", 1)]
    assert select_newest(records).Digit == "b"  # type: ignore[union-attr]
    assert select_latest is select_newest
    assert select_first(records).Digit == "c"  # type: ignore[union-attr]
    assert select_newest([]) is None


def test_selectors_are_found_on_records_too(record: Any) -> None:
    records = [record("1", "a", 2), record("1", "b", 9), record("1", "b", 1, "E2")]
    kind = type(records[0])
    assert kind.select_newest(records) is kind.select_latest(records) is records[1]
    assert FeatureRecord.select_first(records) is records[2]
    assert FeatureRecord.select_by_execution("E2")(records) is records[2]
    assert kind.select_majority_vote()(records) is records[1]
    with pytest.raises(DerivaMLException, match="container"):
        kind.select_by_workflow("Training", container=None)
    assert list(reduce_with_selector(records, "Image", FeatureRecord.select_first)) == [records[2]]
    assert not [name for name in kind.model_fields if name.startswith("select_")]


def test_by_execution(record: Any) -> None:
    records = [record("1", "a", 2, "E1"), record("1", "b", 9, "E2"), record("1", "c", 1, "E1")]
    assert select_by_execution("E1")(records).Digit == "a"  # type: ignore[union-attr]
    assert select_by_execution("E3")(records) is None


def test_by_workflow_asks_once(record: Any) -> None:
    asked: list[str] = []

    class Container:
        def list_workflow_executions(self, workflow: str) -> list[str]:
            asked.append(workflow)
            return ["E1", "E2"]

    select = select_by_workflow("Training", container=Container())
    records = [record("1", "a", 2, "E1"), record("1", "b", 9, "E3")]
    assert [select(records).Digit, select(records[1:])] == ["a", None]  # type: ignore[union-attr]
    assert asked == ["Training"]


def test_majority_and_its_ties(record: Any) -> None:
    records = [
        record("1", "a", 1),
        record("1", "b", 2),
        record("1", "a", 3),
        record("1", "b", 4),
        record("1", "c", 9),
    ]
    chosen = select_majority_vote()(records)
    assert (chosen.Digit, chosen.RCT[-8:-6]) == ("b", "04")  # type: ignore[union-attr]
    assert select_majority_vote("Digit")(records[:3]).Digit == "a"  # type: ignore[union-attr]


def test_majority_needs_a_column(model: CatalogModel) -> None:
    record_class = lookup_feature(model, "Image", "Outline").feature_record_class()
    with pytest.raises(DerivaMLException, match="name the one to vote on"):
        select_majority_vote()([record_class(Image="1")])


@given(st.lists(st.tuples(st.sampled_from("123"), st.sampled_from("ab"), st.integers(0, 59))))
def test_one_record_per_target(record: Any, entries: list[tuple[str, str, int]]) -> None:
    records = [record(*entry) for entry in entries]
    chosen = list(reduce_with_selector(records, "Image", select_newest))
    assert [one.Image for one in chosen] == list(dict.fromkeys(entry[0] for entry in entries))
    for one in chosen:
        assert max(entry[2] for entry in entries if entry[0] == one.Image) == int(one.RCT[-8:-6])
    by_both = list(reduce_with_selector(records, "Image", select_first, ["Digit"]))
    assert len(by_both) == len({entry[:2] for entry in entries})
    assert list(reduce_with_selector(records, "Image", lambda group: None)) == []
