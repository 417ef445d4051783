"""Verdicts on what two runs made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deriva_ml.reproduction import compare
from deriva_ml.reproduction.compare import File, Verdict

names = st.sampled_from(["a", "b", "c"])
made = st.lists(
    st.builds(File, table=st.just("T"), name=names, md5=st.sampled_from("xyz"), length=st.just(1))
)


def _file(md5: str, name: str = "f", metrics: Any = None) -> File:
    return File("T", name, md5, 1, metrics)


@given(made)
def test_what_is_made_again_is_identical(files: list[File]) -> None:
    verdicts = [each.verdict for each in compare.files(files, list(reversed(files)), 0)]
    assert verdicts == [Verdict.identical] * len(files)


@given(made, made)
def test_every_file_gets_one_verdict(before: list[File], after: list[File]) -> None:
    found = compare.files(before, after, 0)
    told = [each.verdict for each in found]
    assert sum(verdict != Verdict.added for verdict in told) == len(before)
    assert sum(verdict != Verdict.missing for verdict in told) == len(after)


def test_files_of_one_name_are_paired_by_content() -> None:
    found = compare.files([_file("x"), _file("y")], [_file("z"), _file("x")], 0)
    assert [each.verdict for each in found] == [Verdict.identical, Verdict.different]


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (1.0, 1.0 + 1e-9, Verdict.within_tolerance),
        (1.0, 1.01, Verdict.different),
        (0.0, 1e-13, Verdict.within_tolerance),
        (float("nan"), float("nan"), Verdict.identical),
        (float("nan"), 1.0, Verdict.different),
        (1, 1.0, Verdict.within_tolerance),
        (True, 1, Verdict.different),
        ("a", "a", Verdict.identical),
        (None, "a", Verdict.different),
    ],
)
def test_metrics(before: Any, after: Any, verdict: Verdict) -> None:
    (found,) = compare.files(
        [_file("x", metrics=[{"m": before}])], [_file("y", metrics=[{"m": after}])], 1e-6
    )
    assert found.verdict == verdict
    assert (verdict == Verdict.different) == bool(found.detail)


def test_metrics_of_another_length_differ() -> None:
    (found,) = compare.files([_file("x", metrics=[{}, {}])], [_file("y", metrics=[{}])], 1)
    assert (found.verdict, found.detail) == (Verdict.different, "2 records, now 1")


@pytest.mark.parametrize(
    ("before", "after", "verdict", "detail"),
    [
        ({1: {"v": 1.0}}, {1: {"v": 1.0}}, Verdict.identical, "1 value"),
        ({1: {"v": 1.0}}, {1: {"v": 1.0 + 1e-9}}, Verdict.within_tolerance, "1 value"),
        (
            {1: {"v": "a"}, 2: {"v": "a"}},
            {1: {"v": "b"}, 2: {"v": "b"}},
            Verdict.different,
            "and 1 more differ",
        ),
        ({1: {"v": 1}, 2: {"v": 1}}, {1: {"v": 1}, 3: {"v": 1}}, Verdict.different, "1 missing, 1 new"),
        ({1: {"v": 1}}, {}, Verdict.missing, "1 value"),
        ({}, {1: {"v": 1}}, Verdict.added, "1 value"),
    ],
)
def test_features(before: Any, after: Any, verdict: Verdict, detail: str) -> None:
    found = compare.feature("T.F", before, after, 1e-6)
    assert found.verdict == verdict
    assert detail in found.detail


def test_datasets() -> None:
    assert compare.dataset("d", ["a", "b"], ["b", "a"]).verdict == Verdict.identical
    assert compare.dataset("d", ["a", "b"], ["b", "c"]).detail == "1 members missing, 1 new, of 2"
    assert compare.dataset("d", ["a"], None).verdict == Verdict.missing
    assert compare.dataset("d", None, ["a"]).verdict == Verdict.added
