"""Index of the bags that were downloaded to a cache directory."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deriva_ml.workspace.database import Database
from deriva_ml.workspace.executions import now

_MIGRATIONS = (
    """
CREATE TABLE bags (
  checksum TEXT PRIMARY KEY,
  profile_id TEXT,
  built_at TEXT NOT NULL,
  anchor_summary_json TEXT NOT NULL,
  size_bytes INTEGER NOT NULL
);
CREATE TABLE bag_anchor_rids (
  checksum TEXT NOT NULL REFERENCES bags (checksum) ON DELETE CASCADE,
  "table" TEXT NOT NULL,
  rid TEXT NOT NULL,
  PRIMARY KEY (checksum, "table", rid)
);
CREATE INDEX bag_anchor_rids_by_rid ON bag_anchor_rids (rid, "table");
CREATE TABLE schema_meta (version INTEGER NOT NULL);
INSERT INTO schema_meta VALUES (1)
""",
)


_WAY_OUT = (
    "If the file is damaged, delete it: it is made again from the bags. If the folder cannot be written, "
    "pass cache_dir= with another one."
)


@dataclass(frozen=True)
class BagEntry:
    """One bag in the cache; `anchors` holds (table, RID), `summary` what the maker noted, such as the version."""

    checksum: str
    profile_id: str | None
    built_at: str
    size_bytes: int
    summary: dict[str, Any] = field(default_factory=dict)


def _entry(row: sqlite3.Row) -> BagEntry:
    return BagEntry(
        checksum=row["checksum"],
        profile_id=row["profile_id"],
        built_at=row["built_at"],
        size_bytes=row["size_bytes"],
        summary=json.loads(row["anchor_summary_json"]),
    )


class BagIndex:
    """``index.sqlite`` of a cache directory.

    Parameters
    ----------
    cache_dir : Path
    """

    def __init__(self, cache_dir: Path) -> None:
        self.cache_dir = Path(cache_dir)
        self._database = Database(self.cache_dir / "index.sqlite", _MIGRATIONS, _WAY_OUT)

    def add(
        self,
        checksum: str,
        *,
        anchors: Iterable[tuple[str, str]],
        summary: Mapping[str, Any],
        size_bytes: int,
        profile_id: str | None = None,
    ) -> None:
        """Note a bag that is complete on disk; an entry of the same checksum is replaced."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM bag_anchor_rids WHERE checksum = ?", [checksum])
            connection.execute(
                "INSERT OR REPLACE INTO bags (checksum, profile_id, built_at, anchor_summary_json, size_bytes)"
                " VALUES (?, ?, ?, ?, ?)",
                [checksum, profile_id, now().isoformat(), json.dumps(dict(summary), default=str), size_bytes],
            )
            connection.executemany(
                "INSERT OR IGNORE INTO bag_anchor_rids VALUES (?, ?, ?)",
                [(checksum, table, rid) for table, rid in anchors],
            )

    def lookup(self, checksum: str) -> BagEntry | None:
        """The bag of a checksum, or None."""
        row = self._database.fetch_one("SELECT * FROM bags WHERE checksum = ?", [checksum])
        return _entry(row) if row else None

    def find(self, table: str, rid: str) -> list[BagEntry]:
        """Bags made for a row, newest first."""
        rows = self._database.fetch(
            'SELECT bags.* FROM bags JOIN bag_anchor_rids USING (checksum) WHERE "table" = ? AND rid = ?'
            " ORDER BY built_at DESC",
            [table, rid],
        )
        return [_entry(row) for row in rows]

    def anchors(self, checksum: str) -> list[tuple[str, str]]:
        """Table and RID of the rows that a bag was made for."""
        rows = self._database.fetch('SELECT "table", rid FROM bag_anchor_rids WHERE checksum = ?', [checksum])
        return [(row[0], row[1]) for row in rows]

    def entries(self) -> list[BagEntry]:
        """All bags, newest first."""
        return [_entry(row) for row in self._database.fetch("SELECT * FROM bags ORDER BY built_at DESC")]

    def remove(self, checksum: str) -> bool:
        """Forget a bag; its folder is the caller's business."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM bag_anchor_rids WHERE checksum = ?", [checksum])
            return connection.execute("DELETE FROM bags WHERE checksum = ?", [checksum]).rowcount > 0
