"""Whatever is sent, the answer is never a defect of the server, and nothing sent before suffers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import drawn
from tests.protocol.garbage import strategies
from tests.protocol.garbage.conftest import Target
from tests.protocol.garbage.strategies import Garbage

FAMILIES: dict[str, st.SearchStrategy[Garbage]] = {
    "noise": strategies.NOISY,
    "grammar": strategies.WRITTEN,
    "bodies": strategies.bodies(),
    "patterns": strategies.MATCHES,
}


def throw(target: Target, family: str, number: int, count: int) -> None:
    """Send so many requests of one family."""

    @drawn(number, count)
    @given(FAMILIES[family])
    def one(garbage: Garbage) -> None:
        target.mend()
        target.send(garbage.method, garbage.target, garbage.body, **garbage.headers)

    one()
    target.renew()
    assert target.send("GET", "{C}/schema").status == 200
    target.tell(count)


@pytest.mark.parametrize("family", FAMILIES)
def test_some_garbage(target: Target, family: str) -> None:
    throw(target, family, 1, 150)


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("number", range(100, 105))
@pytest.mark.parametrize("family", FAMILIES)
def test_much_garbage(target: Target, family: str, number: int) -> None:
    throw(target, family, number, 5000)
