"""Object stores on every kind of database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deriva_server.blobs.backend import Backend
from deriva_server.blobs.files import FilesBackend
from deriva_server.blobs.store import ObjectStore
from deriva_server.sql.databases import open_databases

Opening = Callable[[Backend | None], ObjectStore]


@pytest.fixture
def opened(tmp_path: Path, address: str | None) -> Iterator[Opening]:
    """Opens the same directory, with bytes in files or elsewhere."""
    with ExitStack() as closing:

        def open_store(backend: Backend | None = None) -> ObjectStore:
            database = open_databases(tmp_path, "lab", address).directory()
            store = ObjectStore(database, backend or FilesBackend(tmp_path / "objects"))
            closing.callback(store.close)
            return store

        yield open_store


@pytest.fixture
def store(opened: Opening) -> ObjectStore:
    return opened(None)
