"""Asset manifest: the output files of executions, each with what is known of it and whether it is uploaded.

The local store is the record. `asset-manifest.json` in the scratch directory of an execution mirrors it for people
and other programs; it is renamed into place, and made again when it is lost.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deriva_ml.workspace.database import Database
from deriva_ml.workspace.executions import now
from deriva_ml.workspace.whole_files import write_whole

ASSETS_TABLE = "execution_state__assets"

PENDING = "pending"
UPLOADED = "uploaded"
FAILED = "failed"

MIGRATION = f"""
CREATE TABLE {ASSETS_TABLE} (
  execution_rid TEXT NOT NULL,
  key TEXT NOT NULL,
  asset_table TEXT NOT NULL,
  schema TEXT NOT NULL,
  asset_types TEXT NOT NULL,
  metadata TEXT NOT NULL,
  description TEXT,
  status TEXT NOT NULL,
  rid TEXT,
  source TEXT,
  uploaded_at TEXT,
  error TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (execution_rid, key)
);
CREATE INDEX execution_state__assets_by_status ON {ASSETS_TABLE} (execution_rid, status)
"""

READ_AS = f"ALTER TABLE {ASSETS_TABLE} ADD COLUMN read_as TEXT"

# Up to this many entries the mirror is written at every change; beyond, when half of it would be new.
_SMALL = 50


@dataclass
class AssetEntry:
    """One output file.

    Parameters
    ----------
    asset_table, schema : str
        Where its row will stand.
    asset_types : list of str
        Terms that the user gave; the directional tag is added at the commit.
    metadata : dict
        Values of the table's metadata columns.
    description : str, optional
    status : str
        ``pending``, ``uploaded`` or ``failed``.
    rid : str, optional
        Leased before the upload; the row's own once it is uploaded.
    uploaded_at, error : str, optional
    source : str, optional
        The user's own file that was linked or copied; not part of the JSON mirror.
    read_as : str, optional
        Size and time of the file whose bytes were uploaded, see `deriva_ml.checksums.mark_of`; not part of the JSON mirror.
    """

    asset_table: str
    schema: str
    asset_types: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    description: str | None = None
    status: str = PENDING
    rid: str | None = None
    uploaded_at: str | None = None
    error: str | None = None
    source: str | None = None
    read_as: str | None = None


def _entry(row: sqlite3.Row) -> AssetEntry:
    return AssetEntry(
        asset_table=row["asset_table"],
        schema=row["schema"],
        asset_types=json.loads(row["asset_types"]),
        metadata=json.loads(row["metadata"]),
        description=row["description"],
        status=row["status"],
        rid=row["rid"],
        uploaded_at=row["uploaded_at"],
        error=row["error"],
        source=row["source"],
        read_as=row["read_as"],
    )


def _json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _readable(document: Mapping[str, Any]) -> str:
    """The document with one line per file: readable, and much faster to write than fully indented JSON."""
    lines = ",\n".join(f"  {_json(key)}: {_json(entry)}" for key, entry in document["assets"].items())
    return f'{{\n "execution_rid": {_json(document["execution_rid"])},\n "assets": {{\n{lines}\n }}\n}}\n'


class ManifestStore:
    """The asset manifests of all executions of a catalog."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def of(self, execution_rid: str, mirror: Path) -> AssetManifest:
        """The manifest of one execution, mirrored to the file `mirror`."""
        return AssetManifest(self.database, execution_rid, mirror)

    def counts(self) -> dict[str, dict[str, int]]:
        """Number of files by execution and status."""
        counts: dict[str, dict[str, int]] = {}
        for row in self.database.fetch(
            f"SELECT execution_rid, status, count(*) FROM {ASSETS_TABLE} GROUP BY execution_rid, status"
        ):
            counts.setdefault(row[0], {})[row[1]] = row[2]
        return counts


class AssetManifest:
    """Output files of one execution, keyed ``<Table>/<file name>``.

    Parameters
    ----------
    database : Database
    execution_rid : str
    mirror : Path
        JSON file that mirrors the entries.
    """

    def __init__(self, database: Database, execution_rid: str, mirror: Path) -> None:
        self._database = database
        self._mirror = mirror
        self._unmirrored = 0
        self._mirrored = 0
        self.execution_rid = execution_rid

    @property
    def assets(self) -> dict[str, AssetEntry]:
        """All entries, in the order of their first registration."""
        return self._select()

    def get_asset(self, key: str) -> AssetEntry:
        """The entry of a key; raises `KeyError`."""
        rows = self._rows("AND key = ?", [key])
        if not rows:
            raise KeyError(key)
        return _entry(rows[0])

    def known(self, keys: Iterable[str]) -> set[str]:
        """Those of some keys that have an entry."""
        sql = f"SELECT key FROM {ASSETS_TABLE} WHERE execution_rid = ? AND key IN (SELECT value FROM json_each(?))"
        return {row["key"] for row in self._database.fetch(sql, [self.execution_rid, _json(list(keys))])}

    def pending_assets(self) -> dict[str, AssetEntry]:
        """Entries that wait for their upload, with those whose upload failed."""
        return self._select("AND status <> ?", [UPLOADED])

    def uploaded_assets(self) -> dict[str, AssetEntry]:
        """Entries that are in the catalog."""
        return self._select("AND status = ?", [UPLOADED])

    def counts(self) -> dict[str, int]:
        """Number of entries by status."""
        sql = f"SELECT status, count(*) FROM {ASSETS_TABLE} WHERE execution_rid = ? GROUP BY status"
        return {row[0]: row[1] for row in self._database.fetch(sql, [self.execution_rid])}

    def add_asset(self, key: str, entry: AssetEntry) -> None:
        """Register a file; an entry of the same key is replaced and waits for upload again."""
        self.add_assets({key: entry})

    def add_assets(self, entries: Mapping[str, AssetEntry]) -> None:
        """Register many files at once, for the price of one."""
        time = now().isoformat()
        rows = [
            (
                self.execution_rid, key, entry.asset_table, entry.schema, _json(entry.asset_types),
                _json(entry.metadata), entry.description, entry.status, entry.rid, entry.source, time, time,
            )
            for key, entry in entries.items()
        ]  # fmt: skip
        with self._database.transaction() as connection:
            connection.executemany(
                f"INSERT INTO {ASSETS_TABLE} (execution_rid, key, asset_table, schema, asset_types, metadata,"
                " description, status, rid, source, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (execution_rid, key) DO UPDATE SET asset_table = excluded.asset_table,"
                " schema = excluded.schema, asset_types = excluded.asset_types, metadata = excluded.metadata,"
                " description = excluded.description, status = excluded.status, rid = excluded.rid,"
                " source = excluded.source, uploaded_at = NULL, error = NULL, read_as = NULL,"
                " updated_at = excluded.updated_at",
                rows,
            )
        self._changed(len(rows))

    def remove_asset(self, key: str) -> None:
        """Forget a file that was not uploaded; raises `KeyError`."""
        with self._database.transaction() as connection:
            sql = f"DELETE FROM {ASSETS_TABLE} WHERE execution_rid = ? AND key = ? AND status <> ?"
            if not connection.execute(sql, [self.execution_rid, key, UPLOADED]).rowcount:
                raise KeyError(key)
        self._changed(1)

    def update_asset_metadata(self, key: str, metadata: Mapping[str, Any]) -> None:
        """Replace the metadata of an entry; raises `KeyError`."""
        self._set(key, "metadata = ?", [_json(dict(metadata))])

    def update_asset_types(self, key: str, asset_types: Sequence[str]) -> None:
        """Replace the types of an entry; raises `KeyError`."""
        self._set(key, "asset_types = ?", [_json(list(asset_types))])

    def mark_uploaded(self, key: str, rid: str) -> None:
        """Note that a file is in the catalog, under `rid`; raises `KeyError`."""
        self.mark_uploaded_batch({key: rid})

    def mark_uploaded_batch(self, rids: Mapping[str, str]) -> None:
        """Note that files are in the catalog, in one transaction; raises `KeyError`."""
        with self._database.transaction() as connection:
            self.mark_uploaded_within(connection, rids)
        self._changed(len(rids))

    def mark_uploaded_within(
        self,
        connection: sqlite3.Connection,
        rids: Mapping[str, str],
        read_as: Mapping[str, str] | None = None,
    ) -> None:
        """`mark_uploaded_batch` as a part of the caller's transaction; call `write_mirror` after it.

        Parameters
        ----------
        connection : sqlite3.Connection
        rids : mapping
        read_as : mapping, optional
            Mark of each file as it was read, see `deriva_ml.checksums.mark_of`.
        """
        time, marks = now().isoformat(), read_as or {}
        for key, rid in rids.items():
            assignments = "status = ?, rid = ?, uploaded_at = ?, read_as = ?, error = NULL"
            self._set_within(connection, key, assignments, [UPLOADED, rid, time, marks.get(key)])

    def set_asset_rid(self, key: str, rid: str) -> None:
        """Note the RID leased for a file; raises `KeyError`."""
        self.set_asset_rids_batch({key: rid})

    def set_asset_rids_batch(self, rids: Mapping[str, str]) -> None:
        """Note the RIDs leased for files, in one transaction; raises `KeyError`."""
        with self._database.transaction() as connection:
            for key, rid in rids.items():
                self._set_within(connection, key, "rid = ?", [rid])
        self._changed(len(rids))

    def mark_failed(self, key: str, error: str) -> None:
        """Note why a file could not be uploaded; it is tried again by the next commit. Raises `KeyError`."""
        self.mark_failed_batch({key: error})

    def mark_failed_batch(self, errors: Mapping[str, str]) -> None:
        """Note why files could not be uploaded, in one transaction; raises `KeyError`."""
        with self._database.transaction() as connection:
            for key, error in errors.items():
                self._set_within(connection, key, "status = ?, error = ?", [FAILED, error])
        self._changed(len(errors))

    def to_json(self) -> dict[str, Any]:
        """The manifest as a document."""
        entries = {key: dict(vars(entry)) for key, entry in self.assets.items()}
        for entry in entries.values():
            del entry["source"], entry["read_as"]
        return {"execution_rid": self.execution_rid, "assets": entries}

    def write_mirror(self) -> None:
        """Make the JSON file agree with the store."""
        document = self.to_json()
        write_whole(self._mirror, _readable(document), lasting=False)
        self._mirrored = len(document["assets"])
        self._unmirrored = 0

    def _changed(self, count: int) -> None:
        self._unmirrored += count
        if self._mirrored < _SMALL or 2 * self._unmirrored >= self._mirrored:
            self.write_mirror()

    def _rows(self, condition: str = "", parameters: Iterable[Any] = ()) -> list[sqlite3.Row]:
        sql = f"SELECT * FROM {ASSETS_TABLE} WHERE execution_rid = ? {condition} ORDER BY rowid"
        return self._database.fetch(sql, [self.execution_rid, *parameters])

    def _select(self, condition: str = "", parameters: Iterable[Any] = ()) -> dict[str, AssetEntry]:
        return {row["key"]: _entry(row) for row in self._rows(condition, parameters)}

    def _set(self, key: str, assignments: str, parameters: Sequence[Any]) -> None:
        with self._database.transaction() as connection:
            self._set_within(connection, key, assignments, parameters)
        self._changed(1)

    def _set_within(
        self, connection: sqlite3.Connection, key: str, assignments: str, parameters: Sequence[Any]
    ) -> None:
        sql = f"UPDATE {ASSETS_TABLE} SET {assignments}, updated_at = ? WHERE execution_rid = ? AND key = ?"
        if not connection.execute(sql, [*parameters, now().isoformat(), self.execution_rid, key]).rowcount:
            raise KeyError(key)
