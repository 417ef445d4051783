"""Descriptions of files that stay where they are."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from deriva_ml.asset.filespec import FileSpec
from deriva_ml.errors import DerivaMLValidationError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data" / "inner").mkdir(parents=True)
    (tmp_path / "data" / "a b.csv").write_text("1,2")
    (tmp_path / "data" / "inner" / "c.png").write_text("png")
    return tmp_path / "data"


def test_a_folder_is_described_file_by_file(folder: Path) -> None:
    specs = list(FileSpec.create_filespecs(folder, "raw", lambda path: [path.suffix[1:]]))
    assert [spec.url.rpartition("/")[2] for spec in specs] == ["a%20b.csv", "c.png"]
    assert [spec.file_types for spec in specs] == [["csv", "File"], ["png", "File"]]
    assert (specs[0].length, len(specs[0].md5), specs[0].description) == (3, 32, "raw")
    assert all(spec.url.startswith("tag://") and ":file:///" in spec.url for spec in specs)
    assert next(FileSpec.create_filespecs(folder / "a b.csv", "", ["File", "File"])).file_types == ["File"]


def test_the_name_of_a_file_is_the_same_on_another_day(folder: Path) -> None:
    os.utime(folder / "a b.csv", (86400, 86400))
    first = next(FileSpec.create_filespecs(folder, ""))
    assert first.url == next(FileSpec.create_filespecs(folder, "")).url
    assert ",1970-01-02:file://" in first.url


def test_both_kinds_of_names_are_accepted(tmp_path: Path) -> None:
    tag = "tag://host,2026-01-01:file:///x"
    by_alias = FileSpec(URL=tag, MD5="0", Length=1, File_Types=["File"])
    assert by_alias == FileSpec(url=tag, md5="0", length=1, file_types=["File"])
    listed = tmp_path / "specs.jsonl"
    listed.write_text(json.dumps(by_alias.model_dump(by_alias=True)) + "\n\n")
    assert list(FileSpec.read_filespec(listed)) == [by_alias]


def test_what_cannot_be_registered(tmp_path: Path) -> None:
    with pytest.raises(DerivaMLValidationError, match="not a file on this disk"):
        FileSpec(URL="https://example.org/x", MD5="0", Length=1)
    with pytest.raises(DerivaMLValidationError, match="no file or folder"):
        list(FileSpec.create_filespecs(tmp_path / "nothing", ""))
