"""Every case of ``cases/``, on every database and over every transport."""

from __future__ import annotations

import http.client
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from werkzeug.datastructures import Headers

from deriva_server.embed import LocalServer
from deriva_server.http.message import FilePart, Request
from deriva_server.identity import ADMIN, ANONYMOUS, Client, Group

from .cases_files import Case, CaseFile, load_all
from .cases_runner import CALLER, Answer, Runner, Transport
from .ways import WAYS

FILES = load_all()
CALLERS = {
    "owner": Client("kim", "kim", "Kim Lee", "kim@example.org", (ADMIN,)),
    "other": Client("lee", "lee", "Lee Kim"),
    "member": Client("mo", "mo", "Mo Ok", None, (Group("https://groups/lab", "The Lab"), Group("hidden"))),
    "anonymous": ANONYMOUS,
}


def open_server(address: str | None, folder: Path) -> LocalServer:
    """A new deployment, on a PostgreSQL server where there is an address."""
    return LocalServer.open(folder, create=True, database=address)


class InProcess:
    """Calls the server."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server

    def send(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> Answer:
        content = body or b""
        length = None if body is None else len(body)
        answer = self._server.handle(
            Request(method, target, Headers(headers.items()), io.BytesIO(content), length)
        )
        received = answer.body
        if isinstance(received, FilePart):
            received = received.chunks()
        given = {name.lower(): value for name, value in answer.headers}
        return Answer(answer.status, given, received if isinstance(received, bytes) else b"".join(received))


class Http:
    """Speaks HTTP over one connection that stays open."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def send(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> Answer:
        try:
            return self._send(method, target, headers, body)
        except http.client.HTTPException:
            self.connection.close()
            raise

    def _send(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> Answer:
        self.connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            self.connection.putheader(name, value)
        if body is not None or method in ("POST", "PUT"):
            self.connection.putheader("Content-Length", str(len(body or b"")))
        self.connection.endheaders(body)
        answer = self.connection.getresponse()
        given = {name.lower(): value for name, value in answer.getheaders()}
        assert answer.reason == http.client.responses[answer.status]
        return Answer(answer.status, given, answer.read())


@pytest.fixture(scope="session", params=WAYS)
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Kind of database, and transport."""
    return tuple(request.param)


@pytest.fixture(scope="session")
def database(way: tuple[str, str]) -> str:
    return way[0]


@pytest.fixture(scope="session")
def server(
    shared_address: Callable[[], str | None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalServer]:
    with open_server(shared_address(), tmp_path_factory.mktemp("cases") / "lab") as server:
        server.application.identify = lambda request: CALLERS[request.headers.get(CALLER, "owner")]
        yield server


@pytest.fixture(scope="session")
def transport(way: tuple[str, str], server: LocalServer) -> Iterator[Transport]:
    if way[1] == "call":
        yield InProcess(server)
        return
    with server.serve() as running:
        speaker = Http(running.port)
        yield speaker
        speaker.connection.close()


@pytest.fixture(scope="session")
def runner_of(transport: Transport) -> Callable[[CaseFile], Runner]:
    """The runner of a file, made when its first case needs it."""
    made: dict[str, Runner] = {}

    def get(case_file: CaseFile) -> Runner:
        if case_file.is_fresh:
            return Runner(transport, case_file)
        if case_file.name not in made:
            made[case_file.name] = Runner(transport, case_file)
        return made[case_file.name]

    return get


@pytest.mark.parametrize(
    ("case_file", "case"),
    [pytest.param(file, case, id=f"{file.name}: {case.name}") for file in FILES for case in file.cases],
)
def test_case(
    request: pytest.FixtureRequest,
    database: str,
    runner_of: Callable[[CaseFile], Runner],
    case_file: CaseFile,
    case: Case,
) -> None:
    if database in case.flaws:
        request.applymarker(pytest.mark.xfail(reason=case.flaws[database], strict=True))
    runner = runner_of(case_file)
    try:
        runner.run(case)
    finally:
        if case_file.is_fresh:
            runner.discard()
