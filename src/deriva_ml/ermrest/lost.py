"""Inserts and guarded updates whose answer was lost: what they did is found out, and the rest is sent again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deriva_ml.ermrest.patience import repeated_when_lost
from deriva_ml.errors import DerivaMLConflictError, DerivaMLConnectionError

Row = dict[str, Any]


@dataclass(frozen=True)
class Insert:
    """One request of an insert.

    Parameters
    ----------
    host : str
        Who is asked.
    post : callable
        Sends rows once, all or nothing; returns those that were inserted.
    find : callable
        Rows of the table by accepted values of columns.
    """

    host: str
    post: Callable[[list[Row]], list[Row]]
    find: Callable[[Mapping[str, Collection[Any]]], Iterable[Row]]

    def of_leased(self, rows: list[Row]) -> list[Row]:
        """Insert rows with RIDs that nobody else has: they tell which have arrived, and the others are sent again.

        Raises
        ------
        DerivaMLConflictError
            If a key or a reference is violated.
        """
        missing, arrived, is_repeated = rows, list[Row](), False

        def take(found: Iterable[Row]) -> bool:
            nonlocal missing
            there = {row["RID"]: row for row in found}
            arrived.extend(there.values())
            missing = [row for row in missing if row["RID"] not in there]
            return bool(there)

        def look() -> bool:
            return take(self.find({"RID": [row["RID"] for row in missing]}))

        def send() -> None:
            nonlocal is_repeated
            if is_repeated:
                look()
            while missing:
                try:
                    take(self.post(missing))
                except DerivaMLConnectionError:
                    is_repeated = True
                    raise
                except DerivaMLConflictError:
                    # A lost request may be carried out after it was asked for its rows.
                    if not is_repeated or not look():
                        raise

        repeated_when_lost(self.host, send)
        return _as_given(arrived, rows, ("RID",))

    def skipping(self, rows: list[Row], key: Sequence[str], sent: Collection[str]) -> list[Row]:
        """Insert rows, without those that violate a key.

        Parameters
        ----------
        rows : list of dict
        key : sequence of str
            Columns with values that tell all rows apart.
        sent : collection of str
            Columns that have in the table what the rows say.

        Returns
        -------
        list of dict
            Rows that were inserted. After a lost answer also those that are there as they were sent, in the order
            they were given: whether an attempt that was not heard of inserted them or somebody else before, nobody
            can tell, and what was wanted is there.
        """
        attempts = 0

        def send() -> list[Row]:
            nonlocal attempts
            attempts += 1
            return self.post(rows)

        made = repeated_when_lost(self.host, send)
        if attempts == 1:
            return made
        known = {_values(row, key) for row in made}
        left = [row for row in rows if _values(row, key) not in known]
        if left:
            # Asked for after the repetition: what was lost is either there by now, or comes too late to do anything.
            found = self.find({name: {row[name] for row in left} for name in key})
            made += as_sent(left, found, key, sent)
        return _as_given(made, rows, key)


def as_sent(
    rows: Iterable[Row], found: Iterable[Row], key: Sequence[str], sent: Collection[str]
) -> list[Row]:
    """Those of the found rows that have the values of one of some rows.

    Parameters
    ----------
    rows, found : iterable of dict
    key : sequence of str
        Columns by which they belong together.
    sent : collection of str
        Columns that must be equal.
    """
    wanted = {_values(row, key): row for row in rows}
    pairs = ((wanted.get(_values(row, key)), row) for row in found)
    return [
        row
        for given, row in pairs
        if given is not None and all(row.get(name) == given.get(name) for name in sent)
    ]


def _values(row: Row, key: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in key)


def _as_given(found: list[Row], rows: Iterable[Row], key: Sequence[str]) -> list[Row]:
    place = {_values(row, key): number for number, row in enumerate(rows)}
    # A value may read otherwise than it was sent, as 7 for "7".
    return sorted(found, key=lambda row: place.get(_values(row, key), len(place)))
