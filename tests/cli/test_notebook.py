"""``deriva-ml-run-notebook``, as a user types it, on a project of its own."""

import json
import subprocess

import pytest
from tests.notebooks import add_notebooks, python, run, typed
from tests.projects import write_project

from deriva_ml import DerivaML
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
    assert done.stdout.splitlines()[-1] == ml.cite(made.execution_rid, current=True)
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
    assert "color: red" not in text
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


def test_a_dry_run(project, executions):
    host = str(project.folder.parent / "lab")
    done = run(project, REPORT, "dry_run=true", "--host", host, "--catalog", "1")
    assert (done.returncode, executions()) == (0, []), done.stderr
    assert done.stdout.startswith("Dry run")


def test_a_notebook_without_execution(project):
    done = run(project, "notebooks/plain.ipynb", "--log-output")
    assert (done.returncode, done.stdout) == (1, "42\n")
    assert "Execution RID not found." in done.stderr


def test_what_can_be_shown_without_a_run(project):
    inspected, listed, composed, tree = typed(
        project,
        [REPORT, "--inspect"],
        [REPORT, "--list-configs"],
        [REPORT, "--cfg", "datasets=all", "per_class=true"],
        [REPORT, "--info", "defaults-tree"],
    )
    assert {answer[0] for answer in (inspected, listed, composed, tree)} == {0}
    assert inspected[1].splitlines() == [
        "epochs:int  (default 1)",
        "learning_rate:float  (default 0.1)",
        'fail_at:str  (default "")',
    ]
    assert "datasets:\n  - all\n  - default_dataset\n" in listed[1]
    assert "class_report" in listed[1]
    assert "multirun:" not in listed[1]
    assert "per_class: true" in composed[1]
    assert "rid: 1-ZZZZ" in composed[1]
    assert "class_report:" in tree[1]


WRONG = [
    (["notebooks/reprot.ipynb"], 1, "There is no notebook notebooks/reprot.ipynb; there are notebooks/plain"),
    (["src/configs/base.py"], 1, "is no notebook; give the path of an .ipynb file"),
    ([REPORT, "all"], 1, "Did you mean datasets=all?"),
    ([REPORT, "datasets=al"], 1, "There is no option 'al' in the group 'datasets'. Did you mean 'all'?"),
    ([REPORT, "dataset=all"], 1, "Did you mean 'datasets'?"),
    ([REPORT, "per_clas=true"], 1, "Did you mean 'per_class'?"),
    ([REPORT, "-p", "epoch", "3"], 1, "has no parameter epoch. Did you mean epochs?"),
    ([REPORT, "-f", "values.toml"], 1, "values.toml is no file of parameters; give a .json or .yaml file."),
    ([REPORT, "-f", "none.json"], 1, "none.json cannot be read: No such file"),
    ([REPORT, "-f", "broken.json"], 1, "broken.json cannot be read as JSON"),
    ([REPORT, "-f", "list.yaml"], 1, "list.yaml does not give names values; write it like epochs: 50."),
    ([REPORT, "-k", "julia"], 1, "There is no Jupyter kernel 'julia': choose one of "),
    (["empty.ipynb"], 1, "empty.ipynb cannot be read as a notebook"),
    ([REPORT, "--multirun"], 2, "there is no option --multirun"),
]


def test_wrong_uses(project):
    files = {"broken.json": "{", "list.yaml": "- epochs\n", "empty.ipynb": ""}
    for name, content in files.items():
        (project.folder / name).write_text(content)
    answers = typed(project, *(words for words, _, _ in WRONG))
    for name in files:
        (project.folder / name).unlink()
    for (words, status, said), (ended, out, err) in zip(WRONG, answers, strict=True):
        assert said in err, words
        assert (ended, out) == (status, ""), words


def test_uncommitted_changes(project):
    changed = project.folder / "src/models/digits.py"
    former = changed.read_text()
    changed.write_text(former + "\n")
    done = run(project, REPORT, DERIVA_ML_STRICT="true")
    changed.write_text(former)
    assert done.returncode == 1
    assert "has uncommitted changes: src/models/digits.py. Commit them" in done.stderr


def test_what_does_not_exist_in_the_catalog(project, executions):
    program = "from deriva_ml.execution import run_notebook; run_notebook()"
    told = {"DERIVA_ML_NOTEBOOK_PATH": str(project.folder / "notebooks/class_report.ipynb")}
    (project.folder / "notebooks/class_report.ipynb").write_text("{}")
    overrides = json.dumps(["assets=default_asset", "assets=lost_weights", "datasets=gone"])
    done = python(project, "-c", program, DERIVA_ML_HYDRA_OVERRIDES=overrides, **told)
    (project.folder / "notebooks/class_report.ipynb").unlink()
    assert "Notebook config validation failed:\n  dataset 1-ZZZZ@9.9.9: rid_not_found\n" in done.stderr
    assert "  asset 8-ZZZZ: rid_not_found" in done.stderr
    assert executions() == []
