"""Several processes on one folder, in process and over HTTP, at the same time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import requests
from tests.interpreter import python

from deriva_server import LocalServer
from deriva_server.http.message import Request

WORK = """
import io, sys
from werkzeug.datastructures import Headers
from deriva_server import LocalServer
from deriva_server.http.message import Request

folder, number = sys.argv[1:]
server = LocalServer.open(folder, create=True)
namespace = Headers({"Content-Type": "application/x-hatrac-namespace"})
assert server.handle(Request("PUT", f"/hatrac/p{number}", namespace)).status == 201
for index in range(5):
    request = Request("PUT", f"/hatrac/p{number}/{index}", body=io.BytesIO(b"%d" % index), length=1)
    assert server.handle(request).status == 201
print(server.id)
"""


def test_many_processes_begin_at_once(tmp_path: Path) -> None:
    folder = str(tmp_path / "lab")
    commands = [[python(), "-c", WORK, folder, str(number)] for number in range(4)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    ids = {process.communicate(timeout=60)[0] for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert len(ids) == 1
    with LocalServer.open(folder) as server:
        body = server.handle(Request("GET", "/hatrac/")).body
        assert isinstance(body, bytes)
        assert len(json.loads(body)) == 4
        assert len(list(server.objects.backend.keys())) == 5


SERVE = """
import sys
from deriva_server import LocalServer
with LocalServer.open(sys.argv[1]).serve() as running:
    print(running.url, flush=True)
    running.wait()
"""


def test_http_and_direct_use_together(tmp_path: Path) -> None:
    with LocalServer.open(tmp_path / "lab", create=True) as server:
        command = [python(), "-c", SERVE, str(server.folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                url = process.stdout.readline().strip()
                assert (
                    requests.get(f"{url}/authn/session", timeout=30)
                    .json()["client"]["id"]
                    .startswith("local/")
                )
                assert requests.put(f"{url}/hatrac/a", data=b"over HTTP", timeout=30).status_code == 201
                assert server.handle(Request("HEAD", "/hatrac/a")).status == 200
                assert server.handle(Request("DELETE", "/hatrac/a")).status == 204
                assert requests.get(f"{url}/hatrac/a", timeout=30).status_code == 404
            finally:
                os.kill(process.pid, signal.SIGKILL)
        assert server.handle(Request("GET", "/hatrac/")).status == 200
