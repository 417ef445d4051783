"""The databases of a deployment on a PostgreSQL server."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import sqlalchemy as sa

from deriva_server.errors import Conflict, DeploymentError, ServiceError
from deriva_server.names import NAME_BYTES
from deriva_server.sql.connect import Database
from deriva_server.sql.dialect import INTERNAL, quote, text_literal
from deriva_server.sql.postgres.addresses import parse_address, shown_address
from deriva_server.sql.postgres.database import PostgresDialect
from deriva_server.sql.postgres.naming import GATE, SCHEMA, WRITERS, server_lock

OLDEST = 140000
"""Oldest version of the server, as it numbers itself."""

_FIRST_BUILTIN_LOCALE = 170000
_DIRECTORY = "_~objects"
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]*")
_PREPARE = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {GATE} ();
CREATE OR REPLACE FUNCTION {SCHEMA}.{INTERNAL}keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE TG_ARGV[0];
  RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION {SCHEMA}.{INTERNAL}touch() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE moment record;
BEGIN
  SELECT now, client INTO moment FROM {SCHEMA}.{INTERNAL}state;
  IF NEW."RMT" <> moment.now THEN
    NEW."RMT" := moment.now;
    NEW."RMB" := moment.client;
  END IF;
  RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION {SCHEMA}.{INTERNAL}bound(number numeric, kind text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN number IS NULL THEN 'null'
    WHEN kind = 'number' THEN trim_scale(number)::text
    WHEN kind = 'timestamptz'
      THEN to_json(timestamptz 'epoch' + round(number)::float8 * interval '1 microsecond')::text
    ELSE to_json(timestamp 'epoch' + round(number)::float8 * interval '1 microsecond')::text
  END
$$;
CREATE OR REPLACE FUNCTION {SCHEMA}.{INTERNAL}bin(
  number numeric, count integer, low numeric, high numeric, kind text
) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE at integer;
BEGIN
  IF number IS NULL THEN
    RETURN '[null,null,null]';
  END IF;
  IF NOT low < high THEN
    RAISE EXCEPTION 'The lower bound of bins must be less than the upper bound.' USING ERRCODE = '2201G';
  END IF;
  at := width_bucket(number, low, high, count);
  RETURN '[' || at || ','
    || CASE WHEN at = 0 THEN 'null' WHEN at > count THEN {SCHEMA}.{INTERNAL}bound(high, kind)
            ELSE {SCHEMA}.{INTERNAL}bound(low + (high - low) * (at - 1) / count, kind) END || ','
    || CASE WHEN at = 0 THEN {SCHEMA}.{INTERNAL}bound(low, kind) WHEN at > count THEN 'null'
            WHEN at = count THEN {SCHEMA}.{INTERNAL}bound(high, kind)
            ELSE {SCHEMA}.{INTERNAL}bound(low + (high - low) * at / count, kind) END || ']';
END $$;
"""


class PostgresServer:
    """PostgreSQL behind the `Databases` protocol.

    The address names the database of the registry; catalogs get databases beside it, named after it.

    Parameters
    ----------
    address : str
        ``postgresql://user@host/name``; without a password libpq looks for one as usual.
    deployment : str
        Id of the deployment. Databases of catalogs bear it as a comment; others are never dropped.
    make : bool
        Whether a missing database of the registry is made.

    Raises
    ------
    DeploymentError
        If the address is none, or the server cannot be used.
    """

    def __init__(self, address: str, deployment: str, *, make: bool = True) -> None:
        self._url = parse_address(address)
        self._deployment = deployment
        self._make = make

    def registry(self) -> Database:
        """The database that the address names."""
        return self._claimed(self.name())

    def directory(self) -> Database:
        """A database beside, of a name that no catalog has."""
        return self._claimed(self.directory_name())

    def remove_directory(self) -> None:
        """Drop the database, whoever uses it; that of another deployment is refused."""
        if self.exists(self.directory_name()):
            self.directory().close()
            self.drop(self.directory_name())

    def has_registry(self) -> bool:
        """Whether the server knows the database."""
        with self._explained():
            return self.exists(self.name())

    def remove_registry(self) -> None:
        """Drop the database, whoever uses it; that of another deployment is refused."""
        self.registry().close()
        self.drop(self.name())

    def catalog(self, id: str) -> Database:
        """One database per catalog."""
        return self.database(self.name(id))

    def create_catalog(self, id: str) -> Database:
        """A new database; what is there without an entry was left by a creation that was interrupted."""
        name = self.name(id)
        self.replace(name, owner_mark(self._deployment))
        self.prepare(name)
        return self.database(name)

    def keep_catalog(self, id: str) -> None:
        """The server keeps what it has made."""

    def has_catalog(self, id: str) -> bool:
        """Whether the server knows the database."""
        with self.beside() as connection:
            return _comment(connection, self.name(id)) == owner_mark(self._deployment)

    def size(self, id: str) -> int:
        """As the server counts it."""
        with self.beside() as connection:
            found = connection.exec_driver_sql(
                "SELECT pg_database_size(oid) FROM pg_database WHERE datname = %s", (self.name(id),)
            )
            return int(found.scalar() or 0)

    def remove_catalog(self, id: str) -> None:
        """Drop the database, whoever uses it, if it is that of a catalog."""
        if self.has_catalog(id):
            self.drop(self.name(id))

    def url(self, name: str) -> sa.URL:
        """The address of one database."""
        return self._url.set(database=name)

    def database(self, name: str) -> Database:
        """One database, whatever it is."""
        return Database(PostgresDialect(self.url(name)))

    def beside(self) -> AbstractContextManager[sa.Connection]:
        """A connection to the server that needs none of these databases."""
        return self._connected(self.url("postgres"))

    def exists(self, name: str) -> bool:
        """Whether the server knows a database."""
        with self.beside() as connection:
            return _exists(connection, name)

    def replace(self, name: str, mark: str) -> None:
        """Make a database with nothing in it that bears a mark.

        Raises
        ------
        Conflict
            If there is one of that name which bears another mark, or none and holds something.
        """
        self._create(name, mark)

    def prepare(self, name: str) -> None:
        """Make what every database of ours has, where it is missing.

        Raises
        ------
        DeploymentError
            If the server is too old.
        """
        with self._connected(self.url(name)) as connection:
            version = _version(connection)
            if version < OLDEST:
                raise DeploymentError(
                    f"{self._place} is PostgreSQL {version // 10000}; {OLDEST // 10000} or newer is needed."
                )
            # One at a time: two that make the same function would collide.
            connection.exec_driver_sql(f"BEGIN; SELECT pg_advisory_xact_lock({WRITERS}); {_PREPARE} COMMIT")

    def version(self) -> int:
        """Of the server, as it numbers itself."""
        with self._explained(), self.beside() as connection:
            return _version(connection)

    def comments(self) -> dict[str, str | None]:
        """All databases of the server with their comments."""
        with self.beside() as connection:
            found = connection.exec_driver_sql(
                "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"
            )
            return {str(name): comment for name, comment in found}

    def comment(self, name: str, text: str | None) -> None:
        """Write a comment to a database, or remove it."""
        with self.beside() as connection:
            said = "NULL" if text is None else text_literal(text)
            connection.exec_driver_sql(f"COMMENT ON DATABASE {_quoted(name)} IS {said}")

    def drop(self, name: str) -> None:
        """Drop a database, whoever uses it; none may be there."""
        with self.beside() as connection:
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")

    def name(self, id: str | None = None) -> str:
        """The database of a catalog, or of the registry; ids that are no plain names, or are long, are hashed."""
        base = str(self._url.database)
        if id is None:
            return base
        name = f"{base}_{id}"
        if _PLAIN.fullmatch(id) and len(name.encode()) <= NAME_BYTES:
            return name
        return f"{base[:20]}_~{hashlib.sha256(f'{base}/{id}'.encode()).hexdigest()[:24]}"

    def directory_name(self) -> str:
        """The database of the object directory; a tilde and a word stand in no name of a catalog's."""
        base = str(self._url.database)
        return f"{base[: NAME_BYTES - len(_DIRECTORY)]}{_DIRECTORY}"

    def _claimed(self, name: str) -> Database:
        """A database that knows its deployment, made when missing."""
        place = shown_address(self.url(name))
        with self._explained():
            if not self.exists(name):
                if not self._make:
                    raise DeploymentError(
                        f"There is no database at {place}. Correct the address, or restore the database."
                    )
                self._create(name)
            self.prepare(name)
            database = self.database(name)
            with database.write() as connection:
                connection.run(f"CREATE TABLE IF NOT EXISTS {INTERNAL}deployment (id text PRIMARY KEY)")
                known = connection.run(f"SELECT id FROM {INTERNAL}deployment").scalar()
                if known is None:
                    connection.run(f"INSERT INTO {INTERNAL}deployment VALUES (?)", (self._deployment,))
        if known not in (None, self._deployment):
            raise DeploymentError(f"{place} belongs to another deployment. Give each its own database name.")
        return database

    @property
    def _place(self) -> str:
        return shown_address(self._url)

    @contextmanager
    def _connected(self, url: sa.URL) -> Iterator[sa.Connection]:
        """A connection outside any transaction, for what PostgreSQL does only there."""
        dialect = PostgresDialect(url)
        engine = dialect.engine()
        try:
            with dialect.connect(engine) as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise dialect.translate(error) or error from error

    def _create(self, name: str, mark: str | None = None) -> None:
        """Make a database whose texts sort by code point and whose letters are Unicode's."""
        with self.beside() as connection:
            version = _version(connection)
            # The server goes on with what a client that was killed had asked for, and holds its lock meanwhile.
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({server_lock('create', name)})")
            if _exists(connection, name):
                if mark is None:
                    return
                # One without a mark was just made by somebody who was interrupted, if nothing is in it.
                if _comment(connection, name) != mark and not self._is_empty(name):
                    raise Conflict(
                        f'The database "{name}" exists already and holds something else. '
                        "Rename or drop it, or keep the catalogs under another name."
                    )
                connection.exec_driver_sql(f"DROP DATABASE {_quoted(name)} WITH (FORCE)")
            locale = (
                "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'" if version >= _FIRST_BUILTIN_LOCALE else ""
            )
            connection.exec_driver_sql(
                f"CREATE DATABASE {_quoted(name)} TEMPLATE template0 ENCODING 'UTF8'"
                f" LC_COLLATE 'C' LC_CTYPE 'C.UTF-8' {locale}"
            )
            if mark is not None:
                connection.exec_driver_sql(f"COMMENT ON DATABASE {_quoted(name)} IS {text_literal(mark)}")

    def _is_empty(self, name: str) -> bool:
        with self._connected(self.url(name)) as connection:
            found = connection.exec_driver_sql(
                "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') LIMIT 1"
            )
            return found.first() is None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, ServiceError) as error:
            cause: Any = (
                error if isinstance(error, ServiceError) and error.detail else error.__cause__ or error
            )
            reason = cause.detail if isinstance(cause, ServiceError) else str(getattr(cause, "orig", cause))
            reason = (reason.strip().splitlines() or ["no reason given"])[0].rstrip(".")
            if _is_forbidden(error):
                reason += ". Let this user create databases"
            raise DeploymentError(f"{self._place} cannot be used: {reason}.") from error


def owner_mark(deployment: str) -> str:
    """The comment on the databases of the catalogs of a deployment."""
    return f"deriva-ml: catalog of deployment {deployment}"


def _is_forbidden(error: Exception) -> bool:
    """Whether PostgreSQL did not let the user do something."""
    cause = error.__cause__ if isinstance(error, ServiceError) else error
    return getattr(getattr(cause, "orig", None), "sqlstate", None) == "42501"


def _comment(connection: sa.Connection, name: str) -> str | None:
    found = connection.exec_driver_sql(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", (name,)
    )
    comment: str | None = found.scalar()
    return comment


def _version(connection: sa.Connection) -> int:
    return int(connection.exec_driver_sql("SHOW server_version_num").scalar_one())


def _exists(connection: sa.Connection, name: str) -> bool:
    found = connection.exec_driver_sql("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
    return found.first() is not None


def _quoted(name: str) -> str:
    return quote(name).replace("%", "%%")
