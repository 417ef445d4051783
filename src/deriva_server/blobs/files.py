"""A store of bytes in a folder: each content once, under its SHA-256.

::

    data/<xx>/<sha256>    stored bytes, read-only
    tmp/<random>.part     bytes that are arriving, locked by who writes them
    tmp/<upload>/         parts of an upload, see `UploadFolders`

Bytes are written under a temporary name, synced, renamed, and the folder synced: a crash at any instant leaves
either all of a content or none of it under its key. What a crash leaves under a temporary name nobody locks any more.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from deriva_server import locks
from deriva_server.blobs import copying
from deriva_server.blobs.backend import Backend, Source, Staged, give_up, stage_each
from deriva_server.blobs.bodies import readable
from deriva_server.blobs.checksums import Digests
from deriva_server.blobs.folders import UploadFolders
from deriva_server.blobs.following import Following
from deriva_server.blobs.keeping import Keeping
from deriva_server.blobs.staging import StagedFile, translated
from deriva_server.blobs.syncing import Changes, changes
from deriva_server.deployment import sync_folder
from deriva_server.errors import NotFound, ServiceError
from deriva_server.http.message import FilePart
from deriva_server.http.received import ReceivedFile

DATA = "data"
"""Folder of the stored bytes."""

TMP = "tmp"
"""Folder of bytes that are arriving, on the same disk."""

_PART = ".part"


class FilesBackend:
    """Keeps bytes in a folder; fulfils `Backend`.

    Parameters
    ----------
    folder : Path
        Made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self.data = folder / DATA
        self.tmp = folder / TMP
        self.data.mkdir(parents=True, exist_ok=True)
        self.tmp.mkdir(exist_ok=True)
        self._keeping = Keeping(self.data)
        self._uploads = UploadFolders(self.tmp)

    def stage(self, source: Source) -> StagedFile:
        """Take bytes in, durable on return."""
        with translated(), changes(self.tmp, 1) as writing:
            return self._stage(source, writing)

    def stage_many(self, sources: Sequence[Source]) -> list[Staged | ServiceError]:
        """Take several in, then sync all."""
        outcomes: list[Staged | ServiceError] = []
        try:
            with translated(), changes(self.tmp, len(sources)) as writing:

                def stage(source: Source) -> StagedFile:
                    with translated():
                        return self._stage(source, writing)

                outcomes = stage_each(stage, sources)
        except BaseException:
            give_up(outcomes)
            raise
        return outcomes

    def _stage(self, source: Source, writing: Changes) -> StagedFile:
        received = self._received(source)
        path, descriptor = received or self._temporary()
        try:
            if received:
                digests = _digests(source, descriptor)
            else:
                digests = copying.take(source, descriptor)
            writing.written(path, descriptor)
        except BaseException:
            StagedFile(path, Digests("", "", 0), descriptor).discard()
            raise
        return StagedFile(path, digests, descriptor)

    def _received(self, source: Source) -> tuple[Path, int] | None:
        """The body of a request under a name, where it lies on this disk already and is nothing but the source."""
        file = source.stream
        if not isinstance(file, ReceivedFile) or file.tell() != 0:
            return None
        path = self._new_path()
        if os.fstat(file.fileno()).st_size != source.length:
            return None
        locks.lock(file.fileno())
        return (path, os.dup(file.fileno())) if file.name_it(path) else None

    def _temporary(self) -> tuple[Path, int]:
        while True:
            path = self._new_path()
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
            # Whoever looks for what was left behind may have come before the lock.
            if locks.lock(descriptor) and locks.is_at(descriptor, path):
                return path, descriptor
            os.close(descriptor)

    def _new_path(self) -> Path:
        return self.tmp / f"{uuid.uuid4().hex}{_PART}"

    def adopt(self, staged: Sequence[Staged]) -> None:
        """Rename all into place, then sync each folder that changed."""
        with translated(), changes(self.data, len(staged)) as naming:
            changed = {folder for item in staged for folder in self._place(item)}
            for folder in sorted(changed):
                naming.renamed(folder)
        for item in staged:
            assert isinstance(item, StagedFile)
            item.release()

    def _place(self, item: Staged) -> list[Path]:
        """Rename bytes into place; gives the folders that changed."""
        assert isinstance(item, StagedFile)
        target = self._file(item.digests.sha256)
        folder = target.parent
        # a folder found with the content in it may stem from a process that died before its sync
        changed = [folder]
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            changed.append(self.data)
        if _size(target) == item.digests.length:
            item.path.unlink()
        else:
            item.path.chmod(0o444)
            item.path.replace(target)
        return changed

    def read(self, key: str, start: int, length: int) -> FilePart:
        """A stretch of the stored file."""
        path = self._file(key)
        if not path.exists():
            raise NotFound(f"content {key} is not in the store")
        return FilePart(path, start, length)

    def size(self, key: str) -> int | None:
        """Number of stored bytes under a key."""
        return _size(self._file(key))

    def keys(self) -> Iterator[str]:
        """Keys of everything stored."""
        for shard in sorted(self.data.iterdir()):
            yield from sorted(file.name for file in shard.iterdir())

    def remove(self, keys: Iterable[str]) -> None:
        """Remove stored bytes, unless `kept` holds them."""
        with translated(), self._keeping.removing() as free:
            for key in keys if free else ():
                self._file(key).unlink(missing_ok=True)

    def kept(self) -> contextlib.AbstractContextManager[None]:
        """While this lasts no process removes stored bytes; what is to be removed stays, for `remove` afterwards."""
        return self._keeping.kept()

    def copy_from(self, source: Backend, key: str) -> bool:
        """Take over what another store has under a key, into a store that nobody uses yet; see `sync`.

        Returns
        -------
        bool
            Whether the bytes are those that the key stands for.

        Raises
        ------
        NotFound
            If the other store does not have them.
        """
        length = source.size(key)
        if length is None:
            raise NotFound(f"content {key} is not in the store")
        target = self._file(key)
        with translated(), readable(source.read(key, 0, length)) as stream:
            target.parent.mkdir(exist_ok=True)
            descriptor = os.open(target, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
            try:
                digests = copying.take(Source(stream, length), descriptor)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            target.chmod(0o444)
        return digests.sha256 == key

    def sync(self) -> None:
        """Make the names of what was copied last."""
        for folder in (*self.data.iterdir(), self.data, self.data.parent):
            sync_folder(folder)

    def unadopted(self, older_than: float) -> Iterator[tuple[str, int]]:
        """Temporary files that nobody locks; where there are no locks, those not written to for a while."""
        latest = time.time() - older_than
        for path in sorted(self.tmp.glob(f"*{_PART}")):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                found = os.fstat(file.fileno())
                if locks.lock(file.fileno(), wait=False) and (locks.ARE_KEPT or found.st_mtime < latest):
                    yield path.name, found.st_size

    def drop(self, name: str) -> None:
        """Remove a temporary file."""
        with translated(), contextlib.suppress(FileNotFoundError), (self.tmp / name).open("rb") as file:
            if locks.lock(file.fileno(), wait=False):
                (self.tmp / name).unlink()

    def put_part(self, upload: str, index: int, start: int, source: Source, md5: str | None) -> None:
        """Write a part into the file of the upload."""
        self._uploads.put_part(upload, index, start, source, md5)

    def parts(self, upload: str) -> set[int]:
        """Indexes of the parts that have arrived whole."""
        return self._uploads.parts(upload)

    def assemble(self, upload: str, length: int) -> StagedFile:
        """Move the upload out of reach of further parts, and hash it."""
        return self._uploads.assemble(upload, length)

    def abandon(self, upload: str) -> None:
        """Remove the folders of the upload."""
        self._uploads.abandon(upload)

    def uploads(self) -> Iterator[tuple[str, int]]:
        """Uploads that have a folder."""
        return self._uploads.all()

    def _file(self, key: str) -> Path:
        return self.data / key[:2] / key


def _digests(source: Source, descriptor: int) -> Digests:
    """Digests of a file that is nothing but the source; they may have been computed while it arrived."""
    follower = getattr(source.stream, "follower", None)
    if isinstance(follower, Following):
        return follower.finish(source.length)
    return copying.digests_of(descriptor, source.length)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
