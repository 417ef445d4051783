"""A catalog whose own tables bear the names of the library's."""

from pathlib import Path

import pytest

from deriva_ml import DatasetSpec, DerivaML, TableDefinition
from deriva_ml.names import MLAsset, MLTable, MLVocab
from deriva_ml.schema import create_ml_catalog

ASSOCIATIONS = ("Dataset_Execution", "Dataset_Dataset", "Dataset_Dataset_Type", "Workflow_Workflow_Type")
NAMES = [*(str(name) for kind in (MLTable, MLVocab, MLAsset) for name in kind), *ASSOCIATIONS]


@pytest.mark.parametrize("kind", ["table", "vocabulary"])
def test_all_that_a_run_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    catalog = create_ml_catalog(tmp_path / "lab", "lab")
    DerivaML(tmp_path / "lab", 1, working_dir=tmp_path / "work").create_schema("own")
    ml = DerivaML(tmp_path / "lab", catalog.catalog_id, working_dir=tmp_path / "work")
    for name in dict.fromkeys(NAMES):
        if kind == "table":
            ml.create_table(TableDefinition(name), update_navbar=False)
        else:
            ml.create_vocabulary(name, update_navbar=False)
    assert set(NAMES) <= set(ml.model.schemas["own"].tables)
    ml.create_asset("Image")
    ml.add_dataset_element_type("Image")
    ml.create_vocabulary("Grade")
    ml.add_term("Grade", "mild", "little")
    grade = ml.create_feature("Image", "Severity", terms=["Grade"])
    workflow = ml.create_workflow("train", "Training")

    with ml.create_execution(workflow=workflow) as made:
        made.asset_file_path("Image", "eye.png").write_bytes(b"eye")
        made.asset_file_path(MLAsset.execution_asset, "log.txt").write_bytes(b"log")
        made.metrics_file("metrics.jsonl").write_text('{"loss": 0.5}\n')
    made.commit_output_assets()
    [image] = ml.list_assets("Image")
    with ml.create_execution(workflow=workflow, assets=[image.asset_rid]) as graded:
        dataset = graded.create_dataset(dataset_types=["Training"], description="eyes")
        dataset.add_dataset_members([image.asset_rid])
        graded.add_features([grade(Image=image.asset_rid, Grade="mild")])
    graded.commit_output_assets()
    dataset.mark_dev("as it is")
    version = dataset.release()
    spec = DatasetSpec(rid=dataset.dataset_rid, version=version)
    with ml.create_execution(workflow=workflow, datasets=[spec]) as read:
        bag = read.datasets[0]
        assert bag.dataset_types == ["Training"]
        assert [row["RID"] for row in bag.list_dataset_members()["Image"]] == [image.asset_rid]
        assert [each.Grade for each in bag.feature_values("Image", "Severity")] == ["mild"]
    read.commit_output_assets()

    assert {asset.filename for asset in made.list_assets("Output")} >= {"eye.png", "log.txt", "metrics.jsonl"}
    assert len(list(ml.find_executions(workflow_type="Training", status="Uploaded"))) == 3
    [registered] = [each for each in ml.find_workflows() if each.name == "train"]
    assert registered.workflow_types == ["Training"]
    [summary] = {each.execution_rid for each in ml.find_executions(dataset=spec, dataset_role="input")}
    assert summary == read.execution_rid
    assert ml.lookup_lineage(dataset.dataset_rid).root.rid == dataset.dataset_rid
    assert "Training" in {term.name for term in ml.list_vocabulary_terms(MLVocab.workflow_type)}
