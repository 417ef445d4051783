"""The object service as one value: its directory, its bytes and the operations on them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deriva_server.blobs.backend import Backend
from deriva_server.blobs.content import Contents
from deriva_server.blobs.directory import Directory
from deriva_server.blobs.files import DATA, FilesBackend
from deriva_server.blobs.keeping import Keeping
from deriva_server.blobs.metrics import MetricsIndex
from deriva_server.blobs.resources import Resources
from deriva_server.blobs.s3.addresses import Address, parse_address
from deriva_server.blobs.transfers import Transfers
from deriva_server.deployment import Deployment
from deriva_server.errors import DeploymentError
from deriva_server.identity import ADMIN
from deriva_server.sql.connect import Database
from deriva_server.sql.directory import prepare_directory

if TYPE_CHECKING:
    from deriva_server.blobs.s3.backend import S3Backend
    from deriva_server.blobs.s3.place import Place

ROOT_ACLS = {"owner": [ADMIN], "subtree-owner": [ADMIN]}
"""Rights on the root of a new store: holders of the role `admin` own everything."""


class ObjectStore:
    """Names and bytes of one deployment.

    Parameters
    ----------
    database : Database
        Of the directory.
    backend : Backend
        Where bytes are kept.
    """

    def __init__(self, database: Database, backend: Backend) -> None:
        prepare_directory(database, ROOT_ACLS)
        self.backend = backend
        self.directory = Directory(database, backend)
        self.contents = Contents(self.directory)
        self.resources = Resources(self.directory)
        self.transfers = Transfers(self.directory)
        self.metrics = MetricsIndex(self.directory)

    def close(self) -> None:
        """Close the connections."""
        self.directory.close()


def open_backend(deployment: Deployment, address: str | None) -> Backend:
    """Where a deployment keeps the bytes of its objects.

    Parameters
    ----------
    deployment : Deployment
        Whose bytes.
    address : str or None
        ``s3://bucket/prefix``; None for files in its folder.

    Raises
    ------
    DeploymentError
        If the address is none, or what it needs is not installed.
    """
    if address is None:
        return FilesBackend(deployment.objects_folder)
    return open_bucket(deployment, address)


def open_bucket(deployment: Deployment, address: str) -> S3Backend:
    """Where a deployment keeps the bytes of its objects in a bucket; see `open_backend`."""
    # Here, so that files on a disk do not wait for what they do not use.
    from deriva_server.blobs.s3.backend import S3Backend

    return S3Backend(parse_address(address), Keeping(deployment.objects_folder / "keeping"))


@contextmanager
def claimed(deployment: Deployment, address: str | None, *, make: bool) -> Iterator[None]:
    """See that bytes can be kept at an address, for as long as it takes to open the rest.

    Parameters
    ----------
    deployment : Deployment
        Whose bytes.
    address : str or None
        As for `open_backend`.
    make : bool
        Whether a free place is taken, and given back when the rest cannot be opened.

    Raises
    ------
    DeploymentError
        If they cannot, or the folder has bytes of its own.
    """
    if address is None:
        yield
        return
    if any((deployment.objects_folder / DATA).glob("*/*")):
        raise DeploymentError(
            f"{deployment.folder} keeps its objects in files. Use another folder for objects on S3."
        )
    place = place_of(deployment, address)
    made = place.check(make=make)
    try:
        yield
    except BaseException:
        if made:
            place.give_back()
        raise


def place_of(deployment: Deployment, address: str) -> Place:
    """The place in a bucket that a deployment has, or shall have.

    Raises
    ------
    DeploymentError
        If the address is none, or what it needs is not installed.
    """
    return place_claimed(parse_address(address), f"{deployment.id} {uuid.uuid4().hex}")


def place_claimed(address: Address, claim: str) -> Place:
    """The place in a bucket that was, or shall be, taken with a claim."""
    from deriva_server.blobs.s3.place import Place

    return Place(address, claim)
