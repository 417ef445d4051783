from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deriva_ml.dataset import partition

totals = st.integers(3, 400)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"test_size": 0.2}, {"Training": 8, "Testing": 2}),
        ({"test_size": 3}, {"Training": 7, "Testing": 3}),
        ({"test_size": 0.2, "val_size": 0.1}, {"Training": 7, "Validation": 1, "Testing": 2}),
        ({"test_size": 2, "train_size": 4}, {"Training": 4, "Testing": 2}),
        ({"test_size": 2.0, "train_size": 0.5}, {"Training": 5, "Testing": 2}),
    ],
)
def test_sizes(sizes: dict[str, float], expected: dict[str, int]) -> None:
    found = partition.part_sizes(10, **sizes)  # type: ignore[arg-type]
    assert found == expected
    assert list(found) == list(expected)


@pytest.mark.parametrize(
    "sizes",
    [
        {"test_size": 0},
        {"test_size": -0.1},
        {"test_size": 0.01},
        {"test_size": 10},
        {"test_size": 1.5},
        {"test_size": 0.5, "train_size": 0.6},
        {"test_size": 0.2, "val_size": 8},
        {"test_size": True},
    ],
)
def test_impossible_sizes(sizes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"\d|leaves|must"):
        partition.part_sizes(10, **sizes)  # type: ignore[arg-type]


@given(totals, st.integers(), st.booleans(), st.data())
def test_random_parts_are_disjoint_and_repeatable(
    total: int, seed: int, shuffle: bool, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, total))
    second = data.draw(st.integers(0, total - first))
    sizes = {"a": first, "b": second}
    parts = partition.random_parts(total, sizes, seed=seed, shuffle=shuffle)
    assert {name: len(indices) for name, indices in parts.items()} == sizes
    drawn = [*parts["a"], *parts["b"]]
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) <= set(range(total))
    assert parts == partition.random_parts(total, sizes, seed=seed, shuffle=shuffle)
    if not shuffle:
        assert sorted(drawn) == list(range(first + second))


@given(st.lists(st.sampled_from("abcd"), min_size=4, max_size=200), st.integers(0, 99), st.data())
def test_strata_keep_their_share(classes: list[str], seed: int, data: st.DataObject) -> None:
    test = data.draw(st.integers(1, len(classes) - 1))
    sizes = {"Training": len(classes) - test, "Testing": test}
    parts = partition.stratified_parts(classes, sizes, seed=seed)
    assert {name: len(indices) for name, indices in parts.items()} == sizes
    assert sorted([*parts["Training"], *parts["Testing"]]) == list(range(len(classes)))
    share = Counter(classes)
    for name, size in sizes.items():
        got = Counter(classes[index] for index in parts[name])
        for label, count in share.items():
            assert abs(got[label] - count * size / len(classes)) <= 1
    assert parts == partition.stratified_parts(classes, sizes, seed=seed)


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 50), max_size=8), st.data())
def test_apportion_is_exact_and_never_takes_too_much(counts: dict[str, int], data: st.DataObject) -> None:
    size = data.draw(st.integers(0, sum(counts.values())))
    quota = partition.apportion(counts, size)
    assert sum(quota.values()) == size
    assert all(0 <= quota[label] <= counts[label] for label in counts)


def test_missing_labels() -> None:
    values = ["a", None, "b"]
    with pytest.raises(ValueError, match=r"1 of 3 items have no Image_Class\.Name"):
        partition.class_labels(values, "error", "Image_Class.Name")
    assert partition.class_labels(values, "drop", "x") == ([0, 2], ["a", "b"])
    assert partition.class_labels(values, "include", "x") == ([0, 1, 2], ["a", "__missing__", "b"])
    with pytest.raises(ValueError, match="stratify_missing"):
        partition.class_labels(values, "ignore", "x")


def test_parts_must_fit() -> None:
    with pytest.raises(ValueError, match="need more than the 3"):
        partition.random_parts(3, {"a": 4}, seed=1)
    with pytest.raises(ValueError, match="need more than the 3"):
        partition.stratified_parts("abc", {"a": 4}, seed=1)
