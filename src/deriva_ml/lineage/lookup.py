"""How did this come to be, and what came of it: from a dataset, asset, feature value or execution back and forth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deriva_ml.ermrest.rids import resolve_rid
from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.lineage import roots
from deriva_ml.lineage.edges import Edges
from deriva_ml.lineage.questions import Plan, Questions, questions_of
from deriva_ml.lineage.report import (
    DescendantNode,
    DescendantsResult,
    ExecutionSummary,
    LineageNode,
    LineageResult,
    RootDescriptor,
)
from deriva_ml.lineage.roots import Root
from deriva_ml.lineage.sources import FEATURE, Asked, Source, walk_from
from deriva_ml.lineage.walk import Facts, walk

if TYPE_CHECKING:
    from deriva_ml.lineage.shape import File, Value
    from deriva_ml.session import Session


def lineage(
    session: Session, rid: str | Value | File, *, depth: int | None = None, max_executions: int = 500
) -> LineageResult:
    """Walk from something back over the executions that made it and what these read.

    Only flow of data counts: an execution that merely started another one is not part of its lineage. Of a dataset the
    last release is meant, or the version in ``RID@1.2.0``.

    Parameters
    ----------
    session : Session
    rid : str, FeatureRecord or Asset
        RID of a dataset, an asset, a feature value or an execution; as of a snapshot with ``RID@snapshot``. A feature
        value or an asset may also be given as it was read.
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

    Examples
    --------
    >>> print(ml.lookup_lineage("1-ABC"))  # doctest: +SKIP
    """
    _check(depth, max_executions)
    session, plain, version = roots.split(session, rid)
    questions = questions_of(session.model)
    # Those who made the members of a dataset may be a generation behind the one that made the dataset.
    reach = None if depth is None else depth + 1
    root, source = _open(session, questions, plain, roots.plan_up(questions), reach, max_executions)
    edges = Edges(questions, source)
    producer, others = roots.producers(root, edges, version)
    described = RootDescriptor(rid=root.rid, type=root.kind, description=root.description)
    if producer is None:
        return LineageResult(root=described)
    found = walk(producer, edges.inputs, LineageNode, depth=depth, max_executions=max_executions, also=others)
    edges.name_all()
    if found.node is not None:
        described.producing_execution = found.node.execution
        described.description = described.description or _own(root, found.node.execution)
    return LineageResult(
        root=described,
        lineage=found.node,
        executions_visited=found.visited,
        walked_complete=found.complete,
        cycle_detected=found.cycle,
        depth_capped=found.capped,
    )


def descendants(
    session: Session, rid: str | Value | File, *, depth: int | None = None, max_executions: int = 500
) -> DescendantsResult:
    """Walk from something to all that depends on it: what must be done again if it was wrong?

    An execution depends on another where that one is among the parents in its lineage. On a dataset those depend that
    read it, or one it is nested in, in any version; on an asset those that read it, or a version of a dataset that it
    was a member of by then; on a feature value those that read a version of a dataset in which, by then, the record had
    the value.

    Parameters
    ----------
    session : Session
    rid : str, FeatureRecord or Asset
        RID of a dataset, an asset, a feature value or an execution; as of a snapshot with ``RID@snapshot``, and of one
        version of a dataset with ``RID@1.2.0``. A feature value or an asset may also be given as it was read.
    depth : int, optional
        Generations beyond the executions that read it; 0 for these alone, None for all.
    max_executions : int
        No more executions than this are looked up.

    Returns
    -------
    DescendantsResult
        With `descendants` empty when nothing depends on it.

    Raises
    ------
    DerivaMLException
        If there is no such row, or it is none of the four kinds.

    Examples
    --------
    >>> print(ml.lookup_descendants("1-ABC"))  # doctest: +SKIP
    """
    _check(depth, max_executions)
    session, plain, version = roots.split(session, rid)
    questions = questions_of(session.model)
    # The executions of the last generation must be known to tell whether others depend on them.
    reach = None if depth is None else depth + 2
    root, source = _open(session, questions, plain, roots.plan_down(questions), reach, max_executions)
    edges = Edges(questions, source)
    described = RootDescriptor(rid=root.rid, type=root.kind, description=root.description)
    if root.kind != "Execution":
        producer = roots.maker(root, edges, version)
        described.producing_execution = edges.summaries([producer]).get(producer) if producer else None

    def expand(rids: Sequence[str]) -> dict[str, Facts]:
        if list(rids) != [root.rid] or root.kind == "Execution":
            return edges.outputs(rids)
        # The tree hangs on what was asked for, as if it were an execution.
        own = ExecutionSummary(rid=root.rid, status="")
        return {root.rid: Facts(own, neighbours=tuple(roots.readers(root, edges, version)))}

    found = walk(
        root.rid,
        expand,
        DescendantNode,
        depth=None if depth is None else depth + 1,
        max_executions=max_executions + 1,
    )
    edges.name_all()
    if found.node is not None and root.kind == "Execution":
        described.producing_execution = found.node.execution
        described.description = found.node.execution.description
    return DescendantsResult(
        root=described,
        descendants=found.node.children if found.node is not None else [],
        executions_visited=max(found.visited - 1, 0),
        walked_complete=found.complete,
        cycle_detected=found.cycle,
        depth_capped=found.capped,
    )


def _check(depth: Any, max_executions: Any) -> None:
    if depth is not None and not (isinstance(depth, int) and depth >= 0):
        raise DerivaMLValidationError(f"depth must be a number of generations, 0 or more, not {depth!r}.")
    if not (isinstance(max_executions, int) and max_executions >= 1):
        raise DerivaMLValidationError(f"max_executions must be a number, at least 1, not {max_executions!r}.")


def _own(root: Root, execution: ExecutionSummary) -> str | None:
    return execution.description if root.kind == "Execution" else None


def _open(
    session: Session,
    questions: Questions,
    rid: str,
    plan: Plan,
    depth: int | None,
    max_executions: int,
) -> tuple[Root, Source]:
    """What was asked for, and where answers come from."""
    connection, model = session.connection, session.model
    source: Source = Asked(connection)
    if connection.features().get(FEATURE):
        places = roots.places(questions)
        place, walked = walk_from(connection, model, rid, places, plan, depth, max_executions)
        source = walked or source
    else:
        place = resolve_rid(connection, model, rid)
    return roots.read(questions, source, place, rid), source
