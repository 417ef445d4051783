"""What tells why a run failed, into the catalog: chosen files of a run that stays Failed."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from deriva_ml.execution import lifecycle
from deriva_ml.execution.lock import locked
from deriva_ml.execution.progress import shown
from deriva_ml.execution.sync import required_state
from deriva_ml.execution.upload import upload_pending
from deriva_ml.names import ExecutionStatus

if TYPE_CHECKING:
    from deriva_ml.records import UploadReport
    from deriva_ml.session import Session


def salvage(session: Session, execution_rid: str, reason: str, keys: Collection[str]) -> UploadReport:
    """Record that a run failed whose process cannot do so any more, and upload the files that tell why.

    What else it has staged waits, as with any run that failed: its outputs may be half of what they should be.

    Parameters
    ----------
    session : Session
    execution_rid : str
    reason : str
    keys : collection of str
        Registered files, ``<Table>/<name>``.

    Raises
    ------
    DerivaMLExecutionError
        If another process runs it.
    InvalidTransitionError
        If it was aborted.
    DerivaMLUploadError
        If the files cannot be uploaded; the run is recorded as failed all the same.
    """
    with locked(session, execution_rid, "commit"):
        if required_state(session, execution_rid).status is ExecutionStatus.Created:
            lifecycle.start(session, execution_rid)
        lifecycle.begin_upload(session, execution_rid)
        try:
            with shown(None) as progress:
                return upload_pending(session, execution_rid, progress, only=keys)
        finally:
            lifecycle.transition(session, execution_rid, ExecutionStatus.Failed, message=reason, error=reason)
