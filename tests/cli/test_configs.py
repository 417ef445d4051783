"""``deriva-ml validate-config`` and ``bootstrap-config``."""

from __future__ import annotations

from pathlib import Path

import pytest

from deriva_ml import DerivaML
from deriva_ml.cli.main import main
from deriva_ml.schema import create_ml_catalog


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments that name a catalog with a dataset; the present folder is a project."""
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    create_ml_catalog(str(tmp_path / "lab"), "lab")
    (tmp_path / "src/configs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    ml = DerivaML(tmp_path / "lab", "1", working_dir=tmp_path / "work")
    with ml.create_execution(workflow=ml.create_workflow("Make", "Analysis")) as exe:
        exe.create_dataset("Complete", description="All of it")
    return ["--host", "./lab", "--catalog", "1", "--working-dir", "work"]


def test_what_is_suggested_is_valid(place: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bootstrap-config", *place, "--kind", "datasets", "--dataset-type", "Complete"]) == 0
    text = capsys.readouterr().out
    Path("src/configs/datasets.py").write_text(text)
    assert main(["validate-config", *place]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("src/configs/datasets.py:") and line.endswith("@0.1.0: ok")
    assert main(["bootstrap-config", *place, "--kind", "dataset"]) == 1
    assert "Did you mean 'datasets'" in capsys.readouterr().err


def test_problems_have_places_and_a_status(place: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("src/configs/odd.py").write_text("\nDatasetSpecConfig('9-ZZZZ')\n")
    for path in ([], ["src/configs"], ["src/configs/odd.py"]):
        assert main(["validate-config", *path, *place]) == 1
        assert "src/configs/odd.py:2: dataset 9-ZZZZ: rid_not_found" in capsys.readouterr().out
    assert main(["validate-config", "absent.py", *place]) == 1
    assert "absent.py cannot be read" in capsys.readouterr().err
    Path("src/configs/odd.py").unlink()
    Path("src/configs").rmdir()
    assert main(["validate-config", *place]) == 1
    assert "no folder src/configs" in capsys.readouterr().err
