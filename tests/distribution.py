"""Which worker runs which tests: a file stays together, so that what its tests share is made once.

Files whose tests start programs come first, or one worker would still be busy with them when all others have ended.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property

import pytest
from xdist.scheduler import LoadScopeScheduling

_FIRST = ("journeys", "cli", "machines", "house")
_MOST = 150
"""Tests of a part: a file of thousands of cases is run in parts."""


def first(item: pytest.Item) -> int:
    """Sorts tests by when they begin."""
    folders = item.nodeid.split("/")
    return next((at for at, room in enumerate(_FIRST) if room in folders), len(_FIRST))


class Files(LoadScopeScheduling):
    """Gives workers files, and parts of large ones."""

    @cached_property
    def _parts(self) -> dict[str, str]:
        assert self.collection is not None
        seen: Counter[str] = Counter()
        parts = {}
        for nodeid in self.collection:
            file = nodeid.partition("::")[0]
            parts[nodeid] = f"{file} {seen[file] // _MOST}"
            seen[file] += 1
        return parts

    def _split_scope(self, nodeid: str) -> str:
        return self._parts[nodeid]
