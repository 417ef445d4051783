"""What files of metrics come to: asked of a service that knows, else read here, in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.failures import translated
from deriva_ml.ermrest.patience import repeated_when_lost
from deriva_server.metrics.records import PARSER, kind_of
from deriva_server.metrics.summary import collect
from deriva_server.metrics.values import Scalar

__all__ = ["PARSER", "Parsed", "ask", "kind_of", "parse"]

FEATURE = "object_metrics"
"""The feature of a service that has an index of metrics."""

_LATER = 202


@dataclass(frozen=True)
class Parsed:
    """What one file of metrics comes to.

    Parameters
    ----------
    names : list of str
        Metrics, in the order in which they occur.
    last, lowest, highest : list
        One value per metric; the extremes are None of texts.
    records : int
        How many there are.
    problems : list of str
        What was skipped.
    values : list of list, optional
        For each metric its value in every record, None where a record lacks it.
    """

    names: list[str]
    last: list[Scalar | None]
    lowest: list[float | None]
    highest: list[float | None]
    records: int
    problems: list[str]
    values: list[list[Scalar | None]] | None = None


def parse(path: Path, name: str) -> Parsed:
    """Read a file; the ending of its `name` can tell the format."""
    with path.open("rb") as file:
        summary, values = collect(file, kind_of(name))
    return _parsed({**summary.document(), "values": values})


def _parsed(document: dict[str, Any]) -> Parsed:
    return Parsed(
        names=document["names"],
        last=document["last"],
        lowest=document["min"],
        highest=document["max"],
        records=document["records"],
        problems=document["problems"],
        values=document.get("values"),
    )


def ask(
    connection: Connection, files: Sequence[tuple[str, str, str]], *, records: bool = False
) -> list[Parsed | str | None]:
    """Ask the service behind a connection, which must have the `FEATURE`.

    Parameters
    ----------
    connection : Connection
    files : sequence of tuple
        URL, name and MD5 of each, a few thousand at most.
    records : bool
        Whether all records are wanted.

    Returns
    -------
    list
        For each what it comes to, or why it cannot be read; None when the service had no time for it yet.
    """
    wish = {
        "objects": [url for url, _, _ in files],
        "names": [name for _, name, _ in files],
        "records": records,
    }

    def read() -> dict[str, Any]:
        with translated(f"Reading metrics of {len(files):,} files of {connection.name}"):
            found: dict[str, Any] = connection.store.post("/hatrac;metrics", json=wish).json()
        return found

    answer = repeated_when_lost(connection.authority, read)
    return [
        _answered(found, actual, md5)
        for found, actual, (_, _, md5) in zip(answer["found"], answer["md5"], files, strict=True)
    ]


def _answered(found: dict[str, Any], actual: str | None, md5: str) -> Parsed | str | None:
    if found.get("status") == _LATER:
        return None
    if "status" in found:
        return f"it cannot be read: {found['problem']}"
    if actual is not None and actual.lower() != md5.lower():
        return f"its MD5 is {actual}, the catalog says {md5}"
    return _parsed(found)
