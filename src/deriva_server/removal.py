"""Remove a deployment: its databases, wherever they are, its objects and its folder."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from deriva_server.blobs.store import place_of
from deriva_server.catalogs.registry import MIRROR
from deriva_server.config import FILE as SETTINGS
from deriva_server.config import PREFIX, known_setting
from deriva_server.deployment import DOCUMENT, Deployment, half_written, resolved
from deriva_server.errors import DeploymentError, ServiceError
from deriva_server.locks import alone
from deriva_server.sql import registry
from deriva_server.sql.databases import Databases, open_databases, shown_address
from deriva_server.unfinished import reason
from deriva_server.values import Frozen

_CONTENT = ("objects", "catalogs", ".gitignore", SETTINGS, DOCUMENT)
"""What a deployment has in its folder beside its registry; the document is removed last, so that one can try again."""


class Removal(Frozen, frozen=True):
    """What will be removed.

    Parameters
    ----------
    deployment : Deployment
        It must not be in use.
    catalogs : tuple of str
        Ids of its catalogs, deleted ones included.
    database : str or None
        Where its databases are, as people write it; None for files in its folder.
    objects : str or None
        Where its objects are; None for files in its folder.
    """

    deployment: Deployment
    catalogs: tuple[str, ...]
    database: str | None
    objects: str | None
    _databases: Databases

    def run(self) -> tuple[str, ...]:
        """Remove it; the names of what stays in the folder because it is no part of a deployment.

        Raises
        ------
        DeploymentError
            If it is in use, or something cannot be removed. The rest is still a deployment then, which can be removed again.
        """
        with unused(self.deployment.folder):
            return self._run()

    def _run(self) -> tuple[str, ...]:
        folder = self.deployment.folder
        try:
            if self.objects is not None:
                place_of(self.deployment, self.objects).clear()
            if self._databases.has_registry():
                for id in (*self.catalogs, MIRROR):
                    self._databases.remove_catalog(id)
                self._databases.remove_directory()
                self._databases.remove_registry()
            for path in (*half_written(folder), *(folder / name for name in _CONTENT)):
                _remove(path)
            left = tuple(sorted(entry.name for entry in folder.iterdir()))
            if not left:
                folder.rmdir()
        except (OSError, ServiceError) as error:
            raise DeploymentError(f"{folder} cannot be removed: {reason(error)}.") from error
        return left


def plan_removal(folder: str | Path) -> Removal:
    """See what the removal of a deployment would remove.

    The addresses of its databases and objects are those in its settings. The environment might name those of its original, which
    has the same id as its copies.

    Raises
    ------
    DeploymentError
        If `folder` is no deployment or in use, or its databases or bucket cannot be used or are those of another one.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     made = Deployment.create(f"{place}/lab")
    ...     plan_removal(made.folder).run(), made.folder.exists()
    ((), False)
    """
    _check_there(resolved(folder))
    deployment = Deployment.open(folder)
    with unused(deployment.folder):
        pass
    address = _known(deployment.folder, "database", "catalogs")
    objects = _known(deployment.folder, "objects", "objects")
    if objects is not None:
        place_of(deployment, objects).check_owner()
    databases = open_databases(deployment.folder, deployment.id, address, make=False)
    ids: tuple[str, ...] = ()
    if databases.has_registry():
        with contextlib.closing(databases.registry()) as database, database.read() as connection:
            ids = tuple(registry.list_catalogs(connection)) if registry.is_ready(connection) else ()
    catalogs = tuple(id for id in ids if id != MIRROR)
    shown = None if address is None else shown_address(address)
    return Removal(deployment, catalogs, shown, objects, databases)


def _check_there(place: Path) -> None:
    """Refuse what is no deployment; opening it would advise to make one."""
    if not place.exists():
        raise DeploymentError(f"There is nothing to remove: there is no folder {place}.")
    if place.is_dir() and not (place / DOCUMENT).exists():
        raise DeploymentError(
            f"There is nothing to remove: {place} is not a deployment, as it has no {DOCUMENT}."
        )


@contextlib.contextmanager
def unused(folder: Path) -> Iterator[None]:
    """Keep everybody else from opening a deployment.

    Raises
    ------
    DeploymentError
        If somebody has it open.
    """
    with alone(folder) as granted:
        if not granted:
            raise DeploymentError(
                f"{folder} is in use. Stop `deriva-ml serve`, and the programs and notebooks that have it open; then try again."
            )
        yield


def _known(folder: Path, setting: str, what: str) -> str | None:
    address, variable = known_setting(folder, setting), f"{PREFIX}{setting.upper()}"
    if address is None and os.environ.get(variable):
        raise DeploymentError(
            f"{folder / SETTINGS} does not say where the {what} are, only {variable} does. Write the "
            f"address there, or remove the variable if the {what} are in files."
        )
    return address


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
