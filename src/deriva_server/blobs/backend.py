"""What the object service asks of a store of bytes.

A back end knows bytes by key and nothing of names, versions, metadata or rights. The key of bytes is their SHA-256 in
hexadecimal, so identical bytes are kept once. Bytes arrive under a temporary name (`Staged`); they become part of
the store when they are adopted, which the service does inside the transaction that makes them visible, and never
while it removes others. A crash leaves at most bytes that nobody refers to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from deriva_server.blobs.checksums import Digests
from deriva_server.errors import ServiceError
from deriva_server.http.message import FilePart
from deriva_server.values import Frozen


class Source(Frozen, frozen=True):
    """Bytes to take in.

    Parameters
    ----------
    stream : file object
        Gives at least `length` bytes, or ends early. What an open file holds may be cloned instead of read.
    length : int
        How many bytes belong to it.
    progress : callable, optional
        Called with numbers of bytes that are done, by stores that know.
    """

    stream: BinaryIO
    length: int
    progress: Callable[[int], object] | None = None

    def tell(self, count: int) -> None:
        """Report bytes that are done."""
        if self.progress is not None:
            self.progress(count)


class Staged(Protocol):
    """Bytes that have arrived, but are not part of the store."""

    @property
    def digests(self) -> Digests:
        """What they are."""

    def discard(self) -> None:
        """Give them up; does nothing once they were adopted."""


def stage_each(stage: Callable[[Source], Staged], sources: Iterable[Source]) -> list[Staged | ServiceError]:
    """Take several sources in one after another; those that fail do not keep the others back."""
    outcomes: list[Staged | ServiceError] = []
    for source in sources:
        try:
            outcomes.append(stage(source))
        except ServiceError as error:
            outcomes.append(error)
        except BaseException:
            give_up(outcomes)
            raise
    return outcomes


def give_up(outcomes: Iterable[Staged | ServiceError]) -> None:
    """Give up what was staged."""
    for staged in outcomes:
        if not isinstance(staged, ServiceError):
            staged.discard()


class Backend(Protocol):
    """A store of bytes."""

    def stage(self, source: Source) -> Staged:
        """Take bytes in; they are durable on return, or held by this process until they are adopted.

        Raises
        ------
        BadRequest
            If the source ends early.
        StorageFull
            If there is no room.
        """

    def stage_many(self, sources: Sequence[Source]) -> list[Staged | ServiceError]:
        """Take several in, as `stage` does each of them, with as few syncs as possible; gives the errors of some.

        Raises
        ------
        ServiceError
            If none can be taken in.
        """

    def adopt(self, staged: Sequence[Staged]) -> None:
        """Make bytes part of the store, durable on return, all with as few syncs as possible."""

    def read(self, key: str, start: int, length: int) -> bytes | FilePart | Iterable[bytes]:
        """A stretch of stored bytes as the body of a response.

        Raises
        ------
        NotFound
            If the store does not have them.
        """

    def size(self, key: str) -> int | None:
        """Number of stored bytes under a key, None if there are none."""

    def keys(self) -> Iterator[str]:
        """Keys of everything stored."""

    def remove(self, keys: Iterable[str]) -> None:
        """Remove stored bytes, unless they are kept; missing ones are ignored."""

    def kept(self) -> AbstractContextManager[None]:
        """While this lasts no process removes stored bytes; what is to be removed stays, for `remove` afterwards."""

    def put_part(self, upload: str, index: int, start: int, source: Source, md5: str | None) -> None:
        """Take a part of an upload that begins at byte `start`; a part that is sent again replaces the former.

        Raises
        ------
        BadRequest
            If the source ends early, or its MD5 is not the one given. The part is missing then.
        """

    def parts(self, upload: str) -> set[int]:
        """Indexes of the parts that have arrived whole."""

    def assemble(self, upload: str, length: int) -> Staged:
        """Stage the whole upload, out of reach of parts that come later; discarding it keeps the parts.

        Raises
        ------
        Conflict
            If a part is replaced while the upload is read, or another request finishes it.
        """

    def abandon(self, upload: str) -> None:
        """Remove the parts of an upload, if there are any; what cannot be removed now is still among `uploads`."""

    def uploads(self) -> Iterator[tuple[str, int]]:
        """Uploads that have parts or are being assembled, and the bytes of each."""

    def unadopted(self, older_than: float) -> Iterator[tuple[str, int]]:
        """Names and sizes of what arrived and nobody can adopt any more, uploads apart.

        Parameters
        ----------
        older_than : float
            Seconds after which bytes count as given up, where it cannot be known that their process has ended.
        """

    def drop(self, name: str) -> None:
        """Remove something that `unadopted` named, if it is still there."""
