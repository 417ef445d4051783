"""Dates, times and intervals as PostgreSQL writes them, timestamps in their stored form."""

import pytest

from deriva_server.model import times


@pytest.mark.parametrize(
    ("read", "canonical"),
    [
        (times.date, {"2020-1-9": "2020-01-09", " 2020-01-09 23:59:59.9+05 ": "2020-01-09", "0001-1-1": "0001-01-01"}),
        (
            times.timestamp,
            {
                "2020-01-31": "2020-01-31T00:00:00.000000",
                "2020-01-31 01:02": "2020-01-31T01:02:00.000000",
                "2020-01-31t01:02:03": "2020-01-31T01:02:03.000000",
                "2020-01-31 01:02:03.5Z": "2020-01-31T01:02:03.500000",
                "2020-01-31T01:02:03-05": "2020-01-31T01:02:03.000000",
                "2020-01-31T01:02:03,000001": "2020-01-31T01:02:03.000001",
                "2020-01-31T01:02:03.1234565": "2020-01-31T01:02:03.123456",
                "2020-01-31T01:02:03.1234575": "2020-01-31T01:02:03.123458",
                "2020-01-31T01:02:03.9999999": "2020-01-31T01:02:04.000000",
                "2020-01-31T01:59:60": "2020-01-31T02:00:00.000000",
                "2020-01-31T24:00": "2020-02-01T00:00:00.000000",
            },
        ),
        (
            times.timestamptz,
            {
                "2020-01-31T01:02:03.000000+00:00": "2020-01-31T01:02:03.000000+00:00",
                "2020-01-31T01:02:03Z": "2020-01-31T01:02:03.000000+00:00",
                "2020-01-31 01:02:03 UTC": "2020-01-31T01:02:03.000000+00:00",
                "2020-01-31T01:02:03+5": "2020-01-30T20:02:03.000000+00:00",
                "2020-01-31T01:02:03-05": "2020-01-31T06:02:03.000000+00:00",
                "2020-01-31T01:02:03+530": "2020-01-30T19:32:03.000000+00:00",
                "2020-01-31T01:02:03-0530": "2020-01-31T06:32:03.000000+00:00",
                "2020-01-31T01:02:03+5:30:15": "2020-01-30T19:31:48.000000+00:00",
                "2020-01-31T01:02:03+15:59:59": "2020-01-30T09:02:04.000000+00:00",
            },
        ),
        (
            times.time,
            {
                "1:2": "01:02:00",
                "10:20:30+05": "10:20:30",
                "01:02:03.100": "01:02:03.1",
                "01:02:03.000001": "01:02:03.000001",
                "23:59:59.9999999": "24:00:00",
                "24:00": "24:00:00",
            },
        ),
        (
            times.timetz,
            {
                "01:02": "01:02:00+00",
                "01:02:03GMT": "01:02:03+00",
                "01:02:03.5-05": "01:02:03.5-05",
                "01:02:03+05:30": "01:02:03+05:30",
                "01:02:03-00:00:01": "01:02:03-00:00:01",
            },
        ),
        (
            times.interval,
            {
                "0": "00:00:00",
                "5": "00:00:05",
                " 1 day ": "1 day",
                "1 year 2 mons 3 days 04:05:06.7": "1 year 2 mons 3 days 04:05:06.7",
                "2 years 1 month": "2 years 1 mon",
                "-25 months": "-2 years -1 mons",
                "-3 months": "-3 mons",
                "1 Week 1 ms 1 us": "7 days 00:00:00.001001",
                "1.5 years": "1 year 6 mons",
                "1.1 months": "1 mon 3 days",
                "-1.5 days": "-1 days -12:00:00",
                "-1:59": "-01:59:00",
                "+1:02:60": "01:03:00",
                "1 hour -61 minutes": "-00:01:00",
                "-1 year 14 months": "2 mons",
                "-1 month 1 day 1:00": "-1 mons +1 day 01:00:00",
                "-1 day 1:00": "-1 days +01:00:00",
                "1 month 1 day 1:00 AGO": "-1 mons -1 days -01:00:00",
                "P1Y2M3W4DT5H6M7.5S": "1 year 2 mons 25 days 05:06:07.5",
                "p-1dt1h": "-1 days +01:00:00",
                "2147483647 days": "2147483647 days",
                "9223372036854.775807 seconds": "2562047788:00:54.775807",
            },
        ),
    ],
)  # fmt: skip
def test_canonical_texts(read, canonical):
    assert {text: read(text) for text in canonical} == canonical
    assert {read(text) for text in canonical.values()} == set(canonical.values())


@pytest.mark.parametrize(
    ("read", "texts"),
    [
        (times.date, ["2020-02-30", "2020-W01-1", "20200131", "2020-01-31T25:00x"]),
        (
            times.timestamp,
            ["2020-01-31T24:00:00.000001", "2020-01-31T01:60", "2020-01-31T01:02:61", "2020-01-31T010203"],
        ),
        (
            times.timestamptz,
            [f"2020-01-31T01:02{offset}" for offset in ("+16", "-05:60", "+05:30:60", "+5:3")],
        ),
        (times.time, ["24:00:01", "1:60", "1:02:61", "1"]),
        (times.timetz, ["01:02+16"]),
        (
            times.interval,
            [
                *("", " ", "ago", "soon", "1 fortnight", "1 day x", "1:60", "1:02:61", "1:2:345"),
                *("P", "PX", "P1H", "PT1D", "P1Y2", "P1DT2HT3M", "P1Y ago"),
                *("2147483648 days", "2147483648 months", "9223372036854.775808 seconds"),
            ],
        ),
    ],
)
def test_what_is_no_time_is_refused(read, texts):
    for text in texts:
        with pytest.raises(ValueError):
            print(text, "is", read(text))


def test_lengths_of_intervals_order_them():
    lengths = {"1 mon": 2_592_000, "1 day": 86_400, "-1 day 0.5 hours": -84_600, "00:00:01.5": 1.5}
    assert {text: times.interval_length(text) for text in lengths} == lengths


def test_stored_timestamps_lose_their_zeros():
    texts = {".450000+00:00": ".45+00:00", ".000000": "", ".000000+00:00": "+00:00", ".000001": ".000001"}
    stored = "2020-10-20T10:20:30"
    assert {end: times.shorten(stored + end) for end in texts} == {
        end: stored + short for end, short in texts.items()
    }
