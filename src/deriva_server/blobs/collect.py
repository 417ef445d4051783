"""Find and remove bytes that nobody refers to: orphans of crashes, bytes that never arrived whole, old uploads."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from deriva_server.blobs.directory import Directory
from deriva_server.sql import objects, usage
from deriva_server.values import Frozen

T = TypeVar("T")

DAY = 86_400.0
"""Seconds."""

_PAGE = 1000

Told = Callable[[str, int, int], None]
"""Gets what is done, how much of it, and of how much."""


class Garbage(Frozen, frozen=True):
    """What can be removed, or was.

    Parameters
    ----------
    orphans : tuple
        Keys of contents that no version has, with their bytes.
    remains : tuple
        Names of what arrived and was never made part of the store, with their bytes.
    uploads : tuple
        Ids of uploads that nobody can finish or that are too old, with their bytes.
    kept : int
        Orphans that could not be removed because a backup is running.
    """

    orphans: tuple[tuple[str, int], ...] = ()
    remains: tuple[tuple[str, int], ...] = ()
    uploads: tuple[tuple[str, int], ...] = ()
    kept: int = 0

    @property
    def length(self) -> int:
        """Bytes of all."""
        return sum(length for _, length in (*self.orphans, *self.remains, *self.uploads))


def find_garbage(directory: Directory, uploads_older_than: float | None, told: Told) -> Garbage:
    """Look for what can be removed.

    Parameters
    ----------
    directory : Directory
        Says what is in use.
    uploads_older_than : float or None
        Seconds since their beginning after which unfinished uploads count as given up; None keeps all.
    told : callable
        Told of the progress.
    """
    backend = directory.backend
    orphans: list[tuple[str, int]] = []
    with directory.read() as connection:
        expected = usage.usage(connection).contents
    for done, page in _pages(backend.keys()):
        told("contents", min(done, expected), expected)
        with directory.read() as connection:
            unused = sorted(objects.unused_blobs(connection, page))
        orphans += [(key, length) for key in unused if (length := backend.size(key)) is not None]
    # Listed before it is asked which are known: an upload is known before its first part arrives.
    arriving = list(backend.uploads())
    with directory.read() as connection:
        known = usage.unfinished(connection)
    latest = float("-inf") if uploads_older_than is None else time.time() - uploads_older_than
    lengths = dict(arriving)
    old = {id_: lengths.get(id_, 0) for id_, began in known.items() if began < latest}
    lost = {id_: length for id_, length in arriving if id_ not in known}
    return Garbage(tuple(orphans), tuple(backend.unadopted(DAY)), tuple({**old, **lost}.items()))


def collect(directory: Directory, garbage: Garbage, told: Told) -> Garbage:
    """Remove what was found, unless it came into use meanwhile.

    Returns
    -------
    Garbage
        What was removed.
    """
    backend = directory.backend
    removed: list[tuple[str, int]] = []
    kept = 0
    for done, page in _pages(iter(garbage.orphans)):
        told("removed", done, len(garbage.orphans))
        unused = directory.remove_unused([key for key, _ in page])
        gone = [(key, length) for key, length in page if key in unused and backend.size(key) is None]
        kept += len(unused) - len(gone)
        removed += gone
    for name, _ in garbage.remains:
        backend.drop(name)
    ids = [id_ for id_, _ in garbage.uploads]
    directory.write(lambda connection: usage.forget_uploads(connection, ids))
    for id_ in ids:
        backend.abandon(id_)
    return Garbage(tuple(removed), garbage.remains, garbage.uploads, kept)


def _pages(found: Iterator[T]) -> Iterator[tuple[int, Sequence[T]]]:
    """Some at a time, with the number of those before."""
    done = 0
    while page := list(itertools.islice(found, _PAGE)):
        yield done, page
        done += len(page)
