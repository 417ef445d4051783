from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

import pytest

from deriva_server.blobs import copying
from deriva_server.blobs.backend import Source
from deriva_server.blobs.files import FilesBackend
from deriva_server.blobs.memory import MemoryBackend
from deriva_server.errors import StorageFull
from deriva_server.testing.backend_suite import BackendSuite, source, stored


class TestMemory(BackendSuite):
    @pytest.fixture
    def backend(self) -> MemoryBackend:
        return MemoryBackend()


class TestFiles(BackendSuite):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> FilesBackend:
        return FilesBackend(tmp_path / "store")


class TestFilesWithoutKernelCopy(BackendSuite):
    @pytest.fixture
    def backend(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FilesBackend:
        def refuse(*_: object) -> int:
            raise OSError(errno.EXDEV, "other file system")

        monkeypatch.setattr(os, "copy_file_range", refuse)
        return FilesBackend(tmp_path / "store")


def test_stored_files_are_read_only_and_nothing_else_stays(tmp_path: Path) -> None:
    backend = FilesBackend(tmp_path)
    key = stored(backend, b"abc")
    stored(backend, b"abc")
    backend.stage(source(b"left")).discard()
    assert stat.S_IMODE((tmp_path / "data" / key[:2] / key).stat().st_mode) == 0o444
    assert not list((tmp_path / "tmp").iterdir())


def test_a_damaged_copy_is_replaced(tmp_path: Path) -> None:
    backend = FilesBackend(tmp_path)
    key = stored(backend, b"abc")
    path = tmp_path / "data" / key[:2] / key
    path.chmod(0o644)
    path.write_bytes(b"ab")
    stored(backend, b"abc")
    assert path.read_bytes() == b"abc"


def test_upload_survives_a_crash_while_it_is_finished(tmp_path: Path) -> None:
    FilesBackend(tmp_path).put_part("U", 0, 0, source(b"0123"), None)
    FilesBackend(tmp_path).assemble("U", 4)
    again = FilesBackend(tmp_path)
    assert again.parts("U") == set(), "the parts have to be sent again"
    again.put_part("U", 0, 0, source(b"0123"), None)
    again.adopt([again.assemble("U", 4)])
    again.abandon("U")
    assert not list((tmp_path / "tmp").iterdir())


def test_disk_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = FilesBackend(tmp_path)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(copying, "write_all", full)
    with pytest.raises(StorageFull, match="no room"):
        backend.stage(Source(io.BytesIO(b"abc"), 3))
    monkeypatch.undo()
    assert not list((tmp_path / "tmp").iterdir())
    stored(backend, b"abc")
