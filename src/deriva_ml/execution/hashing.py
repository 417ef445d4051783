"""Checksums of the files of a commit; large ones are taken in by an embedded store while they are read for that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from deriva_ml.checksums import md5_of
from deriva_ml.ermrest import objects
from deriva_ml.ermrest.connect import Connection
from deriva_ml.errors import DerivaMLUploadError
from deriva_ml.execution.pending import PendingFile
from deriva_ml.parallel import run_all
from deriva_ml.records import UploadCallback, UploadProgress

_MOST_TAKEN = 200
"""Each is an open file of the store until it is named."""


@dataclass(frozen=True)
class Hashed:
    """MD5 of a file, and its bytes where the store has taken them in."""

    md5: str
    taken: objects.Taken | None = None


def hash_files(
    connection: Connection,
    files: Sequence[PendingFile],
    taken: ExitStack,
    progress: UploadCallback | None = None,
) -> list[Hashed]:
    """Compute the checksums of files, some at a time.

    Parameters
    ----------
    connection : Connection
    files : sequence of PendingFile
    taken : ExitStack
        At whose end the bytes are given up that were taken in and not named by then.
    progress : callable, optional

    Raises
    ------
    DerivaMLUploadError
        If a file cannot be read, or is written to meanwhile.
    """
    large = sorted(files, key=lambda file: file.length, reverse=True)[:_MOST_TAKEN]
    taking = {file.key for file in large if file.length >= objects.ASK_FIRST}
    watch = _Watch(progress, files)

    def hashed(file: PendingFile) -> Hashed:
        advance = watch.of(file)
        try:
            found = objects.take_in(connection, file.path, advance) if file.key in taking else None
            if found is not None:
                taken.callback(found.discard)
            md5 = md5_of(file.path) if found is None else found.md5
            status = file.path.stat()
        except OSError as error:
            raise DerivaMLUploadError(
                f"{file.key} ({file.path}) cannot be read: {error.strerror or error}."
            ) from error
        if (status.st_size, status.st_mtime_ns) != (file.length, file.mtime_ns):
            raise DerivaMLUploadError(
                f"{file.key} ({file.path}) was written to while it was read, so nothing was uploaded. Call "
                "commit_output_assets() again when it is complete."
            )
        return Hashed(md5, found)

    return run_all(hashed, files, progress=watch.done)


class _Watch:
    """Reports bytes and files, one call at a time."""

    def __init__(self, callback: UploadCallback | None, files: Sequence[PendingFile]) -> None:
        self._callback = callback
        self._lock = threading.Lock()
        self._files, self._done = len(files), 0
        self._total, self._bytes = sum(file.length for file in files) or 1, 0

    def of(self, file: PendingFile) -> Callable[[int], object] | None:
        """What to call with numbers of bytes of a file that is taken in."""
        if self._callback is None:
            return None
        completed = 0

        def advance(count: int) -> None:
            nonlocal completed
            completed += count
            with self._lock:
                self._tell(file, completed, self._bytes + completed, f"Staging {file.key}")

        return advance

    def done(self, file: PendingFile, _: Hashed) -> None:
        """Count a file."""
        with self._lock:
            self._done += 1
            self._bytes += file.length
            message = f"Staged {file.key} into bag ({self._done}/{self._files})"
            self._tell(file, file.length, self._bytes, message)

    def _tell(self, file: PendingFile, completed: int, total: int, message: str) -> None:
        if self._callback is not None:
            self._callback(
                UploadProgress(
                    file_path=str(file.path),
                    file_name=file.name,
                    bytes_completed=completed,
                    bytes_total=file.length,
                    percent_complete=min(100.0, 100.0 * total / self._total),
                    phase="Staging",
                    message=message,
                )
            )
