"""Bytes that arrive from an object store, or from a file on this disk: written once, measured on the way."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import requests

from deriva_ml.checksums import md5_and_sha256
from deriva_ml.copies import clone
from deriva_ml.errors import DerivaMLChecksumError, DerivaMLNotFoundError

_PIECE = 1 << 20
_SMALL = 64 << 10


class Found(NamedTuple):
    """What bytes that arrived are: MD5 in hex, and how many."""

    md5: str
    length: int


def local_path(url: str) -> Path | None:
    """Path on this disk that a ``file:`` or ``tag:…:file:`` URL names, None for any other URL."""
    address = re.sub(r"^tag:[^:]*:(?=file:)", "", url)
    return Path(unquote(urlsplit(address).path)) if address.startswith("file:") else None


def copy_local(source: Path, url: str, partial: Path) -> Found:
    """Copy a file that an asset row names by its place on a disk.

    Raises
    ------
    DerivaMLNotFoundError
        If it cannot be read here.
    """
    try:
        return _copied(source, partial)
    except OSError as error:
        raise DerivaMLNotFoundError(
            f"{url} was registered by its place on a disk, and {source} cannot be read here: {error.strerror or error}."
        ) from error


def _copied(source: Path, target: Path) -> Found:
    """Copy a file; a small one is read once, the blocks of a large one are shared where the file system can."""
    with source.open("rb", buffering=0) as file:
        data = file.read(_SMALL)
    if len(data) < _SMALL:
        target.write_bytes(data)
        return Found(hashlib.md5(data, usedforsecurity=False).hexdigest(), len(data))
    clone(source, target)
    md5, _, size = md5_and_sha256(target)
    return Found(md5, size)


def verify(url: str, found: Found, md5: str | None, length: int | None) -> None:
    """Check what arrived against what the catalog says.

    Raises
    ------
    DerivaMLChecksumError
        If it is something else.
    """
    if length is not None and found.length != length:
        raise DerivaMLChecksumError(
            f"{url} has {found.length} bytes, the catalog says {length}. Try again, or check the store."
        )
    if md5 is not None and found.md5 != md5.lower():
        raise DerivaMLChecksumError(
            f"{url} has MD5 {found.md5}, the catalog says {md5}. Try again, or check the store."
        )


def store(
    answer: requests.Response, url: str, partial: Path, progress: Callable[[int], object] | None
) -> Found:
    """Write the body of a response to a file.

    Raises
    ------
    DerivaMLChecksumError
        If the bytes are not those that the store says it sent.
    """
    part = getattr(answer.raw, "part", None)
    if part is not None and part.start == 0 and part.length == part.path.stat().st_size:
        found = _copied(part.path, partial)
        if progress is not None:
            progress(found.length)
        return found
    size = 0
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with partial.open("wb") as file:
        for piece in answer.iter_content(_PIECE):
            file.write(piece)
            md5.update(piece)
            sha256.update(piece)
            size += len(piece)
            if progress is not None:
                progress(len(piece))
    _check_digests(answer, url, md5.digest(), sha256.digest())
    return Found(md5.hexdigest(), size)


def _check_digests(answer: requests.Response, url: str, md5: bytes, sha256: bytes) -> None:
    for name, digest in (("Content-SHA256", sha256), ("Content-MD5", md5)):
        given = answer.headers.get(name)
        if given and given != base64.b64encode(digest).decode():
            raise DerivaMLChecksumError(f"{url} was damaged on its way: {name} differs. Try again.")
