"""The databases of one deployment: its registry, its object directory, and one for each catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from deriva_server.errors import DeploymentError
from deriva_server.sql.connect import Database
from deriva_server.sql.postgres import addresses
from deriva_server.sql.sqlite.files import REGISTRY, SqliteFiles


class Databases(Protocol):
    """Where the databases of a deployment are kept."""

    def registry(self) -> Database:
        """The database of the registry, made when missing."""

    def directory(self) -> Database:
        """The database of the object directory, made when missing."""

    def remove_directory(self) -> None:
        """Remove the database of the object directory for good, if there is one."""

    def has_registry(self) -> bool:
        """Whether there is a database of the registry."""

    def remove_registry(self) -> None:
        """Remove the database of the registry for good, after those of all catalogs."""

    def catalog(self, id: str) -> Database:
        """The database of a catalog that exists."""

    def create_catalog(self, id: str) -> Database:
        """An empty database for a new catalog; what an interrupted creation left there is removed."""

    def keep_catalog(self, id: str) -> None:
        """See that a new database outlives a power failure, before it is told to anybody."""

    def has_catalog(self, id: str) -> bool:
        """Whether there is a database for an id."""

    def size(self, id: str) -> int:
        """Bytes that the database of a catalog takes, 0 when there is none."""

    def remove_catalog(self, id: str) -> None:
        """Remove the database of a catalog for good."""


def open_databases(folder: Path, deployment: str, address: str | None, *, make: bool = True) -> Databases:
    """The databases of a deployment.

    Parameters
    ----------
    folder : Path
        Of the deployment.
    deployment : str
        Its id.
    address : str or None
        ``postgresql://…`` for a server; SQLite files in the folder otherwise.
    make : bool
        Whether a missing database of the registry is made on a server.

    Raises
    ------
    DeploymentError
        If the server cannot be used, or serves another deployment there.
    """
    if address is None:
        return SqliteFiles(folder)
    if (folder / REGISTRY).exists():
        raise DeploymentError(
            f"{folder} keeps its catalogs in SQLite files. Use another folder for catalogs on a server."
        )
    # Here, so that files on a disk do not wait for what they do not use.
    from deriva_server.sql.postgres.server import PostgresServer

    return PostgresServer(address, deployment, make=make)


def shown_address(address: str) -> str:
    """The address of a database for people, without the password.

    >>> shown_address("postgresql://kim:secret@/lab?host=/var/run")
    'postgresql://kim@/lab?host=/var/run'
    """
    return addresses.shown_address(addresses.parse_address(address))


def kept_address(address: str) -> str:
    """The address of a database as it is written down, without the password.

    >>> kept_address("postgresql://kim:secret@/lab?host=/var/run")
    'postgresql://kim@/lab?host=%2Fvar%2Frun'
    """
    return addresses.kept_address(addresses.parse_address(address))
