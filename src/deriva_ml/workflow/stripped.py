"""A notebook without what running it leaves behind, to the byte as nbstripout writes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

_OF_NOTEBOOK = ("signature", "widgets", "orig_nbformat", "orig_nbformat_minor")
_OF_CELL = ("collapsed", "ExecuteTime", "execution", "heading_collapsed", "hidden", "scrolled", "trusted")
_TEXTS = ("application/javascript", "image/svg+xml")


def without_outputs(notebook: bytes) -> bytes:
    r"""A notebook without outputs, counters, view state and random identifiers.

    What the filter of nbstripout lets git commit is the same, so the checksum of a notebook is that of its committed
    file, with or without the filter, and with or without nbstripout.

    Parameters
    ----------
    notebook : bytes

    Returns
    -------
    bytes
        As given where that is no notebook.

    Examples
    --------
    >>> without_outputs(b'{"cells": [], "metadata": {"widgets": {}}, "nbformat": 4, "nbformat_minor": 5}').decode()
    '{\n "cells": [],\n "metadata": {},\n "nbformat": 4,\n "nbformat_minor": 5\n}\n'
    """
    try:
        document = json.loads(notebook)
        cells, about = document["cells"], document["metadata"]
        kept = bool(about.get("keep_output"))
        with_ids = (document["nbformat"], document["nbformat_minor"]) >= (4, 5)
        for number, cell in enumerate(cells):
            _strip(cell, kept)
            if with_ids or "id" in cell:
                cell["id"] = str(number)
    except (ValueError, KeyError, TypeError, AttributeError):
        return notebook
    for name in _OF_NOTEBOOK:
        about.pop(name, None)
    text = json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True, separators=(",", ": "))
    return text.encode("utf-8", "surrogatepass") + b"\n"


def _strip(cell: dict[str, Any], kept: bool) -> None:
    about = cell.setdefault("metadata", {})
    if "outputs" in cell:
        if not _keeps(about, kept):
            cell["outputs"] = []
        for output in cell["outputs"]:
            if "execution_count" in output:
                output["execution_count"] = None
            _split(output, ["text"])
            data = output.get("data", {})
            _split(data, [name for name in data if name.startswith("text/") or name in _TEXTS])
    if "execution_count" in cell:
        cell["execution_count"] = None
    for name in _OF_CELL:
        about.pop(name, None)
    _split(cell, ["source"])


def _split(holder: dict[str, Any], names: Iterable[str]) -> None:
    """Write texts as lists of lines."""
    for name in names:
        text = holder.get(name)
        if isinstance(text, str | list):
            holder[name] = "".join(text).splitlines(True)


def _keeps(about: dict[str, Any], kept: bool) -> bool:
    """Whether its author wants the outputs of a cell in the repository."""
    if "init_cell" in about:
        return bool(about["init_cell"])
    tagged = "keep_output" in about.get("tags", [])
    return bool(about.get("keep_output")) or tagged if tagged or "keep_output" in about else kept
