"""A lineage as a graph in the languages of Mermaid and Graphviz; data flows along the arrows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from deriva_ml.lineage.shape import Result, nodes
from deriva_ml.lineage.text import asset_text, dataset_text, execution_text, heading


@dataclass
class _Graph:
    """Kinds and labels by key, and arrows between keys; both in order, each once."""

    vertices: dict[str, tuple[str, str]] = field(default_factory=dict)
    arrows: dict[tuple[str, str], None] = field(default_factory=dict)


def _graph(result: Result) -> _Graph:
    graph, root = _Graph(), result.root
    if root.type != "Execution":
        graph.vertices[root.rid] = ("root", heading(result))
    for above, node in nodes(result):
        key = node.execution.rid
        graph.vertices.setdefault(key, ("execution", execution_text(node.execution)))
        other = root.rid if above is None else above.execution.rid
        if other != key:
            graph.arrows[(key, other) if result.is_upward else (other, key)] = None
        for dataset in node.consumed_datasets:
            read = dataset.rid if dataset.rid == root.rid else f"{dataset.rid}@{dataset.version}"
            graph.vertices.setdefault(read, ("dataset", dataset_text(dataset)))
            graph.arrows[read, key] = None
        for asset in node.consumed_assets:
            graph.vertices.setdefault(asset.rid, ("asset", asset_text(asset)))
            graph.arrows[asset.rid, key] = None
    if root.type == "Execution":
        graph.vertices.setdefault(root.rid, ("root", heading(result)))
    return graph


def _written(graph: _Graph, vertex: Callable[[str, str, str], str], arrow: str) -> list[str]:
    names = {key: f"n{at}" for at, key in enumerate(graph.vertices)}
    lines = [f"  {vertex(names[key], kind, label)}" for key, (kind, label) in graph.vertices.items()]
    return [*lines, *(f"  {names[begin]} {arrow} {names[end]}" for begin, end in graph.arrows)]


_SHAPES = {
    "execution": ('["', '"]'),
    "dataset": ('[("', '")]'),
    "asset": ('("', '")'),
    "root": ('(["', '"])'),
}


def mermaid(result: Result) -> str:
    """Write a flowchart.

    Parameters
    ----------
    result : LineageResult or DescendantsResult
    """

    def vertex(name: str, kind: str, label: str) -> str:
        # Mermaid reads entities with # instead of &.
        signs = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;"}
        begin, end = _SHAPES[kind]
        return f"{name}{begin}{''.join(signs.get(sign, sign) for sign in label)}{end}"

    return "\n".join(["flowchart TB", *_written(_graph(result), vertex, "-->")])


_STYLES = {
    "execution": "shape=box",
    "dataset": "shape=cylinder",
    "asset": "shape=note",
    "root": "shape=box, style=rounded",
}


def dot(result: Result) -> str:
    """Write a graph for Graphviz.

    Parameters
    ----------
    result : LineageResult or DescendantsResult
    """

    def vertex(name: str, kind: str, label: str) -> str:
        text = label.replace("\\", "\\\\").replace('"', '\\"')
        return f'{name} [label="{text}", {_STYLES[kind]}];'

    lines = _written(_graph(result), vertex, "->")
    return "\n".join(["digraph lineage {", *(f"{line.rstrip(';')};" for line in lines), "}"])
