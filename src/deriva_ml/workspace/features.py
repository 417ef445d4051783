"""Staged feature rows: kept until a commit has sent them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.workspace.database import Database
from deriva_ml.workspace.executions import now

FEATURES_TABLE = "execution_state__feature_records"

PENDING = "Pending"
UPLOADED = "Uploaded"
FAILED = "Failed"

MIGRATION = f"""
CREATE TABLE {FEATURES_TABLE} (
  stage_id INTEGER PRIMARY KEY AUTOINCREMENT,
  execution_rid TEXT NOT NULL,
  feature_table TEXT NOT NULL,
  feature_name TEXT NOT NULL,
  target_table TEXT NOT NULL,
  record_key TEXT NOT NULL,
  record_json TEXT NOT NULL,
  created_at TEXT NOT NULL,
  status TEXT NOT NULL COLLATE NOCASE,
  uploaded_at TEXT,
  error TEXT,
  UNIQUE (execution_rid, feature_table, record_key)
);
CREATE INDEX execution_state__features_by_status ON {FEATURES_TABLE} (execution_rid, status)
"""


@dataclass(frozen=True)
class StagedRecord:
    """One feature row that waits for its commit; `record_json` holds the row, `feature_table` is ``schema.Table``."""

    stage_id: int
    feature_table: str
    feature_name: str
    target_table: str
    record_json: str


class FeatureStore:
    """Staged feature rows of all executions of a catalog."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def stage(
        self,
        execution_rid: str,
        *,
        feature_table: str,
        feature_name: str,
        target_table: str,
        records: Mapping[str, str],
    ) -> None:
        """Keep feature rows, in one transaction.

        Parameters
        ----------
        execution_rid, feature_table, feature_name, target_table : str
        records : mapping of str to str
            What identifies a row within the execution and feature, to the row as JSON. A later row takes the place of
            an earlier one that was not committed yet.

        Raises
        ------
        DerivaMLValidationError
            If another value of the same record was committed already.
        """
        time = now().isoformat()
        rows = [
            (execution_rid, feature_table, feature_name, target_table, key, record, time, PENDING)
            for key, record in records.items()
        ]
        with self.database.transaction() as connection:
            before = connection.total_changes
            connection.executemany(
                f"INSERT INTO {FEATURES_TABLE} (execution_rid, feature_table, feature_name, target_table,"
                " record_key, record_json, created_at, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (execution_rid, feature_table, record_key) DO UPDATE SET"
                " record_json = excluded.record_json, status = excluded.status, error = NULL"
                f" WHERE status <> '{UPLOADED}'",
                rows,
            )
            if connection.total_changes - before < len(rows):
                self._check_committed(connection, execution_rid, feature_table, records)

    def _check_committed(
        self,
        connection: sqlite3.Connection,
        execution_rid: str,
        feature_table: str,
        records: Mapping[str, str],
    ) -> None:
        committed = connection.execute(
            f"SELECT record_key, record_json FROM {FEATURES_TABLE}"
            f" WHERE execution_rid = ? AND feature_table = ? AND status = '{UPLOADED}'",
            [execution_rid, feature_table],
        )
        changed = [key for key, record in committed if records.get(key, record) != record]
        if changed:
            raise DerivaMLValidationError(
                f"Execution {execution_rid} has already committed other values of {feature_table} for"
                f" {', '.join(changed[:3])}{', …' if len(changed) > 3 else ''}. An execution gives one value per record;"
                " record a correction in a new execution."
            )

    def pending(self, execution_rid: str) -> list[StagedRecord]:
        """Rows that wait for a commit, in the order of staging, with those that failed before."""
        rows = self.database.fetch(
            "SELECT stage_id, feature_table, feature_name, target_table, record_json"
            f" FROM {FEATURES_TABLE} WHERE execution_rid = ? AND status <> '{UPLOADED}' ORDER BY stage_id",
            [execution_rid],
        )
        return [StagedRecord(*row) for row in rows]

    def has_pending(self, execution_rid: str) -> bool:
        """Whether any row waits for a commit."""
        sql = f"SELECT 1 FROM {FEATURES_TABLE} WHERE execution_rid = ? AND status <> '{UPLOADED}' LIMIT 1"
        return self.database.fetch_one(sql, [execution_rid]) is not None

    def mark_uploaded_within(
        self, connection: sqlite3.Connection, execution_rid: str, stage_ids: Iterable[int]
    ) -> None:
        """Note that rows are in the catalog, as a part of the caller's transaction."""
        time = now().isoformat()
        connection.executemany(
            f"UPDATE {FEATURES_TABLE} SET status = '{UPLOADED}', uploaded_at = ?, error = NULL"
            " WHERE execution_rid = ? AND stage_id = ?",
            [(time, execution_rid, stage_id) for stage_id in stage_ids],
        )

    def mark_failed(self, execution_rid: str, error: str) -> None:
        """Note why the waiting rows could not be committed; the next commit tries them again."""
        with self.database.transaction() as connection:
            connection.execute(
                f"UPDATE {FEATURES_TABLE} SET status = '{FAILED}', error = ?"
                f" WHERE execution_rid = ? AND status <> '{UPLOADED}'",
                [error, execution_rid],
            )

    def discard(self, execution_rid: str, feature_name: str | None = None) -> int:
        """Forget rows that wait for a commit, of one feature or of all.

        Returns
        -------
        int
            Number of rows.
        """
        sql = f"DELETE FROM {FEATURES_TABLE} WHERE execution_rid = ? AND status <> '{UPLOADED}'"
        parameters = [execution_rid]
        if feature_name is not None:
            sql, parameters = f"{sql} AND feature_name = ?", [execution_rid, feature_name]
        with self.database.transaction() as connection:
            return connection.execute(sql, parameters).rowcount

    def counts(self) -> dict[str, dict[str, int]]:
        """Number of rows by execution and status in lower case."""
        counts: dict[str, dict[str, int]] = {}
        for row in self.database.fetch(
            f"SELECT execution_rid, lower(status), count(*) FROM {FEATURES_TABLE} GROUP BY execution_rid, lower(status)"
        ):
            counts.setdefault(row[0], {})[row[1]] = row[2]
        return counts

    def counts_of(self, execution_rid: str) -> dict[str, dict[str, int]]:
        """Number of rows of one execution by feature table and status in lower case."""
        counts: dict[str, dict[str, int]] = {}
        sql = (
            f"SELECT feature_table, lower(status), count(*) FROM {FEATURES_TABLE}"
            " WHERE execution_rid = ? GROUP BY feature_table, lower(status)"
        )
        for row in self.database.fetch(sql, [execution_rid]):
            counts.setdefault(row[0], {})[row[1]] = row[2]
        return counts
