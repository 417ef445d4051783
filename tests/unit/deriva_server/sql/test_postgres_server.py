"""The databases of a deployment on a PostgreSQL server that others use, too."""

import sqlalchemy as sa
from tests.conftest import drop_databases
from tests.deployments import Direct, opened

from deriva_server.sql.postgres.naming import server_lock


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
