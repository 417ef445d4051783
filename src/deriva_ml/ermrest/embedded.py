"""The server in this process: a transport that answers requests without any network."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http.client import responses as reasons
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3.exceptions import ProtocolError
from werkzeug.datastructures import Headers

from deriva_ml.ermrest.patience import Patience, send_patiently
from deriva_ml.errors import DerivaMLConnectionError
from deriva_ml.interrupts import held
from deriva_server.blobs.taken import Taken
from deriva_server.deployment import DOCUMENT
from deriva_server.embed import LocalServer
from deriva_server.errors import DeploymentError, ServiceError
from deriva_server.http.message import FilePart, Request

_PIECE = 1 << 20
_IN_MEMORY = 16 << 20


def open_server(folder: Path, create: bool = False) -> LocalServer:
    """The server of a folder, one per process.

    Parameters
    ----------
    folder : Path
    create : bool
        Whether a folder that is no deployment yet becomes one.

    Raises
    ------
    DerivaMLConnectionError
        If the folder is missing, no deployment, or cannot be used; says why and the way out.
    """
    try:
        return LocalServer.open(folder, create=create)
    except DeploymentError as error:
        raise DerivaMLConnectionError(f"{error}{_further_up(folder)}") from error
    except ServiceError as error:
        raise DerivaMLConnectionError(
            f"The deployment {folder} cannot be used: {error.detail or error}"
        ) from error
    except OSError as error:
        raise DerivaMLConnectionError(f"The deployment {folder} cannot be opened: {error}.") from error


def _further_up(folder: Path) -> str:
    """A deployment that was probably meant: Jupyter, for one, starts in the folder of a notebook, not of its project."""
    for place in folder.parent.parents if not folder.exists() else ():
        if (place / folder.name / DOCUMENT).is_file():
            return f" There is one at {os.path.relpath(place / folder.name)}."
    return ""


class LocalTransport(BaseAdapter):
    """A requests adapter that calls the server of a folder; it can be pickled and survives a fork.

    Parameters
    ----------
    folder : Path
        The deployment.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._server: LocalServer | None = None
        self._pid = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        LocalTransport.__init__(self, state["folder"])

    def server(self) -> LocalServer:
        """The server, opened again after a fork."""
        if self._server is None or self._pid != os.getpid():
            self._server, self._pid = open_server(self.folder), os.getpid()
        return self._server

    # What else requests passes by position, no session does: time-outs and certificates mean nothing here.
    def send(  # type: ignore[override]  # fewer by position, see above
        self, request: requests.PreparedRequest, stream: bool = False, **_: Any
    ) -> requests.Response:
        """Answer a request, of a database server that is away for a moment, too."""
        host = urlsplit(str(request.url)).netloc
        patience = Patience(host, called=str(self.folder), known=True)
        return send_patiently(request, lambda: self._once(request, stream), patience, stream=stream)

    def _once(self, request: requests.PreparedRequest, stream: bool) -> requests.Response:
        if request.method in ("GET", "HEAD"):
            return self._sent(request, stream)
        # The server is written for a process of its own: cut in two anywhere, a writer could keep its lock.
        with held(once=True):
            return self._sent(request, stream)

    def _sent(self, request: requests.PreparedRequest, stream: bool) -> requests.Response:
        body, length = _body_of(request)
        headers = Headers([(name, _text(value)) for name, value in request.headers.items()])
        try:
            answer = self.server().handle(
                Request(request.method or "GET", _target(request), headers, body, length)
            )
        finally:
            if isinstance(body, tempfile.SpooledTemporaryFile):
                body.close()
        response = requests.Response()
        response.status_code = answer.status
        response.reason = reasons.get(answer.status, "")
        response.headers = _header_dict(answer.headers)
        response.encoding = get_encoding_from_headers(response.headers)
        response.url = request.url or ""
        response.request = request
        # Set by requests' own adapter, too; its types do not know of either.
        response.connection = self  # type: ignore[assignment]  # see above
        response.raw = _Body(b"" if request.method == "HEAD" else answer.body)
        if not stream:
            try:
                response._content = response.raw.read()
            except ServiceError as error:
                # The body is made while it is read, so an error may come after the first pieces.
                response.status_code, response.reason = error.status, reasons.get(error.status, "")
                response._content = error.text().encode()
            response._content_consumed = True  # type: ignore[attr-defined]  # see above
            response.raw.close()
        return response

    def take_in(
        self, file: BinaryIO, length: int, progress: Callable[[int], object] | None = None
    ) -> Taken | None:
        """Take the bytes of an object in before its name is known; None when the store cannot.

        Parameters
        ----------
        file : binary file
        length : int
        progress : callable, optional
            Called with numbers of bytes that are done.

        Returns
        -------
        Taken or None
            To be the body of one of `put_objects`, or to be discarded.
        """
        try:
            return self.server().take_in(file, length, progress)
        except ServiceError:
            # Putting the file says why.
            return None

    def put_objects(self, puts: Sequence[tuple[str, Mapping[str, str], BinaryIO, int]]) -> list[int]:
        """Put objects together, each as a request of its own would.

        Parameters
        ----------
        puts : sequence of tuple
            For each its target, headers, bytes and their number.

        Returns
        -------
        list of int
            Status of the answer to each.
        """
        wanted = [
            Request("PUT", target, Headers(headers), body, length) for target, headers, body, length in puts
        ]
        return [answer.status for answer in self.server().handle_objects(wanted)]

    def close(self) -> None:
        """Nothing to do: the server belongs to the process."""


def _target(request: requests.PreparedRequest) -> str:
    return request.path_url


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _header_dict(headers: Headers) -> CaseInsensitiveDict[str]:
    merged: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for name, value in headers:
        merged[name] = f"{merged[name]}, {value}" if name in merged else value
    return merged


def _body_of(request: requests.PreparedRequest) -> tuple[BinaryIO, int | None]:
    """Body of a request as a stream, and its declared length."""
    body: Any = request.body
    if body is None:
        return io.BytesIO(), 0 if request.method in ("POST", "PUT") else None
    if isinstance(body, str | bytes | bytearray):
        data = body.encode() if isinstance(body, str) else bytes(body)
        return io.BytesIO(data), len(data)
    declared = request.headers.get("Content-Length")
    if declared is None:
        # requests sends what it cannot measure (and empty files) in chunks; a server sees their sum.
        return _spooled(iter(lambda: body.read(_PIECE), b"") if hasattr(body, "read") else body)
    length = int(declared)
    if hasattr(body, "read"):
        return body, length
    return _spooled(body)[0], length


def _spooled(pieces: Iterable[bytes]) -> tuple[BinaryIO, int]:
    """Pieces as one stream, on disk when they are many, and their length."""
    spool: Any = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by the caller
    for piece in pieces:
        spool.write(piece)
    length = spool.tell()
    spool.seek(0)
    return spool, length


class _Body:
    """Body of a response, as requests expects of a raw response; `part` is set when it is a piece of a local file."""

    def __init__(self, body: bytes | FilePart | Iterable[bytes]) -> None:
        self.part = body if isinstance(body, FilePart) else None
        self._source: Any = body
        self._pieces: Iterator[bytes] = iter((body,)) if isinstance(body, bytes) else self._iterate(body)
        self._rest = b""
        self.closed = False

    @staticmethod
    def _iterate(body: FilePart | Iterable[bytes]) -> Iterator[bytes]:
        return body.chunks() if isinstance(body, FilePart) else iter(body)

    def read(self, amount: int | None = None, decode_content: bool | None = None) -> bytes:
        """The next bytes, all of them by default."""
        if amount is None or amount < 0:
            whole = b"".join((self._rest, *self._pieces))
            self._rest = b""
            return whole
        while len(self._rest) < amount and (piece := next(self._pieces, None)) is not None:
            self._rest += piece
        taken, self._rest = self._rest[:amount], self._rest[amount:]
        return taken

    def stream(self, amount: int = 1 << 16, decode_content: bool | None = None) -> Iterator[bytes]:
        """The pieces as the server made them."""
        if self._rest:
            yield self.read(len(self._rest))
        try:
            yield from (piece for piece in self._pieces if piece)
        except ServiceError as error:
            raise ProtocolError(f"the server broke off: {error.text().strip()}") from error

    def close(self) -> None:
        """Let the server know that nobody reads on."""
        if not self.closed:
            self.closed = True
            for holder in (self._pieces, self._source):
                if hasattr(holder, "close"):
                    holder.close()

    def release_conn(self) -> None:
        """Nothing is pooled."""
        self.close()
