"""The databases of a deployment on a PostgreSQL server that others use, too."""

import pytest
import sqlalchemy as sa
from tests.conftest import drop_databases
from tests.deployments import Direct, opened

from deriva_server.errors import DeploymentError
from deriva_server.sql.postgres.naming import server_lock
from deriva_server.sql.postgres.server import PostgresServer


def test_locks_of_other_programs_are_no_matter(tmp_path, postgres, new_address):
    address = new_address()
    name = sa.make_url(address).database
    registry = sa.create_engine(sa.make_url(address), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    try:
        with (
            opened(tmp_path / "lab", address) as server,
            postgres.connect() as beside,
            registry.connect() as in_it,
        ):
            for connection in (beside, in_it):
                # As anybody would number theirs, and ours for another deployment.
                for numbers in ("1", "2", "0, 1", server_lock("create", f"{name}_other")):
                    connection.exec_driver_sql(f"SELECT pg_advisory_lock({numbers})")
            assert Direct(server).send("POST", "/ermrest/catalog").status == 201
    finally:
        drop_databases(postgres, address)


def test_locks_differ_by_purpose_and_name():
    locks = {server_lock(purpose, name) for purpose in ("create", "backup") for name in ("a", "b", "c" * 63)}
    assert len(locks) == 6


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("SELECT pg_sleep(5)", "statement timeout"),
        ("SELECT 1/0", "division by zero"),
        ("CREATE DATABASE x", "Let this user create databases"),
    ],
)
def test_any_failure_is_explained(postgres, command, words):
    server = PostgresServer(postgres.url.render_as_string(False), "d")
    with postgres.connect() as connection:
        connection.exec_driver_sql("CREATE ROLE plain LOGIN")
    url = postgres.url.set(username="plain", database="postgres")
    try:
        with (
            pytest.raises(DeploymentError, match=words),
            server._explained(),
            server._connected(url) as connection,
        ):
            connection.exec_driver_sql("SET statement_timeout = 100")
            connection.exec_driver_sql(command)
    finally:
        with postgres.connect() as connection:
            connection.exec_driver_sql("DROP ROLE plain")
