"""Wide tables that were made once, kept beside the rows that they were made of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from deriva_ml.rows import frames
from deriva_ml.rows.kept import keep, kept
from deriva_ml.rows.wide import WideQuery

_FORMAT = 2
"""Raised when kept tables are written or made in another way."""


def cached(query: WideQuery, *, force: bool = False) -> Any:
    """Return a wide table as a pandas frame; it is made when it is not kept yet.

    The rows of a version never change, so nor does what is made of them.

    Parameters
    ----------
    query : WideQuery
    force : bool
        Whether it is made again though it is there.

    Raises
    ------
    DerivaMLDependencyError
        If pandas is not installed.
    """
    path = _place(query)
    labels = [column.label for column in query.plan.columns]
    columns: list[list[Any]] | None = None if force else kept(path)
    if columns is None or len(columns) != len(labels):
        rows = list(query.rows())
        columns = [[row[label] for row in rows] for label in labels]
        keep(path, columns)
    return frames.frame_of_columns(dict(zip(labels, columns, strict=True)))


def _place(query: WideQuery) -> Path:
    plan = query.plan
    asked = [
        _FORMAT,
        [column.label for column in plan.columns],
        [plan.row_per.schema.name, plan.row_per.name],
        [[step.source.name, step.target.schema.name, step.target.name, step.pairs] for step in plan.joins],
        sorted([*name, *sorted(rids)] for name, rids in query.anchors.items()),
    ]
    key = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    return query.reader.database.parent / "wide" / f"{key}.json"
