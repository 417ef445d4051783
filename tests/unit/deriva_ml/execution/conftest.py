"""A catalog with subjects, images, models and two features; and a way to count requests."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import requests

from deriva_ml import vocabulary
from deriva_ml.asset import define
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.embedded import LocalTransport
from deriva_ml.execution.execution import create_execution
from deriva_ml.feature import feature as features
from deriva_ml.model.define import ColumnDefinition, TableDefinition
from deriva_ml.model.types import BuiltinTypes
from deriva_ml.schema.create import create_connected
from deriva_ml.session import Session
from deriva_ml.specs import ExecutionConfiguration
from deriva_ml.workflow import workflow as workflows


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    monkeypatch.delenv("DERIVA_ML_STRICT", raising=False)


@pytest.fixture(scope="package")
def lab(tmp_path_factory):
    """Host and id of a catalog with tables."""
    connection = create_connected(tmp_path_factory.mktemp("deployment") / "lab", "lab", domain_schema="lab")
    session = Session.open(
        connection.host, connection.catalog_id, working_dir=tmp_path_factory.mktemp("setup")
    )
    session.create_tables([TableDefinition("Subject", [ColumnDefinition("Name", BuiltinTypes.text)])])
    define.create_asset(
        session,
        "Image",
        column_defs=[
            ColumnDefinition("Note", BuiltinTypes.text),
            ColumnDefinition("Shots", BuiltinTypes.int4),
        ],
        referenced_tables=[],
    )
    define.create_asset(session, "Model", column_defs=[])
    define.create_asset(
        session,
        "Scan",
        column_defs=[
            ColumnDefinition("Day", BuiltinTypes.date, nullok=False),
            ColumnDefinition("Side", BuiltinTypes.text, nullok=False, default="left"),
        ],
        referenced_tables=["Subject"],
    )
    vocabulary.create_vocabulary(session, "Grade")
    vocabulary.add_terms(session, "Grade", {"Mild": "little", "Severe": "much"})
    vocabulary.add_term(session, "Grade", "Absent", "nothing", synonyms=["None"])
    vocabulary.add_terms(session, "Asset_Type", {"Derived": "made of others", "Mask": "a mask"})
    features.create_feature(session, "Image", "Glaucoma_Grade", terms=["Grade"])
    features.create_feature(session, "Image", "Outline", assets=["Scan"])
    return connection.host, connection.catalog_id


@pytest.fixture
def session(lab, tmp_path):
    """A session with a working directory of its own."""
    return Session.open(*lab, working_dir=tmp_path / "work")


@pytest.fixture
def workflow(session):
    return workflows.create(session, "Test", "Testing", "a test")


@pytest.fixture
def config(workflow):
    return ExecutionConfiguration(workflow=workflow, description="a run")


@pytest.fixture
def execute(session, config):
    """Makes an execution."""
    return lambda **given: create_execution(session, None if given else config, **given)


@pytest.fixture
def row_of(session):
    """Row of a RID."""

    def find(table, rid):
        return next(iter(rows.read(session.connection, session.table(table), where={"RID": [rid]})), None)

    return find


@pytest.fixture
def rows_of(session):
    """Rows of a table that match."""

    def find(table, **where):
        conditions = {name: value if isinstance(value, list) else [value] for name, value in where.items()}
        return list(rows.read(session.connection, session.table(table), where=conditions))

    return find


@pytest.fixture
def image_rid(execute):
    """An image in the catalog."""
    with execute() as exe:
        exe.asset_file_path("Image", "seed.png").write_bytes(b"seed")
    exe.commit_output_assets()
    return exe.uploaded_assets["lab/Image"][0].asset_rid


@dataclass
class Requests:
    """Requests that were sent."""

    sent: list[tuple[str, str]] = field(default_factory=list)

    @property
    def catalog(self):
        return [item for item in self.sent if "/ermrest/" in item[1]]

    @property
    def store(self):
        return [item for item in self.sent if "/hatrac/" in item[1]]


@pytest.fixture
def counted():
    """Context in which requests are counted."""

    @contextmanager
    def watch():
        seen, original, original_put = Requests(), requests.Session.send, LocalTransport.put_objects

        def send(self, request, **options):
            seen.sent.append((request.method, request.url))
            return original(self, request, **options)

        def put_objects(self, puts):
            seen.sent += [("PUT", target) for target, *_ in puts]
            return original_put(self, puts)

        requests.Session.send, LocalTransport.put_objects = send, put_objects
        try:
            yield seen
        finally:
            requests.Session.send, LocalTransport.put_objects = original, original_put

    return watch


@pytest.fixture
def record_class(session):
    """Class of the records of a feature of images."""
    return lambda name: features.lookup_feature(session.model, "Image", name).feature_record_class()
