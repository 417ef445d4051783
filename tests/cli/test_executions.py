"""``deriva-ml executions`` and ``deriva-ml upload``: see what waits, and send it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.interpreter import python

from deriva_ml import DerivaML, DerivaMLConfig
from deriva_ml.cli.main import main
from deriva_ml.schema import create_ml_catalog

CRASHING = """
import os, sys
from deriva_ml import DerivaML, DerivaMLConfig
ml = DerivaML(sys.argv[1], "1", working_dir=sys.argv[2])
exe = ml.create_execution(workflow=ml.create_workflow("Crash", "Analysis"), description="A run that is killed")
with exe:
    exe.asset_file_path("Execution_Asset", "part.txt").write_text("part")
    os._exit(9)
"""


@pytest.fixture
def crashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments that name a catalog and a working directory with an execution whose process died."""
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    create_ml_catalog(str(tmp_path / "lab"), "lab")
    places = [str(tmp_path / "lab"), str(tmp_path / "work")]
    assert subprocess.run([python(), "-c", CRASHING, *places], cwd=tmp_path).returncode == 9
    return ["--host", places[0], "--catalog", "1", "--working-dir", places[1]]


def test_what_a_dead_process_left_is_seen_and_sent(
    crashed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["executions", *crashed]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["RID", "STATUS", "SINCE", "WAITING", "ABOUT"]
    assert "Running" in line
    assert "owner gone since 20" in line
    assert "A run that is killed" in line
    assert main(["upload", *crashed]) == 0
    assert "0 failed" in capsys.readouterr().err
    assert main(["executions", *crashed]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert "Uploaded" in line
    assert "owner gone" not in line
    assert main(["executions", "--incomplete", *crashed]) == 0
    assert "No executions" in capsys.readouterr().out
    ml = DerivaML(crashed[1], "1")
    assert [asset.filename for asset in ml.list_assets("Execution_Asset")] == ["part.txt"]


def test_what_is_given_up_waits_no_longer(crashed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    ml = DerivaML(crashed[1], "1", working_dir=crashed[5])
    (lost,) = ml.find_incomplete_executions()
    ml.resume_execution(lost.rid).abort()
    assert main(["executions", *crashed]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split()[:2] == [lost.rid, "Aborted"] and line.split()[4] == "Execution", line


def test_errors_name_the_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["executions", "--host", str(tmp_path / "nowhere"), "--catalog", "1"]) == 1
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("named", [True, False])
def test_what_a_run_of_a_project_left_is_found_where_its_configuration_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], named: bool
) -> None:
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    monkeypatch.setenv("DERIVA_ML_HOME", str(tmp_path / "home"))
    lab = tmp_path / "lab"
    create_ml_catalog(str(lab), "lab")
    work = str(lab / "work")
    ml = DerivaML.instantiate(DerivaMLConfig(hostname=str(lab), catalog_id="1", working_dir=work))
    with ml.create_execution(workflow=ml.create_workflow("Train", "Training"), description="Waits") as run:
        run.asset_file_path("Execution_Asset", "model.txt").write_text("model")
    place = ["--host", str(lab), "--catalog", "1", *(["--working-dir", work] if named else [])]
    assert main(["executions", *place]) == 0
    assert "Waits" in capsys.readouterr().out
    assert main(["upload", *place]) == 0
    assert [asset.filename for asset in ml.list_assets("Execution_Asset")] == ["model.txt"]
