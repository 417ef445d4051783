"""Sorting and paging, checked against Python on random rows."""

import random

import pytest

KEYS = [("x", False), ("x", True), ("i4", False), ("i4", True)]


@pytest.fixture(scope="module")
def rows(_scratch):
    for name in ("Every",):
        _scratch.delete(f"/entity/S:{name}")
    rng = random.Random(5)
    rows = [
        {"x": rng.choice(["a", "B", "é", "", None, "z"]), "i4": rng.choice([None, 1, 2, 10]), "n": at}
        for at in range(60)
    ]
    assert _scratch.post("/entity/S:Every", rows).status == 200
    return rows


def ordered(rows, key, descending):
    """NULL is the largest."""
    return sorted(
        rows, key=lambda row: (row[key] is None, row[key] or (0 if key == "i4" else "")), reverse=descending
    )


@pytest.mark.parametrize(("key", "descending"), KEYS)
def test_order(_scratch, rows, key, descending):
    suffix = "::desc::" if descending else ""
    got = _scratch.column(f"/attribute/S:Every/{key},n@sort({key}{suffix})", key)
    assert got == [row[key] for row in ordered(rows, key, descending)]


@pytest.mark.parametrize(("first", "first_down"), KEYS[:2])
@pytest.mark.parametrize(("second", "second_down"), KEYS[2:])
def test_pages_add_up(_scratch, rows, first, first_down, second, second_down):
    sort = f"@sort({first}{'::desc::' * first_down},{second}{'::desc::' * second_down},n)"
    everything = _scratch.rows(f"/attribute/S:Every/x,i4,n{sort}")
    assert len(everything) == 60

    def page(row):
        values = (
            "::null::" if row[k] is None else str(row[k]).replace("é", "%C3%A9") for k in (first, second, "n")
        )
        return ",".join(values)

    collected, boundary = [], ""
    while True:
        part = _scratch.rows(f"/attribute/S:Every/x,i4,n{sort}{boundary}?limit=7")
        if not part:
            break
        collected += part
        boundary = f"@after({page(part[-1])})"
    assert collected == everything
    for at in (0, 3, 25, 59):
        before = _scratch.rows(f"/attribute/S:Every/x,i4,n{sort}@before({page(everything[at])})?limit=5")
        assert before == everything[max(0, at - 5) : at]
    between = f"@after({page(everything[10])})@before({page(everything[20])})"
    assert _scratch.rows(f"/attribute/S:Every/x,i4,n{sort}{between}") == everything[11:20]
    swapped = f"@before({page(everything[20])})@after({page(everything[10])})?limit=3"
    assert _scratch.rows(f"/attribute/S:Every/x,i4,n{sort}{swapped}") == everything[11:14]
