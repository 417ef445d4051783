"""Compare what two executions made (pure)."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How an output of a run compares with that of the run it repeats."""

    identical = "identical"
    within_tolerance = "within tolerance"
    different = "different"
    missing = "missing"
    added = "new"

    @property
    def holds(self) -> bool:
        """Whether the output was reproduced."""
        return self in (Verdict.identical, Verdict.within_tolerance)


@dataclass(frozen=True)
class Compared:
    """One output.

    Parameters
    ----------
    kind : str
        ``file``, ``feature`` or ``dataset``.
    name : str
    verdict : Verdict
    detail : str
        What differs.
    """

    kind: str
    name: str
    verdict: Verdict
    detail: str = ""


@dataclass(frozen=True)
class File:
    """A file that a run made.

    Parameters
    ----------
    table, name, md5 : str
    length : int
        Bytes.
    metrics : list of dict, optional
        Records of a file of metrics.
    """

    table: str
    name: str
    md5: str
    length: int
    metrics: list[dict[str, Any]] | None = None


Values = Mapping[Hashable, Mapping[str, Any]]
"""Values of a feature: what they are of to column to value."""


def files(before: Iterable[File], after: Iterable[File], tolerance: float) -> list[Compared]:
    """Compare files of the same table and name; of several, those of the same content belong together."""
    left = _grouped(after)
    found = []
    for key, group in _grouped(before).items():
        others = left.pop(key, [])
        for file in sorted(group, key=lambda each: all(each.md5 != other.md5 for other in others)):
            match = next((other for other in others if other.md5 == file.md5), others[0] if others else None)
            if match is not None:
                others.remove(match)
            found.append(_file(file, match, tolerance))
        found += [Compared("file", _name(other), Verdict.added) for other in others]
    found += [Compared("file", _name(other), Verdict.added) for group in left.values() for other in group]
    return found


def _grouped(found: Iterable[File]) -> dict[tuple[str, str], list[File]]:
    groups = defaultdict(list)
    for file in found:
        groups[file.table, file.name].append(file)
    return dict(groups)


def _name(file: File) -> str:
    return f"{file.table}/{file.name}"


def _file(before: File, after: File | None, tolerance: float) -> Compared:
    name = _name(before)
    if after is None:
        return Compared("file", name, Verdict.missing)
    if before.md5 == after.md5:
        return Compared("file", name, Verdict.identical)
    if before.metrics is not None and after.metrics is not None:
        return Compared("file", name, *records(before.metrics, after.metrics, tolerance))
    sizes = (
        f"{before.length:,} bytes, now {after.length:,}" if before.length != after.length else "same length"
    )
    return Compared("file", name, Verdict.different, sizes)


def records(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], tolerance: float
) -> tuple[Verdict, str]:
    """Compare records in their order, column by column."""
    if len(before) != len(after):
        return Verdict.different, f"{len(before):,} records, now {len(after):,}"
    return _summed(
        _row(old, new, tolerance, f"record {number}")
        for number, (old, new) in enumerate(zip(before, after, strict=True), 1)
    )


def feature(name: str, before: Values, after: Values, tolerance: float) -> Compared:
    """Compare the values of a feature, each with that of the same record."""
    lost = [key for key in before if key not in after]
    more = [key for key in after if key not in before]
    if more and not before:
        return Compared("feature", name, Verdict.added, _counted(len(more), "value"))
    if lost and not after:
        return Compared("feature", name, Verdict.missing, _counted(len(lost), "value"))
    verdict, detail = _summed(
        _row(values, after[key], tolerance, str(key)) for key, values in before.items() if key in after
    )
    gaps = [f"{len(keys):,} {word}" for keys, word in ((lost, "missing"), (more, "new")) if keys]
    if gaps:
        return Compared("feature", name, Verdict.different, ", ".join([*gaps, *filter(None, [detail])]))
    return Compared("feature", name, verdict, detail or _counted(len(before), "value"))


def dataset(name: str, before: Iterable[Hashable] | None, after: Iterable[Hashable] | None) -> Compared:
    """Compare the members of a dataset that a run made; None where it made no such dataset."""
    if before is None or after is None:
        return Compared("dataset", name, Verdict.added if before is None else Verdict.missing)
    old, new = Counter(before), Counter(after)
    lost, more = (old - new).total(), (new - old).total()
    if not lost and not more:
        return Compared("dataset", name, Verdict.identical, _counted(old.total(), "member"))
    return Compared(
        "dataset", name, Verdict.different, f"{lost:,} members missing, {more:,} new, of {old.total():,}"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _row(
    before: Mapping[str, Any], after: Mapping[str, Any], tolerance: float, where: str
) -> tuple[Verdict, str]:
    worst = Verdict.identical
    for column in dict.fromkeys((*before, *after)):
        old, new = before.get(column), after.get(column)
        if _same(old, new):
            continue
        if not _close(old, new, tolerance):
            return Verdict.different, f"{column} of {where} was {old!r}, now {new!r}"
        worst = Verdict.within_tolerance
    return worst, ""


def _summed(compared: Iterable[tuple[Verdict, str]]) -> tuple[Verdict, str]:
    """One verdict of many, with the first difference."""
    counts: Counter[Verdict] = Counter()
    first = ""
    for verdict, detail in compared:
        counts[verdict] += 1
        first = first or detail
    if differing := counts[Verdict.different]:
        more = f" and {differing - 1:,} more differ" if differing > 1 else ""
        return Verdict.different, f"{first}{more}"
    return (Verdict.within_tolerance if counts[Verdict.within_tolerance] else Verdict.identical), ""


def _same(before: Any, after: Any) -> bool:
    both_nan = (
        isinstance(before, float) and isinstance(after, float) and math.isnan(before) and math.isnan(after)
    )
    return both_nan or (type(before) is type(after) and bool(before == after))


def _close(before: Any, after: Any, tolerance: float) -> bool:
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (before, after))
    return numbers and math.isclose(before, after, rel_tol=tolerance, abs_tol=tolerance * 1e-6)
