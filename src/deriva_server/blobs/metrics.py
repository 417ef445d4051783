"""The index of metrics: what files of metrics come to, read when they are first asked for.

Its entries are facts of contents, so they hold as long as the content is there, whatever its names. They can be made
again from the bytes at any time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from deriva_server.blobs.bodies import readable
from deriva_server.blobs.collect import Told
from deriva_server.blobs.directory import Directory
from deriva_server.blobs.located import Location, locate
from deriva_server.errors import NotFound, ServiceError
from deriva_server.identity import Client
from deriva_server.metrics.summary import collect, dump, summarise
from deriva_server.sql import metrics
from deriva_server.sql.dialect import Connection
from deriva_server.sql.metrics import IndexSize, Key
from deriva_server.sql.objects import Version

SECONDS = 10.0
"""How long one request reads files that the index does not have; it is told of which ones are left."""
_PIECE = 64
"""Files that are read before what they come to is kept: so much is done again after a crash."""


@dataclass(frozen=True, slots=True)
class Found:
    """One file: its MD5 in hexadecimal where it is known, and a JSON text; without a text there was no time for it."""

    md5: str | None
    text: str | None


class MetricsIndex:
    """What files of metrics come to.

    Parameters
    ----------
    directory : Directory
        Names and versions, and the bytes behind them.
    """

    def __init__(self, directory: Directory) -> None:
        metrics.prepare_metrics(directory.database)
        self.directory = directory

    def summaries(
        self, client: Client, wanted: Sequence[tuple[Location, str]], seconds: float = SECONDS
    ) -> list[Found | ServiceError]:
        """The summary of each file, or why the client does not get it.

        Parameters
        ----------
        client : Client
            Gets summaries of files that it may read.
        wanted : sequence
            Location of each file and how it is read, as of `deriva_server.metrics.records.kind_of`.
        seconds : float
            After this time files that the index does not have are left for another request; at least one is read.
        """
        with self.directory.read() as connection:
            versions = locate(connection, client, [place for place, _ in wanted])
            blobs = {each.blob for each in versions if not isinstance(each, ServiceError)}
            known = metrics.summaries(connection, blobs)
        lengths = {
            (each.blob, kind): each.length
            for each, (_, kind) in zip(versions, wanted, strict=True)
            if not isinstance(each, ServiceError)
        }
        texts = {**known, **self._read([item for item in lengths.items() if item[0] not in known], seconds)}
        return [
            each if isinstance(each, ServiceError) else _found(each, texts.get((each.blob, kind)))
            for each, (_, kind) in zip(versions, wanted, strict=True)
        ]

    def records(
        self, client: Client, wanted: Sequence[tuple[Location, str]], seconds: float = SECONDS
    ) -> list[Found | ServiceError]:
        """As `summaries`, with all records of each file, which are read from its bytes."""
        with self.directory.read() as connection:
            versions = locate(connection, client, [place for place, _ in wanted])
        until = _Deadline(seconds)
        found: list[Found | ServiceError] = []
        for each, (_, kind) in zip(versions, wanted, strict=True):
            if isinstance(each, ServiceError):
                found.append(each)
            else:
                key = (each.blob, kind)
                found.append(
                    _found(each, None if until.passed() else self._text(key, each.length, _everything))
                )
        return found

    def _read(self, missing: Iterable[tuple[Key, int]], seconds: float) -> dict[Key, str | ServiceError]:
        """Read files and keep what they come to, some at a time."""
        until, rest = _Deadline(seconds), iter(missing)
        made: dict[Key, str | ServiceError] = {}
        while piece := {
            key: self._text(key, length, _summary) for key, length in islice(_while(rest, until), _PIECE)
        }:
            self._keep(piece)
            made |= piece
        return made

    def _keep(self, read: Mapping[Key, str | ServiceError], gone: Collection[str] = ()) -> None:
        """Keep what files come to in place of what was known of them."""
        texts = {key: text for key, text in read.items() if isinstance(text, str)}

        def replace(connection: Connection) -> None:
            metrics.forget_summaries(connection, gone)
            metrics.add_summaries(connection, texts)

        self.directory.write(replace)

    def _text(self, key: Key, length: int, make: Callable[[BinaryIO, str], str]) -> str | ServiceError:
        try:
            with readable(self.directory.backend.read(key[0], 0, length)) as stream:
                return make(stream, key[1])
        except NotFound as error:
            return error

    def size(self) -> IndexSize:
        """How much the index holds."""
        with self.directory.read() as connection:
            return metrics.index_size(connection)

    def rebuild(self, told: Told) -> int:
        """Read again the files of all entries; those whose content is gone are forgotten. How many there are then."""
        expected = self.size().entries
        done = kept = 0
        after: Key = ("", "")
        while page := self._page(after):
            after = page[-1]
            read = {key: self._text(key, self.directory.backend.size(key[0]) or 0, _summary) for key in page}
            gone = {key[0] for key, text in read.items() if not isinstance(text, str)}
            self._keep(read, gone)
            done, kept = done + len(page), kept + sum(key[0] not in gone for key in page)
            told("files", min(done, expected), expected)
        return kept

    def _page(self, after: Key) -> list[Key]:
        with self.directory.read() as connection:
            return metrics.indexed(connection, after)


def _found(version: Version, text: str | ServiceError | None) -> Found | ServiceError:
    return text if isinstance(text, ServiceError) else Found(version.metadata.md5, text)


def _summary(stream: BinaryIO, kind: str) -> str:
    return dump(summarise(stream, kind).document())


def _everything(stream: BinaryIO, kind: str) -> str:
    summary, values = collect(stream, kind)
    return dump(summary.document() | {"values": values})


class _Deadline:
    """A time that has not passed when it is asked for the first time."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds
        self._asked = False

    def passed(self) -> bool:
        """Whether it is too late to begin something."""
        first, self._asked = not self._asked, True
        return not first and time.monotonic() > self._at


def _while(rest: Iterator[tuple[Key, int]], until: _Deadline) -> Iterator[tuple[Key, int]]:
    """Items until there is no more time."""
    while not until.passed() and (item := next(rest, None)) is not None:
        yield item
