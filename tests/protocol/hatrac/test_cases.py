"""Every case about the object service, on every store of bytes and over every transport."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.deployments import opened_objects
from tests.protocol.cases_files import Case, CaseFile, load_all
from tests.protocol.cases_runner import SpaceRunner
from tests.protocol.transports import Http, InProcess, identify
from tests.protocol.ways import OBJECT_WAYS

from deriva_server.embed import LocalServer

FILES = [file for file in load_all() if file.is_of_objects]


@pytest.fixture(scope="session", params=OBJECT_WAYS)
def way(request: pytest.FixtureRequest) -> tuple[str, str, str]:
    """Kind of database, store of bytes, and transport."""
    return tuple(request.param)


@pytest.fixture(scope="session")
def database(way: tuple[str, str, str]) -> str:
    return way[0]


@pytest.fixture(scope="session")
def server(
    way: tuple[str, str, str],
    shared_address: Callable[[], str | None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LocalServer]:
    folder = tmp_path_factory.mktemp("cases") / "lab"
    with opened_objects(folder, shared_address(), way[1]) as server:
        server.application.identify = identify
        yield server


@pytest.fixture(scope="session")
def runner(way: tuple[str, str, str], server: LocalServer) -> Iterator[SpaceRunner]:
    if way[2] == "call":
        yield SpaceRunner(InProcess(server))
        return
    with server.serve() as running:
        speaker = Http(running.port)
        yield SpaceRunner(speaker)
        speaker.connection.close()


@pytest.mark.parametrize(
    ("case_file", "case"),
    [pytest.param(file, case, id=f"{file.name}: {case.name}") for file in FILES for case in file.cases],
)
def test_case(runner: SpaceRunner, case_file: CaseFile, case: Case) -> None:
    runner.run(case_file, case)
