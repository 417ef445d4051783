"""What a file of metrics comes to: of each metric the last, the lowest and the highest value (pure)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, BinaryIO

from deriva_server.metrics.records import Notes, read_records
from deriva_server.metrics.values import Record, Scalar
from deriva_server.values import Frozen, field

MOST_NAMES = 2000
"""Metrics of one file; more are most likely keys of something that is no metric."""


class Summary(Frozen, frozen=True):
    """One file.

    Parameters
    ----------
    names : list of str
        Metrics, in the order in which they occur.
    last, lowest, highest : list
        A value for each; the extremes are None of texts, and not-a-number is no extreme.
    records : int
        How many there are.
    problems : list of str
        What was skipped.
    """

    names: list[str]
    last: list[Scalar]
    lowest: list[float | None]
    highest: list[float | None]
    records: int
    problems: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As a JSON document."""
        return {"names": self.names, "last": self.last, "min": self.lowest, "max": self.highest} | {
            "records": self.records,
            "problems": self.problems,
        }


def summarised(records: Iterable[Record], notes: Notes) -> Summary:
    """Go through the records once, holding one of them at a time."""
    last: Record = {}
    lowest: dict[str, float] = {}
    highest: dict[str, float] = {}
    ignored = False
    count = 0
    for record in records:
        count += 1
        for name, value in record.items():
            if name not in last and len(last) >= MOST_NAMES:
                ignored = True
                continue
            last[name] = value
            if isinstance(value, str) or value != value:
                continue
            if name not in lowest:
                lowest[name] = highest[name] = value
            elif value < lowest[name]:
                lowest[name] = value
            elif value > highest[name]:
                highest[name] = value
    if ignored:
        notes.add(f"it has more than {MOST_NAMES:,} metrics; the others were left out")
    names = list(last)
    return Summary(
        names, list(last.values()), [*map(lowest.get, names)], [*map(highest.get, names)], count, notes.all()
    )


def summarise(stream: BinaryIO, kind: str) -> Summary:
    """Summarise a file; `kind` as of `deriva_server.metrics.records.kind_of`."""
    notes = Notes()
    return summarised(read_records(stream, kind, notes), notes)


def collect(stream: BinaryIO, kind: str) -> tuple[Summary, list[list[Scalar | None]]]:
    """Summarise a file and keep all its records: for each metric one value per record, None where it lacks it."""
    notes = Notes()
    records = list(read_records(stream, kind, notes))
    summary = summarised(records, notes)
    return summary, [[record.get(name) for record in records] for name in summary.names]


def dump(value: object) -> str:
    """JSON text of lists, objects and scalars, without what JSON does not know.

    Not-a-number becomes null, and the infinities numbers so large that every reader takes them for infinite.

    Examples
    --------
    >>> dump({"last": [1, float("nan"), float("-inf")]})
    '{"last":[1,null,-1e999]}'
    """
    match value:
        case float() if value != value:
            return "null"
        case float() if math.isinf(value):
            return "1e999" if value > 0 else "-1e999"
        case dict():
            return f"{{{','.join(f'{json.dumps(key)}:{dump(item)}' for key, item in value.items())}}}"
        case list():
            return f"[{','.join(map(dump, value))}]"
    return json.dumps(value)
