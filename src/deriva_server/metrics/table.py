"""Rows of a CSV file with a header as records (pure)."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator

from deriva_server.metrics.values import Record, Scalar, clean_text

_DELIMITERS = "\t,;"
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?|nan)", re.IGNORECASE)
_LONGEST_FIELD = 1 << 20


def delimiter_of(header: str) -> str | None:
    """What parts the columns: a tab if there is one, else a comma, else a semicolon; None for a single column."""
    return next((sign for sign in _DELIMITERS if sign in header), None)


def rows(lines: Iterable[str], kind: str, note: Callable[[str], None]) -> Iterator[Record]:
    """Each row below the header; empty cells are no values.

    Parameters
    ----------
    lines : iterable of str
        With their ends.
    kind : str
        ``tsv`` parts columns by tabs.
    note : callable
        Told of what is skipped.
    """
    source = _Watched(lines)
    header_line = next((line for line in source if line.strip()), None)
    if header_line is None:
        return
    sign = "\t" if kind == "tsv" else delimiter_of(header_line) or ","
    # Quotes in the header are no matter for the reader of the rows.
    header = next(csv.reader([header_line], delimiter=sign))
    if all(_NUMBER.fullmatch(name.strip()) for name in header):
        note("the first line has numbers only; a header with the names of the columns is needed")
        return
    names = [clean_text(name.strip()) or f"Unnamed: {place}" for place, name in enumerate(header)]
    reader = csv.reader(source, delimiter=sign)
    former = csv.field_size_limit()
    try:
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) != len(names):
                _note_length(cells, names, reader.line_num + 1, source, note)
                continue
            yield {
                name: value
                for name, cell in zip(names, cells, strict=True)
                if (value := _value(cell)) is not None
            }
    except csv.Error as error:
        note(f"line {reader.line_num + 1} is no CSV: {error} (cells have at most {former:,} characters)")


class _Watched:
    """Lines, the last of which is remembered."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.last = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.last = next(self._lines)
        return self.last


def _note_length(
    cells: list[str], names: list[str], number: int, source: _Watched, note: Callable[[str], None]
) -> None:
    if len(cells) < len(names) and not source.last.endswith("\n"):
        note(f"line {number}, the last, is not complete")
    else:
        note(f"line {number} has {len(cells)} cells, the header {len(names)}")


def _value(cell: str) -> Scalar | None:
    text = cell.strip()
    if not text:
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else clean_text(text)
