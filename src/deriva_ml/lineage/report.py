"""What a lineage consists of, and how it reads as text and Markdown."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from deriva_ml.names import MLTable

_BRANCH, _LAST, _PIPE, _SPACE = "├─ ", "└─ ", "│  ", "   "


class _Summary(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WorkflowSummary(_Summary):
    """A workflow in a lineage."""

    rid: str
    name: str | None = None


class ExecutionSummary(_Summary):
    """An execution in a lineage."""

    rid: str
    description: str | None = None
    workflow: WorkflowSummary | None = None
    status: str


class DatasetSummary(_Summary):
    """A dataset in a lineage, at the version that was read."""

    rid: str
    description: str | None = None
    version: str | None = None


class AssetSummary(_Summary):
    """An asset in a lineage."""

    rid: str
    filename: str | None = None
    asset_table: str


class LineageNode(_Summary):
    """An execution with what it read and the executions that made that.

    `already_shown` marks an execution whose inputs stand elsewhere in the tree.
    """

    execution: ExecutionSummary
    consumed_datasets: list[DatasetSummary] = Field(default_factory=list)
    consumed_assets: list[AssetSummary] = Field(default_factory=list)
    parents: list[LineageNode] = Field(default_factory=list)
    already_shown: bool = False


class RootDescriptor(_Summary):
    """What a lineage was asked for."""

    rid: str
    type: Literal["Dataset", "Asset", "Feature", "Execution"]
    description: str | None = None
    producing_execution: ExecutionSummary | None = None


class LineageResult(_Summary):
    """How something came to be: the execution that made it, and recursively those that made its inputs.

    Parameters
    ----------
    root : RootDescriptor
    lineage : LineageNode, optional
        None when no producer is recorded.
    executions_visited : int
        Distinct executions in the tree.
    walked_complete : bool
        False when a cap cut the walk.
    cycle_detected, depth_capped : bool

    Examples
    --------
    >>> print(ml.lookup_lineage("1-ABC"))  # doctest: +SKIP
    """

    root: RootDescriptor
    lineage: LineageNode | None = None
    executions_visited: int = 0
    walked_complete: bool = True
    cycle_detected: bool = False
    depth_capped: bool = False

    def __str__(self) -> str:
        return tree(self)

    def __repr__(self) -> str:
        return f"<LineageResult of {self.root.type} {self.root.rid}: {self.executions_visited} executions>"

    def _repr_markdown_(self) -> str:
        return markdown(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(tree(self))}</pre>"


@dataclass(frozen=True)
class Line:
    """One line of a tree: what leads up to it, the mark before it, and its text."""

    lead: str
    mark: str
    text: str


def tree(result: LineageResult) -> str:
    """Draw a lineage as a tree for the terminal.

    Parameters
    ----------
    result : LineageResult

    Returns
    -------
    str
        What was asked for on the first line; below each execution what it read, and the executions that made that.

    Examples
    --------
    >>> print(tree(LineageResult(root=RootDescriptor(rid="1-A", type="Asset"))))
    Asset 1-A
    └─ no recorded producer
    """
    lines = [_heading(result)]
    if result.lineage is None:
        lines.append(f"{_LAST}no recorded producer")
    else:
        lines += [f"{line.lead}{line.mark}{line.text}" for line in _lines(result.lineage)]
    return "\n".join([*lines, *_notes(result)])


def markdown(result: LineageResult) -> str:
    """Write a lineage as nested lists of Markdown."""
    lines = [f"**{_heading(result)}**", ""]
    if result.lineage is None:
        lines.append("- no recorded producer")
    else:
        lines += [f"{'  ' * (len(line.lead) // 3)}- {line.text}" for line in _lines(result.lineage)]
    return "\n".join([*lines, *_notes(result)])


def _heading(result: LineageResult) -> str:
    root = result.root
    return f"{root.type} {root.rid}" + (f": {root.description}" if root.description else "")


def _notes(result: LineageResult) -> Iterator[str]:
    if result.cycle_detected:
        yield "(an execution depends on itself: the record is damaged)"
    if result.depth_capped:
        yield "(cut at the requested depth)"
    if not result.walked_complete:
        yield f"(cut after {result.executions_visited} executions)"


def _lines(node: LineageNode) -> Iterator[Line]:
    stack: list[tuple[str, str, LineageNode | str]] = [("", _LAST, node)]
    shown: set[str] = set()
    while stack:
        lead, mark, item = stack.pop()
        if isinstance(item, str):
            yield Line(lead, mark, item)
            continue
        where = "above" if item.execution.rid in shown else "below"
        yield Line(
            lead, mark, _execution_text(item.execution) + (f" (see {where})" if item.already_shown else "")
        )
        if not item.already_shown:
            shown.add(item.execution.rid)
        below: list[LineageNode | str] = [*_inputs(item), *item.parents]
        inner = lead + (_SPACE if mark == _LAST else _PIPE)
        marks = [_BRANCH] * (len(below) - 1) + [_LAST] * bool(below)
        stack += [(inner, each, part) for each, part in zip(reversed(marks), reversed(below), strict=True)]


def _execution_text(execution: ExecutionSummary) -> str:
    workflow = execution.workflow.name if execution.workflow else None
    words = [_short(text) for text in (execution.description, workflow and f"workflow {workflow}") if text]
    return f"Execution {execution.rid} [{execution.status}] {', '.join(words)}".rstrip()


def _inputs(node: LineageNode) -> Iterator[str]:
    for dataset in node.consumed_datasets:
        version = f" version {dataset.version}" if dataset.version else ""
        about = f" {_short(dataset.description)}" if dataset.description else ""
        yield f"read Dataset {dataset.rid}{version}{about}"
    for asset in node.consumed_assets:
        # Only the row that stands for inputs nobody recorded has no file name.
        unknown = " (origin not recorded)" if asset.asset_table == MLTable.file else ""
        yield f"read {asset.asset_table} {asset.rid}" + (f" {asset.filename}" if asset.filename else unknown)


def _short(text: str, width: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
