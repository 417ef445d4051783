"""Runs of a project of one's own, run again from what they recorded."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.interpreter import python

from deriva_ml import BuiltinTypes, ColumnDefinition, DerivaML, TableDefinition
from deriva_ml.cli.main import main
from deriva_ml.errors import DerivaMLConfigurationError
from deriva_ml.reproduction import check, reproduce
from deriva_ml.schema import create_ml_catalog

SCRIPT = """
import json, random, sys, time
from helper import SCALE
from deriva_ml import DatasetSpec, DerivaML, ExecutionConfiguration

ml = DerivaML("../lab", 1)
seed, dataset = int(sys.argv[1]), sys.argv[2]
config = ExecutionConfiguration(
    workflow=ml.create_workflow("Train", "Training"),
    datasets=[DatasetSpec(rid=dataset)],
    description=f"seed {seed}",
)
with ml.create_execution(config) as exe:
    numbers = random.Random(seed)
    members = exe.download_dataset_bag(exe.configuration.datasets[0]).list_dataset_members()["Eye"]
    with exe.metrics_file().open("a") as metrics:
        for epoch in range(3):
            metrics.write(json.dumps({"epoch": epoch, "loss": numbers.random() * SCALE}) + "\\n")
    Score = ml.feature_record_class("Eye", "Score")
    exe.add_features([Score(Eye=row["RID"], Score=len(members) * SCALE) for row in members])
    exe.asset_file_path("Execution_Asset", "model.txt").write_text(str(numbers.random()))
    exe.asset_file_path("Execution_Asset", "when.txt").write_text(str(time.time_ns()))
if "--die" in sys.argv:
    sys.exit("no room for the model")
exe.commit_output_assets()
print(exe.execution_rid)
"""


PAIR = """
import sys
from deriva_ml import DerivaML
from deriva_ml.execution import LocalFile

ml = DerivaML("../lab", 1)
workflow = ml.create_workflow("Pair", "Training")
(eyes := [row["RID"] for row in ml.get_table_as_dict("Eye")]).sort()
for name in ("one", "two"):
    with ml.create_execution(workflow=workflow, assets=[LocalFile(path="../beside.csv")]) as exe:
        exe.download_dataset_bag(sys.argv[1])
        exe.add_input_dataset(sys.argv[2])
        (text,) = (path.read_text() for paths in exe.asset_paths.values() for path in paths)
        exe.asset_file_path("Execution_Asset", f"{name}.txt").write_text(text)
        made = exe.create_dataset(description=name)
        made.add_dataset_members({"Eye": eyes[:2]})
        half = exe.create_dataset(description=f"half of {made.dataset_rid}, from {sys.argv[1]}")
        half.add_dataset_members({"Eye": eyes[:1]})
        if name == "one":
            made.release("minor", "first")
    exe.commit_output_assets()
    print(exe.execution_rid)
"""


def _model(ml: DerivaML) -> None:
    """A table, and a feature of it."""
    ml.create_schema("eyes")
    side = ColumnDefinition(name="Side", type=BuiltinTypes.text)
    ml.create_table(TableDefinition(name="Eye", columns=[side]))
    ml.create_feature("Eye", "Score", metadata=[ColumnDefinition(name="Score", type=BuiltinTypes.float8)])
    ml.add_dataset_element_type("Eye")


_ENVIRONMENT = {**os.environ, "DERIVA_ML_PATCH_BYTES": ""}


class Project:
    """A repository with a script, beside a deployment."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lab = folder / "proj", folder / "lab"
        self.folder.mkdir()
        create_ml_catalog(self.lab, "eyes")
        ml = DerivaML(self.lab, 1)
        _model(ml)
        eyes = ml.pathBuilder().schemas[ml.default_schema].tables["Eye"]
        self.eyes = [
            row["RID"] for row in eyes.insert([{"Side": side} for side in ("left", "right", "left")])
        ]
        with ml.create_execution(workflow=ml.create_workflow("Curate", "Training")) as exe:
            made = exe.create_dataset(description="Eyes")
            made.add_dataset_members({"Eye": self.eyes[:2]})
            self.version = str(made.release("minor", "first"))
        exe.commit_output_assets()
        self.dataset = made
        self.write("train.py", SCRIPT)
        self.write("helper.py", "SCALE = 2\n")
        self.write(".gitignore", "__pycache__\n")
        self.git("init", "-q")
        self.git("remote", "add", "origin", str(folder / "origin.git"))
        self.commit()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def git(self, *words: str) -> None:
        own = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        subprocess.run(["git", *own, *words], cwd=self.folder, check=True)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", "change")

    def run(self, *words: str, script: str = "train.py") -> str:
        """Run the script; the RID that it prints."""
        command = [python(), script, *words]
        done = subprocess.run(
            command, cwd=self.folder, env=_ENVIRONMENT, capture_output=True, text=True, check=True
        )
        return done.stdout.split()[-1]

    def reproduce(self, rid: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [python(), "-m", "deriva_ml.cli.main", "reproduce", rid]
        place = ["--host", str(self.lab), "--catalog", "1"]
        return subprocess.run(
            [*command, *place, *words], env=_ENVIRONMENT, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("reproduce"))


@pytest.fixture(scope="module")
def rid(project: Project) -> str:
    """A run of code with a change that was never committed, on a dataset that has grown since."""
    project.write("helper.py", "SCALE = 3\n")
    rid = project.run("7", project.dataset.dataset_rid)
    project.write("helper.py", "SCALE = 4\n")
    project.commit()
    dataset = DerivaML(project.lab, 1).lookup_dataset(project.dataset.dataset_rid)
    dataset.add_dataset_members({"Eye": project.eyes[2:]})
    dataset.release("minor", "grown")
    return rid


def test_a_verdict_for_each_output(project: Project, rid: str) -> None:
    done = project.reproduce(rid)
    assert done.stdout, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[:4] == [
        "identical Execution_Asset/model.txt",
        "different Execution_Asset/when.txt same length",
        "identical Execution_Metadata/metrics.jsonl",
        "identical Eye.Score 2 values",
    ]
    assert "was run again as" in lines[4]
    assert done.returncode == 1, done.stderr
    ml = DerivaML(project.lab, 1)
    new = ml.lookup_execution(lines[4].split(" as ")[1].partition(":")[0])
    assert new.description == f"Reproduction of {rid}: seed 7"
    (read,) = ml.lookup_lineage(new.execution_rid, depth=0).lineage.consumed_datasets
    assert read.version == project.version
    # The folder where that ran is gone, and its origin has never been reachable.
    assert f" of {project.folder}" in str(check(ml, new.execution_rid))
    done = reproduce(ml, new.execution_rid)
    assert [each.verdict for each in done.outputs].count("identical") == 3
    assert (
        ml.lookup_execution(done.repeated.execution_rid).description
        == f"Reproduction of {new.execution_rid}: seed 7"
    )


def test_only_asked_whether_it_can(project: Project, rid: str) -> None:
    done = project.reproduce(rid, "--check")
    assert done.returncode == 0, done.stderr
    assert f"Execution {rid} can be reproduced." in done.stdout.splitlines(), done.stdout
    assert "kept as a patch" in done.stdout


def test_what_is_gone_is_named(project: Project, rid: str, tmp_path: Path) -> None:
    moved = tmp_path / "gone"
    shutil.move(project.folder / ".git", moved)
    try:
        checked = check(DerivaML(project.lab, 1), rid)
        tried = project.reproduce(rid)
    finally:
        shutil.move(moved, project.folder / ".git")
    assert not checked.is_possible
    assert "origin, which cannot be reached" in str(checked)
    assert (tried.returncode, str(checked) in tried.stderr) == (1, True)


def test_a_project_that_has_moved(project: Project, rid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = project.folder.with_name("moved")
    ml = DerivaML(project.lab, 1)
    shutil.move(project.folder, moved)
    try:
        from_elsewhere = check(ml, rid)
        monkeypatch.chdir(moved)
        done = reproduce(ml, rid)
    finally:
        monkeypatch.undo()
        shutil.move(moved, project.folder)
    assert not from_elsewhere.is_possible
    # Its `../lab` is beside the folder where the project is now.
    assert [each.verdict for each in done.outputs].count("identical") == 3


def test_one_of_several_executions_that_reads_a_local_file(project: Project) -> None:
    """The one that is meant is compared, by the members that it left in its dataset; inputs are those of then."""
    beside = project.folder.parent / "beside.csv"
    beside.write_text("a,b\n")
    project.write("pair.py", PAIR)
    project.commit()
    ml = DerivaML(project.lab, 1)
    with ml.create_execution(workflow=ml.create_workflow("Curate", "Training")) as exe:
        seen = exe.create_dataset(description="Read by itself")
    exe.commit_output_assets()
    rid = project.run(project.dataset.dataset_rid, seen.dataset_rid, script="pair.py")
    seen.mark_dev("as it was")
    seen.release("minor", "again")
    (made,) = (each for each in ml.find_datasets() if each.description == "two")
    made.add_dataset_members({"Eye": project.eyes[2:]})
    dataset = ml.lookup_dataset(project.dataset.dataset_rid)
    read = dataset.current_version
    dataset.mark_dev("as it was")
    dataset.release("minor", "again")
    assert f"{dataset.dataset_rid}@{read} (asked for by its code" in str(check(ml, rid))
    assert f"local file  {beside}" in str(check(ml, rid))
    heard: list[str] = []
    done = reproduce(ml, rid, say=heard.append)
    assert {each.name: (each.verdict, each.detail) for each in done.outputs} == {
        "Execution_Asset/two.txt": ("identical", ""),
        "dataset: two": ("identical", "2 members"),
        f"dataset: half of …, from {project.dataset.dataset_rid}": ("identical", "1 member"),
    }
    assert heard[-1] == f"Of 2 executions alike, {done.repeated.execution_rid} is the nearest."
    told = [
        each.execution_rid for each in ml.find_executions() if each.description == f"Reproduction of {rid}"
    ]
    assert told == [done.repeated.execution_rid]
    versions = {
        each.rid: each.version for each in ml.lookup_lineage(told[0], depth=0).lineage.consumed_datasets
    }
    assert versions == {dataset.dataset_rid: str(read), seen.dataset_rid: "0.2.0"}
    assert f"  Dataset {seen.dataset_rid} was read in version 0.1.0, now in 0.2.0" in str(done)
    beside.write_text("c,d\n")
    assert "beside.csv has changed since" in str(check(ml, rid))
    beside.unlink()
    gone = check(ml, rid)
    assert "beside.csv is not there any more" in str(gone)
    assert not gone.is_possible


def test_a_run_that_ends_badly(project: Project, rid: str, tmp_path: Path) -> None:
    """What it made until then is compared, and the folder shows what happened."""
    project.write("train.py", SCRIPT.replace("if ", "open('notes.csv').close()\nif ", 1))
    project.write(".gitignore", "__pycache__\nnotes.csv\n")
    project.write("notes.csv", "")
    project.commit()
    failing = project.run("9", project.dataset.dataset_rid)
    done = project.reproduce(failing, "--folder", str(tmp_path / "kept"))
    assert done.returncode == 1
    assert "No such file or directory: 'notes.csv'" in done.stderr
    assert "without the files that git does not keep" in done.stderr
    assert "missing          Execution_Asset/model.txt" in done.stdout
    assert (tmp_path / "kept/code/train.py").is_file()
    with pytest.raises(DerivaMLConfigurationError, match="exists already"):
        reproduce(DerivaML(project.lab, 1), failing, folder=tmp_path / "kept")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("1-NONE",), "1-NONE"),
        (("0000",), "0000"),
        (("{rid}", "--tolerance", "7"), "from 0 to 1"),
    ],
)
def test_wrong_input(
    project: Project, rid: str, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--host", str(project.lab), "--catalog", "1"]
    assert main(["reproduce", *(word.format(rid=rid) for word in words), *place]) == 1
    assert message in capsys.readouterr().err
