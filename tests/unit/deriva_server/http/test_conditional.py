from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from deriva_server.errors import PreconditionFailed
from deriva_server.http.conditional import check, etag
from deriva_server.http.message import Request


def test_tags_tell_callers_apart() -> None:
    tags = {
        etag(roles, accept, version)
        for roles in (["*"], ["*", "a"], ["*a"])
        for accept in (None, "text/csv")
        for version in ("1", "2")
    }
    assert len(tags) == 12
    assert etag(["b", "a"], None, "1") == etag(["a", "b"], None, "1")


@given(st.text(max_size=50))
def test_any_accept_header_gives_a_tag_that_matches_itself(accept: str) -> None:
    tag = etag(["*"], accept, "1")
    assert tag.isascii()
    assert tag.count('"') == 2
    answer = check(Request("GET", "/", Headers({"If-None-Match": tag})), tag)
    assert answer is not None
    assert answer.status == 304


@pytest.mark.parametrize(
    ("headers", "exists", "holds"),
    [
        ({}, True, True),
        ({"If-Match": '"t"'}, True, True),
        ({"If-Match": 'W/"t-gzip", "u"'}, True, True),
        ({"If-Match": '"u", junk'}, True, False),
        ({"If-Match": "*"}, True, True),
        ({"If-Match": "*"}, False, False),
        ({"If-None-Match": '"t"'}, True, False),
        ({"If-None-Match": "*"}, True, False),
        ({"If-None-Match": "*"}, False, True),
        ({"If-None-Match": '"u"'}, True, True),
        ({"If-Match": '"t"', "If-None-Match": '"t"'}, True, False),
    ],
)
def test_rules(headers: dict[str, str], exists: bool, holds: bool) -> None:
    tag = '"t"' if exists else None
    answer = check(Request("GET", "/", Headers(headers)), tag, exists=exists)
    assert (answer is None) is holds
    if answer is not None:
        assert answer.status == 304
    write = Request("PUT", "/", Headers(headers))
    if holds:
        assert check(write, tag, exists=exists) is None
    else:
        with pytest.raises(PreconditionFailed):
            check(write, tag, exists=exists)
