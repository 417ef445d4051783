"""A server that is stopped lets those who wait for an answer have it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
import requests

from deriva_server.http.message import Request, Response
from deriva_server.wsgi import RunningServer, start

LONG = 8 << 20
"""More bytes than the kernel takes from a server at once."""


def served(handle: Callable[[Request], Response]) -> RunningServer:
    return start(handle, "127.0.0.1", 0, threads=2, max_body=1 << 20)


def refuses(url: str) -> bool:
    """Whether nobody listens, at once or after a moment."""
    address = urlsplit(url)
    for _ in range(200):
        try:
            socket.create_connection((address.hostname, address.port), 5).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            # One that it had not taken in yet when it stopped.
            pass
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_requests_end(number: signal.Signals) -> None:
    """Also where it meets the thread that waits for the end of the server."""
    refused, answered, ready = [], [], threading.Event()

    def handle(_: Request) -> Response:
        assert ready.wait(30)
        os.kill(os.getpid(), number)
        refused.append(refuses(running.url))
        answered.append(True)
        return Response(body=b"done")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(number, stop)
    try:
        with ThreadPoolExecutor(1) as client, served(handle) as running:
            asked = client.submit(requests.get, f"{running.url}/x")
            with pytest.raises(KeyboardInterrupt), running:
                ready.set()
                running.wait()
            assert answered == [True]
        assert asked.result().content == b"done"
        assert refused == [True]
    finally:
        signal.signal(number, before)


@contextmanager
def not_reading() -> Iterator[tuple[RunningServer, socket.socket]]:
    """A server that sends a long answer, and the client that does not read it yet."""
    made = threading.Event()

    def handle(_: Request) -> Response:
        made.set()
        return Response(body=bytes(LONG))

    with served(handle) as running:
        address = urlsplit(running.url)
        with socket.create_connection((address.hostname, address.port), 30) as client:
            client.sendall(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert made.wait(30)
            yield running, client


def test_a_long_answer_is_sent_to_its_end() -> None:
    """To one who begins to read when the server is being closed, too."""
    with not_reading() as (running, client):
        closing = threading.Thread(target=running.close)
        closing.start()
        assert refuses(running.url)
        received = 0
        while piece := client.recv(1 << 18):
            received += len(piece)
        closing.join()
    assert received > LONG


def test_what_has_not_begun_is_refused_clearly() -> None:
    """Whoever waits behind others is told to come again."""
    began, stopping = threading.Semaphore(0), threading.Event()

    def handle(_: Request) -> Response:
        began.release()
        assert stopping.wait(30)
        return Response(body=b"done")

    with served(handle) as running, ThreadPoolExecutor(3) as clients:
        asked = [clients.submit(requests.post, f"{running.url}/x") for _ in range(2)]
        for _ in asked:
            assert began.acquire(timeout=30)
        behind = clients.submit(requests.post, f"{running.url}/x")
        while not running._server.task_dispatcher.queue:
            time.sleep(0.01)
        closing = threading.Thread(target=running.close)
        closing.start()
        assert refuses(running.url)
        stopping.set()
        assert [each.result().text for each in asked] == ["done"] * 2
        refused = behind.result()
        assert refused.status_code == 503 and "being stopped" in refused.text
        closing.join()
    assert not began.acquire(blocking=False)


def test_one_who_does_not_read_is_dropped() -> None:
    with not_reading() as (running, _):
        running.close()
        running.wait()
        assert refuses(running.url)
