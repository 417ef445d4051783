"""``deriva-ml-run-notebook``, as a user types it, on a project of its own."""

import json
import re
import signal
import subprocess
import sys

import pytest
from tests.notebooks import add_notebooks, python, run, typed
from tests.projects import write_project

from deriva_ml import DerivaML
from deriva_ml.cli.notebook import _told
from deriva_ml.runner.harness import NotebookResult
from deriva_ml.schema import create_ml_catalog
from deriva_ml.workflow.git import blob_hash
from deriva_ml.workflow.stripped import without_outputs

REPORT = "notebooks/report.ipynb"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("notebooks")
    create_ml_catalog(str(root / "lab"), "eyes")
    return add_notebooks(write_project(root / "project", root / "lab", "1", "1-ZZZZ"))


@pytest.fixture(scope="module")
def ml(project):
    return DerivaML(project.folder.parent / "lab", 1, working_dir=project.home / "look")


@pytest.fixture(scope="module")
def executions(ml):
    """The executions that notebooks of this project have made since the last call."""
    seen = {record.execution_rid for record in ml.find_executions()}

    def new():
        found = [record for record in ml.find_executions() if record.execution_rid not in seen]
        seen.update(record.execution_rid for record in found)
        return found

    return new


def outputs(execution):
    return {asset.filename: asset for asset in execution.list_assets(asset_role="Output")}


def text_of(ml, asset, folder):
    return asset.download(folder).read_text()


def test_a_notebook_runs_under_an_execution(project, ml, executions, tmp_path):
    words = ["-p", "epochs", "50", "-p", "learning_rate", "0.001", "per_class=true", "--log-output"]
    done = run(project, REPORT, *words)
    assert done.returncode == 0, done.stderr
    (made,) = executions()
    assert "epochs=50 learning_rate=0.001 per_class=True" in done.stdout
    command = f"deriva-ml lineage {made.execution_rid} --host {project.folder.parent / 'lab'} --catalog 1"
    assert done.stdout.splitlines()[-1] == command
    assert "nbstripout --install" in done.stderr
    assert (made.status, made.description) == ("Uploaded", "How good is it? [overrides: per_class=true]")

    notebook = project.folder / REPORT
    workflow = made.workflow
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=project.folder, text=True).strip()
    assert workflow.url == f"https://github.com/lab/digits/blob/{commit}/{REPORT}"
    assert workflow.checksum == blob_hash(without_outputs(notebook.read_bytes()))
    assert (workflow.name, workflow.workflow_types) == ("Class Report", ["Analysis"])

    found = outputs(made)
    names = {name for name, asset in found.items() if asset.asset_table == "Execution_Asset"}
    assert names == {"scores.csv", "report.ipynb", "report.md"}
    assert "Notebook_Output" in found["report.ipynb"].asset_types
    log = next(asset for name, asset in found.items() if name.endswith("-notebook.log"))
    assert (log.asset_table, "Hydra_Config" in log.asset_types) == ("Execution_Metadata", True)

    text = text_of(ml, found["report.md"], tmp_path)
    assert "|  | class | F1 |\n| --- | --- | --- |\n| 0 | a\\|b | 0.5 |\n\n1 rows × 2 columns" in text
    assert "![png](data:image/png;base64,iVBORw0KGgo=)" in text
    assert text.count("color: red") == 1  # in the code that prints it
    executed = json.loads(text_of(ml, found["report.ipynb"], tmp_path))
    assert [cell["execution_count"] for cell in executed["cells"] if cell["cell_type"] == "code"] == [
        1,
        2,
        3,
        4,
        5,
    ]
    assert json.loads(notebook.read_text())["cells"][1]["outputs"] == []


def test_a_cell_that_fails(project, ml, executions, tmp_path):
    values = tmp_path / "values.yaml"
    values.write_text("fail_at: cell\nepochs: 3\n")
    done = run(project, REPORT, "-p", "epochs", "2", "--file", str(values))
    assert done.returncode == 1
    assert "Cell 4: ValueError: the scores are <wrong>" in done.stderr
    (made,) = executions()
    assert f"Execution {made.execution_rid} has it as far as it got" in done.stderr
    detail = {row["RID"]: row["Status_Detail"] for row in ml.get_table_as_dict("Execution")}[
        made.execution_rid
    ]
    assert (made.status, detail) == ("Failed", "Cell 4: ValueError: the scores are <wrong>")
    found = outputs(made)
    assert {"report.ipynb", "report.md"} <= set(found)
    # Its own outputs may be half of what they should be, and wait for somebody to say.
    assert "scores.csv" not in found
    text = text_of(ml, found["report.md"], tmp_path)
    assert "epochs=3" in text
    assert "ValueError: the scores are <wrong>" in text


@pytest.mark.soak
def test_a_dry_run(project, executions):
    host = str(project.folder.parent / "lab")
    done = run(project, REPORT, "dry_run=true", "--host", host, "--catalog", "1")
    assert (done.returncode, executions()) == (0, []), done.stderr
    assert done.stdout.startswith("Dry run")


@pytest.mark.soak
def test_a_notebook_without_execution(project):
    done = run(project, "notebooks/plain.ipynb", "--log-output")
    assert (done.returncode, done.stdout) == (1, "42\n")
    assert "Execution RID not found." in done.stderr


@pytest.mark.soak
def test_an_interrupted_notebook_ends_quietly(project, executions):
    notebook = json.loads((project.folder / REPORT).read_text())
    notebook["cells"][-1]["source"] = "print('begun', flush=True)\nimport time\ntime.sleep(100)"
    place = project.folder / "notebooks" / "slow.ipynb"
    place.write_text(json.dumps(notebook))
    words = [sys.executable, "-m", "deriva_ml.run_notebook", str(place), "--log-output", "--allow-dirty"]
    process = subprocess.Popen(
        words,
        cwd=project.folder,
        env=project.environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while process.stdout.readline() != "begun\n":
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    place.unlink()
    (made,) = executions()
    assert (process.returncode, made.status, "Traceback" in err) == (130, "Failed", False), err


WRONG = [
    ([], 2, "NOTEBOOK"),
    (["notebooks/reprot.ipynb"], 1, "There is no notebook notebooks/reprot.ipynb; there are notebooks/plain"),
    (["src/configs/base.py"], 1, "is no notebook; give the path of an .ipynb file"),
    ([REPORT, "all"], 1, "Did you mean datasets=all?"),
    ([REPORT, "datasets=al"], 1, "There is no option 'al' in the group 'datasets'. Did you mean 'all'?"),
    ([REPORT, "dataset=all"], 1, "Did you mean 'datasets'?"),
    ([REPORT, "per_clas=true"], 1, "Did you mean 'per_class'?"),
    ([REPORT, "epochs=3"], 1, "Parameters of the notebook are set with -p epochs 3."),
    ([REPORT, "-p", "epoch", "3"], 1, "has no parameter epoch. Did you mean epochs?"),
    ([REPORT, "-p", "epochs", "abc"], 1, "The parameter epochs of report.ipynb is a number (int), not 'abc'"),
    (
        [REPORT, "-p", "learning_rate", "0,1"],
        1,
        "is a number (float), not '0,1'; write it like -p learning_rate 0.1",
    ),
    ([REPORT, "-f", "values.toml"], 1, "values.toml is no file of parameters; give a .json or .yaml file."),
    ([REPORT, "-f", "none.json"], 1, "none.json cannot be read: No such file"),
    ([REPORT, "-f", "broken.json"], 1, "broken.json cannot be read as JSON"),
    ([REPORT, "-f", "list.yaml"], 1, "list.yaml does not give names values; write it like epochs: 50."),
    ([REPORT, "-k", "julia"], 1, "There is no Jupyter kernel 'julia': choose one of "),
    (["empty.ipynb"], 1, "empty.ipynb cannot be read as a notebook"),
    (
        [REPORT],
        1,
        "has uncommitted changes: broken.json, empty.ipynb, list.yaml. Commit them before running.",
    ),
    ([REPORT, "--host", ""], 1, "--host is empty; give it a value"),
    ([REPORT, "=all"], 1, "'=all' is no override"),
    ([REPORT, "datasets=null"], 1, "datasets=null chooses no option. There are: all, default_dataset"),
    ([REPORT, "datasets=[1-AAAA]"], 1, "There is no option '1-AAAA' in the group 'datasets'."),
    (
        [REPORT, "datasets=[{rid: 1-AAAA}]"],
        1,
        "datasets: {'rid': '1-AAAA'} is no name of an option. There are: all,",
    ),
    ([REPORT, "--multirun"], 2, "there is no option --multirun"),
]


def test_what_is_shown_and_wrong_uses(project):
    files = {"broken.json": "{", "list.yaml": "- epochs\n", "empty.ipynb": ""}
    for name, content in files.items():
        (project.folder / name).write_text(content)
    shown = [
        [REPORT, "--inspect"],
        [REPORT, "--list-configs"],
        [REPORT, "--cfg", "datasets=all", "per_class=true"],
        [REPORT, "--info", "defaults-tree"],
    ]
    answers = typed(project, *shown, *(words for words, _, _ in WRONG), DERIVA_ML_STRICT="true")
    for name in files:
        (project.folder / name).unlink()
    assert [status for status, _, _ in answers[: len(shown)]] == [0] * len(shown)
    inspected, listed, composed, tree = (out for _, out, _ in answers[: len(shown)])
    assert inspected.splitlines() == [
        "epochs:int  (default 1)",
        "learning_rate:float  (default 0.1)",
        'fail_at:str  (default "")',
    ]
    assert "datasets:\n  - all\n  - default_dataset\n" in listed
    assert "class_report" in listed
    assert "multirun:" not in listed
    assert "per_class: true" in composed
    assert "rid: 1-ZZZZ" in composed
    assert "class_report:" in tree
    for (words, status, said), (ended, out, err) in zip(WRONG, answers[len(shown) :], strict=True):
        assert said in err, words
        assert (ended, out) == (status, ""), words


RUN = """
import os
from deriva_ml.errors import DerivaMLException
from deriva_ml.execution import run_notebook

try:
    run_notebook()
except DerivaMLException as error:
    print(error)
os.environ["DERIVA_ML_HYDRA_OVERRIDES"] = '["description=Given"]'
ml, execution, config = run_notebook("class_report", ["dry_run=true", "description=Mine", "per_class=true"], "Roc")
print(execution, execution.configuration.workflow.name, ml.working_dir)
print(config.config_choices["datasets"], execution.commit_output_assets().total_uploaded)
"""


def test_from_a_process_that_is_no_kernel(project, executions, tmp_path):
    overrides = json.dumps(["assets=default_asset", "assets=lost_weights", "datasets=gone"])
    variables = {
        "DERIVA_ML_NOTEBOOK_PATH": str(project.folder / REPORT),
        "DERIVA_ML_HYDRA_OVERRIDES": overrides,
        "DERIVA_ML_SAVE_EXECUTION_RID": str(tmp_path / "made.json"),
    }
    done = python(project, "-c", RUN, **variables)
    assert done.returncode == 0, done.stderr
    assert "Notebook config validation failed:\n  dataset 1-ZZZZ@9.9.9: rid_not_found\n" in done.stdout
    assert "  asset 8-ZZZZ: rid_not_found" in done.stdout
    described = "Mine [overrides: dry_run=true, per_class=true]"
    assert f"<Execution 0000 Running: {described}> Roc {project.home}" in done.stdout
    assert done.stdout.endswith("default_dataset 0\n")
    assert json.loads((tmp_path / "made.json").read_text())["execution_rid"] == "0000"
    assert executions() == []


FROM_ITS_FOLDER = """
import os
os.chdir("notebooks")
from deriva_ml.execution import run_notebook

folders = ["deriva_ml.hostname=../lab", f"+deriva_ml.working_dir={os.path.abspath('../../work')}"]
ml, execution, config = run_notebook("class_report", overrides=[*folders, "dry_run=true"])
print(ml.working_dir, os.environ.get("DERIVA_ML_RELATIVE_TO"))
"""


def test_a_kernel_that_starts_in_the_folder_of_the_notebook(project):
    """Folders of the configuration count from the project, and what comes after it is as before."""
    done = python(project, "-c", FROM_ITS_FOLDER, DERIVA_ML_NOTEBOOK_PATH=str(project.folder / REPORT))
    assert done.returncode == 0, done.stderr
    place, said = done.stdout.split()[-2:]
    assert re.search(r"/lab-[0-9a-f]{12}/1$", place), place
    assert said == "None"


@pytest.mark.parametrize(
    ("result", "status", "out", "err"),
    [
        (
            NotebookResult("0000"),
            0,
            "Dry run: the notebook ran, and nothing was written to the catalog.\n",
            "",
        ),
        (NotebookResult("1-ABC", "https://x/id/1/1-ABC"), 0, "https://x/id/1/1-ABC\n", ""),
        (NotebookResult(), 1, "", "Execution RID not found. Let the notebook begin with run_notebook()"),
        (NotebookResult(failure="Cell 1: x"), 1, "", "did not get to its end. Cell 1: x\n"),
        (NotebookResult("1-ABC", "https://x", "KeyboardInterrupt"), 130, "https://x\n", "as far as it got"),
    ],
)
def test_how_it_ends(result, status, out, err, capsys):
    assert _told(result) == status
    told = capsys.readouterr()
    assert (told.out, err in told.err) == (out, True)
