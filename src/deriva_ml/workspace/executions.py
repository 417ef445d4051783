"""State store: the executions that this machine knows, whatever the catalog says meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deriva_ml.names import ConnectionMode, ExecutionStatus
from deriva_ml.workspace.database import Database
from deriva_ml.workspace.processes import Process

EXECUTIONS_TABLE = "execution_state__executions"

MIGRATION = f"""
CREATE TABLE {EXECUTIONS_TABLE} (
  rid TEXT PRIMARY KEY,
  workflow_rid TEXT,
  description TEXT,
  config_json TEXT NOT NULL,
  status TEXT NOT NULL,
  status_detail TEXT,
  mode TEXT NOT NULL,
  working_dir_rel TEXT NOT NULL,
  start_time TEXT,
  stop_time TEXT,
  duration TEXT,
  download_duration TEXT,
  upload_duration TEXT,
  last_activity TEXT NOT NULL,
  error TEXT,
  sync_pending INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  owner_host TEXT,
  owner_pid INTEGER,
  has_input INTEGER NOT NULL DEFAULT 0,
  has_output INTEGER NOT NULL DEFAULT 0,
  prepared INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX execution_state__by_status ON {EXECUTIONS_TABLE} (status);
CREATE INDEX execution_state__by_workflow ON {EXECUTIONS_TABLE} (workflow_rid);
CREATE INDEX execution_state__by_activity ON {EXECUTIONS_TABLE} (last_activity);
CREATE INDEX execution_state__by_sync ON {EXECUTIONS_TABLE} (sync_pending) WHERE sync_pending;
CREATE TABLE execution_state__inputs (
  execution_rid TEXT NOT NULL,
  path TEXT NOT NULL,
  asset_rid TEXT NOT NULL,
  asset_table TEXT NOT NULL,
  declared INTEGER NOT NULL,
  asset_types TEXT NOT NULL,
  metadata TEXT NOT NULL,
  PRIMARY KEY (execution_rid, path)
)
"""

OWNER_BORN = f"ALTER TABLE {EXECUTIONS_TABLE} ADD COLUMN owner_born TEXT"


def now() -> datetime:
    """The time, aware of its zone."""
    return datetime.now(UTC)


def this_process() -> dict[str, Any]:
    """Columns that say who works on an execution."""
    this = Process.this()
    return {"owner_host": this.host, "owner_pid": this.pid, "owner_born": this.born}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@dataclass(frozen=True)
class ExecutionState:
    """What this machine knows of one execution."""

    rid: str
    workflow_rid: str | None
    description: str | None
    config_json: str
    status: ExecutionStatus
    status_detail: str | None
    mode: ConnectionMode
    working_dir_rel: str
    start_time: datetime | None
    stop_time: datetime | None
    duration: str | None
    download_duration: str | None
    upload_duration: str | None
    last_activity: datetime
    error: str | None
    sync_pending: bool
    created_at: datetime
    owner_host: str | None
    owner_pid: int | None
    has_input: bool
    has_output: bool
    prepared: bool
    owner_born: str | None

    @property
    def owner(self) -> Process | None:
        """The process that works on it, or did last."""
        if self.owner_host is None or self.owner_pid is None:
            return None
        return Process(self.owner_host, self.owner_pid, self.owner_born)

    @property
    def is_mine(self) -> bool:
        """Whether this process runs it."""
        return self.owner is not None and self.owner.is_this

    @property
    def owner_is_gone(self) -> bool:
        """Whether the process that ran this execution was on this machine and no longer lives."""
        return self.owner is not None and self.owner.is_gone


_COLUMNS = tuple(ExecutionState.__dataclass_fields__)
_FLAGS = ("sync_pending", "has_input", "has_output", "prepared")
_TIMES = frozenset({"start_time", "stop_time", "last_activity", "created_at"})


def _state(row: sqlite3.Row) -> ExecutionState:
    values: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    values |= {name: _time(values[name]) for name in _TIMES}
    values["status"] = ExecutionStatus(values["status"])
    values["mode"] = ConnectionMode(values["mode"])
    values |= {name: bool(values[name]) for name in _FLAGS}
    return ExecutionState(**values)


def _stored(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bool):
        return int(value)
    return str(value) if isinstance(value, ExecutionStatus | ConnectionMode) else value


@dataclass(frozen=True)
class InputAsset:
    """A file that was downloaded for an execution; `declared` when its configuration names it."""

    path: str
    asset_rid: str
    asset_table: str
    declared: bool
    asset_types: str
    metadata: str


class ExecutionStateStore:
    """Rows of executions.

    Parameters
    ----------
    database : Database
        The catalog's local store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        rid: str,
        *,
        config_json: str,
        working_dir_rel: str,
        workflow_rid: str | None = None,
        description: str | None = None,
        status: ExecutionStatus = ExecutionStatus.Created,
        mode: ConnectionMode = ConnectionMode.online,
    ) -> None:
        """Remember a new execution, owned by this process."""
        time = now()
        values: dict[str, Any] = {
            "rid": rid,
            "workflow_rid": workflow_rid,
            "description": description,
            "config_json": config_json,
            "status": status,
            "mode": mode,
            "working_dir_rel": working_dir_rel,
            "last_activity": time,
            "created_at": time,
            **this_process(),
        }
        names = ", ".join(values)
        marks = ", ".join("?" for _ in values)
        with self._database.transaction() as connection:
            connection.execute(
                f"INSERT INTO {EXECUTIONS_TABLE} ({names}) VALUES ({marks})",
                [_stored(v) for v in values.values()],
            )

    def get(self, rid: str) -> ExecutionState | None:
        """The execution, or None when this machine does not know it."""
        row = self._database.fetch_one(f"SELECT * FROM {EXECUTIONS_TABLE} WHERE rid = ?", [rid])
        return _state(row) if row else None

    def update(self, rid: str, /, *, expected: ExecutionStatus | None = None, **fields: Any) -> bool:
        """Set columns of an execution, and its time of last activity.

        Parameters
        ----------
        rid : str
        expected : ExecutionStatus, optional
            Change only an execution that has this status.

        Returns
        -------
        bool
            Whether there was such an execution.

        Raises
        ------
        KeyError
            If a column does not exist.
        """
        unknown = [name for name in fields if name not in _COLUMNS or name in {"rid", "created_at"}]
        if unknown:
            raise KeyError(f"{EXECUTIONS_TABLE} has no column {unknown[0]!r} that may be updated")
        fields.setdefault("last_activity", now())
        assignments = ", ".join(f"{name} = ?" for name in fields)
        where, parameters = "rid = ?", [*(_stored(value) for value in fields.values()), rid]
        if expected is not None:
            where, parameters = f"{where} AND status = ?", [*parameters, str(expected)]
        with self._database.transaction() as connection:
            sql = f"UPDATE {EXECUTIONS_TABLE} SET {assignments} WHERE {where}"
            return connection.execute(sql, parameters).rowcount > 0

    def mark_sent(self, rid: str, seen: datetime) -> bool:
        """Note that the catalog has the state of an execution as of a last activity; False when it has changed since."""
        with self._database.transaction() as connection:
            sql = f"UPDATE {EXECUTIONS_TABLE} SET sync_pending = 0 WHERE rid = ? AND last_activity = ?"
            return connection.execute(sql, [rid, _stored(seen)]).rowcount > 0

    def find(
        self,
        *,
        status: ExecutionStatus | Iterable[ExecutionStatus] | None = None,
        workflow_rid: str | None = None,
        mode: ConnectionMode | None = None,
        since: datetime | None = None,
    ) -> list[ExecutionState]:
        """Executions that match, oldest first; `since` is compared with the last activity."""
        clauses, parameters = ["1"], list[Any]()
        if status is not None:
            wanted = [ExecutionStatus(item) for item in ([status] if isinstance(status, str) else status)]
            clauses.append(f"status IN ({', '.join('?' for _ in wanted)})")
            parameters += [str(item) for item in wanted]
        wanted_mode = ConnectionMode(mode) if mode is not None else None
        for column, value in (("workflow_rid", workflow_rid), ("mode", wanted_mode)):
            if value is not None:
                clauses.append(f"{column} = ?")
                parameters.append(str(value))
        if since is not None:
            clauses.append("last_activity >= ?")
            parameters.append(_stored(since if since.tzinfo else since.astimezone()))
        where = " AND ".join(clauses)
        rows = self._database.fetch(
            f"SELECT * FROM {EXECUTIONS_TABLE} WHERE {where} ORDER BY created_at", parameters
        )
        return [_state(row) for row in rows]

    def remove(self, rid: str) -> bool:
        """Forget an execution with its manifest, inputs and staged feature rows."""
        with self._database.transaction() as connection:
            for table in ("assets", "feature_records", "inputs"):
                connection.execute(f"DELETE FROM execution_state__{table} WHERE execution_rid = ?", [rid])
            return connection.execute(f"DELETE FROM {EXECUTIONS_TABLE} WHERE rid = ?", [rid]).rowcount > 0

    def add_inputs(self, rid: str, inputs: Iterable[InputAsset]) -> None:
        """Remember files downloaded for an execution."""
        rows = [
            (
                rid,
                item.path,
                item.asset_rid,
                item.asset_table,
                int(item.declared),
                item.asset_types,
                item.metadata,
            )
            for item in inputs
        ]
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO execution_state__inputs VALUES (?, ?, ?, ?, ?, ?, ?)", rows
            )

    def inputs(self, rid: str) -> list[InputAsset]:
        """Files downloaded for an execution."""
        rows = self._database.fetch(
            "SELECT path, asset_rid, asset_table, declared, asset_types, metadata"
            " FROM execution_state__inputs WHERE execution_rid = ? ORDER BY rowid",
            [rid],
        )
        return [InputAsset(row[0], row[1], row[2], bool(row[3]), row[4], row[5]) for row in rows]
