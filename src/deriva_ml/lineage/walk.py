"""Breadth-first walk over data-flow edges: from an execution to those that made its inputs, or read its outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from deriva_ml.lineage.report import (
    AssetSummary,
    DatasetSummary,
    DescendantNode,
    ExecutionSummary,
    LineageNode,
)

N = TypeVar("N", LineageNode, DescendantNode)


@dataclass(frozen=True)
class Facts:
    """What is recorded about one execution.

    Parameters
    ----------
    execution : ExecutionSummary
    datasets : tuple of DatasetSummary
        What it read.
    assets : tuple of AssetSummary
        What it read.
    neighbours : tuple of str
        RIDs of the executions that come next in the direction of the walk, in the order in which they are shown.
    """

    execution: ExecutionSummary
    datasets: tuple[DatasetSummary, ...] = ()
    assets: tuple[AssetSummary, ...] = ()
    neighbours: tuple[str, ...] = ()

    def leading_to(self, neighbours: Iterable[str]) -> Facts:
        """The same with other neighbours."""
        return replace(self, neighbours=tuple(neighbours))


Expand = Callable[[Sequence[str]], Mapping[str, Facts]]
"""Looks up one generation of executions; leaves out those that do not exist."""


@dataclass
class Walk(Generic[N]):
    """Outcome of a walk.

    Parameters
    ----------
    node : LineageNode or DescendantNode, optional
        The tree; None where the first execution does not exist.
    visited : int
        Distinct executions in it.
    complete : bool
        False when `max_executions` cut it.
    cycle : bool
        Whether an execution depends on itself.
    capped : bool
        Whether `depth` cut it.
    """

    node: N | None = None
    visited: int = 0
    complete: bool = True
    cycle: bool = False
    capped: bool = False


@dataclass
class _State:
    facts: dict[str, Facts] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    complete: bool = True
    capped: bool = False


def walk(
    start: str,
    expand: Expand,
    kind: type[N],
    *,
    depth: int | None = None,
    max_executions: int = 500,
    also: Iterable[str] = (),
) -> Walk[N]:
    """Walk from one execution to all it depends on, or all that depend on it, generation by generation.

    Parameters
    ----------
    start : str
        RID of the execution at the root of the tree.
    expand : callable
        Called once per generation with its RIDs.
    kind : type
        What the tree is made of.
    depth : int, optional
        Generations beyond `start`; None for all.
    max_executions : int
        No more executions than this are looked up.
    also : iterable of str
        Further neighbours of `start`.

    Returns
    -------
    Walk
        An execution met a second time is a node marked `already_shown`, without what lies behind it; the occurrence
        nearest to the root is the full one.
    """
    state = _explored(start, expand, depth, max_executions, tuple(also))
    return Walk(
        node=_tree(start, state, kind) if start in state.facts else None,
        visited=len(state.facts),
        complete=state.complete,
        cycle=_has_cycle(state.children),
        capped=state.capped,
    )


def _explored(
    start: str, expand: Expand, depth: int | None, max_executions: int, also: tuple[str, ...]
) -> _State:
    """All that is within reach, by generations."""
    state = _State(seen={start})
    generation, level = [start], 0
    while generation:
        found = expand(generation)
        upcoming: list[str] = []
        for rid in generation:
            if rid not in found:
                continue
            state.facts[rid] = found[rid]
            extra = also if rid == start else ()
            neighbours = [other for other in dict.fromkeys((*found[rid].neighbours, *extra)) if other != rid]
            if depth is not None and level >= depth:
                state.capped = state.capped or bool(neighbours)
                neighbours = []
            state.children[rid] = neighbours
            upcoming.extend(_new(neighbours, state, max_executions))
        generation, level = upcoming, level + 1
    return state


def _new(neighbours: list[str], state: _State, max_executions: int) -> list[str]:
    """Neighbours not seen before; drops from `neighbours` those that the cap leaves out."""
    fresh: list[str] = []
    for rid in list(neighbours):
        if rid in state.seen:
            continue
        if len(state.seen) >= max_executions:
            state.complete = False
            neighbours.remove(rid)
            continue
        state.seen.add(rid)
        fresh.append(rid)
    return fresh


def _tree(start: str, state: _State, kind: type[N]) -> N:
    """Build the tree breadth first and without recursion: a chain may be longer than the interpreter's stack."""
    root = _node(state.facts[start], kind)
    queue: list[tuple[str, N]] = [(start, root)]
    shown = {start}
    for rid, node in queue:
        for other in state.children[rid]:
            facts = state.facts.get(other)
            if facts is None:
                continue
            if other in shown:
                node.branches.append(kind(execution=facts.execution, already_shown=True))
                continue
            shown.add(other)
            branch = _node(facts, kind)
            node.branches.append(branch)
            queue.append((other, branch))
    return root


def _node(facts: Facts, kind: type[N]) -> N:
    return kind(
        execution=facts.execution, consumed_datasets=list(facts.datasets), consumed_assets=list(facts.assets)
    )


def _has_cycle(children: Mapping[str, Sequence[str]]) -> bool:
    """Whether the graph has a cycle, by taking away executions that nothing left depends on."""
    pending = dict.fromkeys(children, 0)
    for neighbours in children.values():
        for rid in neighbours:
            if rid in pending:
                pending[rid] += 1
    free = [rid for rid, number in pending.items() if not number]
    for rid in free:
        for other in children[rid]:
            if other in pending:
                pending[other] -= 1
                if not pending[other]:
                    free.append(other)
    return len(free) < len(pending)
