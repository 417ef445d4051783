"""Statements of the index of metrics: what contents come to that were read as files of metrics.

Facts of contents never change, so entries are only added and, with their contents, removed. An entry that was made by
an older parser counts as missing and is replaced.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from deriva_server.metrics.records import PARSER
from deriva_server.sql.connect import Database
from deriva_server.sql.dialect import Connection
from deriva_server.values import Frozen

_TABLE = """CREATE TABLE IF NOT EXISTS hatrac_metrics (
    blob TEXT NOT NULL,
    kind TEXT NOT NULL,
    parser INTEGER NOT NULL,
    summary TEXT NOT NULL,
    PRIMARY KEY (blob, kind)
)"""
_BATCH = 500

Key = tuple[str, str]
"""Key of a content, and how it is read."""


class IndexSize(Frozen, frozen=True):
    """How much the index holds: entries, and bytes of their summaries."""

    entries: int
    length: int


def prepare_metrics(database: Database) -> None:
    """Make the table of the index where it is missing."""
    with database.read() as connection:
        known = bool(connection.dialect.list_tables(connection, "hatrac_metrics"))
    if not known:
        with database.write() as connection:
            connection.run(_TABLE)


def summaries(connection: Connection, blobs: Collection[str]) -> dict[Key, str]:
    """Summaries of contents, as JSON texts."""
    found: dict[Key, str] = {}
    wanted = list(blobs)
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        for row in connection.raw.execute(_SUMMARIES, {"blobs": batch, "parser": PARSER}):
            found[row.blob, row.kind] = row.summary
    return found


def add_summaries(connection: Connection, made: Mapping[Key, str]) -> None:
    """Add entries; one that another process added meanwhile says the same."""
    if not made:
        return
    connection.run(
        "INSERT INTO hatrac_metrics (blob, kind, parser, summary) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (blob, kind) DO UPDATE SET parser = excluded.parser, summary = excluded.summary",
        [(*key, PARSER, summary) for key, summary in made.items()],
    )


def forget_summaries(connection: Connection, blobs: Collection[str]) -> None:
    """Remove the entries of contents."""
    if blobs:
        connection.run("DELETE FROM hatrac_metrics WHERE blob = ?", [(blob,) for blob in blobs])


def indexed(connection: Connection, after: Key = ("", "")) -> list[Key]:
    """Some of the entries that follow one, in order, whatever parser made them."""
    found = connection.run(
        "SELECT blob, kind FROM hatrac_metrics WHERE blob > ? OR (blob = ? AND kind > ?)"
        f" ORDER BY blob, kind LIMIT {_BATCH}",
        (after[0], *after),
    )
    return [(row.blob, row.kind) for row in found]


def index_size(connection: Connection) -> IndexSize:
    """Count the entries."""
    row = connection.run("SELECT count(*), coalesce(sum(length(summary)), 0) FROM hatrac_metrics").one()
    return IndexSize(*map(int, row))


_SUMMARIES = sa.text(
    "SELECT blob, kind, summary FROM hatrac_metrics WHERE blob IN :blobs AND parser = :parser"
).bindparams(sa.bindparam("blobs", expanding=True))
