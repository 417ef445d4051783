"""A way to a server that has accidents: it refuses, answers with an error, or cuts connections in the middle."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from types import TracebackType
from urllib.parse import urlsplit

ERRORS = {
    "busy": ("503 Service Unavailable", "SlowDown", "Please reduce your request rate."),
    "full": (
        "507 Insufficient Storage",
        "XMinioStorageFull",
        "Storage backend has reached its minimum free drive",
    ),
    "quota": ("403 Forbidden", "QuotaExceeded", "None"),
    "bucket-quota": ("400 Bad Request", "XMinioAdminBucketQuotaExceeded", "Bucket quota exceeded"),
}
"""Answers of S3 services, by the name of the accident."""

Accident = tuple[str, int]
"""What happens to a connection: one of `ERRORS`, ``refuse``, ``cut-request`` or ``cut-answer`` after some bytes."""


class Proxy:
    """Passes bytes on, but for the accidents that wait: each happens to one connection.

    Parameters
    ----------
    target : str
        Address of the server.
    """

    def __init__(self, target: str) -> None:
        place = urlsplit(target)
        self._target = (place.hostname, place.port)
        self._waiting: deque[Accident] = deque()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.happened: list[str] = []

    def __enter__(self) -> Proxy:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepting.join()
        self.cut()

    def expect(self, *accidents: Accident) -> None:
        """Let these happen to the next connections, and no connection be used further."""
        self.happened.clear()
        with self._lock:
            self._waiting = deque(accidents)
        self.cut()

    def cut(self) -> None:
        """Cut all connections."""
        with self._lock:
            doomed = list(self._open)
        for each in doomed:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            what, after = self._waiting.popleft() if self._waiting else ("pass", 0)
            self._open.add(client)
        if what != "pass":
            self.happened.append(what)
        try:
            with client, contextlib.suppress(OSError):
                if what in ERRORS and (what == "busy" or _is_write(client)):
                    _read_request(client)
                    client.sendall(_error(*ERRORS[what]))
                elif what != "refuse":
                    self._pass(
                        client,
                        after if what == "cut-request" else None,
                        after if what == "cut-answer" else None,
                    )
        finally:
            with self._lock:
                self._open.discard(client)

    def _pass(self, client: socket.socket, most_asked: int | None, most_answered: int | None) -> None:
        with socket.create_connection(self._target) as server:
            asking = threading.Thread(target=_pump, args=(client, server, most_asked), daemon=True)
            asking.start()
            _pump(server, client, most_answered)
            asking.join()


def _pump(source: socket.socket, target: socket.socket, most: int | None) -> None:
    """Pass bytes on, `most` of them; then both ends are closed."""
    with contextlib.suppress(OSError):
        while (most is None or most > 0) and (piece := source.recv(65_536)):
            target.sendall(piece if most is None else piece[:most])
            most = None if most is None else most - len(piece)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _is_write(client: socket.socket) -> bool:
    """A full store is still read."""
    return client.recv(3, socket.MSG_PEEK) not in (b"GET", b"HEA", b"DEL")


def _error(status: str, code: str, message: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/xml", "Connection: close"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode()


def _read_request(client: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (piece := client.recv(65_536)):
            return
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    names = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    if b"expect" in names:
        return
    rest = int(names.get(b"content-length", 0)) - len(body)
    while rest > 0 and (piece := client.recv(65_536)):
        rest -= len(piece)
