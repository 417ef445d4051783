"""Every machine runs on every database."""

import pytest
from tests.deployments import DATABASES


@pytest.fixture(params=DATABASES)
def database(request):
    """Kind of database to run on."""
    return request.param
