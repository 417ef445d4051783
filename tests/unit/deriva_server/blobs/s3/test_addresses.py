from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deriva_server.blobs.s3.addresses import Address, parse_address
from deriva_server.errors import DeploymentError

NAMES = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,20}[a-z0-9]", fullmatch=True)
PREFIXES = st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,9}", fullmatch=True), max_size=3).map("/".join)
ENDPOINTS = st.sampled_from([None, "http://localhost:8333", "https://s3.example.org", "http://[::1]:9000/s3"])
REGIONS = st.sampled_from([None, "eu-central-1"])


@given(st.builds(Address, NAMES, PREFIXES, ENDPOINTS, REGIONS))
def test_an_address_prints_itself_back(address: Address) -> None:
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "does not begin with s3://"),
        ("bucket/prefix", "does not begin with s3://"),
        ("https://bucket.example.org", "does not begin with s3://"),
        ("s3://", "names no bucket"),
        ("s3:///prefix", "names no bucket"),
        ("s3://b/x", "names no bucket: 'b'"),
        ("s3://two words", "names no bucket"),
        ("s3://bucket:80/x", "names no bucket"),
        ("s3://bucket/a/../b", "its prefix"),
        ("s3://bucket/a//b", "its prefix"),
        ("s3://bucket/a#b", "its prefix"),
        ("s3://bucket?zone=1", "an option 'zone'"),
        ("s3://bucket?endpoint=localhost:80", "its endpoint"),
        ("s3://bucket?endpoint=http://host:abc", "its endpoint"),
        ("s3://bucket?endpoint=", "its endpoint"),
        ("s3://bucket?region=a b", "its region"),
        ("s3://bucket?endpoint", "cannot be read"),
        ("s3://[bucket", "cannot be read"),
    ],
)
def test_wrong_addresses(text: str, why: str) -> None:
    with pytest.raises(DeploymentError) as caught:
        parse_address(text)
    said = str(caught.value)
    assert why in said and "write s3://bucket/prefix" in said and "\n" not in said


@pytest.mark.parametrize(
    "text", ["s3://key:secret@bucket/x", "s3://bucket?endpoint=http://key:secret@host", "https://a:secret@b"]
)
def test_credentials_are_neither_taken_nor_repeated(text: str) -> None:
    with pytest.raises(DeploymentError, match="holds no credentials") as caught:
        parse_address(text)
    assert "secret" not in str(caught.value)
