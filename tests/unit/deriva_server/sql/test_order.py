"""Sort keys of decimals and arrays, against Python's own order."""

import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from deriva_server.sql.sqlite.order import array_key, decimal_key

decimals = st.decimals(allow_nan=False, allow_infinity=False)


@given(decimals, decimals)
def test_decimals_sort_as_numbers(one: Decimal, other: Decimal) -> None:
    first, second = decimal_key(f"{one:f}"), decimal_key(f"{other:f}")
    assert (first < second, first == second) == (one < other, one == other)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_floats_sort_as_numbers(one: float, other: float) -> None:
    assert (decimal_key(one) < decimal_key(other)) == (one < other)


members = st.lists(st.one_of(st.none(), st.integers(-200, 200)), max_size=4)


@given(members, members)
def test_arrays_sort_by_members(one: list[int | None], other: list[int | None]) -> None:
    def comparable(array: list[int | None]) -> list[tuple[bool, int]]:
        return [(member is None, member or 0) for member in array]

    first, second = array_key(json.dumps(one), "int4"), array_key(json.dumps(other), "int4")
    assert (first < second) == (comparable(one) < comparable(other))


def test_no_number_is_last() -> None:
    assert decimal_key(float("-inf")) < decimal_key(-1e300) < decimal_key(1e300) < decimal_key(float("inf"))
    assert decimal_key(float("inf")) < decimal_key("NaN")
    assert decimal_key(None) is None and array_key(None, "text") is None
