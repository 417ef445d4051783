"""One deployment with one catalog with the ML schema for all tests of the client's rooms; tests make their own tables."""

import itertools

import pytest

from deriva_ml.schema.create import create_connected
from deriva_ml.session import Session

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def ml_catalog(tmp_path_factory):
    """A connection to a catalog with the ML schema and an empty schema `lab`."""
    return create_connected(tmp_path_factory.mktemp("deployment") / "lab", "lab", domain_schema="lab")


@pytest.fixture(scope="session")
def ml_session(ml_catalog, tmp_path_factory):
    """A session on that catalog; the schema `lab` is its default one."""
    return Session.open(ml_catalog.host, ml_catalog.catalog_id, working_dir=tmp_path_factory.mktemp("work"))


@pytest.fixture
def fresh():
    """Makes names that no other test uses."""
    return lambda stem: f"{stem}_{next(_numbers)}"
