"""Ranges and preconditions against a small model of what the protocol says."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import drawn
from tests.protocol.cases_runner import Answer, Transport

SIZES = (0, 1, 2, 10, 300)
_numbers = itertools.count()


def content(size: int) -> bytes:
    return bytes(number % 251 for number in range(size))


def expected_range(header: str, size: int) -> tuple[int, bytes | None, str | None]:
    """Status, body and Content-Range that a Range header must get, by trying every byte."""
    unit, equals, specs = header.partition("=")
    whole = (200, content(size), None)
    if not equals:
        return whole
    if unit.strip().lower() != "bytes":
        return 501, None, None
    wanted: list[list[int]] = []
    for spec in specs.split(","):
        match = re.fullmatch(r"\s*(\d*)-(\d*)\s*", spec, re.ASCII)
        if match is None or match.groups() == ("", ""):
            return whole
        first, last = match.groups()
        if (not first and int(last) == 0) or (first and last and int(last) < int(first)):
            return whole
        if first:
            inside = [at for at in range(size) if int(first) <= at and (not last or at <= int(last))]
            is_answered = bool(inside) or size == int(first) == 0
        else:
            inside = [at for at in range(size) if at >= size - int(last)]
            is_answered = True
        if is_answered:
            wanted.append(inside)
    if not wanted:
        return 416, None, f"bytes */{size}"
    if len(wanted) > 1:
        return 501, None, None
    if len(wanted[0]) == size:
        return whole
    start, end = wanted[0][0], wanted[0][-1]
    return 206, content(size)[start : end + 1], f"bytes {start}-{end}/{size}"


POSITIONS = st.integers(0, 320) | st.integers(0, 12) | st.just(10**30)
SPECS = st.one_of(
    st.builds("{}-{}".format, POSITIONS, POSITIONS),
    st.builds("{}-".format, POSITIONS),
    st.builds("-{}".format, POSITIONS),
    st.builds(" {}-{} ".format, POSITIONS, POSITIONS),
    st.sampled_from(["-", "", "a-b", "1", "1-2-3"]),
)
RANGES = st.builds(
    "{}={}".format,
    st.sampled_from(["bytes"] * 12 + ["Bytes", "lines"]),
    st.one_of(SPECS, SPECS, SPECS, st.lists(SPECS, min_size=1, max_size=3).map(",".join)),
) | st.sampled_from(["bytes", "nonsense"])


def try_ranges(transport: Transport, number: int, count: int) -> None:
    space = f"/hatrac/ranges{next(_numbers)}"
    for size in SIZES:
        made = transport.send("PUT", f"{space}/o{size}?parents=true", {}, content(size))
        assert made.status == 201, made

    @drawn(number, count)
    @given(st.sampled_from(SIZES), RANGES)
    def one(size: int, header: str) -> None:
        answer = transport.send("GET", f"{space}/o{size}", {"Range": header}, None)
        status, body, content_range = expected_range(header, size)
        assert (answer.status, answer.headers.get("content-range")) == (status, content_range), header
        if body is not None:
            assert answer.body == body, header
            assert answer.headers["content-length"] == str(len(body))
            assert ("content-md5" in answer.headers) is (status == 200)

    one()


@dataclass
class State:
    """What the tags in a header are compared with."""

    tag: str | None
    former: list[str]


def passes(state: State, match: list[str] | None, none_match: list[str] | None) -> bool:
    """Whether both preconditions hold; `*` stands for whatever there is."""

    def is_named(tags: list[str]) -> bool:
        return state.tag is not None and any(tag in ("*", state.tag) for tag in tags)

    return (match is None or is_named(match)) and (none_match is None or not is_named(none_match))


ROLES = st.sampled_from(["now", "now", "former", "other", "*"])
"""Which tag a header names."""
LISTED = st.none() | st.lists(ROLES, min_size=1, max_size=3)
FORMS = st.sampled_from(['"{}"', '"{}"', 'W/"{}"', '"{}-gzip"'])
STEPS = st.lists(
    st.tuples(st.sampled_from(["GET", "GET", "HEAD", "PUT", "PUT", "DELETE"]), LISTED, LISTED, FORMS),
    min_size=1,
    max_size=8,
)


class Walk:
    """One object that is written, read and whose current version is deleted under conditions."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.path = f"/hatrac/walk{next(_numbers)}"
        self.versions: list[tuple[str, bytes]] = []
        self.former = ["NEVER"]
        self.exists = False

    def step(self, method: str, match: list[str] | None, none_match: list[str] | None, form: str) -> None:
        """Send one request, and compare the answer and what is there afterwards with the model."""
        state = State(self.versions[-1][0] if self.versions else None, self.former)
        named = [self._tags(tags, state) for tags in (match, none_match)]
        headers = {
            name: ", ".join(tag if tag == "*" else form.format(tag) for tag in tags)
            for name, tags in zip(("If-Match", "If-None-Match"), named, strict=True)
            if tags is not None
        }
        data = f"content {len(self.former)}".encode()
        target = self.path if method != "DELETE" or state.tag is None else f"{self.path}:{state.tag}"
        answer = self.transport.send(method, target, headers, data if method == "PUT" else None)
        self._compare(method, passes(state, *named), state, answer, data)

    @staticmethod
    def _tags(roles: list[str] | None, state: State) -> list[str] | None:
        if roles is None:
            return None
        names = {"now": state.tag or "NONE", "former": state.former[-1], "other": "OTHER", "*": "*"}
        return [names[role] for role in roles]

    def _compare(self, method: str, good: bool, state: State, answer: Answer, data: bytes) -> None:
        if method == "PUT":
            assert answer.status == (201 if good else 412)
            if good:
                self.versions.append((answer.headers["location"].rpartition(":")[2], data))
                self.exists = True
        elif state.tag is None:
            # Deleting the name would end the walk; without a version there is nothing else to say.
            expected = {"DELETE": (204, 412)}.get(method, (409,)) if self.exists else (404,)
            assert answer.status in expected
            if answer.status == 204:
                self.exists, self.path = False, f"/hatrac/walk{next(_numbers)}"
        elif method == "DELETE":
            assert answer.status == (204 if good else 412)
            if good:
                self.former.append(self.versions.pop()[0])
        else:
            assert answer.status == (200 if good else 304)
            assert answer.headers["etag"] == f'"{state.tag}"'
            if method == "GET":
                assert answer.body == (self.versions[-1][1] if good else b"")


def try_conditions(transport: Transport, number: int, count: int) -> None:
    @drawn(number, count)
    @given(STEPS)
    def one(steps) -> None:
        walk = Walk(transport)
        for step in steps:
            walk.step(*step)

    one()


def test_some_ranges(transport: Transport) -> None:
    try_ranges(transport, 1, 150)


def test_some_conditions(transport: Transport) -> None:
    try_conditions(transport, 1, 40)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_many_ranges(transport: Transport) -> None:
    try_ranges(transport, 2, 10_000)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_many_conditions(transport: Transport) -> None:
    try_conditions(transport, 2, 2_000)
