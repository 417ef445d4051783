import multiprocessing
import pickle
import shutil
import socket
import time
from functools import partial

import pytest

from deriva_ml.ermrest import rows
from deriva_ml.ermrest.connect import connect, connection_of, create_catalog, delete_catalog
from deriva_ml.errors import (
    DerivaMLCatalogNotFound,
    DerivaMLConfigurationError,
    DerivaMLConflictError,
    DerivaMLConnectionError,
    DerivaMLValidationError,
)
from deriva_server.embed import LocalServer

STATUS = ("deriva-ml", "Execution_Status")


def test_who_and_what(ml_catalog):
    assert ml_catalog.is_embedded and not ml_catalog.is_snapshot
    assert ml_catalog.whoami()["id"].startswith("local/")
    assert ml_catalog.document()["id"] == ml_catalog.catalog_id
    assert ml_catalog.url("/id/1") == f"https://{ml_catalog.authority}/id/1"


def test_missing_folder(tmp_path):
    with pytest.raises(DerivaMLConnectionError, match="deriva-ml init"):
        connect(tmp_path / "nowhere", 1)
    assert not (tmp_path / "nowhere").exists()


def test_folder_that_is_no_deployment(tmp_path):
    with pytest.raises(DerivaMLConnectionError, match="not a deployment"):
        connect(tmp_path, 1)
    assert list(tmp_path.iterdir()) == []


def test_unknown_catalog(ml_catalog):
    with pytest.raises(DerivaMLCatalogNotFound, match="no catalog 99 on"):
        connect(ml_catalog.host, 99)


@pytest.mark.parametrize("catalog_id", ["", "1@", "1@2@3", "@2"])
def test_malformed_catalog_id(ml_catalog, catalog_id):
    with pytest.raises(DerivaMLConfigurationError):
        connect(ml_catalog.host, catalog_id)


def test_dead_port_is_told_soon():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(DerivaMLConnectionError, match="refused"):
        connect(f"http://127.0.0.1:{port}", 1)
    assert time.monotonic() - start < 20


def test_unknown_host_is_told_soon():
    start = time.monotonic()
    with pytest.raises(DerivaMLConnectionError):
        connect("no-such-host.invalid", 1)
    assert time.monotonic() - start < 20


def test_over_http(ml_catalog):
    with LocalServer.open(ml_catalog.site.address.folder).serve() as running:
        there = connect(running.url, ml_catalog.catalog_id)
        assert not there.is_embedded
        assert list(rows.read(there, STATUS)) == list(rows.read(ml_catalog, STATUS))
        assert there.whoami()["id"] == ml_catalog.whoami()["id"]
        assert connection_of(there.catalog).document()["id"] == ml_catalog.catalog_id


def test_folder_may_move(tmp_path):
    made = create_catalog(tmp_path / "here", name="x")
    authority, catalog_id = made.authority, made.catalog_id
    LocalServer.open(tmp_path / "here").close()
    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = connect(tmp_path / "there", catalog_id)
    assert moved.authority == authority


def test_connections_of_bindings(ml_catalog):
    assert connection_of(ml_catalog.catalog).catalog_id == ml_catalog.catalog_id
    then = ml_catalog.at(ml_catalog.snaptime())
    assert connection_of(then.catalog).snapshot == then.snapshot
    with pytest.raises(DerivaMLValidationError):
        connection_of("1")


def test_pickle(ml_catalog):
    copy = pickle.loads(pickle.dumps(ml_catalog))
    assert rows.count(copy, STATUS) == rows.count(ml_catalog, STATUS) == 7
    assert pickle.loads(pickle.dumps(ml_catalog.catalog)).get("/").json()["id"] == ml_catalog.catalog_id


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_other_processes(ml_catalog, method):
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(partial(rows.count, table=STATUS), [ml_catalog] * 4) == [7] * 4


def test_deleted_catalog_is_gone(tmp_path):
    made = create_catalog(tmp_path / "lab")
    delete_catalog(made)
    with pytest.raises(DerivaMLCatalogNotFound):
        made.document()


def test_taken_id(ml_catalog):
    with pytest.raises(DerivaMLConflictError):
        create_catalog(ml_catalog.host, id=ml_catalog.catalog_id)
