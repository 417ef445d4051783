"""A run of ``deriva-ml-run`` and a job of its sweeps, run again from what they recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.projects import Project, write_project

from deriva_ml import DerivaML
from deriva_ml.reproduction import check, reproduce
from deriva_ml.reproduction.compare import Verdict
from deriva_ml.schema import create_ml_catalog


@pytest.fixture(scope="module")
def ml(tmp_path_factory: pytest.TempPathFactory) -> DerivaML:
    folder = tmp_path_factory.mktemp("jobs") / "lab"
    create_ml_catalog(folder, "digits")
    return DerivaML(folder, 1)


@pytest.fixture(scope="module")
def project(ml: DerivaML, tmp_path_factory: pytest.TempPathFactory) -> Project:
    with ml.create_execution(workflow=ml.create_workflow("Curate", "Training")) as exe:
        made = exe.create_dataset(description="Digits")
    exe.commit_output_assets()
    folder = tmp_path_factory.mktemp("project") / "proj"
    return write_project(folder, Path(ml.host_name), "1", made.dataset_rid)


def test_a_job_of_a_sweep_and_a_run(ml: DerivaML, project: Project, tmp_path: Path) -> None:
    """The job is run again alone, which is a run by itself."""
    assert project.run("--host", str(ml.host_name), "--catalog", "1", "+multirun=rates").returncode == 0
    (sweep,) = (record for record in ml.find_executions() if record.is_parent())
    _, job = (each.execution_rid for each in sweep.list_execution_children())
    (project.folder / "src/models/digits.py").write_text("raise SystemExit('not what was committed')\n")

    whole = check(ml, sweep.execution_rid)
    assert not whole.is_possible
    assert "the whole of a sweep; its jobs can be: " in str(whole)
    assert job in str(whole)

    rid = job
    for _ in range(2):
        assert "deriva-ml-run model_config=digits_quick" in str(check(ml, rid))
        done = reproduce(ml, rid, folder=tmp_path / rid)
        assert [(each.name, each.verdict) for each in done.outputs] == [
            ("Execution_Asset/weights-1-0.2.json", Verdict.identical)
        ]
        repeated = ml.lookup_execution(done.repeated.execution_rid)
        assert repeated.description.startswith(f"Reproduction of {rid}: # Which rate?")
        assert not repeated.is_nested()
        rid = repeated.execution_rid
