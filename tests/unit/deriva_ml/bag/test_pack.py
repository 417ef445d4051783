"""Zip files that would write elsewhere, or too much, are refused before anything is written."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from deriva_ml.bag import pack, seal, write
from deriva_ml.errors import DerivaMLChecksumError, DerivaMLDataError


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    folder = tmp_path / "bag"
    write.write_json_rows(folder, "s", "T", [{"RID": "1"}])
    seal.seal(folder)
    return pack.archive(folder, tmp_path / "bag.zip")


def add(packed: Path, name: str, data: bytes = b"x", mode: int = 0) -> None:
    entry = zipfile.ZipInfo("x")
    entry.filename, entry.external_attr = name, mode << 16
    with zipfile.ZipFile(packed, "a") as file:
        file.writestr(entry, data)


@pytest.mark.parametrize(
    "name",
    [
        "../out",
        "bag/../../out",
        "/tmp/out",
        "bag/..\\..\\out",
        "C:out",
        "C:/out",
        "other/out",
        "bag",
        "bag/bagit.txt",
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_lead_elsewhere(packed: Path, tmp_path: Path, name: str) -> None:
    add(packed, name)
    with pytest.raises(DerivaMLDataError, match="is not a bag"):
        pack.extract(packed, tmp_path / "in" / "here")
    assert not list((tmp_path / "in").rglob("*.*"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices(packed: Path, tmp_path: Path, kind: int) -> None:
    add(packed, "bag/data/link", b"/etc/passwd", kind | 0o777)
    with pytest.raises(DerivaMLDataError, match="link or a device"):
        pack.extract(packed, tmp_path / "here")


def test_what_declares_to_be_huge(packed: Path, tmp_path: Path) -> None:
    with pytest.raises(DerivaMLDataError, match="room for 10 only"):
        pack.extract(packed, tmp_path / "here", most_bytes=10)
    data = packed.read_bytes()
    with zipfile.ZipFile(packed) as file:
        entry = file.infolist()[-1]
    size = entry.file_size.to_bytes(4, "little")
    packed.write_bytes(data.replace(size, b"\xf0\xff\xff\xff"))
    with pytest.raises(DerivaMLDataError):
        pack.extract(packed, tmp_path / "here", most_bytes=1 << 30)
    assert list((tmp_path / "here").iterdir()) == []


def test_bytes_that_no_manifest_knows(packed: Path, tmp_path: Path) -> None:
    add(packed, "bag/data/more")
    with pytest.raises(DerivaMLChecksumError, match="data/more"):
        pack.extract(packed, tmp_path / "here")
    assert list((tmp_path / "here").iterdir()) == []


def test_nothing_is_replaced(packed: Path, tmp_path: Path) -> None:
    with pytest.raises(DerivaMLDataError, match="exists"):
        pack.extract(packed, tmp_path)
    assert pack.extract(packed, tmp_path / "here") == tmp_path / "here" / "bag"
