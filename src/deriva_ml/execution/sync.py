"""Bring the local and the catalog's state of an execution together."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from deriva_ml.ermrest import rows
from deriva_ml.errors import (
    DerivaMLException,
    DerivaMLExecutionError,
    DerivaMLNotFoundError,
    DerivaMLStateInconsistency,
)
from deriva_ml.names import ENDED_BADLY, ConnectionMode, ExecutionStatus, MLTable
from deriva_ml.workspace.executions import ExecutionState

if TYPE_CHECKING:
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)

_TURNS = 5

_ADOPT = frozenset(
    {
        (ExecutionStatus.Running, ExecutionStatus.Aborted),
        (ExecutionStatus.Pending_Upload, ExecutionStatus.Uploaded),
        (ExecutionStatus.Running, ExecutionStatus.Failed),
    }
)
"""(local, catalog) pairs in which the catalog is right."""

_PUSH = frozenset(
    {
        (ExecutionStatus.Stopped, ExecutionStatus.Running),
        (ExecutionStatus.Failed, ExecutionStatus.Running),
        (ExecutionStatus.Uploaded, ExecutionStatus.Pending_Upload),
        (ExecutionStatus.Uploaded, ExecutionStatus.Running),
        (ExecutionStatus.Aborted, ExecutionStatus.Running),
    }
)
"""(local, catalog) pairs in which this machine is right."""


def required_state(session: Session, execution_rid: str) -> ExecutionState:
    """Local state of an execution.

    Raises
    ------
    DerivaMLStateInconsistency
        If this machine does not know the execution.
    """
    state = session.workspace.executions.get(execution_rid)
    if state is None:
        raise DerivaMLStateInconsistency(
            f"The local store {session.workspace.database.path} does not know execution {execution_rid!r}; "
            "open the catalog with the working directory that the execution was created with."
        )
    return state


def require_open(session: Session, execution_rid: str, doing: str) -> None:
    """Check that what is to be done for an execution can still be committed.

    Raises
    ------
    DerivaMLExecutionError
        If it is aborted.
    """
    state = required_state(session, execution_rid)
    if state.status is ExecutionStatus.Aborted:
        raise DerivaMLExecutionError(
            f"Cannot {doing}: execution {execution_rid} is aborted ({state.error}), so nothing of it can be committed any "
            "more. Create another execution with ml.create_execution()."
        )


def push(session: Session, execution_rid: str) -> bool:
    """Write the local state to the catalog; a failure is a warning, and is made good later.

    Returns
    -------
    bool
        Whether the catalog has the state now.
    """
    if session.mode == ConnectionMode.offline:
        return False
    for _ in range(_TURNS):
        state = required_state(session, execution_rid)
        if not _sent(session, state):
            return False
        if session.workspace.executions.mark_sent(execution_rid, state.last_activity):
            return True
        # Another process has changed it meanwhile, and what it sent may have come before what this one did.
    return False


def row_of(state: ExecutionState) -> dict[str, str | None]:
    """What the catalog is told of a state."""
    return {
        "RID": state.rid,
        "Status": str(state.status),
        "Status_Detail": state.error or state.status_detail,
        "Execution_Duration": state.duration,
        "Download_Duration": state.download_duration,
        "Upload_Duration": state.upload_duration,
    }


def _sent(session: Session, state: ExecutionState) -> bool:
    row = row_of(state)
    try:
        columns = [column for column in row if column != "RID"]
        changed = rows.update(session.connection, session.ml_table(MLTable.execution), [row], columns=columns)
    except DerivaMLException as error:
        logger.warning(
            "The status %s of execution %s is kept on this machine only: %s It is sent by the next change, or by "
            "ml.resume_execution().",
            state.status,
            state.rid,
            error,
        )
        return False
    if not changed:
        logger.warning(
            "Execution %s is no longer in the catalog; its status is kept on this machine.", state.rid
        )
    return bool(changed)


def reconcile(session: Session, execution_rid: str) -> None:
    """Send what the catalog has not heard of, then settle what differs; done when an execution is resumed.

    Raises
    ------
    DerivaMLNotFoundError
        If its creation failed and it was taken back.
    DerivaMLStateInconsistency
        If the two states contradict each other, or the catalog has no such execution.
    """
    state = required_state(session, execution_rid)
    if session.mode == ConnectionMode.offline:
        return
    if state.sync_pending and not push(session, execution_rid):
        return
    try:
        table = session.ml_table(MLTable.execution)
        found = list(rows.read(session.connection, table, where={"RID": [execution_rid]}))
    except DerivaMLException as error:
        logger.warning("The catalog's state of execution %s is unknown: %s", execution_rid, error)
        return
    if not found and not state.prepared:
        # Taking it back reached the catalog, but the answer did not reach this machine.
        session.workspace.executions.remove(execution_rid)
        raise DerivaMLNotFoundError(
            f"Execution {execution_rid} could not be prepared and was taken back before anything ran; create it again."
        )
    if not found:
        raise DerivaMLStateInconsistency(
            f"Execution {execution_rid} is known on this machine ({state.status}) but not in {session.connection.name}."
        )
    _settle(session, required_state(session, execution_rid), found[0]["Status"], found[0]["Status_Detail"])


def _settle(session: Session, state: ExecutionState, status: str | None, detail: str | None) -> None:
    try:
        remote = ExecutionStatus(status or "")
    except ValueError as error:
        raise DerivaMLStateInconsistency(
            f"The catalog says {status!r} of execution {state.rid}, which is no status of an execution."
        ) from error
    pair = (state.status, remote)
    if state.status == remote:
        return
    store = session.workspace.executions
    if pair in _ADOPT:
        store.update(state.rid, status=remote, error=detail if remote in ENDED_BADLY else None)
    elif pair in _PUSH:
        store.update(state.rid, sync_pending=True)
        push(session, state.rid)
    else:
        raise DerivaMLStateInconsistency(
            f"Execution {state.rid} is {state.status} on this machine but {remote} in the catalog. Decide which is right "
            "and set the other one, for example with ml.lookup_execution(rid).status = ..."
        )
