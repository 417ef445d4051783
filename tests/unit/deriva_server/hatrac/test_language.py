"""URLs and ranges."""

from __future__ import annotations

import contextlib
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deriva_server.errors import BadRequest, RangeNotSatisfiable, ServiceError
from deriva_server.hatrac.ranges import wanted_range
from deriva_server.hatrac.target import Target, parse_target, url_of

names = st.text(min_size=1).filter(lambda name: name not in (".", ".."))


@given(st.lists(names.map(lambda name: quote(name, safe="", errors="surrogatepass"))))
def test_paths_print_back(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    target = parse_target(url_of(path) + "?parents=true&cid=x")
    assert target == Target(path, parents=True)
    assert target.url == url_of(path)


@given(names)
def test_roles_are_decoded(role: str) -> None:
    target = parse_target(f"/hatrac/a:V;acl/read/{quote(role, safe='', errors='replace')}")
    assert (target.version, target.sub) == ("V", "acl")


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ServiceError):
        parse_target("/hatrac" + text)


@pytest.mark.parametrize(
    "text", ["/hatrac:V", "/hatrac/:V", "/hatrac/a/:V", "/hatrac/a:b:c", "/hatrac/a:b/c", "/hatrac/a;acl//x"]
)
def test_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_target(text)


@given(
    st.integers(0, 30), st.integers(0, 40), st.integers(0, 40), st.sampled_from(["{0}-{1}", "{0}-", "-{0}"])
)
def test_ranges_are_what_slices_give(size: int, first: int, last: int, form: str) -> None:
    data = bytes(range(size))
    text = form.format(first, last)
    wanted = slice(first, last + 1) if form == "{0}-{1}" else slice(first, None)
    if form == "-{0}":
        wanted = slice(-first, None)
    if (form == "-{0}" and first == 0) or (form == "{0}-{1}" and last < first):
        assert wanted_range(f"bytes={text}", size) is None
        return
    try:
        found = wanted_range(f"bytes={text}", size)
    except RangeNotSatisfiable:
        assert data[wanted] == b""
        return
    start, length = found or (0, size)
    assert data[start : start + length] == data[wanted]
