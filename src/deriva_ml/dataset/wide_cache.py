"""Wide tables that were made once, kept beside the rows that they were made of."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from deriva_ml.rows import frames
from deriva_ml.rows.wide import WideQuery

logger = logging.getLogger(__name__)

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
    columns = None if force else _kept(path, len(labels))
    if columns is None:
        rows = list(query.rows())
        columns = [[row[label] for row in rows] for label in labels]
        _keep(path, columns)
    return frames.frame_of_columns(dict(zip(labels, columns, strict=True)))


def _keep(path: Path, columns: list[list[Any]]) -> None:
    text = json.dumps(columns, ensure_ascii=False)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(f"{_sum(text)}\n{text}", encoding="utf-8")
    partial.replace(path)


def _kept(path: Path, number: int) -> list[list[Any]] | None:
    """What is kept at a path; None where there is nothing, or it was damaged since."""
    try:
        noted, _, text = path.read_text(encoding="utf-8").partition("\n")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        noted = text = ""
    if noted != _sum(text):
        logger.warning("%s was changed; it is made again.", path)
        return None
    columns: list[list[Any]] = json.loads(text)
    return columns if len(columns) == number else None


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


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
