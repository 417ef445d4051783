"""Bodies of any size to records, some at a time: JSON arrays, JSON lines and CSV (pure).

Text comes in pieces that may end anywhere. Whatever the pieces, the records and errors are those of the whole text;
no more of it is held than one piece and the longest record.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from deriva_server.errors import BadRequest

_NEAR_THE_END = 12
"""Characters of the longest escape or literal that the end of a text may have cut."""
_BLANK = re.compile(r"[ \t\n\r]*")
_CSV_FIELD = re.compile(r'"((?:[^"]|"")*)"|([^",\r\n]*)')

Line = list[str | None]


class _Window:
    """The part of a text that is being looked at."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self._ahead: str | None = next(pieces, None)
        self.text = ""
        self.grow(0)

    @property
    def ended(self) -> bool:
        """Whether no text comes after the window."""
        return self._ahead is None

    def grow(self, start: int) -> None:
        """Drop the text before `start` and take on at least as much as is left."""
        parts = [self.text[start:]]
        wanted = max(1, len(parts[0]))
        while wanted > 0 and self._ahead is not None:
            parts.append(self._ahead)
            wanted -= len(self._ahead)
            self._ahead = next(self._pieces, None)
        self.text = "".join(parts)


def json_decoder(*, exact: bool) -> json.JSONDecoder:
    """A strict decoder; decimals stay exact if asked for."""
    return json.JSONDecoder(parse_constant=_refuse, parse_float=Decimal if exact else None)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _invalid(error: Exception) -> BadRequest:
    return BadRequest(f"The body is not valid JSON: {error}.")


def array_members(pieces: Iterator[str], decoder: json.JSONDecoder) -> Iterator[list[Any]]:
    """Members of a JSON array, some at a time.

    Raises
    ------
    BadRequest
        If the text is no JSON array.
    """
    window = _Window(pieces)
    try:
        if window.ended:
            yield _whole_array(window.text, decoder)
            return
        yield from _members(window, decoder)
    except (ValueError, RecursionError) as error:
        raise _invalid(error) from error


def _whole_array(text: str, decoder: json.JSONDecoder) -> list[Any]:
    document = decoder.decode(text)
    if not isinstance(document, list):
        raise BadRequest("The body must be a JSON array of objects.")
    return document


def _members(window: _Window, decoder: json.JSONDecoder) -> Iterator[list[Any]]:
    at = _next_sign(window, 0)
    if window.text[at : at + 1] != "[":
        raise BadRequest("The body must be a JSON array of objects.")
    at = _next_sign(window, at + 1)
    if window.text[at : at + 1] == "]":
        _expect_end(window, at + 1)
        return
    while True:
        found, at, closed = _complete_members(window, at, decoder)
        if found:
            yield found
        if closed:
            _expect_end(window, at)
            return
        if window.ended:
            decoder.raw_decode(window.text, _blank_end(window.text, at))
            raise json.JSONDecodeError("Expecting ',' delimiter", window.text, len(window.text))
        window.grow(at)
        at = 0


def _complete_members(window: _Window, at: int, decoder: json.JSONDecoder) -> tuple[list[Any], int, bool]:
    """Members that lie wholly in the window, where the next one begins, and whether the array is at its end."""
    text = window.text
    found: list[Any] = []
    while True:
        try:
            value, end = decoder.raw_decode(text, _blank_end(text, at))
        except json.JSONDecodeError as error:
            if window.ended or not _may_be_cut(error, text):
                raise
            return found, at, False
        end = _blank_end(text, end)
        sign = text[end : end + 1]
        if not sign:
            return found, at, False
        found.append(value)
        at = end + 1
        if sign == "]":
            return found, at, True
        if sign != ",":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, end)


def _may_be_cut(error: json.JSONDecodeError, text: str) -> bool:
    return error.msg.startswith("Unterminated string") or error.pos >= len(text) - _NEAR_THE_END


def _blank_end(text: str, at: int) -> int:
    if text[at : at + 1] > " ":
        return at
    match = _BLANK.match(text, at)
    assert match is not None
    return match.end()


def _next_sign(window: _Window, at: int) -> int:
    """Where the next character that is not blank stands, after growing the window as needed."""
    at = _blank_end(window.text, at)
    while at == len(window.text) and not window.ended:
        window.grow(at)
        at = _blank_end(window.text, 0)
    return at


def _expect_end(window: _Window, at: int) -> None:
    at = _next_sign(window, at)
    if at < len(window.text):
        raise json.JSONDecodeError("Extra data", window.text, at)


def line_values(pieces: Iterator[str], decoder: json.JSONDecoder) -> Iterator[list[Any]]:
    """Values that stand one per line, some at a time; blank lines are passed over.

    Raises
    ------
    BadRequest
        If a line is no JSON.
    """
    window = _Window(pieces)
    while True:
        cut = len(window.text) if window.ended else window.text.rfind("\n") + 1
        try:
            found = [decoder.decode(line) for line in window.text[:cut].split("\n") if line.strip()]
        except (ValueError, RecursionError) as error:
            raise _invalid(error) from error
        if found:
            yield found
        if window.ended:
            return
        window.grow(cut)


def csv_lines(pieces: Iterator[str]) -> Iterator[list[Line]]:
    """Lines of a CSV text, some at a time.

    Raises
    ------
    BadRequest
        If quotes do not match.
    """
    window = _Window(pieces)
    while True:
        cut = len(window.text) if window.ended else _line_end(window.text)
        found = list(parse_csv(window.text[:cut]))
        if found:
            yield found
        if window.ended:
            return
        window.grow(cut)


def _line_end(text: str) -> int:
    """End of the last line that is complete: a line break with an even number of quotes before it."""
    sign = "\n" if "\n" in text else "\r"
    end = len(text) if sign == "\n" else len(text) - 1
    cut = text.rfind(sign, 0, end) + 1
    while cut and text.count('"', 0, cut) % 2:
        cut = text.rfind(sign, 0, text.rfind('"', 0, cut)) + 1
    return cut


def parse_csv(text: str) -> Iterator[Line]:
    """Lines of a CSV text; an empty field without quotes is None.

    Raises
    ------
    BadRequest
        If quotes do not match.

    Examples
    --------
    >>> list(parse_csv('a,"b, c",,'))
    [['a', 'b, c', None, None]]
    """
    plain = _plain_lines(text)
    if plain is not None:
        yield from plain
        return
    at, end = 0, len(text)
    while at < end:
        stop = text.find("\n", at)
        stop = end if stop < 0 else stop
        line = _simple_line(text[at : stop - 1 if text[stop - 1 : stop] == "\r" else stop])
        if line is None or (stop == end and text[end - 1] == "\r"):
            line, at = _careful_line(text, at)
        else:
            at = stop + 1
        yield line


def _plain_lines(text: str) -> list[Line] | None:
    """Lines of a text in which quotes only enclose fields that are not empty; None if it is not that simple.

    Then no field that was read holds a quote, and an empty one had none.
    """
    if '""' in text or text.count("\r") != text.count("\r\n"):
        return None
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        return None
    if '"' in text and any('"' in field for line in lines for field in line if field):
        return None
    return [[field or None for field in line] or [None] for line in lines]


def _simple_line(line: str) -> Line | None:
    """Fields of a line in which every quote begins or ends a field; None if it is not that simple."""
    if "\r" in line:
        return None
    if '"' not in line:
        return [field or None for field in line.split(",")]
    parts = line.split('"')
    if not len(parts) % 2 or (parts[0] and parts[0][-1] != ",") or (parts[-1] and parts[-1][0] != ","):
        return None
    fields: Line = []
    last = len(parts) - 1
    for at, part in enumerate(parts):
        if at % 2:
            fields.append(part)
        elif at in (0, last):
            between = part[:-1] if at == 0 else part[1:]
            fields += [field or None for field in between.split(",")] if part else []
        elif len(part) == 1 and part == ",":
            continue
        elif len(part) > 1 and part[0] == part[-1] == ",":
            fields += [field or None for field in part[1:-1].split(",")]
        else:
            return None
    return fields


def _careful_line(text: str, at: int) -> tuple[Line, int]:
    """The line at a place, field by field, and where the next one begins."""
    line: Line = []
    end = len(text)
    while True:
        match = _CSV_FIELD.match(text, at)
        assert match is not None
        quoted, plain = match.groups()
        line.append(quoted.replace('""', '"') if quoted is not None else plain or None)
        at = match.end()
        if at >= end or text[at] != ",":
            break
        at += 1
    if at < end and text[at] not in "\r\n":
        raise BadRequest(f"A quote of the CSV body is out of place near {text[at : at + 20]!r}.")
    return line, at + (2 if text.startswith("\r\n", at) else 1)
