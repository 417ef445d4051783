"""A new project and the demo, as a newcomer meets them: typed, outside of this repository."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.interpreter import path, python

from deriva_ml import DerivaML, DerivaMLConfig

# Looked for only: they take seconds to import, in all processes that collect tests.
for needed in ("sklearn", "papermill"):
    if find_spec(needed) is None:
        pytest.skip(f"needs {needed}", allow_module_level=True)

ROOT = Path(__file__).parents[2]
MODULES = {
    "deriva-ml": "deriva_ml.cli.main",
    "deriva-ml-run": "deriva_ml.run_model",
    "deriva-ml-run-notebook": "deriva_ml.run_notebook",
    "pytest": "pytest",
}

pytestmark = pytest.mark.timeout(600)


@dataclass
class Shell:
    """Somebody who types in a folder."""

    folder: Path
    home: Path

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command, with this Python if it is one of DerivaML."""
        program, *rest = words
        command = [python(), "-m", MODULES[program], *rest] if program in MODULES else list(words)
        own = {
            name: value for name, value in os.environ.items() if not name.startswith(("DERIVA_ML", "GIT_"))
        }
        more = {"HOME": str(self.home), "PYTHONPATH": str(ROOT / "src"), "PATH": path(), "COLUMNS": "200"}
        for role in ("AUTHOR", "COMMITTER"):
            more |= {f"GIT_{role}_NAME": "Ada", f"GIT_{role}_EMAIL": "ada@example.org"}
        more["PYTHONDONTWRITEBYTECODE"] = ""
        out = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=own | more, text=True, stdout=out, stderr=out)

    def type(self, *words: str, status: int = 0) -> str:
        """Run a command to its end; what it printed."""
        process = self.start(*words)
        out, err = process.communicate(timeout=500)
        assert process.returncode == status, out + err
        assert "Traceback" not in err, err
        return out + err


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> tuple[Shell, str]:
    """The project of a demo that was interrupted and run again, and what that printed."""
    place = tmp_path_factory.mktemp("demo")
    (place / "home").mkdir()
    shell, demo = Shell(place, place / "home"), ("python", str(ROOT / "examples/demo.py"), "--folder", "demo")
    first = shell.start(*demo)
    while "digit_0100.png" not in names_under(place):
        assert first.poll() is None, first.communicate()
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 130 and "Traceback" not in err, out + err
    assert out.startswith("$ deriva-ml new demo\n") and "$ python src/scripts/load_digits.py" in out
    assert "run this again to go on" in err
    (left,) = opened(place / "demo").find_incomplete_executions()
    assert left.status == "Failed"
    return Shell(place / "demo", shell.home), shell.type(*demo)


def names_under(folder: Path) -> list[str]:
    """The names of all files, while somebody else makes and removes folders (`Path.rglob` stumbles over these)."""
    return [name for _, _, names in os.walk(folder) for name in names]


def opened(project: Path) -> DerivaML:
    lab = project / "lab"
    config = DerivaMLConfig(hostname=str(lab), catalog_id=1, working_dir=lab / "work")
    return DerivaML.instantiate(config)


def test_the_demo_traces_its_predictions(told) -> None:
    shell, output = told
    typed = re.findall(r"^\$ (.*)", output, re.M)
    assert typed == [
        "cd demo",
        "python src/scripts/load_digits.py",
        "git commit --quiet -am 'Name the datasets of this laboratory'",
        "deriva-ml-run",
        "deriva-ml-run +experiment=evaluate",
        "python src/scripts/trace_predictions.py",
    ]
    accuracy = re.search(r"Accuracy on 359 images: ([0-9.]+)", output)
    assert accuracy and float(accuracy[1]) > 0.94, output
    tree = output.partition("$ python src/scripts/trace_predictions.py")[2]
    for step in ("Evaluate digit classifier", "Train digit classifier", "Load digits", "digits.csv.gz"):
        assert step in tree, output

    ml = opened(shell.folder)
    assert {run.status for run in ml.find_executions()} == {"Aborted", "Failed", "Uploaded"}
    assert len(ml.list_assets("Image")) == 1797
    predictions = list(ml.feature_values("Image", "Predicted_Digit"))
    assert len(predictions) == 359
    assert all(0 < value.Confidence <= 1 for value in predictions)


def test_the_training_can_be_run_again(told) -> None:
    shell, _ = told
    runs = {
        run.workflow.name: run.execution_rid for run in opened(shell.folder).find_executions() if run.workflow
    }
    rid = runs["Train digit classifier"]
    said = shell.type("deriva-ml", "reproduce", rid, "--host", "./lab", "--catalog", "1")
    verdicts = re.findall(r"^  (identical|within tolerance|different|missing) +(\S+)", said, re.M)
    assert verdicts == [
        ("identical", "Execution_Asset/model.pkl"),
        ("identical", "Execution_Metadata/metrics.jsonl"),
    ]
    assert f"{rid} was run again as" in said


def test_what_is_done_is_not_done_twice(told) -> None:
    shell, _ = told
    assert "TESTING" in shell.type("python", "src/scripts/load_digits.py")
    assert shell.type("git", "status", "--porcelain") == ""
    log = shell.type("git", "log", "--format=%s")
    assert log.splitlines() == ["Name the datasets of this laboratory", "Begin demo"]


def test_what_can_be_typed_besides(told) -> None:
    shell, _ = told
    listed = shell.type("deriva-ml-run", "--list-configs")
    for name in ("digits_testing", "quick", "evaluate", "roc_analysis", "learning_rates: Which"):
        assert f"  - {name}" in listed
    dry = shell.type("deriva-ml-run", "+experiment=quick", "model_config.epochs=1", "dry_run=true")
    assert "1 dataset(s)" in dry and "nothing was written" in dry
    assert " passed" in shell.type("pytest", "-q", "-p", "no:cacheprovider")
    assert shell.type("git", "status", "--porcelain") == ""


@pytest.mark.soak
def test_the_notebook_reads_the_newest_predictions(told) -> None:
    shell, _ = told
    shell.type("deriva-ml-run-notebook", "notebooks/roc_analysis.ipynb", "show_per_class=false")
    ml = opened(shell.folder)
    run = ml.find_executions(workflow_type="Analysis Notebook", sort=True)[0]
    assert run.status == "Uploaded"
    assert "predictions.csv" in {asset.filename for asset in run.list_assets("Input")}
    made = {asset.filename for asset in run.list_assets("Output")}
    assert made >= {"roc_curves.png", "confusion_matrix.png", "roc_analysis.ipynb", "roc_analysis.md"}


def test_without_data(tmp_path) -> None:
    shell = Shell(tmp_path, tmp_path)
    output = shell.type("deriva-ml", "new", "eyes", "--no-git")
    advice = output.partition("To go on")[2]
    assert advice.index("git add") < advice.index("load_digits.py") < advice.index("deriva-ml-run")
    assert not (tmp_path / "eyes/.git").exists()
    ml = opened(tmp_path / "eyes")
    assert len(ml.list_vocabulary_terms("Digit_Class")) == 10 and ml.list_assets("Image") == []
    assert "is not empty" in shell.type("deriva-ml", "new", "eyes", status=1)
    lacking = Shell(tmp_path / "eyes", tmp_path).type("deriva-ml-run", status=1)
    assert "0-0000" in lacking


@pytest.mark.soak
def test_everything_that_is_advised(tmp_path) -> None:
    """Each command that ``new`` and the README print, in their order."""
    shell = Shell(tmp_path, tmp_path)
    output = shell.type("deriva-ml", "new", "eyes", "--name", "eye-lab")
    advised = re.findall(r"^  ((?:deriva|python|pytest).*?)(?:  .*)?$", output.partition("To go on")[2], re.M)
    readme = (tmp_path / "eyes/README.md").read_text().partition("```\n")[2].partition("```")[0]
    commands = [re.split(r"  +", line)[0] for line in readme.splitlines()]
    assert len(advised) == 7 and set(advised) <= set(commands)
    project = Shell(tmp_path / "eyes", tmp_path)
    for command in [*advised, *commands]:
        project.type(*command.split())
    assert project.type("git", "status", "--porcelain") == ""
    assert opened(tmp_path / "eyes").default_schema == "eye_lab"


@pytest.mark.soak
@pytest.mark.parametrize("objects", [50, 1790])
def test_killed_while_it_commits(tmp_path, objects) -> None:
    """Loading again makes neither an image nor a label twice, however far the commit had got."""
    shell = Shell(tmp_path, tmp_path)
    shell.type("deriva-ml", "new", "eyes", "--no-data")
    project = Shell(tmp_path / "eyes", tmp_path)
    loading = project.start("python", "src/scripts/load_digits.py")
    while len(names_under(project.folder / "lab/objects")) < objects:
        assert loading.poll() is None, loading.communicate()
        time.sleep(0.01)
    loading.kill()
    loading.communicate(timeout=60)
    project.type("python", "src/scripts/load_digits.py")
    ml = opened(project.folder)
    labelled = [value.Image for value in ml.feature_values("Image", "Digit")]
    assert len(labelled) == len(set(labelled)) == len(ml.list_assets("Image")) == 1797
