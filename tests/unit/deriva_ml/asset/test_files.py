"""AssetFilePath is a path, wherever Python's own code expects one."""

from __future__ import annotations

import copy
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deriva_ml.asset.files import AssetFilePath, file_name_of

PLAIN = type(Path())


class Kept:
    """A registration that remembers what it was told."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] | None = None
        self.types: list[str] | None = None

    def update_metadata(self, metadata: dict[str, Any]) -> None:
        self.metadata = metadata

    def update_types(self, asset_types: list[str]) -> None:
        if "Nonsense" in asset_types:
            raise LookupError("Nonsense")
        self.types = asset_types


@pytest.fixture
def staged(tmp_path: Path) -> AssetFilePath:
    return AssetFilePath(
        tmp_path / "scan.png", "Image", asset_metadata={"Subject": "1-A"}, asset_types=["Image"]
    )


def test_it_is_a_path(staged: AssetFilePath, tmp_path: Path) -> None:
    assert isinstance(staged, Path)
    assert staged == tmp_path / "scan.png"
    assert hash(staged) == hash(tmp_path / "scan.png")
    assert os.fspath(staged) == str(tmp_path / "scan.png")
    staged.write_text("bytes")
    with staged.open("a") as file:
        file.write("!")
    shutil.copy(staged, tmp_path / "copy.png")
    assert (tmp_path / "copy.png").read_text() == staged.read_text() == "bytes!"
    assert staged.samefile(str(staged))


def test_derived_paths_are_plain(staged: AssetFilePath, tmp_path: Path) -> None:
    staged.write_text("x")
    folder = AssetFilePath(tmp_path, "Image")
    derived = [
        staged.parent, staged / "x", "x" / AssetFilePath("y", "Image"), staged.with_name("y"), staged.with_suffix(".jpg"),
        staged.resolve(), staged.relative_to(tmp_path), staged.joinpath("y"), *staged.parents, *folder.iterdir(),
        *folder.glob("*"), *folder.rglob("*"), AssetFilePath("y", "Image").absolute(), AssetFilePath.cwd(),
    ]  # fmt: skip
    assert {type(path) for path in derived} == {PLAIN}
    moved = staged.rename(tmp_path / "moved.png")
    assert type(moved) is PLAIN
    assert moved.read_text() == "x"
    assert type(moved.replace(staged)) is PLAIN


def test_names_by_default(tmp_path: Path) -> None:
    staged = AssetFilePath(tmp_path / "scan.png", "Image")
    assert (staged.file_name, staged.asset_table, staged.asset_name) == ("scan.png", "Image", "Image")
    assert (staged.asset_types, staged.metadata, staged.asset_rid) == ([], {}, None)
    downloaded = AssetFilePath(tmp_path / "a.png", "Image", tmp_path / "a.png", {}, ["Image"], "1-ABC")
    assert downloaded.file_name.name == "a.png"  # type: ignore[union-attr]
    assert downloaded.asset_rid == "1-ABC"


@pytest.mark.parametrize("again", [lambda path: pickle.loads(pickle.dumps(path)), copy.copy, copy.deepcopy])
def test_survives_copies(staged: AssetFilePath, again: Any) -> None:
    other = again(staged)
    assert type(other) is AssetFilePath
    assert other == staged
    assert (other.asset_table, other.file_name, other.metadata) == ("Image", "scan.png", {"Subject": "1-A"})
    assert (other.asset_types, other.asset_rid) == (["Image"], None)


def test_metadata_is_replaced_as_a_whole_and_kept(tmp_path: Path) -> None:
    kept = Kept()
    path = AssetFilePath(tmp_path / "a", "Image", asset_metadata={"Subject": "1-A"}, registration=kept)
    path.metadata["Subject"] = "changed"
    assert path.metadata == {"Subject": "1-A"}
    path.metadata = {**path.metadata, "Time": "14:30:00"}
    assert path.metadata == kept.metadata == {"Subject": "1-A", "Time": "14:30:00"}
    path.metadata = {}
    assert path.metadata == kept.metadata == {}


def test_types_are_kept_unless_refused(tmp_path: Path) -> None:
    kept = Kept()
    path = AssetFilePath(tmp_path / "a", "Image", asset_types=["Image"], registration=kept)
    path.set_asset_types(["Mask", "Derived", "Mask"])
    assert path.asset_types == kept.types == ["Mask", "Derived"]
    path.set_asset_types("Mask")
    assert path.asset_types == ["Mask"]
    with pytest.raises(LookupError):
        path.set_asset_types(["Nonsense"])
    assert path.asset_types == ["Mask"]


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"Filename": "scan 1.png", "URL": "/hatrac/x"}, "scan 1.png"),
        ({"Filename": None, "URL": "/hatrac/Image/0f.scan%201.png:ABC"}, "0f.scan 1.png"),
        ({"Filename": "../../etc/passwd", "URL": "x"}, ".._.._etc_passwd"),
        ({"Filename": "..", "RID": "1-A", "URL": "x"}, "1-A"),
        ({"Filename": "", "RID": "1-A", "URL": "https://host/"}, "1-A"),
    ],
)
def test_file_name_of(row: dict[str, Any], name: str) -> None:
    assert file_name_of(row) == name


@given(st.text(), st.text())
def test_a_file_name_never_leaves_its_folder(filename: str, url: str) -> None:
    name = file_name_of(
        {"Filename": filename, "URL": f"/hatrac/{url}" if "[" not in url else "", "RID": "1-A"}
    )
    assert name
    assert Path(name).name == name
