"""The rule that no two rows of one request may agree on all their keys, for requests of any length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b

from deriva_server.errors import BadRequest, Conflict
from deriva_server.model.values import Stored

_SIZE = 16
"""Bytes per row that are kept: too many for two different rows ever to look alike."""
_MOST = 20_000
"""So many keys are kept as they are."""
_PARTS = 16
"""Digests are kept and compared in so many parts, because a set takes many times their own space."""


class Twins:
    """What is known of the keys of the rows so far.

    Parameters
    ----------
    indexes : sequence of int
        Which values of a row are its keys; none of them means that no rows are twins.
    nulls_agree : bool
        Whether two NULLs agree.
    """

    def __init__(self, indexes: Sequence[int], *, nulls_agree: bool = False) -> None:
        self._indexes = indexes
        self._nulls_agree = nulls_agree
        self._latest: set[tuple[Stored, ...]] = set()
        self._digests = [bytearray() for _ in range(_PARTS)]

    def add(self, rows: Sequence[Sequence[Stored]]) -> None:
        """Note more rows.

        Raises
        ------
        BadRequest
            If two of these are twins.
        """
        if not self._indexes:
            return
        keys = list(zip(*([row[at] for row in rows] for at in self._indexes), strict=True))
        if not self._nulls_agree:
            keys = [key for key in keys if None not in key]
        added = set(keys)
        if len(added) < len(keys):
            raise BadRequest(f"Two input rows have the same key values{_first_shown(keys)}.")
        if not self._latest.isdisjoint(added):
            raise BadRequest(
                f"Two input rows have the same key values{_first_shown([*self._latest, *keys])}."
            )
        self._latest |= added
        if len(self._latest) > _MOST:
            self._keep_digests()

    def check(self) -> None:
        """See whether any two rows of all are twins.

        Raises
        ------
        BadRequest
            If so.
        """
        if not any(self._digests):
            return
        self._keep_digests()
        for digests in self._digests:
            known = {bytes(digests[at : at + _SIZE]) for at in range(0, len(digests), _SIZE)}
            if len(known) * _SIZE < len(digests):
                raise BadRequest("Two input rows have the same key values.")

    @contextmanager
    def preferred(self) -> Iterator[None]:
        """Check at the end of the block, and before a conflict leaves it, which twins may be the reason of."""
        try:
            yield
        except Conflict:
            self.check()
            raise
        self.check()

    def _keep_digests(self) -> None:
        for key in self._latest:
            digest = blake2b(repr(key).encode(), digest_size=_SIZE).digest()
            self._digests[digest[0] % _PARTS] += digest
        self._latest = set()


def _first_shown(keys: Sequence[tuple[Stored, ...]]) -> str:
    seen: set[tuple[Stored, ...]] = set()
    for key in keys:
        if key in seen:
            return f" {key!r}"
        seen.add(key)
    return ""
