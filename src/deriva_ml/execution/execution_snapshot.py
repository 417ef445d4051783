"""Executions as this machine knows them, without asking the catalog."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from deriva_ml.errors import DerivaMLExecutionError, DerivaMLValidationError
from deriva_ml.execution import commit, lifecycle
from deriva_ml.execution.commit import has_pending, remove_folder
from deriva_ml.execution.lock import locked
from deriva_ml.execution.pending_summary import PendingSummary, summarize
from deriva_ml.execution.states import AT_WORK, INCOMPLETE, OVER
from deriva_ml.names import ConnectionMode, ExecutionStatus
from deriva_ml.records import UploadReport
from deriva_ml.session import session_of
from deriva_ml.workspace import paths
from deriva_ml.workspace.executions import ExecutionState, now

if TYPE_CHECKING:
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False)
class ExecutionSnapshot:
    """What this machine knew of an execution when it was asked."""

    rid: str
    workflow_rid: str | None
    description: str | None
    status: ExecutionStatus
    mode: ConnectionMode
    working_dir_rel: str
    start_time: datetime | None
    stop_time: datetime | None
    last_activity: datetime
    error: str | None
    sync_pending: bool
    created_at: datetime
    pending_rows: int = 0
    failed_rows: int = 0
    pending_files: int = 0
    failed_files: int = 0
    owner_gone_since: datetime | None = None
    """Last sign of life of a running execution whose process no longer exists."""

    @property
    def execution_rid(self) -> str:
        """RID."""
        return self.rid

    @property
    def waiting(self) -> int:
        """How many files and feature rows wait for a commit; none of an aborted one, which cannot be committed."""
        if self.status is ExecutionStatus.Aborted:
            return 0
        return self.pending_rows + self.failed_rows + self.pending_files + self.failed_files

    def __repr__(self) -> str:
        gone, error = self.owner_gone_since, f": {self.error}" if self.error else ""
        facts = [
            f"{self.status}{error}",
            f"owner gone since {gone:%Y-%m-%d %H:%M:%S} UTC" if gone is not None else "",
            f"{self.waiting} outputs wait" if self.waiting else "",
            self.description or "",
        ]
        return f"<ExecutionSnapshot {self.rid} {', '.join(filter(None, facts))}>"

    def update_status(self, target: ExecutionStatus, *, ml: Any, error: str | None = None) -> None:
        """Move the execution to another status; see `deriva_ml.execution.lifecycle.update_status`."""
        lifecycle.update_status(session_of(ml), self.rid, target, error=error)

    def pending_summary(self, *, ml: Any) -> PendingSummary:
        """What waits for a commit."""
        return summarize(session_of(ml), self.rid)

    def upload_outputs(self, *, ml: Any, retry_failed: bool = True) -> UploadReport:
        """Former name of ``ml.commit_pending_executions`` for this execution; what failed is always tried again."""
        return commit.commit_many(session_of(ml), [self.rid])


def _snapshot(state: ExecutionState, rows: dict[str, int], files: dict[str, int]) -> ExecutionSnapshot:
    running = state.status in AT_WORK
    return ExecutionSnapshot(
        rid=state.rid,
        workflow_rid=state.workflow_rid,
        description=state.description,
        status=state.status,
        mode=state.mode,
        working_dir_rel=state.working_dir_rel,
        start_time=state.start_time,
        stop_time=state.stop_time,
        last_activity=state.last_activity,
        error=state.error,
        sync_pending=state.sync_pending,
        created_at=state.created_at,
        pending_rows=rows.get("pending", 0),
        failed_rows=rows.get("failed", 0),
        pending_files=files.get("pending", 0),
        failed_files=files.get("failed", 0),
        owner_gone_since=state.last_activity if running and state.owner_is_gone else None,
    )


def _require(name: str, value: object, kind: type) -> None:
    if value is not None and not isinstance(value, kind):
        raise DerivaMLValidationError(f"{name} cannot be {value!r}; give a {kind.__name__}.")


def list_executions(
    session: Session,
    *,
    status: ExecutionStatus | Iterable[ExecutionStatus] | None = None,
    workflow_rid: str | None = None,
    mode: ConnectionMode | None = None,
    since: datetime | None = None,
) -> list[ExecutionSnapshot]:
    """Executions that this machine knows, oldest first; the catalog is not asked.

    Parameters
    ----------
    session : Session
    status : ExecutionStatus or iterable of them, optional
    workflow_rid : str, optional
    mode : ConnectionMode, optional
    since : datetime, optional
        Only those that did something since then.
    """
    _require("since", since, datetime)
    workspace = session.workspace
    states = workspace.executions.find(status=status, workflow_rid=workflow_rid, mode=mode, since=since)
    rows, files = workspace.features.counts(), workspace.manifest.counts()
    return [_snapshot(state, rows.get(state.rid, {}), files.get(state.rid, {})) for state in states]


def find_incomplete_executions(session: Session) -> list[ExecutionSnapshot]:
    """Executions of this machine that are neither uploaded nor aborted."""
    return list_executions(session, status=INCOMPLETE)


def gc_executions(
    session: Session,
    *,
    older_than: timedelta | None = None,
    status: ExecutionStatus | Iterable[ExecutionStatus] | None = None,
    delete_working_dir: bool = False,
) -> int:
    """Forget executions on this machine; the catalog keeps them.

    Parameters
    ----------
    session : Session
    older_than : timedelta, optional
        Only those without activity for so long.
    status : ExecutionStatus or iterable of them, optional
        Uploaded and aborted ones that have nothing left to commit, by default. What runs is never forgotten.
    delete_working_dir : bool
        Whether their scratch directories are removed.

    Returns
    -------
    int
        How many were forgotten.
    """
    _require("older_than", older_than, timedelta)
    limit = now() - older_than if older_than is not None else None
    removed = 0
    for state in session.workspace.executions.find(status=OVER if status is None else status):
        recent = limit is not None and state.last_activity > limit
        waiting = state.status is not ExecutionStatus.Aborted and has_pending(session, state.rid)
        if recent or (status is None and waiting):
            continue
        if state.status is ExecutionStatus.Running and state.owner is not None and state.owner.is_alive:
            logger.warning("Execution %s is not forgotten: %s runs it.", state.rid, state.owner)
            continue
        try:
            with locked(session, state.rid, "forget"):
                if delete_working_dir:
                    remove_folder(paths.execution_dir(session.workspace.root, state.rid))
                    remove_folder(paths.upload_dir(session.workspace.root, state.rid))
                removed += session.workspace.executions.remove(state.rid)
        except DerivaMLExecutionError as error:
            logger.warning("%s", error)
    return removed
