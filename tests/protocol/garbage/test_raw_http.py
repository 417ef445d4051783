"""Bytes that are hardly HTTP: the server answers with a client's error or closes, and goes on."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import drawn
from tests.protocol.garbage.conftest import LONGEST, Target

from deriva_server.wsgi import RunningServer

LINES = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda method, target, version: method + b" " + target + b" HTTP/" + version,
        st.sampled_from([b"GET", b"POST", b"PUT", b"get", b"X", b"", b"\xff"]),
        st.one_of(
            st.binary(max_size=60).map(lambda raw: b"/ermrest/" + raw),
            st.sampled_from(
                [b"/", b"*", b"//", b"http://x/", b"/ermrest/catalog/1", b"/" + b"a" * 70_000, b"/%", b""]
            ),
        ),
        st.sampled_from([b"1.1", b"1.0", b"0.9", b"2", b"x", b""]),
    ),
)
HEADERS = st.lists(
    st.one_of(
        st.sampled_from(
            [b"Host: localhost", b"Host: evil.example", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 9x",
             b"Content-Length: 99999999999999999999", b"Transfer-Encoding: chunked", b"Transfer-Encoding: x", b": x",
             b"Expect: 100-continue", b"Connection: close", b"Origin: http://evil.example", b"Content-Type: \xff", b"A: " + b"b" * 5000,
             b"If-None-Match: \"", b" folded", b"X\0: y", b"Range: bytes=-"]
        ),
        st.binary(max_size=30),
    ),
    max_size=6,
)  # fmt: skip
MESSAGES = st.builds(
    lambda line, headers, body: b"\r\n".join([line, *headers, b"", body]),
    LINES,
    HEADERS,
    st.one_of(st.binary(max_size=40), st.sampled_from([b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"[]"])),
)


@pytest.fixture(scope="module")
def running(target: Target) -> Iterator[RunningServer]:
    with target.server.serve() as running:
        yield running


def throw(running: RunningServer, number: int, count: int) -> None:
    """Send so many messages, each on a connection of its own."""

    @drawn(number, count)
    @given(MESSAGES)
    def one(message: bytes) -> None:
        with socket.create_connection((running.host, running.port), timeout=LONGEST) as connection:
            try:
                connection.sendall(message)
                connection.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
            except (BrokenPipeError, ConnectionResetError):
                # It may close before it has read what it does not want.
                return
        status = answer[9:12]
        assert not answer or status[:1] in b"1234" or status in (b"501", b"505"), (message, answer[:500])
        assert b"Traceback" not in answer, message

    one()
    assert requests.get(f"{running.url}/ermrest/", timeout=LONGEST).status_code == 200


def test_raw_bytes(running: RunningServer) -> None:
    throw(running, 1, 100)


@pytest.mark.soak
def test_many_raw_bytes(running: RunningServer) -> None:
    throw(running, 2, 2000)
