"""The object service as one value: its directory, its bytes and the operations on them."""

from __future__ import annotations

from pathlib import Path

from deriva_server.blobs.backend import Backend
from deriva_server.blobs.content import Contents
from deriva_server.blobs.directory import Directory
from deriva_server.blobs.files import FilesBackend
from deriva_server.blobs.resources import Resources
from deriva_server.blobs.transfers import Transfers
from deriva_server.identity import ADMIN
from deriva_server.sql.objects import open_directory

ROOT_ACLS = {"owner": [ADMIN], "subtree-owner": [ADMIN]}
"""Rights on the root of a new store: holders of the role `admin` own everything."""


class ObjectStore:
    """Names and bytes of one deployment.

    Parameters
    ----------
    folder : Path
        Where the directory lies; made when missing.
    backend : Backend, optional
        Where bytes are kept; in `folder` by default.
    """

    def __init__(self, folder: Path, backend: Backend | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.backend: Backend = FilesBackend(folder) if backend is None else backend
        self.directory = Directory(open_directory(folder / "directory.db", ROOT_ACLS), self.backend)
        self.contents = Contents(self.directory)
        self.resources = Resources(self.directory)
        self.transfers = Transfers(self.directory, self.contents)

    def close(self) -> None:
        """Close the connections."""
        self.directory.close()
