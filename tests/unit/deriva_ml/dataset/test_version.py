from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import InvalidVersion

from deriva_ml.dataset import version as labels
from deriva_ml.errors import DerivaMLDatasetNotFound, DerivaMLNotFoundError, DerivaMLValidationError
from deriva_ml.names import DatasetVersion, VersionPart

changes = st.lists(st.sampled_from(["change", "major", "minor", "patch"]), max_size=30)


def test_first_change_opens_a_dev_period() -> None:
    assert str(labels.next_dev([DatasetVersion(0, 1)])) == "0.1.0.post1.dev1"
    assert (
        str(labels.next_dev([DatasetVersion(0, 1), DatasetVersion("0.1.0.post1.dev9")]))
        == "0.1.0.post1.dev10"
    )


def test_release_raises_the_last_release_not_the_dev_label() -> None:
    found = [DatasetVersion(1, 2, 3), DatasetVersion("1.2.3.post1.dev4")]
    assert labels.next_release(found, VersionPart.patch) == DatasetVersion(1, 2, 4)
    assert labels.next_release(found, VersionPart.minor) == DatasetVersion(1, 3)
    assert labels.next_release(found, VersionPart.major) == DatasetVersion(2)
    assert labels.next_release([DatasetVersion("0.1.0.post1.dev1")], VersionPart.minor) == DatasetVersion(
        0, 1
    )


@given(changes)
def test_labels_only_rise(steps: list[str]) -> None:
    found = [labels.FIRST_RELEASE]
    for step in steps:
        current = labels.latest(found)
        assert current is not None
        following = (
            labels.next_dev(found) if step == "change" else labels.next_release(found, VersionPart(step))
        )
        assert following > current
        assert following.is_devrelease == (step == "change")
        if current.is_devrelease:
            found.remove(current)
        found.append(following)
    assert labels.latest(found) == max(found)


def test_without_a_version_the_last_release_is_meant() -> None:
    found = [DatasetVersion("0.1.0.post1.dev1"), DatasetVersion(0, 1)]
    assert labels.choose(found, None, "1-A") == DatasetVersion(0, 1)
    assert labels.choose(found, DatasetVersion("0.1.0.post1.dev1"), "1-A").is_devrelease


def test_unknown_version_lists_the_known_ones() -> None:
    with pytest.raises(DerivaMLNotFoundError, match=r"1-A has no version 2\.0\.0.*0\.1\.0, 0\.2\.0"):
        labels.choose([DatasetVersion(0, 2), DatasetVersion(0, 1)], DatasetVersion(2), "1-A")


@pytest.mark.parametrize(
    "label",
    [
        "1.2",
        "1",
        "1.2.3.4",
        "1.2.3rc1",
        "1.2.3+x",
        "1.2.3.dev1",
        "1.2.3.post1",
        "1.2.3.post2.dev1",
        "1!1.2.3",
        "",
    ],
)
def test_a_label_is_a_release_or_a_dev_version_of_one(label: str) -> None:
    with pytest.raises(InvalidVersion, match=r"no version of a dataset; it looks like 1\.2\.0") as caught:
        DatasetVersion(label)
    assert caught.value.version == label
    with pytest.raises(ValueError, match="no version of a dataset"):
        DatasetVersion.coerce(label)


def test_no_version_at_all() -> None:
    with pytest.raises(
        DerivaMLDatasetNotFound, match=r"1-A has no version; its creation was interrupted\. Create"
    ):
        labels.choose([], None, "1-A")
    with pytest.raises(
        DerivaMLNotFoundError, match=r"1-A has no version 2\.0\.0\. Available versions: none\."
    ):
        labels.choose([], DatasetVersion(2), "1-A")
    with pytest.raises(
        DerivaMLValidationError, match=r"^A dataset without any version cannot change; create it"
    ):
        labels.next_dev([])
