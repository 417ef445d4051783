"""Requests to the object service that are wrong: wholly, or by a hair.

``{S}`` stands for a namespace with an object ``o`` of two versions ``{V}`` and ``{W}``, an unfinished upload ``{J}`` to it,
an object ``gone`` that was deleted, and ``old`` that was renamed to ``new``; ``{P}`` is ``{S}`` without the service.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from hypothesis import strategies as st
from tests.protocol.garbage.strategies import (
    BYTES,
    METHODS,
    NOISE,
    ODDITIES,
    VALUES,
    Garbage,
    mostly,
    mutated,
    raw,
)

MD5, SHA256 = (base64.b64encode(hashlib.new(kind, b"data").digest()).decode() for kind in ("md5", "sha256"))

# what is there, and what may be asked of it
PLACES = st.sampled_from(
    ["{S}", "{S}/", "{S}/o", "{S}/o", "{S}/o", "{V}", "{W}", "{S}/gone", "{S}/old", "{S}/new", "{S}/free", "{S}/free/er",
     "{S}/o/below", "{S}/none:V", "{S}:V", "/hatrac/", "{S}//o//"]
)  # fmt: skip
LISTS = st.sampled_from(
    [
        "owner",
        "read",
        "create",
        "update",
        "subtree-owner",
        "subtree-create",
        "subtree-read",
        "subtree-update",
        "x",
    ]
)
ROLES = VALUES | st.sampled_from(["kim", "lee", "*", "https:%2F%2Fx", "%FF", ""])
FIELDS = st.sampled_from(
    ["content-type", "content-disposition", "content-md5", "content-sha256", "x", "Content-Type"]
)
INDEXES = mostly(
    st.sampled_from(["0", "1", "2"]),
    st.sampled_from(["3", "-1", "9" * 19, "9" * 5000, "x", "00", "1.0", "%31", "٣"]),
    4,
)
SUBS = st.one_of(
    st.sampled_from(["", "", ";versions", ";acl", ";metadata", ";upload", ";", ";acl/", ";x"]),
    st.builds(";acl/{}".format, LISTS),
    st.builds(";acl/{}/{}".format, LISTS, ROLES),
    st.builds(";metadata/{}".format, FIELDS),
    st.builds(";upload/{}/{}".format, st.just("none"), INDEXES),
)
QUERIES = st.sampled_from(
    [""] * 6 + ["?parents=true", "?parents=x", "?cid=x", "?parents=true&parents=false", "?%", "?&&=;"]
)
TARGETS = st.one_of(
    st.builds("{}{}{}".format, PLACES, SUBS, QUERIES),
    st.builds("{}{}{}".format, PLACES, SUBS, QUERIES),
    st.builds("{{J}}{}".format, st.just("") | INDEXES.map("/{}".format)),
)

# headers
_LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=["Cc"]), max_size=20)
_NUMBERS = st.sampled_from(["0", "1", "3", "4", "5", "99", "", "-1", "9" * 30, "9" * 200, "٣", "1.5"])
RANGES = st.one_of(
    st.builds("bytes={}-{}".format, _NUMBERS, _NUMBERS),
    st.lists(st.builds("{}-{}".format, _NUMBERS, _NUMBERS), max_size=4).map(
        lambda parts: "bytes=" + ",".join(parts)
    ),
    st.sampled_from(
        ["bytes", "lines=0-1", "=", "bytes=,", "bytes==0-1", "bytes=0-1;x", "bytes=" + "0-0," * 2000]
    ),
    _LATIN,
)
TAGS = st.one_of(
    st.sampled_from(
        [
            "*",
            '"{T}"',
            'W/"{T}"',
            '"x", "{T}"',
            '"',
            '""',
            '"a" "b"',
            "{T}",
            '"{T}-gzip"',
            "*, *",
            ",",
            '"x,' * 500,
        ]
    ),
    _LATIN,
)
DIGESTS = st.one_of(
    st.sampled_from(
        [MD5, SHA256, MD5[:-1], MD5.lower(), MD5 * 2, "0" * 32, "0" * 64, "=", "é" * 16, "a" * 10_000]
    ),
    _LATIN,
)
DISPOSITIONS = st.one_of(
    st.sampled_from(
        [
            "filename*=UTF-8''a.txt",
            "filename*=UTF-8''%C3%A9",
            "filename*=UTF-8''%FF",
            "filename*=UTF-8''a%2Fb",
            "attachment",
            "filename*=UTF-8''%",
            "filename*=UTF-8''%00",
            "filename*=UTF-8''" + "a" * 9000,
            "filename*=UTF-8''..",
            "é",
        ]
    ),
    _LATIN,
)
TYPES = st.sampled_from(
    [
        "application/json",
        "application/json",
        "text/plain",
        "text/plain",
        "application/x-hatrac-namespace",
        "",
        "application/json;x",
        "é/é",
        "a" * 9000,
    ]
)
ACCEPTS = st.sampled_from(
    ["text/html", "text/uri-list", "application/json;q=x", "*/*", ",,;=", "text/*;q=0", "é", "a," * 2000]
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": TYPES, "Range": RANGES, "If-Match": TAGS, "If-None-Match": TAGS, "If-Range": TAGS, "Accept": ACCEPTS,
        "Content-MD5": DIGESTS, "Content-SHA256": DIGESTS, "Content-Disposition": DISPOSITIONS, "Cookie": _LATIN,
    },
)  # fmt: skip
ONE_HEADER = st.one_of(
    *(
        st.fixed_dictionaries({name: values})
        for name, values in {
            "Range": RANGES, "If-Match": TAGS, "If-None-Match": TAGS, "Content-MD5": DIGESTS, "Content-SHA256": DIGESTS,
            "Content-Disposition": DISPOSITIONS, "Content-Type": TYPES, "Accept": ACCEPTS,
        }.items()
    )
)  # fmt: skip

NOISY = st.builds(
    Garbage,
    METHODS,
    st.builds(
        "{}{}".format,
        st.sampled_from(["/hatrac", "/hatrac/", "{S}/", "{S}/o;", "{S}/o:", "{S};acl/", "{J}/", "//hatrac/"]),
        NOISE,
    ),
    BYTES,
    HEADERS,
)
ASKED = st.builds(Garbage, METHODS, mostly(TARGETS, TARGETS.flatmap(mutated), 4), BYTES, HEADERS)
CONDITIONS = st.builds(
    Garbage,
    st.sampled_from(["GET", "GET", "HEAD", "PUT", "DELETE"]),
    st.sampled_from(
        ["{S}/o", "{V}", "{S}", "{S};acl/read", "{S}/o;metadata/content-type", "{S}/old", "{S}/free", "{J}/0"]
    ),
    st.sampled_from([b"", b"data", b"01", b"[]"]),
    ONE_HEADER | HEADERS,
)

# documents
_JOB = {
    "chunk-length": 2,
    "content-length": 5,
    "content-type": "text/csv",
    "content-md5": MD5,
    "content-disposition": "filename*=UTF-8''a",
}
_MOVE = {"command": "rename_from", "source_name": "{P}/o", "source_versions": ["x"], "copy_acls": True}
_DOCUMENTS: list[tuple[str, str, Any]] = [
    ("POST", "{S}/o;upload", _JOB),
    ("POST", "{S}/free/er;upload?parents=true", _JOB),
    ("POST", "{S}/free;upload", {"chunk_bytes": 2, "total_bytes": 5, "content_type": "a", "content_md5": MD5}),
    ("POST", "{S}/free;upload", {"chunk-length": 2**62, "content-length": 2**62}),
    ("POST", "{S}/free", _MOVE),
    ("POST", "{S}/free", {"command": "rename_from", "source_name": "{P}/o"}),
    ("POST", "{S}/new", {"command": "rename_from", "source_name": "{P}/old", "versions": []}),
    ("POST", "{S}/free/er?parents=true", {"command": "rename_from", "source_name": "{P}/new", "copy_acls": False}),
    ("PUT", "{S};acl/read", ["a", "*"]),
    ("PUT", "{S}/o;acl/update", ["https://x"]),
    ("PUT", "{V};acl/owner", ["kim"]),
    ("POST", "{J}", {}),
]  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> Garbage:
    """A write whose JSON is nearly right."""
    method, target, document = draw(st.sampled_from(_DOCUMENTS))
    body = draw(raw(document)) if draw(st.integers(0, 9)) else draw(raw(draw(ODDITIES)))
    headers = {"Content-Type": draw(mostly(st.just("application/json"), TYPES, 5))}
    return Garbage(method, target, body, headers)


VALUES_SET = st.builds(
    Garbage,
    st.sampled_from(["PUT", "PUT", "DELETE"]),
    st.builds(
        "{}{}{}".format, st.sampled_from(["{S}/o", "{V}", "{S}/old", "{S}"]), st.just(";metadata/"), FIELDS
    ),
    st.one_of(DISPOSITIONS.map(str.encode), DIGESTS.map(str.encode), BYTES),
    st.fixed_dictionaries({"Content-Type": mostly(st.just("text/plain"), TYPES, 5)}),
)
FAMILIES: dict[str, st.SearchStrategy[Garbage]] = {
    "noise": NOISY,
    "asked": ASKED,
    "conditions": CONDITIONS,
    "documents": documents(),
    "metadata": VALUES_SET,
}
