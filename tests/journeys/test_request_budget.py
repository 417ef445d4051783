"""How many requests the main road costs, counted at the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deriva_ml import BuiltinTypes, ColumnDefinition, DerivaML, ExecutionConfiguration
from deriva_ml.schema import create_ml_catalog
from deriva_server.embed import LocalServer
from deriva_server.http.message import Request, Response

IMAGES = 1797


@pytest.fixture(scope="module")
def ml(tmp_path_factory: pytest.TempPathFactory) -> DerivaML:
    folder = tmp_path_factory.mktemp("budget")
    catalog = create_ml_catalog(str(folder / "lab"), "budget")
    ml = DerivaML(str(folder / "lab"), catalog.catalog_id, working_dir=folder / "work")
    ml.create_schema("budget")
    ml.create_vocabulary("Label", "Labels", update_navbar=False)
    ml.add_term("Label", "A", "A")
    ml.create_asset(
        "Image", column_defs=[ColumnDefinition(name="Position", type=BuiltinTypes.int4)], update_navbar=False
    )
    ml.create_feature("Image", "Label", terms=["Label"], update_navbar=False)
    return ml


@pytest.fixture(autouse=True)
def dirty_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    found: Counter[str] = Counter()
    handle = LocalServer.handle

    def counting(self: LocalServer, request: Request) -> Response:
        service = "objects" if request.path.startswith("/hatrac") else "catalog"
        found[service] += 1
        if service == "objects" and request.method in ("PUT", "POST"):
            found["uploads"] += 1
        return handle(self, request)

    with monkeypatch.context() as patch:
        patch.setattr(LocalServer, "handle", counting)
        yield found


def test_commit_of_many_images(ml: DerivaML, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = ml.feature_record_class("Image", "Label")
    workflow = ml.create_workflow("Budget", "Ingest")
    with ml.create_execution(ExecutionConfiguration(workflow=workflow, description="Many")) as exe:
        labels = []
        for number in range(IMAGES):
            path = exe.asset_file_path("Image", f"{number}.png", metadata={"Position": number})
            path.write_bytes(b"%d" % number)
            labels.append(record(Image=path, Label="A"))
        exe.add_features(labels)
    with counted(monkeypatch) as requests:
        report = exe.commit_output_assets()
    assert report.total_uploaded == IMAGES
    assert requests["catalog"] <= 30, requests
    assert requests["uploads"] <= IMAGES, requests
    assert ml.catalog.get("/aggregate/budget:Execution_Image_Label/n:=cnt(*)").json()[0]["n"] == IMAGES


def test_opening_asks_once(ml: DerivaML, monkeypatch: pytest.MonkeyPatch) -> None:
    with counted(monkeypatch) as requests:
        assert DerivaML(str(ml.host_name), ml.catalog_id, working_dir=ml.working_dir).model.schemas
    assert requests["catalog"] <= 2, requests


def test_an_element_type_is_one_table_and_one_annotation(
    ml: DerivaML, monkeypatch: pytest.MonkeyPatch
) -> None:
    ml.apply_catalog_annotations()
    with counted(monkeypatch) as requests:
        ml.add_dataset_element_type("Image")
    assert requests["catalog"] == 2, requests
