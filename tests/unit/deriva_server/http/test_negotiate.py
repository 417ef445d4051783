"""Which type rows are sent as."""

import pytest

from deriva_server.http.negotiate import CSV, JSON, JSON_STREAM, accepted, response_type, suffix


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("*/*", None),
        ("text/*;q=1", None),
        ("Text/CSV", CSV),
        ("text/csv;q=0.1, application/x-json-stream;q=0.2", JSON_STREAM),
        ("text/csv;q=0", None),
        ("text/csv;q=what", None),
        ("text/html,application/json;charset=utf-8", JSON),
    ],
)
def test_accepted(header, expected):
    assert accepted(header) == expected


def test_the_option_wins():
    assert response_type("csv", "application/json") == CSV
    assert response_type("nonsense", "text/csv") == CSV
    assert response_type(None, None, JSON_STREAM) == JSON_STREAM
    assert suffix(JSON_STREAM) == "json"
