"""Copies of all databases of a deployment, for a backup."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from deriva_server.errors import DeploymentError
from deriva_server.sql.connect import Database
from deriva_server.sql.postgres.copying import PostgresCopies
from deriva_server.sql.sqlite.copying import SqliteCopies


class Copies(Protocol):
    """Copies databases of one deployment to where the copy of the deployment looks for them.

    Those who use the deployment are not stopped. `told` gets how much of one database is done, and of how much.
    """

    @property
    def address(self) -> str | None:
        """Where the copy keeps its catalogs; None for files in its folder."""

    def copy_registry(self, told: Callable[[int, int], None]) -> bool:
        """Copy the registry as of one moment; False when there is none."""

    def copy_catalog(self, id: str, told: Callable[[int, int], None]) -> bool:
        """Copy a catalog as of one moment; False when it has no database."""

    def copy_directory(self, told: Callable[[int, int], None]) -> bool:
        """Copy the object directory as of one moment; False when there is none."""

    def live_registry(self) -> Database:
        """The registry of the deployment, once it was copied."""

    def copied_registry(self) -> Database:
        """The copy of the registry."""

    def live_directory(self) -> Database | None:
        """The object directory of the deployment, None when there is none."""

    def copied_directory(self) -> Database:
        """The copy of the object directory."""

    def finish(self, deployment: str) -> None:
        """Make the copies last, as those of the deployment of this id."""

    def discard(self) -> None:
        """Remove what was copied."""


def open_copies(
    source: Path, target: Path, deployment: str, title: str, addresses: tuple[str | None, str | None]
) -> Copies:
    """Copies of the databases of one kind.

    Parameters
    ----------
    source, target : Path
        Folders of the deployment and of its copy.
    deployment : str
        Id of the deployment.
    title : str
        Name that the folder of the copy will have.
    addresses : tuple
        Where the deployment and the copy keep their catalogs. None stands for SQLite files, or for a free name
        beside the databases of the deployment.

    Raises
    ------
    DeploymentError
        If the two are not of one kind, or the second is in use.
    """
    here, there = addresses
    if here is not None:
        return PostgresCopies(here, there, deployment, title)
    if there is not None:
        raise DeploymentError(
            f"{source} keeps its catalogs in SQLite files, and so will its copy; it takes no database address."
        )
    return SqliteCopies(source, target)
