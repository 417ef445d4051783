"""One table of all that is measured: its rows, and the page that holds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.counting import Counts

BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
_HEAD = ("work", "ours", "others", "ratio", "target", "requests", "statements", "fsyncs")


@dataclass(frozen=True)
class Row:
    """What one piece of work cost.

    Parameters
    ----------
    work : str
    value : float
    unit : str
        Less is better, unless this is a rate (``MB/s``).
    counts : Counts, optional
    other : float, optional
        What another system, or another way, takes for the same, in the same unit.
    whose : str
        Who or what that is; further others may be told too.
    limit : float, optional
        Target, in the same unit.
    most : int, optional
        Target for the number of requests to the catalog.
    """

    work: str
    value: float
    unit: str = "s"
    counts: Counts | None = None
    other: float | None = None
    whose: str = ""
    limit: float | None = None
    most: int | None = None

    @property
    def is_rate(self) -> bool:
        """Whether more is better."""
        return self.unit.endswith("/s")

    @property
    def ratio(self) -> float | None:
        """How many times as good as the other."""
        if self.other is None or not self.value:
            return None
        return self.value / self.other if self.is_rate else self.other / self.value

    @property
    def missed(self) -> bool:
        """Whether there is a target, and it is missed."""
        if self.most is not None and self.counts is not None and self.counts.catalog > self.most:
            return True
        if self.limit is None:
            return False
        return self.value < self.limit if self.is_rate else self.value > self.limit

    @property
    def target(self) -> str:
        """What is wanted, and whether it is met; empty where nothing is."""
        wanted = []
        if self.limit is not None:
            wanted.append(f"{'≥' if self.is_rate else '≤'} {_number(self.limit)}")
        if self.most is not None:
            wanted.append(f"≤ {self.most} requests")
        return f"{', '.join(wanted)} {'**missed**' if self.missed else 'met'}" if wanted else ""

    def beside(self, others: Mapping[str, tuple[float, str]]) -> Row:
        """The same row with what others take, where it is known and the row does not say so already."""
        if self.other is not None or self.work not in others:
            return self
        other, whose = others[self.work]
        return replace(self, other=other, whose=whose)

    def without_targets(self) -> Row:
        """The same row of other work than the target is for."""
        return replace(self, other=None, whose="", limit=None, most=None)

    def cells(self) -> list[str]:
        """As texts, in the order of the table."""
        counts, requests = self.counts, ""
        if counts is not None:
            parts = [(counts.catalog, ""), (counts.objects, " objects")]
            requests = " + ".join(f"{number:,}{kind}" for number, kind in parts if number) or "0"
        return [
            self.work,
            f"{_number(self.value)} {self.unit}",
            f"{_number(self.other)} {self.whose}".strip() if self.other is not None else "",
            f"{self.ratio:.2g}×" if self.ratio is not None and self.ratio < 10 else _times(self.ratio),
            self.target,
            requests,
            "" if counts is None else _optional(counts.statements),
            "" if counts is None else _optional(counts.syncs),
        ]

    def line(self) -> str:
        """As a line of a terminal."""
        work, ours, others, ratio, target, requests, statements, syncs = self.cells()
        asked = (
            f"{requests} requests, {statements or '?'} statements, {syncs or '?'} fsyncs" if requests else ""
        )
        shown = target.replace("**missed**", "MISSED")
        return f"  {work:<46}{ours:>12}  {ratio:>6}  {shown:<22}{asked:<50}{others}".rstrip()


def _number(value: float) -> str:
    """Three digits, and no more of them than are known."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _optional(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:,.0f}×"


def group(title: str, note: str, rows: Iterable[Row]) -> list[str]:
    """A group of the table as lines of Markdown: its heading, which says when it was measured, and its rows."""
    heading = [f"**{title}**", note, *[""] * (len(_HEAD) - 2)]
    return [_line(heading), *(_line(row.cells()) for row in rows)]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split("|")]


def groups_in(text: str) -> dict[str, list[str]]:
    """The groups of a table that was written before, by their titles."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("| **"):
            title = _cells(line)[0].strip("*")
            found[title] = [line]
        elif line.startswith("| ") and found:
            found[title].append(line)
    return found


def put_into(page: Path, about: str, measured: Mapping[str, list[str]], order: Iterable[str]) -> None:
    """Write groups into the table between the two marks of a page; groups that were not measured now stay.

    Parameters
    ----------
    page : Path
    about : str
        Stands before the table.
    measured : dict
        Lines of `group`, by title.
    order : iterable of str
        Titles of all groups that there are.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    between, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no lines {BEGIN!r} and {END!r}, between which the table is put.")
    groups = {**groups_in(between), **measured}
    lines = [_line(_HEAD), _line(["---", "---:", "---", "---:", "---", "---:", "---:", "---:"])]
    missed = []
    for title in order:
        lines += groups.get(title, [])
        missed += [f"- {title}: {work}" for work in _missed(groups.get(title, []))]
    told = ["Missed, with the reasons below:", "", *missed] if missed else ["Every target is met."]
    text = "\n".join([about, "", *lines, "", *told])
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _missed(lines: Iterable[str]) -> list[str]:
    return [_cells(line)[0] for line in lines if "**missed**" in line]


def without_reason(page: str) -> list[str]:
    """What is missed and not named among the reasons, which stand after the table."""
    table, _, reasons = page.partition(END)
    return [work for lines in groups_in(table).values() for work in _missed(lines) if work not in reasons]
