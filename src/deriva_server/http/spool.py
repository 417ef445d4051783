"""Bodies that must be complete before they may be sent: short ones in memory, long ones in an unnamed file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from types import TracebackType

_IN_MEMORY = 4 << 20
_PIECE = 1 << 18


class Spool:
    """A body that is written first and sent then.

    Attributes
    ----------
    length : int
        Bytes written.
    """

    def __init__(self) -> None:
        self.length = 0
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by whoever sends it

    def write(self, piece: bytes) -> None:
        """Append."""
        self._file.write(piece)
        self.length += len(piece)

    def __iter__(self) -> Iterator[bytes]:
        """Pieces from the beginning; closes at the end."""
        try:
            self._file.seek(0)
            while piece := self._file.read(_PIECE):
                yield piece
        finally:
            self.close()

    def close(self) -> None:
        """Forget the content; may be called twice."""
        self._file.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
