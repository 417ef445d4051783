"""One way to open a deployment on each kind of database, and to talk to it in process or over HTTP."""

from __future__ import annotations

import io
import json
import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import requests
from werkzeug.datastructures import Headers

from deriva_server.blobs.memory import MemoryBackend
from deriva_server.blobs.store import ObjectStore
from deriva_server.embed import LocalServer
from deriva_server.hatrac.face import HatracFace
from deriva_server.http.message import FilePart, Request

processes = multiprocessing.get_context("forkserver")
"""Starts processes that have imported the server but share nothing with the tests."""
processes.set_forkserver_preload(["tests.deployments"])


def opened(folder: Path, address: str | None) -> LocalServer:
    """The deployment in `folder`, made there when it is missing; its catalogs lie where `address` says."""
    return LocalServer.open(folder, create=True, database=address)


def opened_objects(folder: Path, address: str | None, store: str) -> LocalServer:
    """As `opened`, with the bytes of objects in ``files``, in ``memory``, or where an ``s3://`` address says."""
    bucket = store if store.startswith("s3:") else None
    server = LocalServer.open(folder, create=True, database=address, objects=bucket)
    if store == "memory":
        server.objects = ObjectStore(server.objects.directory.database, MemoryBackend())
        server.application.faces["hatrac"] = HatracFace(server.objects)
    return server


@dataclass(slots=True)
class Answer:
    """A response, read to its end."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def snapshot(self) -> str:
        """The snapshot that the validator of this answer names."""
        tag: str = self.headers["ETag"]
        return tag.strip('"').rpartition(";")[2]


class Caller(Protocol):
    """Sends requests to a deployment."""

    def send(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        """Ask and read the answer; `body` is bytes or becomes JSON."""


class Direct:
    """Sends requests to a server in this process."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server

    def send(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        data, given = _raw(body), Headers({name.replace("_", "-"): text for name, text in headers.items()})
        response = self.server.handle(Request(method, target, given, io.BytesIO(data), len(data)))
        pieces = response.body.chunks() if isinstance(response.body, FilePart) else response.body
        return Answer(
            response.status, response.headers, pieces if isinstance(pieces, bytes) else b"".join(pieces)
        )


class Http:
    """Sends requests over HTTP, with one kept connection for each thread."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._own = threading.local()

    def send(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        session = getattr(self._own, "session", None)
        if session is None:
            session = self._own.session = requests.Session()
        given = {name.replace("_", "-"): text for name, text in headers.items()}
        answer = session.request(method, self.url + target, data=_raw(body), headers=given, timeout=120)
        return Answer(answer.status_code, answer.headers, answer.content)


def _raw(body: Any) -> bytes:
    if body is None:
        return b""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def _serve(folder: Path, address: str | None, port: int, pipe: Connection) -> None:
    with opened(folder, address) as server, server.serve(port=port) as running:
        pipe.send(running.url)
        # Ends with the process that asked for it, whatever became of that.
        pipe.poll(None)


@dataclass(slots=True)
class Serving:
    """A server in a process of its own."""

    url: str
    process: multiprocessing.process.BaseProcess

    def kill(self) -> None:
        """End it as the power does."""
        self.process.kill()
        self.process.join()


@contextmanager
def serving(folder: Path, address: str | None, *, port: int = 0, wait: bool = True) -> Iterator[Serving]:
    """Serve the deployment in `folder` over HTTP from another process; its address is known after the wait."""
    ours, theirs = processes.Pipe()
    process = processes.Process(target=_serve, args=(folder, address, port, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        assert not wait or ours.poll(60), "the server did not start"
        yield Serving(ours.recv() if wait else "", process)
    finally:
        ours.close()
        process.join(20)
        if process.is_alive():
            process.kill()
            process.join()


SYSTEM = [
    {"name": name, "type": {"typename": f"ermrest_{name.lower()}"}, "nullok": name in ("RCB", "RMB")}
    for name in ("RID", "RCT", "RMT", "RCB", "RMB")
]


def column(name: str, type_name: str, **more: Any) -> dict[str, Any]:
    """The document of a column."""
    type_: dict[str, Any] = {"typename": type_name}
    if type_name.endswith("[]"):
        type_ |= {"is_array": True, "base_type": {"typename": type_name[:-2]}}
    return {"name": name, "type": type_, **more}


def table(
    schema: str,
    name: str,
    columns: list[dict[str, Any]],
    keys: list[list[str]],
    references: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """The document of a table with the system columns."""
    return {
        "schema_name": schema,
        "table_name": name,
        "column_definitions": SYSTEM + columns,
        "keys": [{"unique_columns": key} for key in (["RID"], *keys)],
        "foreign_keys": references or [],
    }


def reference(schema: str, own: str, target: str, name: str, **actions: str) -> dict[str, Any]:
    """The document of a foreign key of one column."""
    return {
        "foreign_key_columns": [{"column_name": own}],
        "referenced_columns": [{"schema_name": schema, "table_name": target, "column_name": name}],
        **actions,
    }
