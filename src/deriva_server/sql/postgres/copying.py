"""Copies of the databases of a deployment on a PostgreSQL server, made by PostgreSQL's own programs."""

from __future__ import annotations

import contextlib
import os
import re
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
from deriva_server.sql.postgres.addresses import kept_address, parse_address
from deriva_server.sql.postgres.naming import GATE, server_lock
from deriva_server.sql.postgres.server import PostgresServer, owner_mark

_MOST_COPIES = 100
_VERSION = re.compile(r"\) (\d+)")


class PostgresCopies:
    """PostgreSQL behind the `Copies` protocol.

    Until the copy is finished its databases bear a comment, by which what a killed backup left is known.

    Parameters
    ----------
    source : str
        Address of the registry.
    target : str or None
        Address of its copy; None for a free name beside the registry.
    deployment : str
        Id of the deployment.
    title : str
        What a free name tells of the copy: the name of its folder.

    Raises
    ------
    DeploymentError
        If the target exists, another backup to it is running, or programs of PostgreSQL are missing or too old.
    """

    def __init__(self, source: str, target: str | None, deployment: str, title: str) -> None:
        self._source = PostgresServer(source, deployment)
        self._programs = self._program("pg_dump"), self._program("pg_restore")
        self._closing = ExitStack()
        self._made: list[str] = []
        try:
            if target is None:
                self._target = self._free(parse_address(source), deployment, title)
            else:
                self._target = PostgresServer(target, deployment)
                if (reason := self._claim(self._target)) is not None:
                    raise DeploymentError(reason)
        except BaseException:
            self._closing.close()
            raise
        self._mark = _unfinished(self._target.name())

    @property
    def address(self) -> str:
        """Of the copy."""
        return kept_address(self._target.url(self._target.name()))

    def _free(self, source: sa.URL, deployment: str, title: str) -> PostgresServer:
        """The first free name."""
        wanted = copy_name(str(source.database), title)
        for number in range(1, _MOST_COPIES + 1):
            url = source.set(database=wanted if number == 1 else f"{wanted}-{number}")
            server = PostgresServer(url.render_as_string(hide_password=False), deployment)
            if self._claim(server) is None:
                return server
        raise DeploymentError(
            f"The database {wanted!r} and {_MOST_COPIES - 1} more like it exist already. Remove copies that nobody "
            "needs with `deriva-ml remove`, or choose a name with --database postgresql://user@host/new_name."
        )

    def _claim(self, target: PostgresServer) -> str | None:
        """Hold a name as long as the backup runs, and remove what a killed one left there; else why it is taken."""
        base = target.name()
        keeper = self._closing.enter_context(target.beside())
        held = keeper.exec_driver_sql(f"SELECT pg_try_advisory_lock({server_lock('backup', base)})")
        if not held.scalar_one():
            return f"Another backup to the database {base!r} is running."
        mark = _unfinished(base)
        found = target.comments()
        if base in found and found[base] != mark:
            return (
                f"The database {base!r} exists already, and a backup overwrites nothing. Choose a new name."
            )
        for name, comment in found.items():
            if comment == mark:
                target.drop(name)
        return None

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

    def _program(self, name: str) -> str:
        """Where a program of PostgreSQL lies that is not older than the server, which it would refuse."""
        found = shutil.which(name)
        server = self._source.version() // 10000
        wanted = f"Install PostgreSQL's client programs, of version {server} or newer, and let PATH lead to them first."
        if found is None:
            raise DeploymentError(f"A backup of catalogs on PostgreSQL needs its program {name}. {wanted}")
        said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        version = _VERSION.search(said)
        if version is not None and int(version[1]) < server:
            raise DeploymentError(
                f"{found} is of PostgreSQL {version[1]}, and the server of {server}. {wanted}"
            )
        return found

    def _copy(self, source: str, target: str, told: Callable[[int, int], None]) -> bool:
        if not self._source.exists(source):
            return False
        told(0, 1)
        self._target.replace(target, self._mark)
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
                    f"{source.database} cannot be copied to {target.database}: {_read(said)} "
                    f"(said {dump} and {restore}; PATH tells which programs are used)"
                )


def _read(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return lines[0] if lines else "no reason given"


def copy_name(base: str, title: str) -> str:
    """The name of the database of a copy, after that of the original and the folder of the copy.

    A catalog's database is never called so: that has an underscore where this has a dash.

    >>> copy_name("lab", "2025-06-01"), copy_name("lab-2025-06-01", "lab")
    ('lab-2025-06-01', 'lab')
    """
    word = re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")[:24].strip("-") or "copy"
    return (
        word
        if base == word or base.startswith(f"{word}-")
        else f"{base.encode()[:24].decode(errors='ignore')}-{word}"
    )


def _unfinished(base: str) -> str:
    """The comment on the databases of a copy that is being made, by which those of each copy are told apart."""
    return f"deriva-ml: unfinished backup to {base}"


def _environment(url: sa.URL) -> dict[str, str]:
    return {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
