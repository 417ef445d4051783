"""A store of bytes in a folder: each content once, under its SHA-256.

::

    data/<xx>/<sha256>    stored bytes, read-only
    tmp/<random>.part     bytes that are arriving
    tmp/<upload>/         data, lock, and an empty file <index> for each part that has arrived whole
    tmp/<upload>.taken/   the same while the upload is finished: no further part can reach it

Bytes are written under a temporary name, synced, renamed, and the folder synced: a crash at any instant leaves
either all of a content or none of it under its key.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from deriva_server.blobs import copying
from deriva_server.blobs.backend import Source, Staged
from deriva_server.blobs.checksums import Digests, Hasher
from deriva_server.deployment import sync_folder
from deriva_server.errors import BadRequest, NotFound, ServiceError, StorageFull
from deriva_server.http.message import FilePart

_PIECE = 4 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class StagedFile:
    """Bytes in a temporary file.

    Parameters
    ----------
    path : Path
        The file.
    digests : Digests
        Of its bytes.
    """

    def __init__(self, path: Path, digests: Digests) -> None:
        self.path = path
        self.digests = digests

    def discard(self) -> None:
        """Give the bytes up."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


class StagedUpload(StagedFile):
    """Bytes in the file of an upload; giving them up returns them to the upload."""

    def __init__(self, taken: Path, home: Path, digests: Digests) -> None:
        super().__init__(taken / "data", digests)
        self._taken = taken
        self._home = home

    def discard(self) -> None:
        """Return the parts, unless they were adopted or sent again meanwhile."""
        with contextlib.suppress(OSError):
            if self.path.exists():
                self._taken.rename(self._home)
        shutil.rmtree(self._taken, ignore_errors=True)


class FilesBackend:
    """Keeps bytes in a folder; fulfils `Backend`.

    Parameters
    ----------
    folder : Path
        Made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.tmp = folder / "tmp"
        self.data.mkdir(parents=True, exist_ok=True)
        self.tmp.mkdir(exist_ok=True)

    def stage(self, source: Source) -> StagedFile:
        """Take bytes in, durable on return."""
        with _translated():
            descriptor, name = tempfile.mkstemp(suffix=".part", dir=self.tmp)
            try:
                digests = copying.take(source, descriptor)
                os.fsync(descriptor)
            except BaseException:
                os.close(descriptor)
                Path(name).unlink(missing_ok=True)
                raise
            os.close(descriptor)
            return StagedFile(Path(name), digests)

    def adopt(self, staged: Sequence[Staged]) -> None:
        """Rename all into place, then sync each folder that changed."""
        changed: set[Path] = set()
        with _translated():
            for item in staged:
                assert isinstance(item, StagedFile)
                target = self._file(item.digests.sha256)
                if not target.parent.exists():
                    target.parent.mkdir(exist_ok=True)
                    changed.add(self.data)
                if self.size(item.digests.sha256) == item.digests.length:
                    item.path.unlink()
                else:
                    item.path.chmod(0o444)
                    item.path.replace(target)
                # a folder found with the content in it may stem from a process that died before its sync
                changed.add(target.parent)
            for folder in sorted(changed):
                sync_folder(folder)

    def read(self, key: str, start: int, length: int) -> FilePart:
        """A stretch of the stored file."""
        path = self._file(key)
        if not path.exists():
            raise NotFound(f"content {key} is not in the store")
        return FilePart(path, start, length)

    def size(self, key: str) -> int | None:
        """Number of stored bytes under a key."""
        try:
            return self._file(key).stat().st_size
        except FileNotFoundError:
            return None

    def keys(self) -> Iterator[str]:
        """Keys of everything stored."""
        for shard in sorted(self.data.iterdir()):
            yield from sorted(file.name for file in shard.iterdir())

    def remove(self, keys: Iterable[str]) -> None:
        """Remove stored bytes, unless `kept` holds them."""
        with _translated(), self._flocked(exclusive=True) as free:
            for key in keys if free else ():
                self._file(key).unlink(missing_ok=True)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """While this lasts no process removes stored bytes; what is to be removed stays, for `remove` afterwards."""
        with self._flocked(exclusive=False):
            yield

    @contextlib.contextmanager
    def _flocked(self, *, exclusive: bool) -> Iterator[bool]:
        """A lock between all processes; an exclusive one is not waited for, and may not be had."""
        if sys.platform == "win32":
            yield True
            return
        import fcntl

        descriptor = os.open(self.data, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
                had = True
            except BlockingIOError:
                had = False
            yield had
        finally:
            os.close(descriptor)

    def copy_from(self, source: FilesBackend, key: str) -> bool:
        """Take over what another folder has stored under a key, into a store that nobody uses yet; see `sync`.

        Returns
        -------
        bool
            Whether the bytes are those that the key stands for.

        Raises
        ------
        NotFound
            If the other folder does not have them.
        """
        target = self._file(key)
        with _translated():
            try:
                file = source._file(key).open("rb")
            except FileNotFoundError:
                raise NotFound(f"content {key} is not in the store") from None
            with file:
                target.parent.mkdir(exist_ok=True)
                descriptor = os.open(target, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
                try:
                    digests = copying.take(Source(file, os.fstat(file.fileno()).st_size), descriptor)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            target.chmod(0o444)
        return digests.sha256 == key

    def sync(self) -> None:
        """Make the names of what was copied last."""
        for folder in (*self.data.iterdir(), self.data, self.data.parent):
            sync_folder(folder)

    def put_part(self, upload: str, index: int, start: int, source: Source, md5: str | None) -> None:
        """Write a part into the file of the upload, then mark it as arrived."""
        folder = self.tmp / upload
        with _translated(), _locked(folder, exclusive=False):
            mark = folder / str(index)
            mark.unlink(missing_ok=True)
            descriptor = os.open(folder / "data", os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
            try:
                digests = copying.take_stream(source, descriptor, start)
                if md5 is not None and digests.md5 != md5:
                    raise BadRequest(f"the MD5 of the chunk is {digests.md5}, not {md5}")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            mark.touch()

    def parts(self, upload: str) -> set[int]:
        """Indexes of the parts that have arrived whole."""
        try:
            return {int(mark.name) for mark in (self.tmp / upload).iterdir() if mark.name.isdigit()}
        except FileNotFoundError:
            return set()

    def assemble(self, upload: str, length: int) -> StagedUpload:
        """Move the upload out of reach of further parts, and hash it."""
        folder, taken = self.tmp / upload, self.tmp / f"{upload}.taken"
        with _translated():
            with _locked(folder, exclusive=True):
                shutil.rmtree(taken, ignore_errors=True)
                folder.rename(taken)
            staged = StagedUpload(taken, folder, Digests("", "", 0))
            try:
                staged.path.touch()
                with staged.path.open("rb") as file:
                    os.fsync(file.fileno())
                    staged.digests = _hash(file, length)
            except BaseException:
                staged.discard()
                raise
            return staged

    def abandon(self, upload: str) -> None:
        """Remove the folders of the upload."""
        shutil.rmtree(self.tmp / upload, ignore_errors=True)
        shutil.rmtree(self.tmp / f"{upload}.taken", ignore_errors=True)

    def _file(self, key: str) -> Path:
        return self.data / key[:2] / key


def _hash(file: BinaryIO, length: int) -> Digests:
    hasher = Hasher(length)
    try:
        while piece := file.read(_PIECE):
            hasher.update(piece)
        return hasher.finish()
    finally:
        hasher.close()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """File system errors as errors of the service."""
    try:
        yield
    except ServiceError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(f"the object store has no room left: {error.strerror}") from error
        raise ServiceError(f"the object store cannot be written: {error.strerror}") from error


_locks: dict[Path, threading.RLock] = {}


@contextlib.contextmanager
def _locked(folder: Path, *, exclusive: bool) -> Iterator[None]:
    """Keep parts out while an upload is taken, in every process; the folder is made when missing."""
    if sys.platform == "win32":
        with _locks.setdefault(folder, threading.RLock()):
            folder.mkdir(exist_ok=True)
            yield
        return
    import fcntl

    descriptor = None
    while descriptor is None:
        folder.mkdir(exist_ok=True)
        descriptor = _try_lock(folder / "lock", fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
    try:
        yield
    finally:
        os.close(descriptor)


def _try_lock(path: Path, operation: int) -> int | None:
    """An open file that holds the lock, None when it was taken away while we waited."""
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, operation)
        if _is_at(descriptor, path):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file still has its name; the folder may have been taken meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
