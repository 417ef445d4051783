"""The tables of the object directory, and how those of older releases become them."""

from __future__ import annotations

from deriva_server.errors import DeploymentError
from deriva_server.sql import keeps
from deriva_server.sql.connect import Database
from deriva_server.sql.dialect import Connection
from deriva_server.sql.objects import LONGEST_INDEXED, NAMESPACE, Acls, add_name, stored

FORMAT = 4
"""Format number of the directory; a newer one is refused."""

_NEWEST = "CREATE INDEX IF NOT EXISTS hatrac_version_newest ON hatrac_version (name, id)"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS hatrac_format (format INTEGER NOT NULL)",
    """CREATE TABLE IF NOT EXISTS hatrac_name (
        id {ascending} PRIMARY KEY,
        parent {number} REFERENCES hatrac_name (id),
        path TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        deleted INTEGER NOT NULL DEFAULT 0,
        acls TEXT NOT NULL,
        long_path TEXT
    )""",
    "CREATE INDEX IF NOT EXISTS hatrac_name_parent ON hatrac_name (parent)",
    """CREATE TABLE IF NOT EXISTS hatrac_version (
        id {ascending} PRIMARY KEY,
        name {number} NOT NULL REFERENCES hatrac_name (id),
        version TEXT NOT NULL,
        blob TEXT NOT NULL,
        length {number} NOT NULL,
        content_type TEXT,
        content_disposition TEXT,
        md5 TEXT,
        sha256 TEXT,
        acls TEXT NOT NULL,
        deleted INTEGER NOT NULL DEFAULT 0,
        moved {number} REFERENCES hatrac_version (id),
        UNIQUE (name, version)
    )""",
    "CREATE INDEX IF NOT EXISTS hatrac_version_blob ON hatrac_version (blob)",
    _NEWEST,
    """CREATE TABLE IF NOT EXISTS hatrac_job (
        id TEXT PRIMARY KEY,
        name {number} NOT NULL REFERENCES hatrac_name (id),
        chunk_length {number} NOT NULL,
        length {number} NOT NULL,
        content_type TEXT,
        content_disposition TEXT,
        md5 TEXT,
        sha256 TEXT,
        acls TEXT NOT NULL,
        began {number} NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX IF NOT EXISTS hatrac_job_name ON hatrac_job (name)",
    keeps.TABLE,
)


def prepare_directory(database: Database, root_acls: Acls) -> None:
    """Make what a directory has, with its root namespace, where it is missing.

    Parameters
    ----------
    database : Database
        Where the directory is, or shall be.
    root_acls : mapping
        Rights on the root namespace if it has to be made.

    Raises
    ------
    DeploymentError
        If it was made by a newer release.
    """
    with database.read() as connection:
        known = bool(connection.dialect.list_tables(connection, "hatrac_format"))
    if not known:
        with database.write() as connection:
            _create(connection, root_acls)
    with database.read() as connection:
        found = connection.run("SELECT format FROM hatrac_format").scalar_one()
    if found > FORMAT:
        raise DeploymentError(
            f"{database.dialect.place} has format {found}, this release knows formats up to {FORMAT}. "
            "Use the release that last opened it, or a newer one: `pip install --upgrade deriva-ml`."
        )
    if found < FORMAT:
        with database.write() as connection:
            _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    found = connection.run("SELECT format FROM hatrac_format").scalar_one()
    if found < 2:
        connection.run("ALTER TABLE hatrac_job ADD COLUMN began INTEGER NOT NULL DEFAULT 0")
    if found < 3:
        connection.run("ALTER TABLE hatrac_name ADD COLUMN long_path TEXT")
        long = connection.run(
            "SELECT id, path FROM hatrac_name WHERE length(path) > ?", (LONGEST_INDEXED,)
        ).all()
        for id_, path in long:
            connection.run(
                "UPDATE hatrac_name SET path = ?, long_path = ? WHERE id = ?", (*stored(path), id_)
            )
        connection.run(_NEWEST)
    if found < 4:
        connection.run(keeps.TABLE.format_map(connection.dialect.types))
    connection.run("UPDATE hatrac_format SET format = ?", (FORMAT,))


def _create(connection: Connection, root_acls: Acls) -> None:
    for statement in _TABLES:
        connection.run(statement.format_map(connection.dialect.types))
    if connection.run("SELECT count(*) FROM hatrac_format").scalar() == 0:
        connection.run("INSERT INTO hatrac_format VALUES (?)", (FORMAT,))
        add_name(connection, "/", None, NAMESPACE, root_acls)
