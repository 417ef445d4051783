"""No name leaves the store: it is refused, or stands for an object that is listed, read and deleted under it."""

from __future__ import annotations

import itertools
import os
import random
import string
import unicodedata
from pathlib import Path
from urllib.parse import quote, quote_from_bytes, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import drawn
from tests.protocol.cases_runner import Answer, Transport

from deriva_server.embed import LocalServer

SPACE = {"Content-Type": "application/x-hatrac-namespace"}
UNRESERVED = string.ascii_letters + string.digits + "-._~"
RANDOM = "".join(random.Random(1).choices(UNRESERVED, k=10_000))
"""Cannot be made shorter, as a name of one letter can."""
_numbers = itertools.count()

PARTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["..", ".", "/", "\\", "\0", "\n", "\r", ":", ";", "?", "#", "%", "%2e", "%2f", "%00", "~", "é", "e\u0301", "ﬁ", "Å",
         "\u212b", "\u200b", "\u202e", "\ufeff", "\ud800", "😀", "con", "nul", "C:", "data", "tmp", "directory.db", "etc/passwd"]
    ),
)  # fmt: skip
FORMS = st.sampled_from([None, "NFC", "NFD", "NFKC", "NFKD"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    """What somebody may wish to call a file."""
    text, form = "".join(draw(st.lists(PARTS, min_size=1, max_size=5))), draw(FORMS)
    return unicodedata.normalize(form, text) if form else text


@st.composite
def escaped(draw: st.DrawFn) -> str:
    """A name of any bytes in any spelling of its escapes; more is escaped than must be."""
    raw = draw(
        texts().map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(min_size=1, max_size=20)
    )
    spelled = []
    for byte in raw or b"x":
        kept = chr(byte) in UNRESERVED and draw(st.booleans())
        digits = f"%{byte:02x}" if draw(st.booleans()) else f"%{byte:02X}"
        spelled.append(chr(byte) if kept else digits)
    return "".join(spelled)


def is_name(spelling: str) -> bool:
    """Whether a name whose characters are all right may be used."""
    return unquote(spelling) not in (".", "..")


def places(folder: Path) -> set[str]:
    """Every file around a deployment, but for the bytes under their checksums."""
    found = set()
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if Path(place, name) != folder / "lab" / "objects" / "data"]
        found.update(str(Path(place, name)) for name in (*folders, *files))
    return {name for name in found if not name.endswith(("-wal", "-shm", "-journal"))}


def a_namespace(transport: Transport) -> str:
    space = f"/hatrac/any{next(_numbers)}"
    assert transport.send("PUT", space, SPACE, None).status == 201
    return space


def follow(transport: Transport, space: str, spelling: str) -> None:
    """Put, list, read and delete an object."""
    content = f"{spelling}!".encode("utf-8", "surrogatepass")
    made = transport.send("PUT", f"{space}/{spelling}", {}, content)
    assert made.status == 201, (spelling, made)
    place = made.headers["location"]
    assert place.startswith(f"{space}/{spelling}:")
    listed = transport.send("GET", space, {}, None)
    assert listed.json == [f"{space}/{spelling}"]
    for target in (place, listed.json[0]):
        found = transport.send("GET", target, {}, None)
        assert (found.status, found.body, found.headers["content-location"]) == (200, content, place)
        assert found.headers["content-disposition"] == f"filename*=UTF-8''{spelling}"
    assert transport.send("DELETE", listed.json[0], {}, None).status == 204
    assert transport.send("GET", space, {}, None).json == []
    assert transport.send("GET", place, {}, None).status == 404
    assert transport.send("PUT", f"{space}/{spelling}", {}, content).status == 409


def check(answer: Answer, sent: object) -> None:
    assert answer.status < 500 or answer.status == 501, (sent, answer)
    assert b"Traceback" not in answer.body, (sent, answer)


def try_names(server: LocalServer, transport: Transport, number: int, count: int) -> None:
    before = places(server.folder.parent)

    @drawn(number, count)
    @given(escaped())
    def one(spelling: str) -> None:
        space = a_namespace(transport)
        if is_name(spelling):
            follow(transport, space, spelling)
        else:
            assert transport.send("PUT", f"{space}/{spelling}", {}, b"x").status == 400
            assert transport.send("GET", space, {}, None).json == []

    one()
    assert places(server.folder.parent) == before


def try_targets(server: LocalServer, raw: Transport, number: int, count: int) -> None:
    before = places(server.folder.parent)
    methods = st.sampled_from(["PUT", "PUT", "GET", "DELETE", "POST", "HEAD"])
    subs = st.sampled_from(["", "", "", "?parents=true", ";acl", ";upload", ";versions", ";metadata", ":V"])

    @drawn(number, count)
    @given(methods, texts(), subs)
    def one(method: str, text: str, sub: str) -> None:
        space = a_namespace(raw)
        answer = raw.send(method, f"{space}/{text}{sub}", {}, b"x" if method in ("PUT", "POST") else None)
        check(answer, (method, text, sub))
        if answer.status == 201:
            place = answer.headers["location"]
            found = raw.send("GET", place, {}, None)
            assert (found.status, found.body) == (200, b"x"), (text, place, found)
            assert raw.send("DELETE", place.rpartition(":")[0], {}, None).status == 204
        elif method == "PUT":
            assert raw.send("GET", space, {}, None).json == [], (text, answer)

    one()
    assert places(server.folder.parent) == before


@pytest.mark.parametrize(
    "spelling",
    ["...", "%2f", "%2F..%2f", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "%00", "a%00b", "%0d%0aX%3A%20y", "%5C..%5C", "%FF", "%ED%A0%80",
     RANDOM, quote("é" * 1_600), quote_from_bytes(random.Random(2).randbytes(3_300), safe="")]
    + [quote(unicodedata.normalize(form, "Ångström ﬁ é.txt")) for form in ("NFC", "NFD", "NFKC", "NFKD")],
    ids=lambda spelling: spelling[:30],
)  # fmt: skip
def test_a_name(transport: Transport, spelling: str) -> None:
    follow(transport, a_namespace(transport), spelling)


def test_long_namespaces(transport: Transport) -> None:
    space = a_namespace(transport)
    assert transport.send("PUT", f"{space}/{RANDOM}", SPACE, None).status == 201
    follow(transport, f"{space}/{RANDOM}", RANDOM)
    assert transport.send("DELETE", space, {}, None).status == 204


def test_names_alike_are_others(transport: Transport) -> None:
    space, names = (
        a_namespace(transport),
        ["%C3%A9", "e%CC%81", "%c3%a9", "%E9", "E", "e", RANDOM, RANDOM[:-1], f"{RANDOM}a"],
    )
    for name in names:
        assert transport.send("PUT", f"{space}/{name}", {}, name.encode()).status == 201, name
    assert sorted(transport.send("GET", space, {}, None).json) == sorted(f"{space}/{name}" for name in names)
    for name in names:
        assert transport.send("GET", f"{space}/{name}", {}, None).body == name.encode()


def test_some_names(server: LocalServer, transport: Transport) -> None:
    try_names(server, transport, 1, 40)


def test_some_targets(server: LocalServer, raw: Transport) -> None:
    try_targets(server, raw, 1, 120)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_many_names(server: LocalServer, transport: Transport) -> None:
    try_names(server, transport, 2, 3_000)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_many_targets(server: LocalServer, raw: Transport) -> None:
    try_targets(server, raw, 2, 6_000)
