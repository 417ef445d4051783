from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from pathlib import Path

import pytest
from tests.buckets import Buckets
from tests.deployments import processes

from deriva_server.blobs import copying
from deriva_server.blobs.backend import Source
from deriva_server.blobs.files import FilesBackend
from deriva_server.blobs.keeping import Keeping
from deriva_server.blobs.memory import MemoryBackend
from deriva_server.blobs.s3.addresses import parse_address
from deriva_server.blobs.s3.backend import S3Backend
from deriva_server.errors import Conflict, StorageFull
from deriva_server.testing.backend_suite import BackendSuite, source, stored


class TestMemory(BackendSuite):
    holds_all_in_memory = True

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


class TestS3(BackendSuite):
    @pytest.fixture
    def backend(self, s3: Buckets, tmp_path: Path) -> S3Backend:
        return S3Backend(parse_address(s3.address()), Keeping(tmp_path / "keeping"))


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


def _die_with_bytes(folder: Path) -> None:
    """End as a killed process does: with an upload that is being finished, and bytes that are not adopted."""
    backend = FilesBackend(folder)
    backend.assemble("U", 4)
    backend.stage(source(b"left behind"))
    os._exit(9)


def died(folder: Path) -> None:
    process = processes.Process(target=_die_with_bytes, args=(folder,))
    process.start()
    process.join(30)
    assert process.exitcode == 9


def test_upload_survives_a_crash_while_it_is_finished(tmp_path: Path) -> None:
    backend = FilesBackend(tmp_path)
    backend.put_part("U", 0, 0, source(b"0123"), None)
    backend.put_part("U", 1, 4, source(b"45"), None)
    died(tmp_path)
    assert backend.parts("U") == {0, 1}
    backend.put_part("U", 1, 4, source(b"67"), None)
    staged = backend.assemble("U", 6)
    assert FilesBackend(tmp_path).parts("U") == set(), "nobody else takes what is being finished"
    backend.adopt([staged])
    backend.abandon("U")
    assert backend.size(hashlib.sha256(b"012367").hexdigest()) == 6
    assert not list(backend.uploads())


def test_an_upload_is_finished_by_one_request_at_a_time(tmp_path: Path) -> None:
    backend = FilesBackend(tmp_path)
    backend.put_part("U", 0, 0, source(b"0123"), None)
    first = backend.assemble("U", 4)
    with pytest.raises(Conflict, match="by another request"):
        backend.assemble("U", 4)
    first.discard()
    assert backend.parts("U") == {0}
    again = backend.assemble("U", 4)
    with pytest.raises(Conflict):
        FilesBackend(tmp_path).assemble("U", 4)
    backend.adopt([again])
    backend.abandon("U")
    assert backend.size(hashlib.sha256(b"0123").hexdigest()) == 4
    assert not list((tmp_path / "tmp").iterdir())


def test_what_a_dead_process_left_is_known(tmp_path: Path) -> None:
    backend = FilesBackend(tmp_path)
    backend.put_part("U", 0, 0, source(b"0123"), None)
    died(tmp_path)
    staged = backend.stage(source(b"still wanted"))
    assert list(FilesBackend(tmp_path).uploads()) == [("U", 4)]
    [(name, length)] = FilesBackend(tmp_path).unadopted(0)
    assert length == len(b"left behind")
    backend.drop(name)
    backend.drop(name)
    backend.drop(staged.path.name)
    assert not list(backend.unadopted(0))
    backend.adopt([staged])
    backend.abandon("U")
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
