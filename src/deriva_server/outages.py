"""What keeps the service from answering for a while is told once, and the requests that meet it are counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_AGAIN_SECONDS = 60.0
_OVER_SECONDS = 10.0
"""Clients pause for less between two attempts."""


@dataclass(slots=True)
class _Outage:
    told: float
    last: float
    count: int = 0


class Outages:
    """The outages of the moment, by their reasons.

    Parameters
    ----------
    clock : callable
        Seconds.

    Examples
    --------
    >>> outages = Outages()
    >>> outages.failed("the database is away"), outages.failed("the database is away")
    ('the database is away', None)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._outages: dict[str, _Outage] = {}

    def failed(self, reason: str) -> str | None:
        """What the log is told of a request that failed; None if it knows already."""
        now = self._clock()
        outage = self._outages.get(reason)
        if outage is None:
            self._outages[reason] = _Outage(now, now)
            return reason
        outage.last = now
        outage.count += 1
        if now - outage.told < _AGAIN_SECONDS:
            return None
        said = f"{reason} (and {_more(outage.count - 1)} meanwhile)" if outage.count > 1 else reason
        outage.told, outage.count = now, 0
        return said

    def answered(self) -> Iterator[str]:
        """What the log is told when a request was answered: which outages are over."""
        if not self._outages:
            return
        now = self._clock()
        # Other threads add and remove at the same time.
        for reason, outage in list(self._outages.items()):
            if now - outage.last > _OVER_SECONDS:
                ended = self._outages.pop(reason, None)
                if ended is not None and ended.count:
                    were = "was" if ended.count == 1 else "were"
                    yield f"{_more(ended.count)} {were} answered so until it was over: {reason}"


def _more(count: int) -> str:
    return f"{count} more request{'' if count == 1 else 's'}"
