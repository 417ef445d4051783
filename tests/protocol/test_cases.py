"""Every case of ``cases/``, on every database and over every transport."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deriva_server.embed import LocalServer

from .cases_files import Case, CaseFile, load_all
from .cases_runner import CatalogRunner, Transport
from .transports import identify, speaking
from .ways import WAYS

FILES = [file for file in load_all() if not file.is_of_objects]


def open_server(address: str | None, folder: Path) -> LocalServer:
    """A new deployment, on a PostgreSQL server where there is an address."""
    return LocalServer.open(folder, create=True, database=address)


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
        server.application.identify = identify
        yield server


@pytest.fixture(scope="session")
def transport(way: tuple[str, str], server: LocalServer) -> Iterator[Transport]:
    with speaking(server, way[1]) as transport:
        yield transport


@pytest.fixture(scope="session")
def runner_of(transport: Transport) -> Callable[[CaseFile], CatalogRunner]:
    """The runner of a file, made when its first case needs it."""
    made: dict[str, CatalogRunner] = {}

    def get(case_file: CaseFile) -> CatalogRunner:
        if case_file.is_fresh:
            return CatalogRunner(transport, case_file)
        if case_file.name not in made:
            made[case_file.name] = CatalogRunner(transport, case_file)
        return made[case_file.name]

    return get


@pytest.mark.parametrize(
    ("case_file", "case"),
    [pytest.param(file, case, id=f"{file.name}: {case.name}") for file in FILES for case in file.cases],
)
def test_case(
    request: pytest.FixtureRequest,
    database: str,
    runner_of: Callable[[CaseFile], CatalogRunner],
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
