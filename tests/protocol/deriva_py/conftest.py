"""deriva-py against our services: by calls in this process, and by HTTP."""

import pytest
from tests.protocol.deriva_py.rich import build
from tests.protocol.ways import WAYS

from deriva_ml.ermrest.address import read_address
from deriva_ml.ermrest.connect import Site
from deriva_server.embed import LocalServer


@pytest.fixture(scope="session", params=WAYS)
def way(request):
    """Kind of database, and transport."""
    return request.param


@pytest.fixture(scope="session")
def database(way):
    return way[0]


@pytest.fixture(scope="session")
def folder(tmp_path_factory, shared_address):
    place = tmp_path_factory.mktemp("deployment") / "lab"
    with LocalServer.open(place, create=True, database=shared_address()):
        yield place


@pytest.fixture(scope="session")
def http(folder):
    with LocalServer.open(folder).serve() as running:
        yield running.url


@pytest.fixture(scope="session")
def host(way, folder, http):
    return str(folder) if way[1] == "call" else http


@pytest.fixture(scope="session")
def site(host):
    return Site(read_address(host))


@pytest.fixture(scope="session")
def server(site, http):
    """deriva-py's own class over HTTP, our subclass in process."""
    if site.is_embedded:
        return site.server()
    from deriva.core import DerivaServer

    return DerivaServer("http", site.authority, caching=True)


@pytest.fixture
def catalog(server):
    made = server.create_ermrest_catalog(name="test")
    yield made
    made.delete_ermrest_catalog(really=True)


@pytest.fixture
def rich(catalog):
    """A catalog with something of everything."""
    build(catalog)
    return catalog
