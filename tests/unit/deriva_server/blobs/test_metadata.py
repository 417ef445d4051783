from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deriva_server.blobs.checksums import Digests, Hasher, read_digest, write_digest
from deriva_server.blobs.metadata import all_fields, read_metadata, verified, with_field
from deriva_server.errors import BadRequest, Conflict


@given(st.binary(max_size=200), st.integers(1, 50))
def test_digests_do_not_depend_on_pieces(data: bytes, size: int) -> None:
    hasher = Hasher(len(data))
    for start in range(0, len(data), size):
        hasher.update(data[start : start + size])
    expected = Digests(hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest(), len(data))
    assert hasher.finish() == expected


def test_large_content_in_threads() -> None:
    piece = bytes(1 << 20)
    hasher = Hasher(9 << 20)
    for _ in range(9):
        hasher.update(piece)
    assert hasher.finish().md5 == hashlib.md5(piece * 9).hexdigest()


@given(st.binary(min_size=32, max_size=32))
def test_digest_spellings(raw: bytes) -> None:
    assert read_digest("sha256", raw.hex()) == raw.hex()
    assert read_digest("sha256", raw.hex().upper()) == raw.hex()
    assert read_digest("sha256", base64.b64encode(raw).decode()) == raw.hex()
    assert read_digest("sha256", write_digest(raw.hex())) == raw.hex()


@pytest.mark.parametrize("text", ["", "x", "é", "=" * 24, "A" * 31, base64.b64encode(bytes(15)).decode()])
def test_not_a_digest(text: str) -> None:
    with pytest.raises(BadRequest):
        read_digest("md5", text)


def test_fields() -> None:
    metadata = read_metadata(
        {"content-type": "TEXT/csv; charset=x", "content-md5": "", "content-sha256": None}
    )
    assert all_fields(metadata) == {"content-type": "text/csv"}
    metadata = with_field(metadata, "content-md5", "0" * 32)
    assert with_field(metadata, "content-md5", "0" * 32) == metadata
    with pytest.raises(Conflict):
        with_field(metadata, "content-md5", "1" * 32)
    with pytest.raises(BadRequest):
        with_field(metadata, "content-type", "")
    with pytest.raises(BadRequest):
        with_field(metadata, "colour", "red")
    with pytest.raises(BadRequest):
        verified(metadata, Digests("2" * 32, "3" * 64, 1), BadRequest)


@pytest.mark.parametrize(
    "text", ["", "filename*=UTF-8''%FF", "filename*=UTF-8''a%5Cb", "filename*=utf8''a", "a\nb"]
)
def test_bad_dispositions(text: str) -> None:
    with pytest.raises(BadRequest):
        with_field(read_metadata({}), "content-disposition", text)
