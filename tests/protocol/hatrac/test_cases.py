"""Every case about the object service, on every store of bytes and over every transport."""

from __future__ import annotations

import pytest
from tests.protocol.cases_files import Case, CaseFile, load_all
from tests.protocol.cases_runner import SpaceRunner, Transport

FILES = [file for file in load_all() if file.is_of_objects]


@pytest.fixture(scope="session")
def runner(transport: Transport) -> SpaceRunner:
    return SpaceRunner(transport)


@pytest.mark.parametrize(
    ("case_file", "case"),
    [pytest.param(file, case, id=f"{file.name}: {case.name}") for file in FILES for case in file.cases],
)
def test_case(runner: SpaceRunner, case_file: CaseFile, case: Case) -> None:
    runner.run(case_file, case)
