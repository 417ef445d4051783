"""Bytes that were taken in before it is known under which name, so that a file is read once to be named by its digest."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import BinaryIO

from deriva_server.blobs.backend import Backend, Source, Staged
from deriva_server.blobs.checksums import Digests
from deriva_server.errors import ServiceError


class Taken(io.BytesIO):
    """Stands for bytes that a store has taken in, where the body of a request is expected.

    Parameters
    ----------
    staged : Staged
        The bytes; a request that fails gives them up.
    """

    def __init__(self, staged: Staged) -> None:
        super().__init__()
        self.staged = staged

    @property
    def digests(self) -> Digests:
        """What the bytes are."""
        return self.staged.digests

    @property
    def md5(self) -> str:
        """MD5 in hexadecimal."""
        return self.digests.md5

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.digests.length

    def discard(self) -> None:
        """Give the bytes up; does nothing once they belong to an object."""
        self.staged.discard()


def take_in(
    backend: Backend, stream: BinaryIO, length: int, progress: Callable[[int], object] | None = None
) -> Taken:
    """Take bytes in; see `Source` for the parameters.

    Raises
    ------
    BadRequest
        If the stream ends early.
    StorageFull
        If there is no room.
    """
    return Taken(backend.stage(Source(stream, length, progress)))


def stage_rest(backend: Backend, sources: Sequence[Source]) -> list[Staged | ServiceError]:
    """As `Backend.stage_many`, for sources of which some were taken in already."""
    rest = [source for source in sources if not isinstance(source.stream, Taken)]
    staged = iter(backend.stage_many(rest) if rest else [])
    return [source.stream.staged if isinstance(source.stream, Taken) else next(staged) for source in sources]
