"""A catalog to be used wrongly, and what must be so afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deriva_ml import DerivaML, ExecutionConfiguration
from deriva_ml.errors import DerivaMLException
from deriva_ml.model.define import ColumnDefinition, TableDefinition
from deriva_ml.model.types import BuiltinTypes
from deriva_ml.schema import create_ml_catalog

REFUSED_WITHIN = 8.0


@dataclass
class Lab:
    """A catalog with something in it, and a run that goes on."""

    folder: Path
    ml: DerivaML
    exe: Any
    dataset: Any
    workflow_rid: str
    files: Path

    @property
    def label(self) -> Any:
        return self.ml.feature_record_class("Document", "Label")

    @property
    def score(self) -> Any:
        return self.ml.feature_record_class("Document", "Score")

    def output(self, table: Any = "Document", name: Any = "new.txt", **given: Any) -> Any:
        return self.exe.asset_file_path(table, name, **given)

    def configure(self, **given: Any) -> Any:
        return self.ml.create_execution(
            ExecutionConfiguration(workflow=self.exe.configuration.workflow, **given)
        )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    top = tmp_path_factory.mktemp("wrong")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
        patch.delenv("DERIVA_ML_STRICT", raising=False)
        create_ml_catalog(top / "lab", "texts", "texts-alias")
        ml = DerivaML(top / "lab", 1, working_dir=top / "work")
        ml.create_schema("texts")
        ml.create_vocabulary("Mood", "How a text feels")
        ml.add_term("Mood", "Happy", "glad")
        ml.add_term("Mood", "Sad", "not glad", synonyms=["Blue"])
        ml.create_table(TableDefinition("Subject", [ColumnDefinition("Name", BuiltinTypes.text)]))
        columns = [ColumnDefinition("Day", BuiltinTypes.date), ColumnDefinition("Pages", BuiltinTypes.int4)]
        ml.create_asset("Document", column_defs=columns, referenced_tables=["Subject"])
        ml.create_feature("Document", "Label", terms=["Mood"])
        ml.create_feature("Document", "Score", metadata=[ColumnDefinition("Value", BuiltinTypes.float8)])
        ml.add_dataset_element_type("Document")
        files = top / "files"
        (files / "other").mkdir(parents=True)
        (files / "real.txt").write_text("real")
        (files / "other" / "real.txt").write_text("another")
        workflow = ml.create_workflow("Reading", "Analysis")
        exe = ml.create_execution(ExecutionConfiguration(workflow=workflow, description="a run"))
        exe.execution_start()
        exe.asset_file_path("Document", files / "real.txt")
        dataset = exe.create_dataset(description="texts")
        yield Lab(top / "lab", ml, exe, dataset, str(exe.configuration.workflow.workflow_rid), files)


@pytest.fixture
def nothing_changes(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither the catalog nor the working directory nor the current folder is another afterwards."""
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    monkeypatch.chdir(tmp_path)

    def state() -> tuple[Any, ...]:
        places = (lab.ml.working_dir, tmp_path, lab.folder / "catalogs")
        found = sorted(str(path) for place in places for path in place.rglob("*"))
        # Side files of SQLite come and go.
        files = [path for path in found if not path.endswith(("-wal", "-shm", ".lock"))]
        return lab.ml.catalog.get("/").json()["snaptime"], files, sorted(lab.exe._outputs.manifest.assets)

    before = state()
    yield
    assert state() == before


@pytest.fixture(scope="session")
def says() -> Callable[..., None]:
    """Whether an error is one of ours, short, with some words; no foreign one reaches the last line."""
    return _says


@pytest.fixture(scope="session")
def refused() -> Callable[..., None]:
    """Whether a use of the catalog is refused as a case has it: what is called, which error, what it says."""
    return _refused


def _refused(lab: Any, case: tuple[Callable[[Any], Any], type[Exception], list[str]]) -> None:
    call, error, words = case
    with pytest.raises(error) as caught:
        call(lab)
    if issubclass(error, DerivaMLException):
        _says(caught.value, *words)


def _says(error: BaseException, *words: str) -> None:
    """One error of ours, short, with these words; no foreign one reaches the last line."""
    text = str(error)
    assert type(error).__module__ == "deriva_ml.errors", type(error)
    for word in words:
        assert word in text
    for noise in ("Traceback", "sqlalche", "pydantic", "HTTPConnection", "HTTPSConnection", "object at 0x"):
        assert noise not in text
    assert text.endswith((".", ")", "?")) or "\n" in text
