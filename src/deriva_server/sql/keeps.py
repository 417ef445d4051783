"""Records of those who copy a store and need its bytes to stay, on whichever machine they are."""

from __future__ import annotations

import time

from deriva_server.sql.dialect import Connection

TABLE = "CREATE TABLE IF NOT EXISTS hatrac_keep (id TEXT PRIMARY KEY, until {number} NOT NULL)"


def are_known(connection: Connection) -> bool:
    """Whether the directory has such records; one that only older releases have opened has not."""
    return bool(connection.dialect.list_tables(connection, "hatrac_keep"))


def keep(connection: Connection, id_: str, seconds: float) -> None:
    """Begin to keep all bytes, or go on with it, for some time from now."""
    until = int(time.time() + seconds)
    connection.run("DELETE FROM hatrac_keep WHERE id = ? OR until < ?", (id_, int(time.time())))
    connection.run("INSERT INTO hatrac_keep (id, until) VALUES (?, ?)", (id_, until))


def end(connection: Connection, id_: str) -> None:
    """Need the bytes no longer."""
    connection.run("DELETE FROM hatrac_keep WHERE id = ?", (id_,))


def forget_all(connection: Connection) -> None:
    """Forget who copies, in the copy."""
    connection.run("DELETE FROM hatrac_keep")


def are_kept(connection: Connection) -> bool:
    """Whether anybody needs all bytes to stay."""
    found = connection.run("SELECT count(*) FROM hatrac_keep WHERE until >= ?", (int(time.time()),))
    return bool(found.scalar_one())
