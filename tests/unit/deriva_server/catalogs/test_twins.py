import pytest

from deriva_server.catalogs.twins import Twins
from deriva_server.errors import BadRequest, Conflict

COUNT = 15_000


def batch(start):
    return [(f"r{at}", None, at) for at in range(start, start + COUNT)]


@pytest.mark.parametrize("batches", [1, 2, 4])
def test_twins_are_found_however_far_apart(batches):
    twins = Twins([0])
    with pytest.raises(BadRequest), twins.preferred():
        for at in range(batches):
            twins.add(batch(at * COUNT))
        twins.add([("r7", "x", 0)])


def test_twins_are_the_better_reason():
    twins = Twins([0])
    with pytest.raises(BadRequest), twins.preferred():
        for at in (0, COUNT, 2 * COUNT, 1):
            twins.add(batch(at))
        raise Conflict("taken")


def test_null_agrees_only_where_asked():
    rows = [("a", None, 1), ("a", None, 2)]
    Twins([0, 1]).add(rows)
    with pytest.raises(BadRequest):
        Twins([0, 1], nulls_agree=True).add(rows)
