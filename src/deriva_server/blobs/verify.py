"""Read every content again, and tell what is not as it was put."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from deriva_server.blobs.backend import Backend
from deriva_server.blobs.bodies import pieces
from deriva_server.blobs.collect import Told
from deriva_server.blobs.directory import Directory
from deriva_server.errors import NotFound
from deriva_server.sql import usage
from deriva_server.values import Frozen

_WORKERS = 4


class Damage(Frozen, frozen=True):
    """A content that is not as it was put.

    Parameters
    ----------
    key : str
        Its SHA-256 in hexadecimal, as it should be.
    what : str
        What is wrong with it.
    locations : tuple of str
        The versions that have it.
    """

    key: str
    what: str
    locations: tuple[str, ...]


class Verification(Frozen, frozen=True):
    """What was read: how many contents, how many bytes, and those that are damaged."""

    contents: int
    length: int
    damaged: tuple[Damage, ...]


def verify(directory: Directory, told: Told) -> Verification:
    """Read and hash every content that a version has.

    Parameters
    ----------
    directory : Directory
        Says which these are.
    told : callable
        Told of the bytes.
    """
    with directory.read() as connection:
        total = usage.usage(connection).stored
    count = length = 0
    damaged: list[Damage] = []
    with ThreadPoolExecutor(_WORKERS) as workers:
        for page in _pages(directory):
            faults = workers.map(lambda content: _fault(directory.backend, *content), page)
            for (key, size), fault in zip(page, faults, strict=True):
                count, length = count + 1, length + size
                told("read", min(length, total), total)
                if fault is not None:
                    damaged += _damage(directory, key, fault)
    return Verification(count, length, tuple(damaged))


def _pages(directory: Directory) -> Iterator[list[tuple[str, int]]]:
    after = ""
    while True:
        with directory.read() as connection:
            page = usage.contents(connection, after)
        if not page:
            return
        yield page
        after = page[-1][0]


def _fault(backend: Backend, key: str, length: int) -> str | None:
    size = backend.size(key)
    if size is None:
        return "is missing"
    if size != length:
        return f"has {size:,} bytes instead of {length:,}"
    digest = hashlib.sha256()
    try:
        for piece in pieces(backend.read(key, 0, length)):
            digest.update(piece)
    except (NotFound, FileNotFoundError):
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None if digest.hexdigest() == key else "is altered"


def _damage(directory: Directory, key: str, fault: str) -> list[Damage]:
    """Nothing, when the content went out of use while it was looked at."""
    with directory.read() as connection:
        locations = usage.locations(connection, key)
    return [Damage(key, fault, tuple(locations))] if locations else []
