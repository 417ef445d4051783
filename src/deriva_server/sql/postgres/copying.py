"""Copies of the databases of a deployment on a PostgreSQL server, made by PostgreSQL's own programs."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO

import sqlalchemy as sa

from deriva_server.errors import DeploymentError, StorageUnusable
from deriva_server.sql.connect import Database
from deriva_server.sql.dialect import INTERNAL
from deriva_server.sql.postgres.addresses import kept_address
from deriva_server.sql.postgres.naming import GATE, server_lock
from deriva_server.sql.postgres.server import PostgresServer, owner_mark

_MARK = "deriva-ml: unfinished backup"


class PostgresCopies:
    """PostgreSQL behind the `Copies` protocol.

    Until the copy is finished its databases bear a comment, by which what a killed backup left is known.

    Parameters
    ----------
    source, target : str
        Addresses of the registry and of its copy.
    deployment : str
        Id of the deployment.

    Raises
    ------
    DeploymentError
        If the target exists, another backup to it is running, or programs of PostgreSQL are missing.
    """

    def __init__(self, source: str, target: str, deployment: str) -> None:
        self._source, self._target = PostgresServer(source, deployment), PostgresServer(target, deployment)
        self._programs = _program("pg_dump"), _program("pg_restore")
        self._closing = ExitStack()
        self._keeper = self._closing.enter_context(self._target.beside())
        self._made: list[str] = []
        try:
            self._claim()
        except BaseException:
            self._closing.close()
            raise

    def _claim(self) -> None:
        """Hold the name of the target as long as the backup runs; remove what a killed one left there."""
        base = self._target.name()
        held = self._keeper.exec_driver_sql(f"SELECT pg_try_advisory_lock({server_lock('backup', base)})")
        if not held.scalar_one():
            raise DeploymentError(f"Another backup to the database {base!r} is running.")
        found = self._keeper.exec_driver_sql(
            "SELECT datname, coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database"
            " WHERE datname = %s OR starts_with(datname, %s)",
            (base, f"{base[:20]}_"),
        ).all()
        if any(name == base and comment != _MARK for name, comment in found):
            raise DeploymentError(
                f"The database {base!r} exists already, and a backup overwrites nothing. Choose a new name."
            )
        for name, comment in found:
            if comment == _MARK and (name == base or name.startswith(f"{base}_")):
                self._target.drop(name)

    def copy_registry(self, told: Callable[[int, int], None]) -> bool:
        """Copy the database that the address names."""
        return self._copy(self._source.name(), self._target.name(), told)

    def copy_catalog(self, id: str, told: Callable[[int, int], None]) -> bool:
        """Copy the database of a catalog."""
        return self._copy(self._source.name(id), self._target.name(id), told)

    def copy_directory(self, told: Callable[[int, int], None]) -> bool:
        """Copy its database."""
        return self._copy(self._source.directory_name(), self._target.directory_name(), told)

    def live_registry(self) -> Database:
        """The database of the deployment."""
        return self._source.registry()

    def copied_registry(self) -> Database:
        """The database of the copy."""
        return self._target.database(self._target.name())

    def live_directory(self) -> Database | None:
        """The database of the deployment."""
        return self._source.directory() if self._source.exists(self._source.directory_name()) else None

    def copied_directory(self) -> Database:
        """The database of the copy."""
        return self._target.database(self._target.directory_name())

    def finish(self, deployment: str) -> None:
        """Give the registry and the directory the id of their deployment; take the marks away, the registry's last."""
        shared = (self._target.name(), self._target.directory_name())
        for name in reversed(self._made):
            if name in shared:
                with (
                    contextlib.closing(self._target.database(name)) as database,
                    database.write() as connection,
                ):
                    connection.run(f"UPDATE {INTERNAL}deployment SET id = ?", (deployment,))
            self._target.comment(name, None if name in shared else owner_mark(deployment))
        self._closing.close()

    def discard(self) -> None:
        """Drop the databases."""
        for name in reversed(self._made):
            self._target.drop(name)
        self._closing.close()

    def _copy(self, source: str, target: str, told: Callable[[int, int], None]) -> bool:
        if not self._source.exists(source):
            return False
        told(0, 1)
        self._target.replace(target, _MARK)
        self._made.append(target)
        self._pump(self._source.url(source), self._target.url(target))
        # What every database has is not copied but made, because who copies it would hold up changes of the model.
        self._target.prepare(target)
        told(1, 1)
        return True

    def _pump(self, source: sa.URL, target: sa.URL) -> None:
        dump, restore = self._programs
        common = ["--no-owner", "--no-privileges", "--dbname"]
        write = [
            dump,
            "--format=custom",
            "--compress=0",
            f"--exclude-table={GATE}",
            *common,
            kept_address(source),
        ]
        read = [restore, "--exit-on-error", "--single-transaction", *common, kept_address(target)]
        with (
            TemporaryFile() as said,
            subprocess.Popen(write, stdout=subprocess.PIPE, stderr=said, env=_environment(source)) as writer,
        ):
            try:
                reader = subprocess.run(read, stdin=writer.stdout, stderr=said, env=_environment(target))
            except BaseException:
                writer.kill()
                raise
            assert writer.stdout is not None
            writer.stdout.close()
            if writer.wait() or reader.returncode:
                raise StorageUnusable(
                    f"{source.database} cannot be copied to {target.database}: {_read(said)}"
                )


def _read(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return lines[0] if lines else "no reason given"


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise DeploymentError(
            f"A backup of catalogs on PostgreSQL needs its program {name}. Install PostgreSQL's client programs, "
            "of the server's version or newer, and see that PATH leads to them."
        )
    return found


def _environment(url: sa.URL) -> dict[str, str]:
    return {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
