"""A lineage as text and Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from deriva_ml.lineage.shape import Asset, Dataset, Execution, Node, Result
from deriva_ml.names import MLTable

_BRANCH, _LAST, _PIPE, _SPACE = "├─ ", "└─ ", "│  ", "   "


@dataclass(frozen=True)
class Line:
    """One line of a tree: what leads up to it, the mark before it, and its text."""

    lead: str
    mark: str
    text: str


def tree(result: Result) -> str:
    """Draw a lineage as a tree for the terminal.

    Parameters
    ----------
    result : LineageResult or DescendantsResult

    Returns
    -------
    str
        What was asked for on the first line; below each execution what it read, and the executions that made that.

    Examples
    --------
    >>> print(tree(ml.lookup_lineage("1-A")))  # doctest: +SKIP
    Asset 1-A
    └─ no recorded producer
    """
    lines = [heading(result)]
    if not result.branches:
        lines.append(f"{_LAST}{_nothing(result)}")
    lines += [f"{line.lead}{line.mark}{line.text}" for line in _lines(result.branches)]
    return "\n".join([*lines, *_notes(result)])


def markdown(result: Result) -> str:
    """Write a lineage as nested lists of Markdown."""
    lines = [f"**{heading(result)}**", ""]
    if not result.branches:
        lines.append(f"- {_nothing(result)}")
    lines += [f"{'  ' * (len(line.lead) // 3)}- {line.text}" for line in _lines(result.branches)]
    return "\n".join([*lines, *_notes(result)])


def html(result: Result) -> str:
    """Write a lineage for a notebook."""
    return f"<pre>{escape(tree(result))}</pre>"


def _nothing(result: Result) -> str:
    return "no recorded producer" if result.is_upward else "no execution is recorded that read it"


def heading(result: Result) -> str:
    """What was asked for, in a line."""
    root = result.root
    return f"{root.type} {root.rid}" + (f": {root.description}" if root.description else "")


def _notes(result: Result) -> Iterator[str]:
    if result.cycle_detected:
        yield "(an execution depends on itself: the record is damaged)"
    if result.depth_capped:
        yield "(cut at the requested depth)"
    if not result.walked_complete:
        yield f"(cut after {result.executions_visited} executions)"


def _lines(branches: Sequence[Node]) -> Iterator[Line]:
    stack = _below("", branches)
    shown: set[str] = set()
    while stack:
        lead, mark, item = stack.pop()
        if isinstance(item, str):
            yield Line(lead, mark, item)
            continue
        where = "above" if item.execution.rid in shown else "below"
        yield Line(
            lead, mark, execution_text(item.execution) + (f" (see {where})" if item.already_shown else "")
        )
        if not item.already_shown:
            shown.add(item.execution.rid)
        stack += _below(lead + (_SPACE if mark == _LAST else _PIPE), [*_inputs(item), *item.branches])


def _below(lead: str, parts: Sequence[Node | str]) -> list[tuple[str, str, Node | str]]:
    """What hangs on something, the last first."""
    marks = [_BRANCH] * (len(parts) - 1) + [_LAST] * bool(parts)
    return [(lead, mark, part) for mark, part in zip(reversed(marks), reversed(parts), strict=True)]


def execution_text(execution: Execution) -> str:
    """An execution in a line."""
    workflow = execution.workflow.name if execution.workflow else None
    words = [short(text) for text in (execution.description, workflow and f"workflow {workflow}") if text]
    return f"Execution {execution.rid} [{execution.status}] {', '.join(words)}".rstrip()


def _inputs(node: Node) -> Iterator[str]:
    for dataset in node.consumed_datasets:
        yield f"read {dataset_text(dataset)}"
    for asset in node.consumed_assets:
        yield f"read {asset_text(asset)}"


def dataset_text(dataset: Dataset) -> str:
    """A dataset in a line."""
    version = f" version {dataset.version}" if dataset.version else ""
    return f"Dataset {dataset.rid}{version}" + (
        f" {short(dataset.description)}" if dataset.description else ""
    )


def asset_text(asset: Asset) -> str:
    """An asset in a line."""
    # Only the row that stands for inputs nobody recorded has no file name.
    unknown = " (origin not recorded)" if asset.asset_table == MLTable.file else ""
    return f"{asset.asset_table} {asset.rid}" + (f" {asset.filename}" if asset.filename else unknown)


def short(text: str, width: int = 60) -> str:
    """A text in a line that is not too long."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
