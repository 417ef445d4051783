"""Bytes of a file of metrics to records, a piece at a time (pure).

JSON objects, one per line or in any other layout, a JSON list of objects, CSV with a header, YAML. What cannot be
read is skipped and noted: a run that was killed while it wrote leaves half a line.
"""

from __future__ import annotations

import codecs
import importlib
import io
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from deriva_server.metrics import table
from deriva_server.metrics.values import Record, flattened

KINDS = ("csv", "tsv", "yaml", "yml")
"""Endings of names that decide how a file is read; everything else is known by its first bytes."""

PARSER = 1
"""Goes up when the same bytes would give other records than before."""

LONGEST_DOCUMENT = 32 << 20
"""Characters of one line, and of what has to be held whole."""
_MOST_NOTES = 10
_SPACE = re.compile(r"\s*")


def kind_of(name: str) -> str:
    """What the name of a file says about how it is read; empty when its bytes do.

    >>> kind_of("eval.CSV"), kind_of("metrics.jsonl")
    ('csv', '')
    """
    ending = name.rpartition(".")[2].lower()
    return ending if ending in KINDS else ""


@dataclass(slots=True)
class Notes:
    """What was skipped, in words; of many of a kind the first are told and the others counted."""

    told: list[str] = field(default_factory=list)
    more: int = 0
    lists: set[str] = field(default_factory=set)

    def add(self, problem: str) -> None:
        """Note a problem."""
        if len(self.told) < _MOST_NOTES:
            self.told.append(problem)
        else:
            self.more += 1

    def all(self) -> list[str]:
        """All notes."""
        found = [*self.told, *([f"{self.more:,} more problems like these"] if self.more else [])]
        if self.lists:
            names = sorted(self.lists)
            some = ", ".join(names[:_MOST_NOTES]) + (", …" if len(names) > _MOST_NOTES else "")
            found.append(f"lists are no metrics and were left out: {some}")
        return found


def read_records(stream: BinaryIO, kind: str, notes: Notes) -> Iterator[Record]:
    """The records of a file, in order.

    Parameters
    ----------
    stream : file object
        Read to its end, a piece at a time where the format allows it.
    kind : str
        As of `kind_of`.
    notes : Notes
        Gets what was skipped.
    """
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(_Raw(stream), 1 << 16)
    encoding = "utf-16" if buffered.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    text = io.TextIOWrapper(buffered, encoding, "replace")
    try:
        if kind in ("yaml", "yml"):
            yield from _yaml(text, notes)
        elif kind in ("csv", "tsv"):
            yield from table.rows(text, kind, notes.add)
        else:
            yield from _sniffed(text, notes)
    finally:
        text.detach()


class _Raw(io.RawIOBase):
    """Any object with ``read`` as what a buffered reader takes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _sniffed(text: io.TextIOWrapper, notes: Notes) -> Iterator[Record]:
    lines = _lines(text, notes)
    first = next((line for line in lines if line[1].strip()), None)
    if first is None:
        return
    start = first[1].lstrip()[:1]
    if start == "{" and _is_object(first[1]):
        yield from _json_lines(itertools.chain([first], lines), notes)
    elif start in ("{", "["):
        yield from _json_documents(first, lines, notes)
    elif table.delimiter_of(first[1]) is not None:
        yield from table.rows(itertools.chain([first[1]], (line for _, line in lines)), "", notes.add)
    else:
        notes.add("neither JSON, nor CSV with a header of more than one column; for YAML name it .yaml")


def _lines(text: io.TextIOWrapper, notes: Notes) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; one that is too long to be held is skipped."""
    for number in itertools.count(1):
        line = text.readline(LONGEST_DOCUMENT)
        if not line:
            return
        if len(line) == LONGEST_DOCUMENT and not line.endswith("\n"):
            while (rest := text.readline(LONGEST_DOCUMENT)) and not rest.endswith("\n"):
                pass
            notes.add(f"line {number} is longer than {LONGEST_DOCUMENT:,} characters")
        else:
            yield number, line


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _json_lines(lines: Iterable[tuple[int, str]], notes: Notes) -> Iterator[Record]:
    for number, line in lines:
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            complete = line.endswith("\n")
            notes.add(
                f"line {number} is no JSON" if complete else f"line {number}, the last, is not complete"
            )
            continue
        yield from _flat([document], notes, f"line {number}")


def _json_documents(
    first: tuple[int, str], lines: Iterator[tuple[int, str]], notes: Notes
) -> Iterator[Record]:
    """Documents that go over lines, one after the other; when the very first cannot be read, lines after all."""
    held, length = [first], len(first[1])
    for line in lines:
        held.append(line)
        length += len(line[1])
        if length > LONGEST_DOCUMENT:
            break
    if length > LONGEST_DOCUMENT and first[1].lstrip()[:1] == "[":
        notes.add(f"a document of more than {LONGEST_DOCUMENT:,} characters; write JSON lines instead")
        return
    text = "".join(line for _, line in held).strip()
    decoder, place, count = json.JSONDecoder(), 0, 0
    while place < len(text) and length <= LONGEST_DOCUMENT:
        try:
            document, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            break
        count += 1
        yield from _flat(document if isinstance(document, list) else [document], notes, f"document {count}")
        place = _SPACE.match(text, place).end()  # type: ignore[union-attr]  # it always matches
    if count == 0:
        yield from _json_lines(itertools.chain(held, lines), notes)
    elif place < len(text):
        notes.add(f"what follows document {count} is no JSON, or not complete")


def _flat(documents: Iterable[Any], notes: Notes, what: str) -> Iterator[Record]:
    """Records of those documents that are objects."""
    for document in documents:
        if not isinstance(document, Mapping):
            notes.add(f"{what} is or holds something that is no object")
            continue
        try:
            yield flattened(document, notes.lists)
        except ValueError as error:
            notes.add(f"{what} was skipped: {error}")


def _yaml(text: io.TextIOWrapper, notes: Notes) -> Iterator[Record]:
    content = text.read(LONGEST_DOCUMENT + 1)
    if len(content) > LONGEST_DOCUMENT:
        notes.add(f"a document of more than {LONGEST_DOCUMENT:,} characters; write JSON lines instead")
        return
    # Only those who have such files pay for loading it.
    yaml = importlib.import_module("yaml")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    documents = yaml.load_all(content, Loader=loader)
    for count in itertools.count(1):
        try:
            document = next(documents, None)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            notes.add(f"document {count} is no YAML: {' '.join(str(error).split())[:200]}")
            return
        if document is None:
            return
        yield from _flat(document if isinstance(document, list) else [document], notes, f"document {count}")
