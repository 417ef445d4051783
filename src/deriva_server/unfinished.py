"""A folder that is filled beside its final place, and what was begun elsewhere for it: all of it appears, or nothing.

Until it is whole it is called `.NAME.partial`. Its lock file tells that somebody is filling it, and what was taken
elsewhere meanwhile, so that the next attempt can give back what a killed one has left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from deriva_server.deployment import sync_folder
from deriva_server.errors import DeploymentError, ServiceError
from deriva_server.locks import lock

_LOCK = ".backup.lock"
_MOST_NOTED = 1 << 16


class Unfinished:
    """A folder to fill.

    Parameters
    ----------
    folder : Path
        Where it is until it is whole.
    descriptor : int
        Of its lock file, locked.
    """

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder = folder
        self._descriptor = descriptor
        self._undo = contextlib.ExitStack()

    def undo(self, step: Callable[[], object]) -> None:
        """Do this should the rest fail, last step first."""
        self._undo.callback(step)

    def undo_noted(self, note: str, step: Callable[[], object]) -> None:
        """Do this should the rest fail; where this process cannot do it any more, the next attempt gets the note."""
        self._write(note)

        def undo() -> None:
            step()
            self._write("")

        self.undo(undo)

    def begin(self, give_back: Callable[[str], object]) -> None:
        """Remove what a killed process has left here and, told by its note, elsewhere."""
        if note := _noted(self._descriptor):
            give_back(note)
            self._write("")
        _empty(self.folder)

    def take_back(self) -> None:
        """Undo all steps."""
        self._undo.close()

    def _write(self, note: str) -> None:
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, note.encode())
        os.fsync(self._descriptor)


@contextlib.contextmanager
def unfinished(place: Path, give_back: Callable[[str], object]) -> Iterator[Unfinished]:
    """A folder to fill, which takes the name `place` at the end.

    Parameters
    ----------
    place : Path
        Does not exist, or is an empty folder.
    give_back : callable
        Gets the note of an attempt that was killed; see `Unfinished.undo_noted`.

    Raises
    ------
    DeploymentError
        If another process fills it, or what a killed one has left elsewhere cannot be removed.
    """
    partial = place.with_name(f".{place.name}.partial")
    try:
        partial.mkdir(exist_ok=True)
        with _locked(partial) as descriptor:
            work = Unfinished(partial, descriptor)
            work.begin(give_back)
            identity = partial.stat()
            try:
                yield work
                sync_folder(partial)
                partial.rename(place)
            except BaseException as error:
                # A signal may arrive when the folder has its name already.
                if not _is_at(place, identity):
                    _take_back(work, place, error)
                raise
        _finish(place)
    except BaseException:
        _remove(partial)
        raise


def _is_at(place: Path, identity: os.stat_result) -> bool:
    try:
        return os.path.samestat(place.stat(), identity)
    except OSError:
        return False


def _take_back(work: Unfinished, place: Path, error: BaseException) -> None:
    try:
        work.take_back()
    except (OSError, ServiceError, DeploymentError) as left:
        # Who interrupts it is not kept waiting for an explanation.
        if isinstance(error, Exception):
            raise DeploymentError(
                f"The backup to {place} failed: {reason(error)}. What it has put elsewhere cannot be removed now "
                f"({reason(left)}); the next backup to that name removes it."
            ) from error


def _finish(place: Path) -> None:
    """Nothing is taken back any more: under this name others may use it already."""
    try:
        sync_folder(place.parent)
        (place / _LOCK).unlink(missing_ok=True)
    except OSError as error:
        raise DeploymentError(
            f"The backup in {place} is whole, but a power cut might take its name away: {reason(error)}. "
            "Check the disk."
        ) from error


def _remove(partial: Path) -> None:
    """Remove the folder, but for the note of what is still to be given back elsewhere."""
    # Not that of another backup, which holds its lock.
    with contextlib.suppress(OSError, DeploymentError), _locked(partial) as descriptor:
        if _noted(descriptor):
            _empty(partial)
        else:
            shutil.rmtree(partial)


def _noted(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, _MOST_NOTED).decode("utf-8", "replace")


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != _LOCK:
            entry.unlink()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not lock(descriptor, wait=False):
            raise DeploymentError("Another backup to this folder is running.")
        yield descriptor
    finally:
        os.close(descriptor)


def reason(error: BaseException) -> str:
    """Why something failed, without a full stop."""
    if isinstance(error, ServiceError):
        return error.detail.rstrip(".")
    said = error.strerror if isinstance(error, OSError) else None
    return str(said or error).rstrip(".")
