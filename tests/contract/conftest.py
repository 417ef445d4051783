"""One catalog for all that reads datasets."""

import pytest
from tests.contract.readable import Readable


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    return Readable.made(tmp_path_factory.mktemp("readers"))
