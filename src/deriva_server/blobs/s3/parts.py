"""Uploads in chunks: each chunk under a key of its own, until all are joined."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from deriva_server.blobs.backend import Source
from deriva_server.blobs.bodies import readable
from deriva_server.blobs.checksums import Digests, Hasher
from deriva_server.blobs.s3.bucket import Bucket
from deriva_server.blobs.s3.held import MOST_PARTS, SMALL, Held
from deriva_server.blobs.s3.reading import Joined, Part
from deriva_server.blobs.s3.sending import Arriving, Local, send_parts, send_whole
from deriva_server.errors import BadRequest, Conflict, NotFound, PreconditionFailed

LEAST_PART = 5 << 20
"""S3 takes no smaller parts of a content, but for the last one."""

_MOST_COPIED = 512 << 20
_AGAIN = "a chunk was sent again while the upload was being finished; finish it again"


class Copies:
    """Contents made of chunks that S3 has already, joined there without another transfer.

    Parameters
    ----------
    parts : sequence of Part
        The chunks in order.
    digests : Digests
        Of all together.
    """

    def __init__(self, parts: Sequence[Part], digests: Digests) -> None:
        self.digests = digests
        self._pieces = list(_pieces(parts))

    def send(self, bucket: Bucket, key: str) -> Arriving:
        """Let S3 copy the chunks, unless one was sent again."""

        def one(arriving: str, number: int) -> Any:
            part, start, length = self._pieces[number]
            whole = start == 0 and length == part.length
            copied = bucket.call(
                "upload_part_copy",
                "patient",
                Key=key,
                UploadId=arriving,
                PartNumber=number + 1,
                CopySource={"Bucket": bucket.address.bucket, "Key": part.key},
                CopySourceIfMatch=part.tag,
                **({} if whole else {"CopySourceRange": f"bytes={start}-{start + length - 1}"}),
            )
            return copied["CopyPartResult"]["ETag"]

        with unchanged():
            return send_parts(bucket, key, len(self._pieces), one)

    def put(self, bucket: Bucket, key: str) -> None:
        """Join them at once."""
        self.send(bucket, key).complete(bucket)

    def close(self) -> None:
        """Nothing is held."""


def can_be_copied(parts: Sequence[Part]) -> bool:
    """Whether S3 takes the chunks as parts of a content."""
    count = sum(1 for _ in _pieces(parts))
    return count <= MOST_PARTS and all(part.length >= LEAST_PART for part in parts[:-1])


def _pieces(parts: Sequence[Part]) -> Iterator[tuple[Part, int, int]]:
    """Stretches of the chunks that are not too large for one copy, of about the same length."""
    for part in parts:
        step = -(-part.length // max(1, -(-part.length // _MOST_COPIED)))
        for start in range(0, part.length, step):
            yield part, start, min(step, part.length - start)


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Refuse to go on when a chunk is no longer the one that was listed."""
    try:
        yield
    except (PreconditionFailed, NotFound):
        raise Conflict(_AGAIN) from None


class Chunks:
    """The chunks of all uploads.

    Parameters
    ----------
    bucket : Bucket
        The store.
    prefix : str
        Of their keys, with a slash at its end.
    """

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix

    def put(self, upload: str, index: int, source: Source, md5: str | None) -> None:
        """Take a chunk; one that is not as announced takes the former one with it."""
        key = self._key(upload, index)
        try:
            held = Held(source)
        except BadRequest:
            self._bucket.remove([key])
            raise
        try:
            if md5 is not None and held.digests.md5 != md5:
                self._bucket.remove([key])
                raise BadRequest(f"the MD5 of the chunk is {held.digests.md5}, not {md5}")
            send_whole(self._bucket, key, Local(held))
        finally:
            held.close()

    def find(self, upload: str) -> dict[int, Part]:
        """The chunks of an upload that have arrived, by their index."""
        prefix = self._key(upload, "")
        found = {
            int(name): Part(entry["Key"], entry["ETag"], entry["Size"])
            for entry in self._bucket.listed(prefix)
            if (name := entry["Key"].removeprefix(prefix)).isdigit()
        }
        return dict(sorted(found.items()))

    def all(self) -> Iterator[tuple[str, int]]:
        """Uploads that have chunks, and the bytes of each."""
        lengths: dict[str, int] = {}
        for entry in self._bucket.listed(self._prefix):
            upload = entry["Key"].removeprefix(self._prefix).partition("/")[0]
            lengths[upload] = lengths.get(upload, 0) + entry["Size"]
        yield from lengths.items()

    def hash(self, parts: Sequence[Part]) -> Digests:
        """Digests of chunks one after another."""
        hasher = Hasher(sum(part.length for part in parts))
        with contextlib.closing(Joined(self._bucket, parts)) as joined, unchanged():
            try:
                for piece in joined:
                    hasher.update(piece)
                return hasher.finish()
            finally:
                hasher.close()

    def hold(self, parts: Sequence[Part]) -> Held:
        """The bytes of chunks brought here, because S3 cannot join them."""
        with unchanged(), readable(Joined(self._bucket, parts)) as stream:
            return Held(Source(stream, sum(part.length for part in parts)))

    def is_cheap(self, parts: Sequence[Part]) -> bool:
        """Whether the chunks together are soon sent again."""
        return sum(part.length for part in parts) <= SMALL

    def _key(self, upload: str, index: int | str) -> str:
        return f"{self._prefix}{upload}/{index}"
