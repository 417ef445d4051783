"""The demo, as a newcomer meets it: run, run again, interrupted and run again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deriva_ml import DerivaML

pytest.importorskip("sklearn")

PROGRAM = Path(__file__).parents[2] / "examples" / "digits" / "run.py"


def _start(folder: Path, home: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"HOME": str(home), "DERIVA_ML_ALLOW_DIRTY": "true"}
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), "--folder", str(folder)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.timeout(600)
def test_interrupted_then_run_twice(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    first = _start(folder, tmp_path)
    while not list(folder.rglob("digit_0100.png")):
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    output, _ = first.communicate(timeout=60)
    assert first.returncode == 130, output
    assert "Traceback" not in output

    second = _start(folder, tmp_path)
    output, _ = second.communicate(timeout=300)
    assert second.returncode == 0, output
    accuracy = re.search(r"Accuracy on the test set: ([0-9.]+)", output)
    assert accuracy and float(accuracy[1]) > 0.95, output
    assert "Added catalog 2" in output
    tree = output.partition("How predictions.csv came to be:")[2]
    for step in ("Evaluate digit classifier", "Train digit classifier", "Curate digits", "Ingest digits"):
        assert step in tree, output

    ml = DerivaML(str(folder), 2, working_dir=folder / "work")
    assert {record.status for record in ml.find_executions()} - {"Aborted"} == {"Uploaded"}
    assert len(ml.list_assets("Image")) == 1797
    predictions = list(ml.feature_values("Image", "Predicted_Digit"))
    assert len(predictions) == 359
    assert all(0 < value.Confidence <= 1 for value in predictions)
    interrupted = DerivaML(str(folder), 1, working_dir=folder / "work")
    assert [record.status for record in interrupted.find_incomplete_executions()] == ["Failed"]
