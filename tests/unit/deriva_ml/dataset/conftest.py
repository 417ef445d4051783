"""Datasets of rows of two tables."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from deriva_ml import vocabulary
from deriva_ml.dataset import dataset as datasets
from deriva_ml.dataset import registry
from deriva_ml.dataset.dataset import Dataset
from deriva_ml.ermrest import rows
from deriva_ml.feature import feature as features
from deriva_ml.model.define import ColumnDefinition, TableDefinition
from deriva_ml.model.types import BuiltinTypes
from deriva_ml.schema.create import create_connected
from deriva_ml.session import Session
from deriva_ml.workflow.workflow import Workflow, add

_names = itertools.count()


@dataclass
class Lab:
    """A catalog with subjects that are graded, and samples."""

    session: Session
    execution_rid: str
    second_execution: str
    folder: Path

    def subjects(self, number: int) -> list[str]:
        """RIDs of new subjects."""
        return self.rows("Subject", number)

    def rows(self, table: str, number: int) -> list[str]:
        """RIDs of new rows."""
        new = [{"Name": f"{table} {next(_names)}"} for _ in range(number)]
        made = rows.insert(self.session.connection, self.session.table(table), new)
        return sorted(row["RID"] for row in made)

    def dataset(self, **members: list[str]) -> Dataset:
        """A released one."""
        made = datasets.create(self.session, description="d")
        if members:
            made.add_dataset_members(members)
            made.release("minor", "filled")
        return made

    def grade(self, graded: dict[str, str | None], again: bool = False) -> None:
        """Give subjects a grade, the first or another one."""
        execution = self.second_execution if again else self.execution_rid
        new = [
            {"Subject": rid, "Grade": grade, "Feature_Name": "Graded", "Execution": execution}
            for rid, grade in graded.items()
            if grade is not None
        ]
        rows.insert(self.session.connection, self.session.table("Execution_Subject_Graded"), new)

    def other_session(self, name: str) -> Session:
        """A session of somebody else."""
        place = self.session.connection
        return Session.open(place.host, place.catalog_id, working_dir=self.folder / name)


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    folder = tmp_path_factory.mktemp("datasets")
    connection = create_connected(folder / "lab", "lab", domain_schema="lab")
    session = Session.open(connection.host, connection.catalog_id, working_dir=folder / "work")
    for name in ("Subject", "Sample"):
        session.create_tables([TableDefinition(name, [ColumnDefinition("Name", BuiltinTypes.text)])])
        registry.add_element_type(session, name)
    vocabulary.create_vocabulary(session, "Grade")
    vocabulary.add_terms(session, "Grade", {"Mild": "little", "Severe": "much"})
    features.create_feature(session, "Subject", "Graded", terms=["Grade"])
    spec = Workflow(name="w", workflow_type="Testing", url="https://example.org/w", checksum="d" * 40)
    made = {"Workflow": add(session, spec), "Status": "Running"}
    first, second = rows.insert(connection, session.ml_table("Execution"), [made, made])
    return Lab(session, first["RID"], second["RID"], folder)


@pytest.fixture
def before_request(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, Callable[[], Any]], None]]:
    """Do something once, right before the first request whose method and path begin and end in a way."""
    plain = requests.Session.send

    def arrange(part: str, action: Callable[[], Any]) -> None:
        left = [action]

        def sending(self: Any, request: Any, **options: Any) -> Any:
            if left and part in f"{request.method} {request.path_url}":
                left.pop()()
            return plain(self, request, **options)

        monkeypatch.setattr(requests.Session, "send", sending)

    yield arrange
