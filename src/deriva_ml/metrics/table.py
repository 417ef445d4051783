"""Files of metrics and what they come to, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deriva_ml.workspace.metrics import MetricsFile, MetricsStore

FIXED = ("execution_rid", "workflow", "status", "description", "asset_rid", "file", "record")
"""Columns that say where values come from."""

_FACTS = {"workflow": "Workflow", "status": "Status", "description": "Description"}


def table_of(
    store: MetricsStore,
    files: Sequence[MetricsFile],
    executions: Mapping[str, Mapping[str, Any]],
    column: str,
    *,
    all_records: bool,
) -> dict[str, list[Any]]:
    """Columns by name, a row for each file or, if `all_records`, for each of its records.

    Parameters
    ----------
    store : MetricsStore
        Knows the values.
    files : sequence of MetricsFile
        In their order.
    executions : mapping
        Rows of the executions, by RID.
    column : str
        Which value stands for a file: last, min or max.
    all_records : bool
        Whether there is a row for each record.
    """
    if not all_records:
        return _of_files(files, executions) | _named(_values(store, files, column))
    lengths = [file.records or 0 for file in files]
    places = [place for place, length in enumerate(lengths) for _ in range(length)]
    fixed = _of_files([files[place] for place in places], executions)
    fixed["record"] = [number for length in lengths for number in range(length)]
    return fixed | _named(_curves(store, files))


def _of_files(
    files: Sequence[MetricsFile], executions: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[Any]]:
    rows = [executions[file.execution_rid] for file in files]
    facts = {name: [row.get(column) for row in rows] for name, column in _FACTS.items()}
    return {
        "execution_rid": [file.execution_rid for file in files],
        **facts,
        "asset_rid": [file.asset_rid for file in files],
        "file": [file.name for file in files],
    }


def _values(store: MetricsStore, files: Sequence[MetricsFile], column: str) -> dict[str, list[Any]]:
    """A value per file of each metric, None where it has none."""
    rows: dict[int, list[int]] = {}
    for row, file in enumerate(files):
        if file.content is not None:
            rows.setdefault(file.content, []).append(row)
    groups = store.values(rows, column)
    groups.sort(key=lambda group: min(rows[content][0] for content in group[1]))
    found: dict[str, list[Any]] = {}
    for names, values in groups:
        for name, of_contents in zip(names, zip(*values.values(), strict=True), strict=True):
            cells = found.setdefault(name, [None] * len(files))
            for content, value in zip(values, of_contents, strict=True):
                for row in rows[content]:
                    cells[row] = value
    return found


def _curves(store: MetricsStore, files: Sequence[MetricsFile]) -> dict[str, list[Any]]:
    """A value per record of each metric, None where it has none."""
    known = store.curves({file.content for file in files if file.content is not None})
    found: dict[str, list[Any]] = {}
    done = 0
    for file in files:
        if file.content is None:
            continue
        for name, values in known[file.content].items():
            column = found.setdefault(name, [])
            column += [None] * (done - len(column))
            column += values
        done += file.records or 0
    for column in found.values():
        column += [None] * (done - len(column))
    return found


def _named(metrics: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Metrics as columns that are not taken for other ones."""
    return {f"metrics.{name}" if name in FIXED else name: values for name, values in metrics.items()}
