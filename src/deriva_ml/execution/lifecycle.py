"""Changes of an execution's status: the local store first, the catalog second."""

from __future__ import annotations

import re
from datetime import timedelta
from traceback import TracebackException
from typing import TYPE_CHECKING, Any

from deriva_ml.errors import DerivaMLException, DerivaMLExecutionError, InvalidTransitionError
from deriva_ml.execution.lock import locked
from deriva_ml.execution.states import validate_transition
from deriva_ml.execution.sync import push, reconcile, required_state
from deriva_ml.names import ENDED_BADLY, ExecutionStatus
from deriva_ml.workspace.executions import ExecutionState, now, this_process

if TYPE_CHECKING:
    from deriva_ml.session import Session


def duration_text(duration: timedelta | None) -> str:
    """A duration as the catalog keeps it.

    Examples
    --------
    >>> duration_text(timedelta(minutes=2, seconds=3.12341))
    '0.0H 2.0min 3.1234sec'
    """
    if duration is None:
        return "0H 0min 0.0sec"
    hours, rest = divmod(duration.total_seconds(), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{round(hours, 0)}H {round(minutes, 0)}min {round(seconds, 4)}sec"


def duration_of(text: str | None) -> timedelta:
    """The duration that a text of `duration_text` tells; none is no time.

    Examples
    --------
    >>> duration_of("0.0H 2.0min 3.5sec").total_seconds()
    123.5
    """
    found = re.fullmatch(r"([\d.]+)H ([\d.]+)min ([\d.]+)sec", text or "")
    hours, minutes, seconds = map(float, found.groups()) if found else (0.0, 0.0, 0.0)
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def transition(
    session: Session,
    execution_rid: str,
    target: ExecutionStatus,
    *,
    message: str | None = None,
    error: str | None = None,
    send: bool = True,
    **fields: Any,
) -> None:
    """Move an execution to another status.

    Parameters
    ----------
    session : Session
    execution_rid : str
    target : ExecutionStatus
    message : str, optional
        Shown as ``Status_Detail`` from now on; the former one stays where it is not given.
    error : str, optional
        Why it failed or was aborted; of no other status.
    send : bool
        False to leave it to the caller to tell the catalog.
    fields
        Other columns of the local store that change with it.

    Raises
    ------
    InvalidTransitionError
        If the move is not allowed.
    """
    state = required_state(session, execution_rid)
    validate_transition(current=state.status, target=target)
    changes: dict[str, Any] = {"status": target, "sync_pending": True, **fields}
    changes["error"] = _plain(error) if error is not None and target in ENDED_BADLY else None
    if message is not None:
        changes["status_detail"] = _plain(message)
    if not session.workspace.executions.update(execution_rid, expected=state.status, **changes):
        raise InvalidTransitionError(
            f"Execution {execution_rid} was moved from {state.status} by another process meanwhile; "
            "look at its status and try again."
        )
    if send:
        push(session, execution_rid)


def update_status(
    session: Session,
    execution_rid: str,
    target: ExecutionStatus | str,
    message: str | None = None,
    *,
    error: str | None = None,
) -> None:
    """Set status and message; with the status it has already only the message changes.

    Raises
    ------
    InvalidTransitionError
        If the move is not allowed.
    """
    target = ExecutionStatus(target)
    state = required_state(session, execution_rid)
    if target != state.status:
        extra = _times_of(session, state, target)
        transition(session, execution_rid, target, message=message, error=error or message, **extra)
    elif message is None and error is None:
        validate_transition(current=state.status, target=target)
    else:
        changes: dict[str, Any] = {"sync_pending": True}
        if message is not None:
            changes["status_detail"] = _plain(message)
        if target in ENDED_BADLY:
            changes["error"] = _plain(error or message)
        session.workspace.executions.update(execution_rid, **changes)
        push(session, execution_rid)


def _times_of(session: Session, state: ExecutionState, target: ExecutionStatus) -> dict[str, Any]:
    if target is ExecutionStatus.Running:
        return {"start_time": now(), **this_process()}
    if state.status is ExecutionStatus.Running and target is not ExecutionStatus.Pending_Upload:
        return _stopped_clock(session, state.rid)
    return {}


def start(session: Session, execution_rid: str) -> None:
    """Created to Running; the clock starts, and this process owns the run."""
    transition(session, execution_rid, ExecutionStatus.Running, start_time=now(), **this_process())


def stop(session: Session, execution_rid: str, *, send: bool = True) -> None:
    """Running to Stopped; the clock stops."""
    clock = _stopped_clock(session, execution_rid)
    transition(session, execution_rid, ExecutionStatus.Stopped, send=send, **clock)


def fail(session: Session, execution_rid: str, error: str) -> None:
    """Running to Failed, with the reason, which is still shown when its outputs are committed; the clock stops.

    It is left to the caller to tell the catalog.
    """
    clock = _stopped_clock(session, execution_rid)
    transition(
        session, execution_rid, ExecutionStatus.Failed, message=error, error=error, send=False, **clock
    )


def reason_of(error: BaseException) -> str:
    """An exception as the catalog keeps it: text that any database takes, also of an exception that has none.

    Examples
    --------
    >>> reason_of(ValueError("no such level"))
    'ValueError: no such level'
    """
    # An exception of the program may fail to make its text; its end is recorded all the same.
    text = str(TracebackException.from_exception(error, limit=0, compact=True))
    return _plain(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def _plain(text: Any) -> str:
    """Text that every database takes: what it says of a run must not be what ends it, or hides its status for good."""
    return str(text).encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def begin_upload(session: Session, execution_rid: str) -> None:
    """To Pending_Upload, owned by this process; a run that goes on in this process or one above it is stopped first.

    Raises
    ------
    DerivaMLExecutionError
        If another process runs it.
    InvalidTransitionError
        If the move is not allowed.
    """
    state = required_state(session, execution_rid)
    if state.status is ExecutionStatus.Running:
        _require_free(state, "commit", "runs it")
        stop(session, execution_rid)
    if state.status is ExecutionStatus.Pending_Upload:
        session.workspace.executions.update(execution_rid, **this_process())
    else:
        transition(session, execution_rid, ExecutionStatus.Pending_Upload, **this_process())


def _require_free(state: ExecutionState, doing: str, does: str) -> None:
    owner = state.owner
    if owner is not None and owner.is_alive and not (owner.is_this or owner.is_parent):
        raise DerivaMLExecutionError(
            f"Cannot {doing} execution {state.rid}: {owner} {does}. Wait until that has ended, or end that process."
        )


def abort(session: Session, execution_rid: str, reason: str = "Execution Aborted") -> None:
    """End an execution for good; nothing of it can be committed any more."""
    running = required_state(session, execution_rid).status is ExecutionStatus.Running
    clock = _stopped_clock(session, execution_rid) if running else {}
    transition(session, execution_rid, ExecutionStatus.Aborted, error=reason, **clock)


def _stopped_clock(session: Session, execution_rid: str) -> dict[str, Any]:
    started, stopped = required_state(session, execution_rid).start_time, now()
    return {"stop_time": stopped, "duration": duration_text(stopped - started if started else None)}


def resume(session: Session, execution_rid: str) -> ExecutionState:
    """Take up an execution of this machine again: send what the catalog has not heard of, settle what differs.

    Raises
    ------
    DerivaMLException
        If this machine does not know the execution.
    DerivaMLExecutionError
        If another process commits, resumes or creates it.
    DerivaMLStateInconsistency
        If its states here and in the catalog contradict each other.
    """
    state = session.workspace.executions.get(execution_rid)
    if state is None:
        raise DerivaMLException(
            f"Execution {execution_rid!r} was not run with working directory {session.working_dir}, so there is nothing to "
            "resume. Give the working directory it was run with, as working_dir or --working-dir; ml.list_executions() or "
            "`deriva-ml executions` tells which executions one knows."
        )
    if not state.prepared:
        _require_free(state, "resume", "creates it")
    with locked(session, execution_rid, "resume"):
        reconcile(session, execution_rid)
    return required_state(session, execution_rid)
