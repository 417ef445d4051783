"""Uploads in chunks to a store in a folder.

::

    <upload>/         data, lock, and an empty file <index> for each part that has arrived whole
    <upload>.taken/   the same while the upload is finished: no further part can reach it

Who finishes an upload locks it until its bytes are adopted. When that process dies, the next one that asks for the
upload takes it back.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from deriva_server import locks
from deriva_server.blobs import copying
from deriva_server.blobs.backend import Source
from deriva_server.blobs.checksums import Digests
from deriva_server.blobs.staging import StagedFile, translated
from deriva_server.errors import BadRequest, Conflict

_TAKEN = ".taken"


class StagedUpload(StagedFile):
    """Bytes in the file of an upload; giving them up returns them to the upload."""

    def __init__(self, taken: Path, home: Path, digests: Digests, descriptor: int) -> None:
        super().__init__(taken / "data", digests, descriptor)
        self._taken = taken
        self._home = home

    def discard(self) -> None:
        """Return the parts, unless they were adopted or sent again meanwhile."""
        with contextlib.suppress(OSError):
            if self.path.exists():
                self._taken.rename(self._home)
        shutil.rmtree(self._taken, ignore_errors=True)
        self.release()


class UploadFolders:
    """The folders of unfinished uploads.

    Parameters
    ----------
    folder : Path
        Holds them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put_part(self, upload: str, index: int, start: int, source: Source, md5: str | None) -> None:
        """Write a part into the file of the upload, then mark it as arrived."""
        self._take_back(upload)
        folder = self._folder / upload
        with translated(), _locked(folder, exclusive=False):
            mark = folder / str(index)
            mark.unlink(missing_ok=True)
            descriptor = os.open(folder / "data", os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
            try:
                copying.place(source, descriptor, start)
                found = None if md5 is None else copying.md5_of(descriptor, start, source.length)
                if found != md5:
                    raise BadRequest(f"the MD5 of the chunk is {found}, not {md5}")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            mark.touch()

    def parts(self, upload: str) -> set[int]:
        """Indexes of the parts that have arrived whole."""
        self._take_back(upload)
        try:
            return {int(mark.name) for mark in (self._folder / upload).iterdir() if mark.name.isdigit()}
        except FileNotFoundError:
            return set()

    def assemble(self, upload: str, length: int) -> StagedUpload:
        """Move the upload out of reach of further parts, and hash it."""
        home, taken = self._folder / upload, self._taken(upload)
        with translated():
            descriptor = _lock(home, exclusive=True)
            if taken.exists() and not (home / "data").exists():
                # What was locked is a folder made for the lock, as another request has taken that with the bytes.
                shutil.rmtree(home, ignore_errors=True)
                os.close(descriptor)
                raise Conflict("the upload is being finished by another request")
            staged = StagedUpload(taken, home, Digests("", "", 0), descriptor)
            try:
                shutil.rmtree(taken, ignore_errors=True)
                home.rename(taken)
                staged.path.touch()
                with staged.path.open("rb") as file:
                    os.fsync(file.fileno())
                    staged.digests = copying.digests_of(file.fileno(), os.fstat(file.fileno()).st_size)
            except BaseException:
                staged.discard()
                raise
            return staged

    def abandon(self, upload: str) -> None:
        """Remove the folders of the upload."""
        shutil.rmtree(self._folder / upload, ignore_errors=True)
        shutil.rmtree(self._taken(upload), ignore_errors=True)

    def all(self) -> Iterator[tuple[str, int]]:
        """Ids of uploads, and the bytes in their folders."""
        found = {path.name.removesuffix(_TAKEN) for path in self._folder.iterdir() if path.is_dir()}
        for upload in sorted(found):
            yield upload, sum(map(_size, (self._folder / upload / "data", self._taken(upload) / "data")))

    def _taken(self, upload: str) -> Path:
        return self._folder / f"{upload}{_TAKEN}"

    def _take_back(self, upload: str) -> None:
        """Return what a process had taken that died before it was done."""
        taken, home = self._taken(upload), self._folder / upload
        if home.exists() or not taken.exists():
            return
        with contextlib.suppress(FileNotFoundError, FileExistsError), (taken / "lock").open("rb") as file:
            if locks.ARE_KEPT and locks.lock(file.fileno(), wait=False) and (taken / "data").exists():
                taken.rename(home)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def _locked(folder: Path, *, exclusive: bool) -> Iterator[None]:
    descriptor = _lock(folder, exclusive=exclusive)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(folder: Path, *, exclusive: bool) -> int:
    """Keep parts out while an upload is taken, in every process; the folder is made when missing."""
    while True:
        folder.mkdir(exist_ok=True)
        path = folder / "lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue
        try:
            if locks.lock(descriptor, exclusive=exclusive) and locks.is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
