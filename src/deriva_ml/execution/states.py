"""Which status may follow which; pure."""

from __future__ import annotations

from deriva_ml.errors import InvalidTransitionError
from deriva_ml.names import ExecutionStatus

__all__ = [
    "ALLOWED_TRANSITIONS",
    "AT_WORK",
    "COMMITTABLE",
    "INCOMPLETE",
    "OVER",
    "ExecutionStatus",
    "InvalidTransitionError",
    "validate_transition",
]

_MOVES: dict[ExecutionStatus, tuple[ExecutionStatus, ...]] = {
    ExecutionStatus.Created: (ExecutionStatus.Running, ExecutionStatus.Aborted),
    ExecutionStatus.Running: (
        ExecutionStatus.Stopped,
        ExecutionStatus.Failed,
        ExecutionStatus.Pending_Upload,
        ExecutionStatus.Aborted,
    ),
    ExecutionStatus.Stopped: (ExecutionStatus.Pending_Upload, ExecutionStatus.Aborted),
    ExecutionStatus.Pending_Upload: (ExecutionStatus.Uploaded, ExecutionStatus.Failed),
    ExecutionStatus.Failed: (ExecutionStatus.Pending_Upload, ExecutionStatus.Aborted),
    ExecutionStatus.Uploaded: (ExecutionStatus.Pending_Upload,),
    ExecutionStatus.Aborted: (),
}

ALLOWED_TRANSITIONS = frozenset(
    (current, target) for current, targets in _MOVES.items() for target in targets
)
"""All (from, to) pairs of statuses."""

COMMITTABLE = frozenset(
    current for current, target in ALLOWED_TRANSITIONS if target is ExecutionStatus.Pending_Upload
) | {ExecutionStatus.Pending_Upload}
"""Statuses from which a commit may start."""

OVER = frozenset(current for current, targets in _MOVES.items() if not targets) | {ExecutionStatus.Uploaded}
"""Statuses of executions that wait for nothing."""

INCOMPLETE = frozenset(ExecutionStatus) - OVER
"""Statuses of executions whose story is not over."""

AT_WORK = frozenset({ExecutionStatus.Created, ExecutionStatus.Running, ExecutionStatus.Pending_Upload})
"""Statuses of executions that a process has in its hands, if it lives."""


def validate_transition(*, current: ExecutionStatus, target: ExecutionStatus) -> None:
    """Check a move.

    Raises
    ------
    InvalidTransitionError
        If the move is not allowed; the message names those that are.

    Examples
    --------
    >>> validate_transition(current=ExecutionStatus.Created, target=ExecutionStatus.Running)
    """
    if (current, target) in ALLOWED_TRANSITIONS:
        return
    targets = _MOVES[current]
    way = f"only {' or '.join(targets)} may follow" if targets else "nothing may follow"
    raise InvalidTransitionError(f"An execution cannot go from {current} to {target}: {way} {current}.")
