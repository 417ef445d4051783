"""Questions by the plain protocol."""

from __future__ import annotations

from typing import Any

import pytest

from deriva_ml.lineage import sources
from deriva_ml.lineage.links import Question

EMPTY, FULL = Question("L:=s:T", "RID", "RID"), Question("L:=s:U", "RID", "RID")


class Catalog:
    """Holds one row, of one table."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def query(self, _: Any, path: str) -> list[dict[str, str]]:
        self.asked.append(path)
        return [{"RID": "1"}] if "s:U" in path and ("RID=1" in path or "limit" in path) else []


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> Catalog:
    made = Catalog()
    monkeypatch.setattr(sources, "query", made.query)
    monkeypatch.setattr(sources, "conditions", lambda _, where: [f"/RID={';'.join(where['RID'])}"])
    return made


def test_what_no_row_can_answer_is_asked_no_more(catalog: Catalog) -> None:
    source = sources.Asked(None)  # type: ignore[arg-type]
    assert [source.ask(EMPTY, [str(number)]) for number in range(9)] == [[]] * 9
    assert catalog.asked[2:] == ["/attribute/L:=s:T/RID?limit=1"]


def test_what_some_row_answers_is_always_asked(catalog: Catalog) -> None:
    source = sources.Asked(None)  # type: ignore[arg-type]
    for number in range(2, 9):
        assert source.ask(FULL, [str(number)]) == []
    assert source.ask(FULL, ["1"]) == [{"RID": "1"}]
    assert sum("limit" in path for path in catalog.asked) == 1
