"""What a PostgreSQL server that refuses a connection says, and what of it may pass."""

import contextlib
import socket
import time
from pathlib import Path

import pytest
from sqlalchemy import make_url

from deriva_server.errors import Busy, StorageUnusable, Unclear
from deriva_server.sql.connect import Database
from deriva_server.sql.postgres import connecting
from deriva_server.sql.postgres.database import PostgresDialect


@pytest.fixture(scope="module", autouse=True)
def roles(postgres):
    """Users of every kind that a server may refuse."""
    with postgres.connect() as connection:
        connection.exec_driver_sql("CREATE ROLE asked LOGIN PASSWORD 'right'")
        connection.exec_driver_sql("CREATE ROLE locked NOLOGIN")
        connection.exec_driver_sql("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
        connection.exec_driver_sql("CREATE ROLE unwelcome LOGIN")
        connection.exec_driver_sql("CREATE DATABASE shut ALLOW_CONNECTIONS false")
        rules = Path(connection.exec_driver_sql("SHOW hba_file").scalar_one())
        before = rules.read_text()
        rules.write_text(f"local all asked scram-sha-256\nlocal all unwelcome reject\n{before}")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
        _wait_for_rules(connection, 2)
        yield
        rules.write_text(before)
        connection.exec_driver_sql("SELECT pg_reload_conf()")
        connection.exec_driver_sql("DROP DATABASE shut")
        for role in ("asked", "locked", "crowded", "unwelcome"):
            connection.exec_driver_sql(f"DROP ROLE {role}")


def _wait_for_rules(connection, count):
    """The server reads its rules a moment after it was told to."""
    time.sleep(0.5)
    found = connection.exec_driver_sql(
        "SELECT count(*) FROM pg_hba_file_rules WHERE user_name && ARRAY['asked', 'unwelcome']"
    )
    assert found.scalar_one() == count


def ask(postgres, **changes):
    url = postgres.url.set(**{"database": "postgres", **changes})
    with Database(PostgresDialect(url)).glance() as connection:
        connection.raw.exec_driver_sql("SELECT 1")


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(connecting, "_PATIENCE_SECONDS", 0.3)
    connecting._known.clear()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"username": "asked", "password": "wrong"}, "PGPASSWORD"),
        ({"username": "asked"}, "PGPASSWORD"),
        ({"username": "nobody"}, "Check the user"),
        ({"username": "locked"}, "Check the user"),
        ({"username": "unwelcome"}, "Check the user"),
        ({"database": "missing"}, "Check the name"),
        ({"database": "shut"}, "Check the address"),
        ({"query": {"sslmode": "nonsense"}}, "Check the address"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
@pytest.mark.parametrize("listens", [True, False])
def test_what_waiting_does_not_change(postgres, monkeypatch, changes, words, listens):
    if not listens:
        monkeypatch.setattr(connecting, "_can_listen", lambda: False)
        words = "Check|PGPASSWORD"
    began = time.monotonic()
    with pytest.raises(StorageUnusable, match=words) as raised:
        ask(postgres, **changes)
    assert time.monotonic() - began < 5
    assert "wrong" not in raised.value.detail and "\n" not in raised.value.detail


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "127.0.0.1", "port": 1, "query": {}},
        {"query": {"host": "/nowhere"}},
        {"host": "nowhere.invalid", "query": {}},
    ],
    ids=["port", "socket", "name"],
)
def test_a_server_that_is_not_there_may_come(postgres, changes):
    with pytest.raises(Busy, match="cannot be reached"):
        ask(postgres, **changes)


def test_a_server_that_never_answers_is_not_waited_for(postgres, monkeypatch):
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    # The shortest time that the driver knows.
    monkeypatch.setattr(connecting, "_ATTEMPT_SECONDS", 2)
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Busy, match="no answer in time"):
        ask(postgres, host="127.0.0.1", port=silent.getsockname()[1], query={})
    assert time.monotonic() - began < 4


def test_another_time_to_wait_for_an_answer_can_be_named(monkeypatch):
    url = make_url("postgresql://host/name")
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    assert connecting.patience(url) == {"connect_timeout": 10}
    assert connecting.patience(make_url(f"{url}?connect_timeout=60")) == {}
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "60")
    assert connecting.patience(url) == {}


def test_a_full_server_is_waited_for(postgres):
    began = time.monotonic()
    with pytest.raises(Busy, match="no connection now"):
        ask(postgres, username="crowded")
    assert time.monotonic() - began > 0.3


def test_room_is_found_when_there_is_some(postgres, monkeypatch):
    def make_room(_seconds):
        with postgres.connect() as connection:
            connection.exec_driver_sql("ALTER ROLE crowded CONNECTION LIMIT 5")

    monkeypatch.setattr(connecting, "_PATIENCE_SECONDS", 10)
    monkeypatch.setattr(connecting.time, "sleep", make_room)
    try:
        ask(postgres, username="crowded")
    finally:
        with postgres.connect() as connection:
            connection.exec_driver_sql("ALTER ROLE crowded CONNECTION LIMIT 0")


def test_the_right_password_opens(postgres):
    ask(postgres, username="asked", password="right")


def test_a_server_is_asked_once_about_many_refusals(postgres, monkeypatch):
    asked = []
    monkeypatch.setattr(connecting, "_listen", lambda connection: asked.append(1) or "28000")
    for _ in range(3):
        with pytest.raises(StorageUnusable):
            ask(postgres, username="nobody")
    assert asked == [1]


def test_a_server_that_went_away_while_it_committed_is_no_mere_503(postgres):
    with contextlib.closing(Database(PostgresDialect(postgres.url))) as database:
        with pytest.raises(Unclear, match="look whether"), database.write() as connection:
            pid = connection.raw.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            with postgres.connect() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 5000)")
        with database.write() as connection:
            assert connection.raw.exec_driver_sql("SELECT 1").scalar_one() == 1


def test_a_server_that_was_started_anew_is_no_failure(postgres):
    with contextlib.closing(Database(PostgresDialect(postgres.url))) as database:
        pids = set()
        with database.glance() as first, database.glance() as second:
            for connection in (first, second):
                pids.add(connection.raw.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
        with postgres.connect() as other:
            for pid in pids:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 5000)")
        for _ in range(2):
            with database.glance() as connection:
                assert connection.raw.exec_driver_sql("SELECT pg_backend_pid()").scalar_one() not in pids
