from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deriva_ml.lineage.report import ExecutionSummary, LineageNode
from deriva_ml.lineage.walk import Facts, Walk, walk

Graph = dict[str, list[str]]


def run(graph: Graph, start: str = "0", **options: object) -> tuple[Walk[LineageNode], list[list[str]]]:
    generations: list[list[str]] = []

    def expand(rids: Sequence[str]) -> Mapping[str, Facts]:
        generations.append(list(rids))
        return {
            rid: Facts(ExecutionSummary(rid=rid, status="Uploaded"), neighbours=tuple(graph[rid]))
            for rid in rids
            if rid in graph
        }

    return walk(start, expand, LineageNode, **options), generations  # type: ignore[arg-type]


def nodes(node: LineageNode) -> list[LineageNode]:
    found = [node]
    for each in found:
        found.extend(each.parents)
    return found


def shape(node: LineageNode | None) -> object:
    assert node is not None
    mark = "*" if node.already_shown else ""
    return (node.execution.rid + mark, [shape(parent) for parent in node.parents])


def test_chain() -> None:
    found, generations = run({"0": ["1"], "1": ["2"], "2": []})
    assert shape(found.node) == ("0", [("1", [("2", [])])])
    assert (found.visited, found.complete, found.cycle, found.capped) == (3, True, False, False)
    assert generations == [["0"], ["1"], ["2"]]


def test_diamond_is_shown_once() -> None:
    found, _ = run({"0": ["1", "2"], "1": ["3"], "2": ["3"], "3": []})
    assert shape(found.node) == ("0", [("1", [("3", [])]), ("2", [("3*", [])])])
    assert found.visited == 4
    assert not found.cycle


def test_shallow_occurrence_is_the_full_one() -> None:
    found, _ = run({"0": ["1", "3"], "1": ["2"], "2": ["3"], "3": ["4"], "4": []})
    assert shape(found.node) == ("0", [("1", [("2", [("3*", [])])]), ("3", [("4", [])])])


@pytest.mark.parametrize("graph", [{"0": ["1"], "1": ["0"]}, {"0": ["1", "2"], "1": ["2"], "2": ["1"]}])
def test_cycle_is_found_and_stops(graph: Graph) -> None:
    found, _ = run(graph)
    assert found.cycle
    assert found.visited == len(graph)


def test_an_execution_is_not_its_own_parent() -> None:
    found, _ = run({"0": ["0", "1"], "1": []})
    assert shape(found.node) == ("0", [("1", [])])
    assert not found.cycle


@pytest.mark.parametrize(
    ("depth", "visited", "capped"), [(0, 1, True), (1, 2, True), (2, 3, False), (9, 3, False)]
)
def test_depth(depth: int, visited: int, capped: bool) -> None:
    found, _ = run({"0": ["1"], "1": ["2"], "2": []}, depth=depth)
    assert (found.visited, found.capped, found.complete) == (visited, capped, True)


def test_cap_on_executions() -> None:
    found, _ = run({"0": ["1", "2", "3"], "1": [], "2": [], "3": []}, max_executions=2)
    assert (found.visited, found.complete) == (2, False)
    assert shape(found.node) == ("0", [("1", [])])


def test_further_neighbours_of_the_root() -> None:
    found, _ = run({"0": ["1"], "1": [], "2": []}, also=["2", "1", "0"])
    assert shape(found.node) == ("0", [("1", []), ("2", [])])


def test_unknown_execution() -> None:
    found, _ = run({})
    assert found.node is None
    assert found.visited == 0


def test_neighbour_that_is_gone_is_left_out() -> None:
    found, _ = run({"0": ["1", "gone"], "1": []})
    assert shape(found.node) == ("0", [("1", [])])


def test_long_chain_needs_no_deep_stack() -> None:
    graph = {str(n): [str(n + 1)] for n in range(5_000)} | {"5000": []}
    found, generations = run(graph, max_executions=10_000)
    assert found.visited == 5_001
    assert len(generations) == 5_001


graphs = st.integers(1, 12).flatmap(
    lambda size: st.dictionaries(
        st.integers(0, size - 1).map(str),
        st.lists(st.integers(0, size - 1).map(str), max_size=4),
        min_size=1,
        max_size=size,
    )
)


def distances(graph: Graph) -> dict[str, int]:
    found, queue = {"0": 0}, ["0"]
    for rid in queue:
        for other in graph.get(rid, []):
            if other not in found and other in graph:
                found[other] = found[rid] + 1
                queue.append(other)
    return found


@given(graphs, st.none() | st.integers(0, 6))
def test_every_execution_within_reach_is_expanded_once(graph: Graph, depth: int | None) -> None:
    graph.setdefault("0", [])
    found, _ = run(graph, depth=depth)
    within = {rid for rid, far in distances(graph).items() if depth is None or far <= depth}
    assert found.node is not None
    full = [node.execution.rid for node in nodes(found.node) if not node.already_shown]
    assert sorted(full) == sorted(within)
    assert found.visited == len(within)
    for node in nodes(found.node):
        assert node.already_shown <= (not node.parents)
