"""How did this come to be: from a dataset, asset, feature value or execution back to where its data came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from deriva_ml.ermrest.rids import resolve_rid
from deriva_ml.errors import DerivaMLException, DerivaMLValidationError
from deriva_ml.lineage.edges import Edges
from deriva_ml.lineage.report import LineageResult, RootDescriptor
from deriva_ml.lineage.walk import walk
from deriva_ml.names import MLTable

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table
    from deriva_ml.rows.reader import Row
    from deriva_ml.session import Session

Kind = Literal["Dataset", "Asset", "Feature", "Execution"]


@dataclass(frozen=True)
class _Root:
    rid: str
    kind: Kind
    description: str | None = None
    producer: str | None = None
    others: list[str] = field(default_factory=list)


def lineage(
    session: Session, rid: str, *, depth: int | None = None, max_executions: int = 500
) -> LineageResult:
    """Walk from something back over the executions that made it and what these read.

    Only flow of data counts: an execution that merely started another one is not part of its lineage.

    Parameters
    ----------
    session : Session
    rid : str
        RID of a dataset, an asset, a feature value or an execution.
    depth : int, optional
        Generations beyond the producing execution; 0 for that one alone, None for all.
    max_executions : int
        No more executions than this are looked up.

    Returns
    -------
    LineageResult
        With `lineage` None when no producer is recorded.

    Raises
    ------
    DerivaMLException
        If there is no such row, or it is none of the four kinds.
    """
    if depth is not None and not (isinstance(depth, int) and depth >= 0):
        raise DerivaMLValidationError(f"depth must be a number of generations, 0 or more, not {depth!r}.")
    if not (isinstance(max_executions, int) and max_executions >= 1):
        raise DerivaMLValidationError(f"max_executions must be a number, at least 1, not {max_executions!r}.")
    edges = Edges(session)
    root = _root(session, edges, rid)
    described = RootDescriptor(rid=root.rid, type=root.kind, description=root.description)
    if root.producer is None:
        return LineageResult(root=described)
    found = walk(root.producer, edges.inputs, depth=depth, max_executions=max_executions, also=root.others)
    if found.node is not None:
        described.producing_execution = found.node.execution
    return LineageResult(
        root=described,
        lineage=found.node,
        executions_visited=found.visited,
        walked_complete=found.complete,
        cycle_detected=found.cycle,
        depth_capped=found.capped,
    )


def _root(session: Session, edges: Edges, rid: str) -> _Root:
    place = resolve_rid(session.connection, session.model, rid)
    model, table = session.model, place.table
    row = next(session.reader.rows(table, where={"RID": [place.rid]}))
    if table is model.ml_table(MLTable.execution):
        return _Root(place.rid, "Execution", row["Description"], place.rid)
    if table is model.ml_table(MLTable.dataset):
        return _dataset(edges, place.rid, row)
    if model.is_asset(table):
        makers = edges.asset_producers(table, [place.rid]).get(place.rid, [])
        return _Root(place.rid, "Asset", row["Description"], makers[0] if makers else None)
    if {"Feature_Name", "Execution"} <= set(table.columns.elements):
        return _Root(place.rid, "Feature", _feature_text(session, table, row), row["Execution"])
    raise DerivaMLException(
        f"{rid} is a row of {table.name}; lineage is known of datasets, assets, feature values and executions."
    )


def _dataset(edges: Edges, rid: str, row: Row) -> _Root:
    current = edges.current_versions([rid]).get(rid)
    makers = edges.member_producers([(rid, None)]).get((rid, None), [])
    producer = current["producer"] if current else None
    if producer is None and makers:
        producer = makers[0]
    return _Root(rid, "Dataset", row["Description"], producer, makers)


def _feature_text(session: Session, table: Table, row: Row) -> str:
    for found in session.model.find_features():
        if found.table is table:
            return f"{found.name} of {found.target.name} {row[found.target_column]}"
    return str(row["Feature_Name"])
