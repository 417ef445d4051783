"""The object service as one value: its directory, its bytes and the operations on them."""

from __future__ import annotations

from deriva_server.blobs.backend import Backend
from deriva_server.blobs.content import Contents
from deriva_server.blobs.directory import Directory
from deriva_server.blobs.resources import Resources
from deriva_server.blobs.transfers import Transfers
from deriva_server.identity import ADMIN
from deriva_server.sql.connect import Database
from deriva_server.sql.objects import prepare_directory

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

    def close(self) -> None:
        """Close the connections."""
        self.directory.close()
