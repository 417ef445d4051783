"""One catalog, spoken to in process and over HTTP."""

import pytest

from deriva_ml.ermrest.connect import connect
from deriva_server.embed import LocalServer


@pytest.fixture(scope="module")
def http(ml_catalog):
    with LocalServer.open(ml_catalog.site.address.folder).serve() as running:
        yield running.url


@pytest.fixture(params=["embedded", "http"])
def connection(request, ml_catalog):
    if request.param == "embedded":
        return ml_catalog
    return connect(request.getfixturevalue("http"), ml_catalog.catalog_id)
