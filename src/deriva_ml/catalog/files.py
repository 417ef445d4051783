"""Bytes of assets from the object store of one catalog to that of another."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from deriva_ml import settings
from deriva_ml.checksums import md5_of
from deriva_ml.ermrest import objects
from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.objects import Upload
from deriva_ml.errors import DerivaMLChecksumError, DerivaMLNotFoundError
from deriva_ml.parallel import run_all


@dataclass(frozen=True)
class StoredFile:
    """An object to be copied.

    Parameters
    ----------
    table, rid : str
        The asset row that it belongs to.
    url : str
        Where it is.
    target : str
        Host-relative URL that it gets.
    length : int
    md5 : str
        In hex; empty if not recorded.
    name : str, optional
        Under which a browser saves it.
    """

    table: str
    rid: str
    url: str
    target: str
    length: int
    md5: str
    name: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one file: whether bytes were copied, or why not."""

    copied: bool
    reason: str | None = None


def target_url(url: str, source: Connection) -> str:
    """Host-relative URL that the copy of an object gets; a URL that is not of the source stays.

    Examples
    --------
    >>> target_url("/hatrac/Image/0f.a.png:K3X", source)  # doctest: +SKIP
    '/hatrac/Image/K3X.0f.a.png'
    """
    own = url.removeprefix(source.url(""))
    if not own.startswith("/"):
        return url
    folder, _, last = own.rpartition("/")
    # The copy of a version of an object is an object of its own.
    name, colon, version = last.partition(":")
    return f"{folder}/{version}.{name}" if colon else own


def copy_files(
    source: Connection,
    target: Connection,
    wanted: Iterable[StoredFile],
    scratch: Path,
    done: Callable[[StoredFile, Outcome], object],
) -> None:
    """Copy objects, some at a time; what the target has already is not copied again.

    Parameters
    ----------
    source, target : Connection
    wanted : iterable of StoredFile
    scratch : Path
        Folder for what is on its way.
    done : callable
        Called with each file and what became of it: an object that is missing or damaged in the source is told of.

    Raises
    ------
    DerivaMLException
        If a store cannot be reached, or the target refuses something.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    # What runs in this process does its work in our threads: more of them only get in each other's way.
    embedded = source.is_embedded and target.is_embedded
    workers = 1 if embedded else settings.upload_workers() or None
    run_all(lambda file: copy_file(source, target, file, scratch), wanted, workers, done)


def copy_file(source: Connection, target: Connection, file: StoredFile, scratch: Path) -> Outcome:
    """Copy one object, checked on both sides."""
    if file.md5 and objects.has(target, file.target, file.md5):
        return Outcome(copied=False)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        path = Path(folder) / "bytes"
        try:
            objects.fetch(source, file.url, path, md5=file.md5 or None, length=file.length)
        except (DerivaMLNotFoundError, DerivaMLChecksumError) as error:
            return Outcome(copied=False, reason=str(error))
        upload = Upload(path, file.target, file.md5 or md5_of(path), filename=file.name)
        objects.put_upload(target, upload)
    return Outcome(copied=True)
