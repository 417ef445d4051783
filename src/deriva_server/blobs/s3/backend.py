"""A store of bytes in a bucket: each content once, under its SHA-256.

::

    <prefix>/deployment               id of the deployment that the prefix belongs to, and of its claim
    <prefix>/data/<xx>/<sha256>       stored bytes
    <prefix>/uploads/<job>/<index>    chunks of unfinished uploads

A content appears under its key whole or not at all: S3 shows what is put in one piece when it has all of it, and what
is put in parts when they are completed. Content-MD5 goes with all of them, so that nothing torn is taken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from deriva_server.blobs.backend import Backend, Source, Staged, stage_each
from deriva_server.blobs.bodies import readable
from deriva_server.blobs.keeping import Keeping
from deriva_server.blobs.s3.addresses import Address
from deriva_server.blobs.s3.bucket import Bucket
from deriva_server.blobs.s3.held import Held
from deriva_server.blobs.s3.parts import Chunks, Copies, can_be_copied
from deriva_server.blobs.s3.reading import PIECE, Stretch
from deriva_server.blobs.s3.sending import Bytes, Local, StagedContent, size_of
from deriva_server.errors import NotFound, ServiceError

_WORKERS = 8


class S3Backend:
    """Keeps bytes in a bucket; fulfils `Backend`.

    Parameters
    ----------
    address : Address
        Which bucket, and what keys begin with.
    keeping : Keeping
        Says when bytes may be removed.

    Raises
    ------
    DeploymentError
        If botocore is not installed.
    """

    def __init__(self, address: Address, keeping: Keeping) -> None:
        self._bucket = Bucket(address)
        self._keeping = keeping
        self._prefix = address.root
        self._data = f"{self._prefix}data/"
        self._chunks = Chunks(self._bucket, f"{self._prefix}uploads/")

    def stage(self, source: Source) -> StagedContent:
        """Hash the bytes, and send large ones already."""
        return self._staged(Local(Held(source)))

    def _staged(self, content: Bytes) -> StagedContent:
        return StagedContent(self._bucket, self._key(content.digests.sha256), content)

    def stage_many(self, sources: Sequence[Source]) -> list[Staged | ServiceError]:
        """Take several in."""
        return stage_each(self.stage, sources)

    def adopt(self, staged: Sequence[Staged]) -> None:
        """Make all visible, several at a time."""
        contents = [item for item in staged if isinstance(item, StagedContent)]
        assert len(contents) == len(staged)
        if len(contents) == 1:
            contents[0].adopt()
            return
        with ThreadPoolExecutor(_WORKERS, "s3-adopt") as workers:
            list(workers.map(StagedContent.adopt, contents))

    def read(self, key: str, start: int, length: int) -> bytes | Iterable[bytes]:
        """A stretch of a stored content; a long one as pieces that arrive while they are used."""
        if not length:
            if self.size(key) is None:
                raise NotFound(f"content {key} is not in the store")
            return b""
        try:
            stretch = Stretch(self._bucket, self._key(key), start, length)
        except NotFound:
            raise NotFound(f"content {key} is not in the store") from None
        return stretch if length > PIECE else b"".join(stretch)

    def size(self, key: str) -> int | None:
        """Number of stored bytes under a key."""
        return size_of(self._bucket, self._key(key))

    def keys(self) -> Iterator[str]:
        """Keys of everything stored."""
        for entry in self._bucket.listed(self._data):
            yield entry["Key"].rpartition("/")[2]

    def remove(self, keys: Iterable[str]) -> None:
        """Remove stored bytes, unless `kept` holds them."""
        with self._keeping.removing() as free:
            if free:
                self._bucket.remove(self._key(key) for key in keys)

    def kept(self) -> contextlib.AbstractContextManager[None]:
        """While this lasts no process removes stored bytes; what is to be removed stays, for `remove` afterwards."""
        return self._keeping.kept()

    def copy_from(self, source: Backend, key: str) -> bool:
        """Take over what another store has under a key, as `FilesBackend.copy_from` does."""
        length = source.size(key)
        if length is None:
            raise NotFound(f"content {key} is not in the store")
        with readable(source.read(key, 0, length)) as stream:
            staged = StagedContent(self._bucket, self._key(key), Local(Held(Source(stream, length))))
        try:
            staged.adopt()
        finally:
            staged.discard()
        return staged.digests.sha256 == key

    def put_part(self, upload: str, index: int, start: int, source: Source, md5: str | None) -> None:
        """Take a part of an upload, which replaces a former one when all of it has arrived."""
        self._chunks.put(upload, index, source, md5)

    def parts(self, upload: str) -> set[int]:
        """Indexes of the parts that have arrived whole."""
        return set(self._chunks.find(upload))

    def assemble(self, upload: str, length: int) -> StagedContent:
        """Hash the parts as they are now; S3 joins them where it can. One that is sent again makes this fail."""
        parts = list(self._chunks.find(upload).values())
        if can_be_copied(parts) and not self._chunks.is_cheap(parts):
            return self._staged(Copies(parts, self._chunks.hash(parts)))
        return self._staged(Local(self._chunks.hold(parts)))

    def abandon(self, upload: str) -> None:
        """Remove the parts of an upload; what cannot be removed now is among `uploads` until it is."""
        with contextlib.suppress(ServiceError):
            self._bucket.remove(part.key for part in self._chunks.find(upload).values())

    def uploads(self) -> Iterator[tuple[str, int]]:
        """Uploads that have parts."""
        return self._chunks.all()

    def unadopted(self, older_than: float) -> Iterator[tuple[str, int]]:
        """Unfinished transfers to S3 that have not gone on for a while."""
        latest = datetime.now(UTC).timestamp() - older_than
        for entry in self._bucket.pages("list_multipart_uploads", "Uploads", Prefix=self._prefix):
            if entry["Initiated"].timestamp() > latest:
                continue
            key, id_ = entry["Key"], entry["UploadId"]
            try:
                parts = list(self._bucket.pages("list_parts", "Parts", Key=key, UploadId=id_))
            except NotFound:
                continue
            if all(part["LastModified"].timestamp() <= latest for part in parts):
                yield f"{id_} {key}", sum(part["Size"] for part in parts)

    def drop(self, name: str) -> None:
        """Give an unfinished transfer up."""
        id_, _, key = name.partition(" ")
        with contextlib.suppress(NotFound):
            self._bucket.call("abort_multipart_upload", Key=key, UploadId=id_)

    def _key(self, key: str) -> str:
        return f"{self._data}{key[:2]}/{key}"
