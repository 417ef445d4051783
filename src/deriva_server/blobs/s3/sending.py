"""Send contents to S3 in such a way that nothing is visible before it is whole."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from deriva_server.blobs.checksums import Digests
from deriva_server.blobs.s3.bucket import Bucket
from deriva_server.blobs.s3.held import SMALL, Held
from deriva_server.errors import Busy, NotFound, ServiceError
from deriva_server.values import Frozen

_WORKERS = 3
_TINY = 64 << 10
"""Bytes that are sent sooner than it is asked whether they are there: both cost one request."""


class Arriving(Frozen, frozen=True):
    """A multipart upload that has all its parts; it becomes visible under its key when it is completed.

    Parameters
    ----------
    key : str
        Under which it will be found.
    id : str
        As S3 calls it.
    tags : list of str
        Those of its parts.
    """

    key: str
    id: str
    tags: list[str]

    def complete(self, bucket: Bucket) -> None:
        """Make it visible, and last."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(self.tags, 1)]
        bucket.call(
            "complete_multipart_upload",
            "patient",
            Key=self.key,
            UploadId=self.id,
            MultipartUpload={"Parts": parts},
        )

    def abort(self, bucket: Bucket) -> None:
        """Give it up; where that fails it is left for `S3Backend.unadopted` to find."""
        with contextlib.suppress(ServiceError):
            bucket.call("abort_multipart_upload", "hasty", Key=self.key, UploadId=self.id)


class Bytes(Protocol):
    """Where the bytes of a content are taken from, as often as it has to be."""

    @property
    def digests(self) -> Digests:
        """What they are."""

    def send(self, bucket: Bucket, key: str) -> Arriving:
        """Send all as parts."""

    def put(self, bucket: Bucket, key: str) -> None:
        """Send all in one piece, visible at once."""

    def close(self) -> None:
        """Let go of them."""


class Local:
    """Bytes that are here.

    Parameters
    ----------
    held : Held
        These.
    """

    def __init__(self, held: Held) -> None:
        self._held = held
        self.digests = held.digests

    def send(self, bucket: Bucket, key: str) -> Arriving:
        """Upload the parts."""
        held = self._held

        def one(arriving: str, number: int) -> Any:
            return bucket.call(
                "upload_part",
                Key=key,
                UploadId=arriving,
                PartNumber=number + 1,
                Body=held.section(number),
                ContentMD5=held.sums[number],
            )["ETag"]

        return send_parts(bucket, key, len(held.sums), one)

    def put(self, bucket: Bucket, key: str) -> None:
        """Upload all."""
        bucket.call("put_object", Key=key, Body=self._held.section(0), ContentMD5=self._held.sums[0])

    def close(self) -> None:
        """Let go of a temporary file."""
        self._held.close()


def send_parts(bucket: Bucket, key: str, count: int, one: Callable[[str, int], str]) -> Arriving:
    """Send parts in parallel; gives up all when one fails.

    Parameters
    ----------
    bucket : Bucket
        Where to.
    key : str
        Of the content.
    count : int
        Number of parts.
    one : callable
        Gets the id of the upload and the number of a part from 0 on, sends it and gives its tag.
    """
    id_ = bucket.call("create_multipart_upload", Key=key)["UploadId"]
    try:
        with ThreadPoolExecutor(_WORKERS, "s3") as workers:
            sending = [workers.submit(one, id_, number) for number in range(count)]
            try:
                return Arriving(key, id_, [task.result() for task in sending])
            except BaseException:
                workers.shutdown(cancel_futures=True)
                raise
    except BaseException:
        Arriving(key, id_, []).abort(bucket)
        raise


def send_whole(bucket: Bucket, key: str, content: Bytes) -> None:
    """Send a content so that it is visible and lasts on return."""
    if content.digests.length <= SMALL:
        content.put(bucket, key)
    else:
        content.send(bucket, key).complete(bucket)


class StagedContent:
    """A content on its way into the store.

    Large contents are there already, but not visible. Small ones are sent when they are adopted, and large ones that
    the store has already only if it has them no more by then.

    Parameters
    ----------
    bucket : Bucket
        The store.
    key : str
        Of the content.
    content : Bytes
        It.
    """

    def __init__(self, bucket: Bucket, key: str, content: Bytes) -> None:
        self.digests = content.digests
        self._bucket = bucket
        self._key = key
        self._content = content
        self._arriving: Arriving | None = None
        self._is_wanted = True
        try:
            if self.digests.length > SMALL and not self._is_there():
                self._arriving = content.send(bucket, key)
        except BaseException:
            content.close()
            raise

    def adopt(self) -> None:
        """Make it visible."""
        if self._arriving is not None:
            self._complete(self._arriving)
        elif self.digests.length <= _TINY or not self._is_there():
            send_whole(self._bucket, self._key, self._content)
        self._is_wanted = False
        self._content.close()

    def _complete(self, arriving: Arriving) -> None:
        try:
            arriving.complete(self._bucket)
        except NotFound:
            # A second attempt, after the answer to the first was lost, finds it done.
            if not self._is_there():
                raise Busy(f"the parts of {self._key} were removed before they were used") from None

    def _is_there(self) -> bool:
        return size_of(self._bucket, self._key) == self.digests.length

    def discard(self) -> None:
        """Give it up, unless it was adopted."""
        if self._is_wanted:
            self._is_wanted = False
            self._content.close()
            if self._arriving is not None:
                self._arriving.abort(self._bucket)


def size_of(bucket: Bucket, key: str) -> int | None:
    """Number of bytes under a key, None if there are none."""
    try:
        return int(bucket.call("head_object", Key=key)["ContentLength"])
    except NotFound:
        return None
