"""A lineage as text and Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from deriva_ml.names import MLTable
from deriva_ml.records import ExecutionSummary, LineageNode, LineageResult

_BRANCH, _LAST, _PIPE, _SPACE = "├─ ", "└─ ", "│  ", "   "


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
    >>> from deriva_ml.records import RootDescriptor
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
