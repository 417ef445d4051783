"""Executions that are part of others: a sweep and its jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deriva_ml.ermrest import rows
from deriva_ml.errors import DerivaMLConflictError, DerivaMLCycleError, DerivaMLNotFoundError
from deriva_ml.names import MLTable

if TYPE_CHECKING:
    from deriva_ml.session import Session


def add(session: Session, parent_rid: str, nested_execution: Any, sequence: int | None = None) -> None:
    """Record that an execution is part of another.

    Parameters
    ----------
    session : Session
    parent_rid : str
    nested_execution : Execution, ExecutionRecord or str
    sequence : int, optional
        Its place among the parts; None for parts that run at a time.

    Raises
    ------
    DerivaMLCycleError
        If the parent is part of that execution, or is the same.
    DerivaMLConflictError
        If it is recorded already.
    DerivaMLNotFoundError
        If there is no such execution.
    """
    child_rid = str(getattr(nested_execution, "execution_rid", nested_execution))
    if child_rid == parent_rid or child_rid in parents(session, parent_rid, recurse=True):
        raise DerivaMLCycleError([parent_rid, child_rid, parent_rid])
    row = {"Execution": parent_rid, "Nested_Execution": child_rid, "Sequence": sequence}
    try:
        rows.insert(session.connection, session.ml_table(MLTable.execution_execution), [row])
    except DerivaMLConflictError:
        if not rows.count(session.connection, session.ml_table(MLTable.execution), {"RID": [child_rid]}):
            raise DerivaMLNotFoundError(
                f"There is no execution {child_rid!r} in {session.connection.name} that could be part of {parent_rid}."
            ) from None
        raise


def children(session: Session, execution_rid: str, *, recurse: bool = False) -> list[str]:
    """RIDs of the parts of an execution, in their sequence; one request per level."""
    return _walk(session, execution_rid, "Execution", "Nested_Execution", recurse)


def parents(session: Session, execution_rid: str, *, recurse: bool = False) -> list[str]:
    """RIDs of the executions that one is part of; one request per level."""
    return _walk(session, execution_rid, "Nested_Execution", "Execution", recurse)


def _walk(session: Session, start: str, here: str, there: str, recurse: bool) -> list[str]:
    table = session.ml_table(MLTable.execution_execution)
    found: dict[str, None] = {}
    level = [start]
    while level:
        links = list(rows.read(session.connection, table, where={here: level}))
        links.sort(key=lambda row: (row["Sequence"] is None, row["Sequence"] or 0, row["RCT"], row["RID"]))
        level = [
            rid for rid in dict.fromkeys(row[there] for row in links) if rid not in found and rid != start
        ]
        found |= dict.fromkeys(level)
        if not recurse:
            break
    return list(found)
