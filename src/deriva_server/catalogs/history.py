"""What is known of a catalog's past, and how to forget or amend it."""

from __future__ import annotations

from deriva_server.catalogs.catalog import Reading, Writing
from deriva_server.errors import BadRequest, Conflict, NotFound
from deriva_server.names import decode_id, encode_id
from deriva_server.sql import history, modelstore
from deriva_server.values import Frozen


class Range(Frozen, frozen=True):
    """A stretch of the past.

    Parameters
    ----------
    first, last : int
        Snapshots that bound it, in microseconds since 1970.
    amended : int or None
        When anything in it was last amended.
    """

    first: int
    last: int
    amended: int | None


def snapshot_time(text: str) -> int:
    """Microseconds of a snapshot id in any spelling.

    Raises
    ------
    Conflict
        If it is no id.
    """
    try:
        return decode_id(text)
    except ValueError as error:
        raise Conflict(f'"{text}" is not a snapshot id.') from error


def clamped(reading: Reading, text: str) -> int:
    """The last snapshot not later than a snapshot id.

    Raises
    ------
    Conflict
        If the catalog's history begins later.
    """
    found = modelstore.latest_snapshot(reading.connection, snapshot_time(text))
    if found is None:
        raise Conflict(
            f'Requested catalog revision "{text}" of catalog "{reading.catalog.id}" is prior to any known revision.'
        )
    return found[0]


def find_range(reading: Reading, since: str | None, until: str | None) -> Range:
    """The stretch between two snapshot ids, either of which may be open.

    Raises
    ------
    NotFound
        If nothing is known in it.
    """
    start = None if since is None else clamped(reading, since)
    end = None if until is None else clamped(reading, until)
    known = modelstore.snapshots_between(reading.connection, start, end)
    if known is None:
        raise NotFound("history in this range")
    first = known[0] if start is None else start
    last = known[1] if end is None else end
    amended = modelstore.last_amendment(reading.connection, first, max(last, first + 1))
    return Range(first, last, amended)


def truncate(writing: Writing, until: str) -> None:
    """Forget everything that ended at or before a snapshot.

    Raises
    ------
    NotFound
        If nothing was left to forget.
    """
    moment = clamped(writing, until)
    known = modelstore.snapshots_between(writing.connection, None, moment)
    forgotten = history.truncate(writing.connection, moment)
    if not forgotten and (known is None or known[0] == moment):
        raise NotFound(f"history before {encode_id(moment)}")
    modelstore.forget_snapshots(writing.connection, moment)
    writing.keep()


def bounds(writing: Writing, since: str | None, until: str | None) -> tuple[int, int]:
    """Both bounds of an amendment, which must be given.

    Raises
    ------
    BadRequest
        If one is missing.
    """
    if since is None or until is None:
        raise BadRequest("An amendment of history needs both bounds.")
    return clamped(writing, since), clamped(writing, until)
