"""Questions about many things cost as many requests as questions about few."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deriva_ml import BuiltinTypes, ColumnDefinition, DatasetSpec, DerivaML, Execution, TableDefinition
from deriva_ml.schema import create_ml_catalog
from deriva_server.embed import LocalServer
from deriva_server.http.message import Request, Response

FEW, MANY = 2, 12


@dataclass
class Lab:
    """A catalog in which everything there is a number of exists that many times."""

    ml: DerivaML
    dataset: str
    image: str
    analysis: str


def read_by_all(ml: DerivaML, number: int, dataset: str, images: list[str], subjects: list[str]) -> Execution:
    """Make executions that read a dataset and an image, and one that reads what all of these made."""
    workflow = ml.create_workflow("Count", "Analysis")
    label = ml.feature_record_class("Image", "Label")
    tables = []
    for index in range(number):
        with ml.create_execution(
            workflow=workflow,
            description=f"Reader {index}",
            datasets=[DatasetSpec(rid=dataset, version="0.1.0", materialize=False)],
            assets=[images[0]],
        ) as exe:
            exe.asset_file_path("Table", f"{index}.csv").write_text(f"row {index}")
            hydra = exe.asset_file_path("Execution_Metadata", f"hydra-{index}-config.yaml", "Hydra_Config")
            hydra.write_text(f"model_config: {{index: {index}}}")
            exe.metrics_file().write_text(f'{{"loss": {index}}}\n')
            exe.add_features([label(Image=rid, Label="A") for rid in images])
            exe.create_dataset(["Complete"], description=f"Part {index}").add_dataset_members(
                {"Subject": subjects, "Image": images}
            )
        exe.commit_output_assets()
        tables += [path.asset_rid for path in exe.uploaded_assets["lab/Table"]]
    with ml.create_execution(workflow=workflow, description="Reads all", assets=tables) as last:
        last.asset_file_path("Table", "summary.csv").write_text("all")
    last.commit_output_assets()
    return last


def lab_of(folder: Path, number: int) -> Lab:
    catalog = create_ml_catalog(str(folder / "lab"), "lab")
    catalog.getCatalogModel().create_schema({"schema_name": "lab"})
    ml = DerivaML(str(folder / "lab"), catalog.catalog_id, working_dir=folder / "work")
    ml.create_vocabulary("Label", "Labels", update_navbar=False)
    ml.add_term("Label", "A", "A")
    ml.create_asset("Image", update_navbar=False)
    ml.create_asset("Table", update_navbar=False)
    ml.create_table(TableDefinition("Subject", [ColumnDefinition("Name", BuiltinTypes.text)]))
    ml.create_feature("Image", "Label", terms=["Label"], update_navbar=False)
    for table in ("Subject", "Image"):
        ml.add_dataset_element_type(table)
    path = ml.pathBuilder().schemas["lab"].tables["Subject"]
    subjects = [row["RID"] for row in path.insert([{"Name": f"S{index}"} for index in range(number)])]
    with ml.create_execution(workflow=ml.create_workflow("Ingest", "Ingest"), description="Ingest") as exe:
        for index in range(number):
            exe.asset_file_path("Image", f"{index}.png").write_bytes(b"%d" % index)
        root = exe.create_dataset(["Complete"], description="All")
    exe.commit_output_assets()
    images = [str(file.asset_rid) for file in exe.uploaded_assets["lab/Image"]]
    root.add_dataset_members({"Subject": subjects, "Image": images})
    parts = [exe.create_dataset(["Training"], description=f"Nested {index}") for index in range(number)]
    root.add_dataset_members({"Dataset": [part.dataset_rid for part in parts]})
    last = read_by_all(ml, number, root.dataset_rid, images, subjects)
    for part in ml.find_executions():
        if part.execution_rid != last.execution_rid:
            last.add_nested_execution(part.execution_rid)
    return Lab(ml, root.dataset_rid, images[0], last.execution_rid)


@pytest.fixture(scope="module", autouse=True)
def dirty_is_fine() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
        yield


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return lab_of(tmp_path_factory.mktemp("few"), FEW)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return lab_of(tmp_path_factory.mktemp("many"), MANY)


Question = Callable[[Lab], Any]

QUESTIONS: dict[str, Question] = {
    "find_executions": lambda lab: lab.ml.find_executions(),
    "find_executions by status": lambda lab: lab.ml.find_executions(status="Uploaded"),
    "find_metrics": lambda lab: lab.ml.find_metrics(),
    "find_metrics of some": lambda lab: lab.ml.find_metrics(lab.ml.find_executions(), status="Uploaded"),
    "find_metrics by a metric": lambda lab: lab.ml.find_metrics(sort="loss", values="all", limit=10),
    "lookup_execution": lambda lab: lab.ml.lookup_execution(lab.analysis).workflow,
    "list_execution_parents": lambda lab: list(
        lab.ml.lookup_execution(lab.ml.find_executions()[0].execution_rid).list_execution_parents(
            recurse=True
        )
    ),
    "find_executions with workflows": lambda lab: [each.workflow for each in lab.ml.find_executions()],
    "find_executions by type": lambda lab: lab.ml.find_executions(workflow_type="Analysis"),
    "find_executions of a dataset": lambda lab: lab.ml.find_executions(dataset=lab.dataset),
    "find_executions_consuming": lambda lab: lab.ml.find_executions_consuming(lab.image),
    "list_asset_executions": lambda lab: lab.ml.list_asset_executions(lab.image),
    "list_execution_assets": lambda lab: lab.ml.list_execution_assets(lab.analysis, "Input"),
    "list_workflow_executions": lambda lab: lab.ml.list_workflow_executions("Ingest"),
    "find_workflows": lambda lab: lab.ml.find_workflows(),
    "list_assets": lambda lab: [each.asset_types for each in lab.ml.list_assets("Image")],
    "find_assets": lambda lab: [each.asset_types for each in lab.ml.find_assets()],
    "find_assets by type": lambda lab: list(lab.ml.find_assets(asset_type="Image")),
    "lookup_asset().list_executions": lambda lab: lab.ml.lookup_asset(lab.image).list_executions(),
    "lookup_lineage": lambda lab: lab.ml.lookup_lineage(lab.analysis),
    "find_datasets": lambda lab: lab.ml.find_datasets(),
    "find_datasets shown": lambda lab: [repr(each) for each in lab.ml.find_datasets()],
    "list_dataset_members": lambda lab: lab.ml.lookup_dataset(lab.dataset).list_dataset_members(),
    "list_dataset_members recurse": lambda lab: lab.ml.lookup_dataset(lab.dataset).list_dataset_members(True),
    "list_dataset_children": lambda lab: lab.ml.lookup_dataset(lab.dataset).list_dataset_children(),
    "dataset.list_executions": lambda lab: lab.ml.lookup_dataset(lab.dataset).list_executions(),
    "dataset.feature_values": lambda lab: list(
        lab.ml.lookup_dataset(lab.dataset).feature_values("Image", "Label")
    ),
    "feature_values": lambda lab: list(lab.ml.feature_values("Image", "Label")),
    "execution.list_input_datasets": lambda lab: lab.ml.lookup_execution(lab.analysis).list_input_datasets(),
    "execution.list_assets": lambda lab: lab.ml.lookup_execution(lab.analysis).list_assets(),
    "list_execution_children": lambda lab: list(
        lab.ml.lookup_execution(lab.analysis).list_execution_children(recurse=True)
    ),
    "find_experiments": lambda lab: lab.ml.find_experiments(),
    "find_experiments by status": lambda lab: lab.ml.find_experiments(status="Uploaded"),
    "list_vocabulary_terms": lambda lab: lab.ml.list_vocabulary_terms("Asset_Type"),
    "audit_provenance": lambda lab: lab.ml.audit_provenance(),
    "list_files": lambda lab: lab.ml.list_files(),
    "user_list": lambda lab: lab.ml.user_list(),
}


def asked(lab: Lab, question: Question, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    handle = LocalServer.handle

    def counting(self: LocalServer, request: Request) -> Response:
        found.append(f"{request.method} {request.path}")
        return handle(self, request)

    question(lab)
    with monkeypatch.context() as patch:
        patch.setattr(LocalServer, "handle", counting)
        question(lab)
    return found


@pytest.mark.parametrize("name", QUESTIONS)
def test_requests_do_not_grow_with_the_answer(
    name: str, few: Lab, many: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (asked(lab, QUESTIONS[name], monkeypatch) for lab in (few, many))
    assert 0 < len(second) <= len(first), second
