"""Deployments whose catalogs are on a PostgreSQL server, from the command line."""

import contextlib
import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request

import pytest
import sqlalchemy as sa
from tests.conftest import drop_databases
from tests.interpreter import python

from deriva_server.sql.databases import shown_address


@pytest.fixture
def address(new_address, postgres):
    address = new_address().replace("+psycopg", "")
    yield address
    drop_databases(postgres, address)


def run(*words, **environment):
    return subprocess.run(
        [python(), "-m", "deriva_ml.cli.main", *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )


def made(*words, **environment):
    done = run(*words, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(*words, **environment):
    done = run(*words, **environment)
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    return done.stderr


def databases(postgres, address):
    name = address.rpartition("/")[2].partition("?")[0]
    with postgres.connect() as connection:
        found = connection.exec_driver_sql("SELECT datname FROM pg_database ORDER BY 1").scalars()
        rest = [database.removeprefix(name) for database in found if database.startswith(name)]
        # Catalog 0 is made by the first look at it.
        return [database for database in rest if database != "_0"]


def test_the_life_of_a_deployment(tmp_path, address, postgres):
    lab = tmp_path / "lab"
    out = made("init", lab, "--database", address)
    assert "catalogs are kept at postgresql://" in out
    made("catalog", "create", lab, "eyes")
    made("catalog", "create", lab, "ears")
    assert not (lab / "registry.db").exists()
    assert databases(postgres, address) == ["", "_1", "_2", "_~objects"]
    listed = made("catalog", "list", lab)
    assert "eyes" in listed and "ears" in listed
    made("catalog", "delete", lab, "2", "--yes")
    assert "Would remove" in made("catalog", "purge", lab)
    assert databases(postgres, address) == ["", "_1", "_2", "_~objects"]
    made("catalog", "purge", lab, "--yes")
    assert databases(postgres, address) == ["", "_1", "_~objects"]
    assert made("init", lab, "--database", address) == out


@contextlib.contextmanager
def _renamed(postgres, address):
    """The database of catalog 1 is away for a while, and nobody stays connected to any of the deployment."""
    name = sa.make_url(address).database
    moved = [f"{name}_1", f"{name}_away"]
    for names in (moved, moved[::-1]):
        with postgres.connect() as connection:
            connection.exec_driver_sql(
                f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname LIKE '{name}%%'"
            )
            connection.exec_driver_sql('ALTER DATABASE "{}" RENAME TO "{}"'.format(*names))
        if names is moved:
            yield


def test_serving_makes_a_new_folder_use_the_server(tmp_path, address, postgres):
    lab = tmp_path / "lab"
    made("init", lab)
    words = [
        python(),
        "-m",
        "deriva_ml.cli.main",
        "serve",
        str(lab),
        "--port",
        "0",
        "--database",
        address,
    ]
    with (
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
        contextlib.ExitStack() as end,
    ):
        end.callback(process.kill)
        line = process.stdout.readline()
        url = line.partition(" at ")[2].split()[0]
        with urllib.request.urlopen(
            urllib.request.Request(f"{url}/ermrest/catalog", method="POST")
        ) as answer:
            assert json.load(answer)["id"] == "1"
        assert f"kept at {shown_address(address)}" in process.stdout.readline()
        with _renamed(postgres, address), pytest.raises(urllib.error.HTTPError, match="500"):
            urllib.request.urlopen(f"{url}/ermrest/catalog/1/schema")
        # Connections that the server has ended in the meantime are no failure.
        urllib.request.urlopen(f"{url}/ermrest/catalog/1/schema").close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        (said,) = process.stderr.read().splitlines()
        assert re.match(r"\d{4}-\d\d-\d\d .* WARNING GET /ermrest/catalog/1/schema: .*does not exist", said)
    assert databases(postgres, address) == ["", "_1", "_~objects"]
    assert "database = " in (lab / "server.toml").read_text()
    made("catalog", "create", lab, "more")
    assert databases(postgres, address) == ["", "_1", "_2", "_~objects"]


def test_wrong_addresses(tmp_path, address):
    for wrong in ("lab", "mysql://kim@localhost/lab", "postgresql://localhost"):
        assert "write postgresql://user@host/name" in refused("init", tmp_path / "a", "--database", wrong)
    nobody = "postgresql://kim:secret@127.0.0.1:1/lab"
    said = refused("init", tmp_path / "a", "--database", nobody)
    assert "cannot be used" in said and "Check that the server runs" in said and "secret" not in said
    for wrong in ("postgresql://kim:secret@host:abc/lab", "postgresql://kim:x@secret@host/lab"):
        assert "secret" not in refused("init", tmp_path / "a", "--database", wrong)
    # What failed is not remembered.
    made("init", tmp_path / "a", "--database", address)


def test_a_folder_with_catalogs_in_files_stays_so(tmp_path, address):
    made("catalog", "create", tmp_path / "lab", "eyes")
    assert "in SQLite files" in refused("init", tmp_path / "lab", "--database", address)
    assert "in SQLite files" in refused("catalog", "list", tmp_path / "lab", DERIVA_SERVER_DATABASE=address)
    assert "eyes" in made("catalog", "list", tmp_path / "lab")


def test_a_database_belongs_to_one_deployment(tmp_path, address, new_address):
    made("init", tmp_path / "one", "--database", address)
    assert "another deployment" in refused("init", tmp_path / "two", "--database", address)
    other = new_address().replace("+psycopg", "")
    assert "says that the catalogs are at" in refused("init", tmp_path / "one", "--database", other)


def test_addresses_are_shown_as_people_read_them(tmp_path, address, postgres):
    folder = postgres.url.query["host"]
    out = made("init", tmp_path / "lab", "--database", f"{address}&password=secret&application_name=a%2Fb")
    assert f"host={folder}" in out and "application_name=a/b" in out and "secret" not in out
    assert "secret" not in (tmp_path / "lab" / "server.toml").read_text()
    assert "eyes" in made("catalog", "create", tmp_path / "lab", "eyes") + made(
        "catalog", "list", tmp_path / "lab"
    )


def test_a_refusal_is_explained_in_one_line(tmp_path, address):
    said = refused("init", tmp_path / "lab", "--database", address.replace("postgres:@", "nobody@"))
    assert 'role "nobody" does not exist' in said and "Check the user" in said
    assert said.count("\n") == 1 and not (tmp_path / "lab").exists()
    made("init", tmp_path / "lab", "--database", address)
    wrong = address.replace("postgres:@", "nobody@")
    for words in (
        ("list", f"{tmp_path}/lab"),
        ("create", f"{tmp_path}/lab", "eyes"),
        ("purge", tmp_path / "lab"),
    ):
        said = refused("catalog", *words, DERIVA_SERVER_DATABASE=wrong)
        assert "Check the user" in said and said.count("\n") == 1
    assert "Check the user" in refused("serve", tmp_path / "lab", DERIVA_SERVER_DATABASE=wrong)


def test_a_password_is_not_kept(tmp_path, address):
    with_password = address.replace("postgres:@", "postgres:not-asked-for@")
    assert with_password != address
    made("init", tmp_path / "lab", "--database", with_password)
    assert "not-asked-for" not in (tmp_path / "lab" / "server.toml").read_text()


def test_databases_of_others_are_left_alone(tmp_path, address, postgres):
    made("init", tmp_path / "lab", "--database", address)
    url = postgres.url.set(database=address.rpartition("/")[2].partition("?")[0])
    other = url.set(database=f"{url.database}_1")
    with postgres.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{other.database}"')
    theirs = sa.create_engine(other, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with theirs.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE precious (x int)")
    said = refused("catalog", "create", tmp_path / "lab", "eyes")
    assert "exists already and holds something else" in said
    with theirs.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM precious").scalar() == 0
        connection.exec_driver_sql("DROP TABLE precious")
    # An empty one is what a creation leaves that was interrupted.
    made("catalog", "create", tmp_path / "lab", "eyes")


def test_what_fails_leaves_no_deployment(tmp_path, address, postgres):
    refused("init", tmp_path / "lab", "--database", "postgresql://kim@127.0.0.1:1/lab")
    assert not (tmp_path / "lab").exists()
    assert "write postgresql://" in refused("init", tmp_path / "lab", "--database", "postgresql://h:abc/x")
    made("init", tmp_path / "lab", "--database", address)
    mistyped = address.replace("?", "_mistyped?")
    assert "There is no database" in refused(
        "catalog", "list", tmp_path / "lab", DERIVA_SERVER_DATABASE=mistyped
    )
    assert databases(postgres, address) == ["", "_~objects"]
