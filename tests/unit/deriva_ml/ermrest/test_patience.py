"""A busy or lost service is reported within seconds, and what may be repeated is repeated."""

import contextlib
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from deriva.core.ermrest_model import Column, Key, Schema, Table, builtin_types

from deriva_ml.ermrest import objects, rows
from deriva_ml.ermrest.connect import connect, create_catalog
from deriva_ml.ermrest.embedded import LocalTransport
from deriva_ml.ermrest.leases import lease
from deriva_ml.errors import DerivaMLConnectionError
from deriva_server.app import error_response
from deriva_server.embed import LocalServer
from deriva_server.errors import Busy, TimeLimit, Unclear
from deriva_server.http.message import Response

LONGEST = 12.0


@contextlib.contextmanager
def at_most(seconds):
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


@pytest.fixture
def busy():
    """An HTTP service that is always busy; counts what it is asked."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(self.command)
            self.send_response(503)
            self.send_header("Retry-After", "600")
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"busy\n")

        do_GET = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *_):
            pass

    asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def test_busy_service(busy, tmp_path):
    url, asked = busy
    with at_most(LONGEST), pytest.raises(DerivaMLConnectionError, match="busy"):
        connect(url, 1)
    assert 2 <= asked.count("GET") <= 6
    connection = connect(url, 1, check=False)
    with at_most(LONGEST), pytest.raises(DerivaMLConnectionError, match="busy"):
        rows.insert(connection, ("s", "T"), [{"A": 1}])
    assert 2 <= asked.count("POST") <= 6
    with at_most(LONGEST), pytest.raises(DerivaMLConnectionError):
        objects.fetch(connection, "/hatrac/x", tmp_path / "x")


def test_lost_connections():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up():
            with contextlib.suppress(OSError):
                while True:
                    listening.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        connection = connect(f"http://127.0.0.1:{listening.getsockname()[1]}", 1, check=False)
        with at_most(LONGEST), pytest.raises(DerivaMLConnectionError):
            connection.document()
        with at_most(LONGEST), pytest.raises(DerivaMLConnectionError):
            connection.post("/entity/s:T", json=[])


@pytest.fixture
def people(tmp_path):
    connection = create_catalog(tmp_path / "lab")
    schema = connection.model().create_schema(Schema.define("s"))
    columns = [
        Column.define("Name", builtin_types.text, nullok=False),
        Column.define("Age", builtin_types.int4),
    ]
    schema.create_table(Table.define("Person", columns, key_defs=[Key.define(["Name"])]))
    return connection


def stumble(monkeypatch, times, error=Busy):
    """Let the first answers to writes be an error."""
    handle, left = LocalServer.handle, [times]

    def stumbling(self, request):
        if request.method != "GET" and left[0] > 0:
            left[0] -= 1
            return error_response(request, error("locked"))
        return handle(self, request)

    monkeypatch.setattr(LocalServer, "handle", stumbling)


def test_a_short_stumble_is_not_noticed(people, monkeypatch):
    stumble(monkeypatch, 2)
    rows.insert(people, ("s", "Person"), [{"Name": "Ada"}])
    assert rows.count(people, ("s", "Person")) == 1


def test_the_server_of_a_folder_is_no_stranger(people, monkeypatch):
    # So many that the time which they may take is not up on a busy machine.
    monkeypatch.setenv("DERIVA_ML_RETRY_ATTEMPTS", "30")
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.001")
    stumble(monkeypatch, 5, Unclear)
    assert lease(people, 1)


def test_query_builder_gives_up_soon(people, monkeypatch):
    person = people.catalog.getPathBuilder().schemas["s"].tables["Person"]
    stumble(monkeypatch, 1000)
    with at_most(LONGEST), pytest.raises(requests.HTTPError):
        person.insert([{"Name": "Ada", "Age": 1}], on_conflict_skip=True)


def test_a_failure_while_a_body_is_made(ml_catalog, monkeypatch):
    def pieces():
        yield b"["
        raise TimeLimit("15 s")

    monkeypatch.setattr(LocalServer, "handle", lambda self, request: Response(200, body=pieces()))
    answer = requests.Session()
    answer.mount("https://", LocalTransport(ml_catalog.site.address.folder))
    found = answer.get("https://lab/ermrest/")
    assert found.status_code == 400 and "Query run time limit exceeded" in found.text
