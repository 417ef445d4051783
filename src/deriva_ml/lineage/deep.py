"""Trees of models that are deeper than the interpreter's stack: as dicts, as JSON, as lists to compare."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from deriva_ml.lineage.shape import Node


def plain(model: BaseModel) -> dict[str, Any]:
    """A model and all in it as dicts and lists."""
    whole: dict[str, Any] = {}
    waiting: list[tuple[BaseModel, dict[str, Any]]] = [(model, whole)]

    def opened(value: Any) -> Any:
        if not isinstance(value, BaseModel):
            return value
        inner: dict[str, Any] = {}
        waiting.append((value, inner))
        return inner

    while waiting:
        each, document = waiting.pop()
        for name, value in each:
            document[name] = [opened(item) for item in value] if isinstance(value, list) else opened(value)
    return whole


def flat(node: Node) -> list[tuple[int, bool, Any]]:
    """A tree as a list: the number of branches and what else is in each node, level by level."""
    queue: list[Any] = [node]
    found = []
    for each in queue:
        found.append(
            (
                len(each.branches),
                each.already_shown,
                (each.execution, each.consumed_datasets, each.consumed_assets),
            )
        )
        queue.extend(each.branches)
    return found


def json_text(document: Any, indent: int | None = None) -> str:
    """JSON of a document."""
    made: list[str] = []
    # Texts are written as they are; values, in a tuple with their depth, are yet to be opened.
    waiting: list[str | tuple[Any, int]] = [(document, 0)]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            made.append(item)
            continue
        value, depth = item
        if not isinstance(value, dict | list) or not value:
            made.append(json.dumps(value, ensure_ascii=False))
            continue
        begin, end = ("{", "}") if isinstance(value, dict) else ("[", "]")
        members = value.items() if isinstance(value, dict) else ((None, each) for each in value)
        inner, outer = (
            ("", "") if indent is None else (f"\n{' ' * (depth + 1) * indent}", f"\n{' ' * depth * indent}")
        )
        parts: list[str | tuple[Any, int]] = [begin]
        for at, (name, each) in enumerate(members):
            colon = ":" if indent is None else ": "
            key = "" if name is None else f"{json.dumps(name, ensure_ascii=False)}{colon}"
            parts += [f"{',' if at else ''}{inner}{key}", (each, depth + 1)]
        waiting.extend(reversed([*parts, f"{outer}{end}"]))
    return "".join(made)
