"""A deployment: one folder with catalogs and objects, and the document that says who it is.

::

    deployment.json            id, name, format
    registry.db                which catalogs exist
    catalogs/<id>.db           one database per catalog
    objects/directory.db       names, versions, rights of objects
                               (databases lie elsewhere if they are kept on a server)
    objects/data/<xx>/<sha256> the bytes, each content once, unless they are kept on S3
    objects/tmp/               bytes that are arriving

The id stays with the folder wherever it is moved and stands for the host name in citations and local paths.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shlex
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from deriva_server.errors import DeploymentError
from deriva_server.mounts import network_file_system
from deriva_server.values import Frozen

FORMAT = 1
"""Format number that this release writes."""

OLDEST_SQLITE = (3, 39, 0)
"""Oldest SQLite with everything the service uses (full outer joins, RETURNING, dropped columns)."""

DOCUMENT = "deployment.json"

_LEFT_SECONDS = 3600

_NOT_OFFERED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES, errno.EPERM})
"""What file systems answer that write no folders on request, and folders that may be written but not read."""

UPGRADES: Mapping[int, Callable[[Path], None]] = {}
"""Steps between formats: `UPGRADES[n]` turns a folder of format n into one of format n + 1, and may be run twice."""


class Deployment(Frozen, frozen=True):
    """One folder that can be served.

    Parameters
    ----------
    folder : Path
        Absolute, without links.
    id : str
        Never changes; unique among all deployments.
    name : str
        As shown to people.
    format : int
        Format number of the folder.
    """

    folder: Path
    id: str
    name: str
    format: int = FORMAT

    @property
    def objects_folder(self) -> Path:
        """Where the object store lies."""
        return self.folder / "objects"

    @classmethod
    def create(cls, folder: str | Path, name: str | None = None) -> Deployment:
        """Make a deployment in a new or empty folder; one that is already there is opened.

        Parameters
        ----------
        folder : str or Path
            Made with its parents when missing.
        name : str, optional
            As shown to people; the name of the folder by default.

        Raises
        ------
        DeploymentError
            If the folder holds something else, cannot be written or lies on a network file system.
            Nothing is left behind then.
        """
        place = resolved(folder)
        if (place / DOCUMENT).is_file():
            return cls.open(place)
        if place.exists() and not place.is_dir():
            raise DeploymentError(f"{place} is a file. Choose a folder for the deployment.")
        check_sqlite()
        _check_mount(place)
        with new_folders(place):
            _check_empty(place)
            document: dict[str, Any] = {
                "id": uuid.uuid4().hex,
                "name": name or place.name or "deployment",
                "format": FORMAT,
            }
            try:
                write_document(place, document, replace=False)
            except FileExistsError:
                return cls.open(place)
            except OSError as error:
                raise DeploymentError(_unwritable(place, error)) from error
        # Inside a repository its databases would otherwise count as uncommitted changes of every run.
        with contextlib.suppress(OSError):
            (place / ".gitignore").write_text("*\n")
        return cls(place, document["id"], document["name"], FORMAT)

    def take_back(self) -> None:
        """Let the folder be as if it had never been made a deployment, unless something is kept in it by now.

        What an opening had begun when it failed is not undone, since others may have opened it meanwhile: the folder
        stays a deployment then, and the next opening goes on.
        """
        own = {self.folder / name for name in (DOCUMENT, ".gitignore")}
        inside = list(self.folder.rglob("*"))
        if any(path not in own and not path.is_dir() for path in inside):
            return
        for path in own:
            path.unlink(missing_ok=True)
        for folder in (*sorted((path for path in inside if path not in own), reverse=True), self.folder):
            with contextlib.suppress(OSError):
                folder.rmdir()

    @classmethod
    def open(cls, folder: str | Path) -> Deployment:
        """Open the deployment in `folder`; an older format is upgraded first.

        Raises
        ------
        DeploymentError
            If there is none, it was made by a newer release, it cannot be written,
            or it lies on a network file system.
        """
        place = resolved(folder)
        if not place.exists():
            raise DeploymentError(
                f"There is no folder {place}. `deriva-ml init {shlex.quote(str(place))}` makes a deployment there."
            )
        if not place.is_dir():
            raise DeploymentError(f"{place} is a file, not the folder of a deployment.")
        document = _read_document(place)
        if document["format"] > FORMAT:
            raise DeploymentError(
                f"The deployment in {place} has format {document['format']}, this release knows formats up to {FORMAT}. "
                "Use the release that last opened it, or a newer one: `pip install --upgrade deriva-ml`."
            )
        check_sqlite()
        _check_mount(place)
        _check_writable(place)
        if document["format"] < FORMAT:
            document = _upgrade(place, document)
        _clear(place)
        return cls(place, document["id"], document["name"], document["format"])


def resolved(folder: str | Path) -> Path:
    """Absolute path of a folder, without links.

    Raises
    ------
    DeploymentError
        If it cannot be one.
    """
    try:
        return Path(folder).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise DeploymentError(f"{str(folder)!r} cannot be the folder of a deployment: {error}.") from error


def is_deployment(folder: str | Path) -> bool:
    """Whether a folder is a deployment already."""
    return (resolved(folder) / DOCUMENT).is_file()


def check_sqlite(version: tuple[int, ...] | None = None) -> None:
    """Refuse an SQLite library that is too old; `version` is the one in use unless given.

    Raises
    ------
    DeploymentError
        Naming both versions and the way out.
    """
    version = version or sqlite3.sqlite_version_info
    if version < OLDEST_SQLITE:
        found, oldest = (".".join(map(str, numbers)) for numbers in (version, OLDEST_SQLITE))
        raise DeploymentError(
            f"This Python uses SQLite {found}; {oldest} or newer is needed. "
            "Use a newer Python, or install a newer SQLite library."
        )


def _check_mount(place: Path) -> None:
    kind = network_file_system(place)
    if kind is not None:
        raise DeploymentError(
            f"{place} lies on a network file system ({kind}), where several machines could damage the databases. "
            "Keep the folder on a local disk of one machine, run `deriva-ml serve FOLDER` there "
            "and use its address as hostname."
        )


def _check_writable(place: Path) -> None:
    if not os.access(place, os.W_OK | os.X_OK):
        raise DeploymentError(f"{place} cannot be written by this user. Change its permissions or owner.")


def half_written(place: Path) -> list[Path]:
    """Documents that are being written, or whose writers were killed."""
    return list(place.glob(f".{DOCUMENT}.*"))


def _clear(place: Path) -> None:
    """Remove what killed processes left; others may be writing right now, which takes a moment."""
    for path in half_written(place):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - _LEFT_SECONDS:
                path.unlink()


def _unwritable(place: Path, error: OSError) -> str:
    return f"{place} cannot be written: {error.strerror or error}. Choose another folder or change its permissions."


def _check_empty(place: Path) -> None:
    try:
        found = [entry.name for entry in os.scandir(place) if not entry.name.startswith(f".{DOCUMENT}.")]
    except OSError as error:
        raise DeploymentError(_unwritable(place, error)) from error
    if found and not (place / DOCUMENT).exists():
        raise DeploymentError(
            f"{place} is not empty and not a deployment (it holds {sorted(found)[0]!r}). "
            "Choose a new or empty folder."
        )


@contextlib.contextmanager
def new_folders(place: Path) -> Iterator[None]:
    """Make `place` and its parents; take back those that were made when the work fails."""
    missing = [folder for folder in (place, *place.parents) if not folder.exists()]
    made: list[Path] = []
    try:
        try:
            for folder in reversed(missing):
                folder.mkdir(exist_ok=True)
                made.append(folder)
                sync_folder(folder.parent)
        except OSError as error:
            raise DeploymentError(_unwritable(folder, error)) from error
        yield
    except BaseException:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def write_document(place: Path, document: Mapping[str, Any], *, replace: bool) -> None:
    """Write the document whole or not at all, and make it last.

    Raises
    ------
    FileExistsError
        If it exists and may not be replaced.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{DOCUMENT}.", dir=place)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        if replace:
            Path(temporary).replace(place / DOCUMENT)
        else:
            _rename_new(Path(temporary), place / DOCUMENT)
    finally:
        Path(temporary).unlink(missing_ok=True)
    sync_folder(place)


def _rename_new(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        # file systems without hard links: the short window between the question and the rename is accepted
        if target.exists():
            raise FileExistsError(target) from None
        source.rename(target)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` last, where the system can."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise


def _read_document(place: Path) -> dict[str, Any]:
    try:
        document = json.loads((place / DOCUMENT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeploymentError(
            f"{place} is not a deployment: it has no {DOCUMENT}. "
            f"`deriva-ml init` makes one in a new or empty folder."
        ) from None
    except (OSError, ValueError) as error:
        raise DeploymentError(
            f"{place / DOCUMENT} cannot be read: {error}. Restore it from a backup."
        ) from error
    kinds = {"id": str, "name": str, "format": int}
    if not isinstance(document, dict) or any(
        not isinstance(document.get(key), kind) for key, kind in kinds.items()
    ):
        raise DeploymentError(
            f"{place / DOCUMENT} is damaged: it must hold id, name and format. Restore it from a backup."
        )
    return document


def _upgrade(place: Path, document: dict[str, Any]) -> dict[str, Any]:
    """Bring the folder to the format of this release, one step at a time."""
    while document["format"] < FORMAT:
        step = UPGRADES.get(document["format"])
        if step is None:
            raise DeploymentError(
                f"The deployment in {place} has format {document['format']}, which this release cannot upgrade. "
                "Open it once with an older release that can."
            )
        step(place)
        document = document | {"format": document["format"] + 1}
        try:
            write_document(place, document, replace=True)
        except OSError as error:
            raise DeploymentError(_unwritable(place, error)) from error
    return document
