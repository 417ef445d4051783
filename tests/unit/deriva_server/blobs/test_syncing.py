"""Files and names that last, by one request to the disk or by one for each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deriva_server.blobs import syncing
from deriva_server.blobs.syncing import changes


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """What was asked of the disk."""
    asked: list[str] = []
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        asked.append("fsync")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    return asked


def change(folder: Path, count: int) -> None:
    with changes(folder, count) as made:
        for number in range(count):
            path = folder / str(number)
            with path.open("wb") as file:
                file.write(b"x")
                file.flush()
                made.written(path, file.fileno())
        made.renamed(folder)


def test_each_alone_where_nothing_is_gained(tmp_path, asked):
    change(tmp_path, 2)
    assert asked == ["fsync"] * 3


@pytest.mark.parametrize("found", ["nfs4", "overlay", None])
def test_each_alone_where_errors_would_be_lost(tmp_path, asked, monkeypatch, found):
    monkeypatch.setattr(syncing, "file_system", lambda place: found)
    change(tmp_path, 20)
    assert asked == ["fsync"] * 21


def test_each_alone_while_the_disk_has_much_to_do(tmp_path, asked, monkeypatch):
    monkeypatch.setattr(syncing, "_is_told_of_all", lambda disk: True)
    monkeypatch.setattr(syncing, "_waiting", lambda: 21 * syncing._MOST_WAITING)
    change(tmp_path, 20)
    assert asked == ["fsync"] * 21


@pytest.mark.parametrize(("answer", "after"), [(0, []), (-1, ["fsync"] * 21)])
def test_all_at_once_and_each_again_when_something_failed(tmp_path, asked, monkeypatch, answer, after):
    told = []

    def syncfs(descriptor: int) -> int:
        told.append(os.fstat(descriptor).st_ino)
        return answer

    monkeypatch.setattr(syncing, "_is_told_of_all", lambda disk: True)
    monkeypatch.setattr(syncing, "_waiting", lambda: 0)
    monkeypatch.setattr(syncing, "_syncfs", lambda: syncfs)
    change(tmp_path, 20)
    assert told == [tmp_path.stat().st_ino]
    assert asked == after


def test_nothing_is_synced_when_a_change_fails(tmp_path, asked):
    with pytest.raises(ZeroDivisionError), changes(tmp_path, 1):
        raise ZeroDivisionError
    assert asked == []


def test_the_call_itself(tmp_path):
    if not syncing._is_told_of_all(tmp_path):
        pytest.skip("this file system or system is not known to tell of errors")
    with changes(tmp_path, 20) as made:
        assert made._descriptor is None or syncing._syncfs()(made._descriptor) == 0
