"""An experiment tells what was chosen for a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from deriva_ml import DerivaML, ExecutionConfiguration
from deriva_ml.ermrest.connect import Connection
from deriva_ml.errors import DerivaMLNotFoundError
from deriva_ml.experiment import Experiment


@pytest.fixture
def ml(ml_catalog: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DerivaML:
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    return DerivaML(ml_catalog.host, ml_catalog.catalog_id, working_dir=tmp_path / "work")


def _run(ml: DerivaML, hydra: str | None) -> str:
    workflow = ml.create_workflow("Train", "Training")
    choices = {"model_config": "quick", "datasets": "small"}
    config = ExecutionConfiguration(workflow=workflow, description="A quick look", config_choices=choices)
    with ml.create_execution(config) as exe:
        exe.asset_file_path("Execution_Asset", "weights.bin").write_bytes(b"w")
        if hydra is not None:
            name = "hydra-2026-01-01_10-00-00-config.yaml"
            exe.asset_file_path("Execution_Metadata", name, "Hydra_Config").write_text(hydra)
    exe.commit_output_assets()
    return str(exe.execution_rid)


def test_what_was_chosen(ml: DerivaML) -> None:
    rid = _run(ml, "model_config:\n  _target_: train\n  epochs: 5\n")
    found = ml.lookup_experiment(rid)
    assert (found.name, found.description, str(found.status)) == ("quick", "A quick look", "Uploaded")
    assert found.config_choices == {"model_config": "quick", "datasets": "small"}
    assert found.model_config == {"_target_": "train", "epochs": 5}
    assert [asset.filename for asset in found.output_assets] == ["weights.bin"]
    assert found.summary()["execution_rid"] == rid
    text = found.to_markdown()
    assert "- epochs: `5`" in text
    assert "_target_" not in text
    assert rid in [one.execution_rid for one in ml.find_experiments()]
    assert rid in [one.execution_rid for one in ml.find_experiments(found.execution.workflow_rid, "Uploaded")]
    assert ml.find_experiments(status="Aborted") == []


def test_a_run_without_hydra_is_no_experiment(ml: DerivaML) -> None:
    rid = _run(ml, None)
    with pytest.raises(DerivaMLNotFoundError, match="no Hydra configuration"):
        ml.lookup_experiment(rid)
    assert Experiment(ml, rid).hydra_config == {}
    with pytest.raises(DerivaMLNotFoundError):
        ml.lookup_experiment("ZZ-ZZZZ")
