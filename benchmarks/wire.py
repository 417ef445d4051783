"""A server in a process of its own, and a client thin enough not to be what is measured.

The client writes prepared bytes to one keep-alive socket and only looks for the end of the answer.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

_SERVE = """
import sys
from deriva_server.embed import LocalServer
with LocalServer.open(sys.argv[1], create=True) as server, server.serve() as running:
    print(running.port, flush=True)
    sys.stdin.read()
"""
_PIECE = 1 << 20


class Served:
    """A server process.

    Parameters
    ----------
    process : Popen
        Ends when its standard input is closed.
    port : int
        Where it listens.
    """

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def cpu(self) -> float:
        """Milliseconds of processor time so far, which other work on the machine lengthens least."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6

    def forget_peak(self) -> None:
        """Begin to measure the peak of memory anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak(self) -> float:
        """Largest resident memory since the last `forget_peak`, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1000


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Serve the deployment in `folder` over HTTP in another process."""
    command = [sys.executable, "-c", _SERVE, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        yield Served(process, int(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()


class Wire:
    """One keep-alive connection.

    Parameters
    ----------
    port : int
        Of a server on this machine.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(_PIECE))

    def request(self, method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
        """The bytes of a request; underscores in names of headers stand for dashes."""
        lines = [
            f"{method} {target} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            f"Content-Length: {len(body)}",
        ]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return "\r\n".join((*lines, "", "")).encode() + body

    def send(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        kept: list[bytes] = []
        status = self._exchange([request], kept, has_body=not request.startswith(b"HEAD "))
        return status, b"".join(kept)

    def drain(self, pieces: Iterable[bytes]) -> tuple[int, int]:
        """Send a request made of pieces; status and length of the answer, which is not kept."""
        return self._exchange(pieces, None), self.received

    def _exchange(self, pieces: Iterable[bytes], kept: list[bytes] | None, *, has_body: bool = True) -> int:
        for piece in pieces:
            self._socket.sendall(piece)
        head = b""
        while (end := head.find(b"\r\n\r\n")) < 0:
            head += self._receive()
        fields = head[:end].lower()
        status, rest = int(head[9:12]), head[end + 4 :]
        self.received = 0
        if status in (204, 304) or not has_body:
            return status
        _, declared, length = fields.partition(b"content-length: ")
        if declared:
            self._read(rest, int(length.split(b"\r\n")[0]), kept)
        else:
            self._read_chunks(rest, kept)
        return status

    def _receive(self) -> bytes:
        count = self._socket.recv_into(self._buffer)
        if not count:
            raise ConnectionError("the server closed the connection")
        return bytes(self._buffer[:count])

    def _read(self, data: bytes, length: int, kept: list[bytes] | None) -> bytes:
        """Read `length` bytes; gives what came beyond them."""
        part, rest = data[:length], data[length:]
        while True:
            self.received += len(part)
            length -= len(part)
            if kept is not None:
                kept.append(part)
            if not length:
                return rest
            data = self._receive()
            part, rest = data[:length], data[length:]

    def _read_chunks(self, data: bytes, kept: list[bytes] | None) -> None:
        while True:
            while b"\r\n" not in data:
                data += self._receive()
            size, _, data = data.partition(b"\r\n")
            length = int(size, 16)
            while len(data) < (0 if length else 2):
                data += self._receive()
            if not length:
                return
            data = self._read(data, length, kept)
            while len(data) < 2:
                data += self._receive()
            data = data[2:]

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()


def sender(client: Any) -> Callable[..., bytes]:
    """Sends a request by a `Wire`, or what has its methods; it must succeed."""

    def send(method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
        status, answer = client.send(client.request(method, target, body, **headers))
        if status >= 400:
            raise RuntimeError(f"{method} {target}: {status} {answer[:500].decode()}")
        return bytes(answer)

    return send
