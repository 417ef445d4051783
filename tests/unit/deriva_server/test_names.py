import datetime as dt
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deriva_server.names import (
    decode_id,
    encode_id,
    from_microseconds,
    is_identifier,
    normal_rid,
    stored_time,
    to_microseconds,
)

NUMBERS = st.integers(0, 2**63 - 1)
FORM = re.compile(r"[0-9A-HJKMNP-TV-Z]{1,4}(-[0-9A-HJKMNP-TV-Z]{4})*")
MOMENTS = st.datetimes(dt.datetime(1970, 1, 1), timezones=st.just(dt.UTC))


@given(NUMBERS)
def test_ids_come_back(number):
    text = encode_id(number)
    assert FORM.fullmatch(text)
    assert decode_id(text) == number


@given(NUMBERS, NUMBERS)
def test_longer_ids_are_larger_and_equal_lengths_sort_as_text(one, two):
    texts = [encode_id(number) for number in sorted((one, two))]
    assert sorted(texts, key=lambda text: (len(text), text)) == texts


@given(NUMBERS, st.data())
def test_ids_are_read_leniently(number, data):
    text = encode_id(number)
    swaps = {"0": "0Oo", "1": "1IiLl"}
    spelt = "".join(
        data.draw(st.sampled_from(swaps.get(symbol, symbol + symbol.lower()))) for symbol in text
    ).replace("-", data.draw(st.sampled_from(["-", "", "--"])))
    assert decode_id(spelt) == number
    assert normal_rid(spelt) == text


@given(st.text(max_size=20))
def test_other_texts_are_refused_or_stand_for_a_number(text):
    try:
        number = decode_id(text)
    except ValueError:
        assert normal_rid(text) == text
    else:
        assert encode_id(number) == normal_rid(text)


@pytest.mark.parametrize("text", ["", "-", "U", "1*", "ZZZZ-ZZZZ-ZZZZ-Z", "0" * 14, " 1", "é"])
def test_what_is_no_id(text):
    with pytest.raises(ValueError, match="not an id"):
        decode_id(text)


@given(MOMENTS)
def test_moments_come_back_to_the_microsecond(moment):
    number = to_microseconds(moment)
    assert from_microseconds(decode_id(encode_id(number))) == moment
    assert dt.datetime.fromisoformat(stored_time(number)) == moment


@given(MOMENTS, MOMENTS)
def test_stored_times_sort_as_text(one, two):
    assert (one < two) == (stored_time(to_microseconds(one)) < stored_time(to_microseconds(two)))


@given(st.text())
def test_names_fit_63_bytes(text):
    fits = 0 < len(text.encode("utf-8", "surrogatepass")) <= 63 and "\0" not in text
    assert is_identifier(text) == fits


@pytest.mark.parametrize("value", [None, 5, ["x"], b"x"])
def test_names_are_texts(value):
    assert not is_identifier(value)
