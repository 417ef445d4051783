"""Asset files in folders by class: nothing is written elsewhere, and what cannot be done is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.contract.readable import Readable

from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLValidationError


@pytest.fixture
def bag(lab: Readable) -> Any:
    return lab.bag(lab.inner)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("folder", ["..", "../beside", "a/../../b", "/tmp/beside", "C:/beside", 3])
def test_folders_of_types_stay_inside(bag: Any, tmp_path: Path, folder: Any) -> None:
    with pytest.raises(DerivaMLValidationError, match=r"type_to_dir_map\['Training'\] is .*does not lie in"):
        bag.restructure_assets(tmp_path / "out", asset_table="Image", type_to_dir_map={"Training": folder})
    assert files(tmp_path) == []


def test_what_a_selector_of_types_returns_is_a_type(bag: Any, tmp_path: Path) -> None:
    with pytest.raises(
        DerivaMLValidationError, match="type_selector must return one of the types .* not 3; .*: "
    ):
        bag.restructure_assets(tmp_path / "out", asset_table="Image", type_selector=lambda _: 3)
    assert files(tmp_path) == []


@pytest.mark.parametrize("label", ["../../up", "/etc", "..", ".", "a/b", "c\\d", "", "x\0y"])
def test_labels_are_names_of_folders(bag: Any, tmp_path: Path, label: str) -> None:
    where = {"asset_table": "Image", "type_to_dir_map": {"Training": "set/train"}}
    placed = bag.restructure_assets(
        tmp_path / "out", targets=["Sharp"], target_transform=lambda _: label, **where
    )
    assert len(placed) == 4
    assert len(files(tmp_path)) == 4
    for path in placed.values():
        assert path.parent.parent in (tmp_path / "out" / "set" / "train",)


def test_a_link_that_was_there_is_not_followed(bag: Any, tmp_path: Path) -> None:
    (tmp_path / "beside").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "training").symlink_to(tmp_path / "beside")
    with pytest.raises(DerivaMLConfigurationError, match="leads out of .*nothing is written there"):
        bag.restructure_assets(tmp_path / "out")
    assert files(tmp_path / "beside") == []


def test_places_that_cannot_be_written(bag: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DerivaMLConfigurationError, match="is a file; name a folder"):
        bag.restructure_assets(tmp_path / "file")
    with pytest.raises(DerivaMLConfigurationError, match="cannot be placed at .*long"):
        bag.restructure_assets(tmp_path / "out", targets=["Sharp"], target_transform=lambda _: "x" * 300)
    assert files(tmp_path) == ["file"]


def test_a_transformer_says_what_it_wrote(bag: Any, tmp_path: Path) -> None:
    with pytest.raises(
        DerivaMLValidationError, match=r"file_transformer must return the path.*returned None"
    ):
        bag.restructure_assets(tmp_path / "out", file_transformer=lambda *_: None)
    with pytest.raises(DerivaMLValidationError, match="it returned"):
        bag.restructure_assets(tmp_path / "out", file_transformer=lambda _, target: target)

    def shout(source: Path, target: Path) -> Path:
        written = target.with_suffix(".up")
        written.write_text(source.read_text().upper())
        return written

    placed = bag.restructure_assets(tmp_path / "out", file_transformer=shout)
    assert {path.read_text() for path in placed.values()} == {f"IMAGE {n}" for n in range(4)}


@pytest.mark.parametrize("targets", ["Sharp", {3: None}, ["Quality.Grade"], 5])
def test_targets_are_a_list_of_names(bag: Any, tmp_path: Path, targets: Any) -> None:
    with pytest.raises(DerivaMLValidationError, match="targets cannot"):
        bag.restructure_assets(tmp_path, targets=targets)
    with pytest.raises(DerivaMLValidationError, match="targets cannot"):
        bag.as_torch_dataset("Image", sample_loader=lambda *_: None, targets=targets)


def test_workers_are_at_least_one(bag: Any) -> None:
    with pytest.raises(
        DerivaMLValidationError, match="fetch_concurrency must be a whole number of at least 1"
    ):
        bag.materialize(fetch_concurrency=0)
