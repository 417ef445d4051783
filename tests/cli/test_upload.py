"""``deriva-ml-upload``: what a program left behind, committed by somebody else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deriva_ml import DerivaML, ExecutionConfiguration
from deriva_ml.cli.upload import main
from deriva_ml.schema.create import create_connected


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("upload") / "lab"
    made = create_connected(folder, "lab", "main", domain_schema="lab")
    DerivaML(folder, made.catalog_id, working_dir=folder.parent / "setup").create_asset("Image")
    return folder


@pytest.fixture
def ml(place, tmp_path, monkeypatch):
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    return DerivaML(place, "main", working_dir=tmp_path / "work")


@pytest.fixture
def stopped(ml):
    """Makes executions that ran and wait for their commit; one without a name has lost its output."""

    def run(name):
        workflow = ml.create_workflow("Upload", "Ingest")
        with ml.create_execution(ExecutionConfiguration(workflow=workflow)) as exe:
            path = exe.asset_file_path("Image", name or "lost.png")
            if name:
                path.write_text(name)
        return exe

    return run


def upload(ml, *words):
    return main(
        ["--host", str(ml.host_name), "--catalog", "main", "--working-dir", str(ml.working_dir), *words]
    )


def status(ml, exe):
    return ml.lookup_execution(exe.execution_rid).status


def test_everything_that_waits(ml, stopped, capsys):
    made = [stopped(f"{number}.png") for number in range(2)]
    folders = [exe.working_dir for exe in made]
    assert upload(ml) == 0
    err = capsys.readouterr().err.splitlines()
    assert err == ["upload complete: 2 items uploaded, 0 failed.", "  lab/Image: +2 / -0"]
    assert {status(ml, exe) for exe in made} == {"Uploaded"}
    assert all(folder.exists() for folder in folders)
    assert upload(ml) == 0
    assert "no execution of this workspace waits" in capsys.readouterr().err


def test_one_execution_and_its_folder(ml, stopped):
    wanted, other = stopped("wanted.png"), stopped("other.png")
    folder = wanted.working_dir
    assert upload(ml, "--execution", wanted.execution_rid, "--clean") == 0
    assert (status(ml, wanted), status(ml, other)) == ("Uploaded", "Stopped")
    assert not folder.exists()
    row = next(row for row in ml.get_table_as_dict("Execution") if row["RID"] == wanted.execution_rid)
    assert row["Upload_Duration"]


def test_several_executions(ml, stopped):
    made = [stopped(f"several {number}.png") for number in range(3)]
    words = [word for exe in made[:2] for word in ("--execution", exe.execution_rid)]
    assert upload(ml, *words) == 0
    assert [status(ml, exe) for exe in made] == ["Uploaded", "Uploaded", "Stopped"]


def test_a_failure_does_not_stop_the_others(ml, stopped, capsys):
    bad, good = stopped(None), stopped("good.png")
    assert upload(ml) == 1
    err = capsys.readouterr().err
    assert "1 items uploaded, 1 failed" in err
    assert f"execution {bad.execution_rid}: " in err and "Image/lost.png" in err
    assert (status(ml, bad), status(ml, good)) == ("Failed", "Uploaded")


def test_another_workspace_has_nothing_to_do(ml, stopped, tmp_path, capsys):
    exe = stopped("mine.png")
    words = ["--host", str(ml.host_name), "--catalog", "main", "--working-dir", str(tmp_path / "other")]
    assert main(words) == 0
    assert main([*words, "--execution", exe.execution_rid]) == 1
    said = capsys.readouterr().err
    assert "was not run with working directory" in said and "`deriva-ml executions` tells" in said
    assert status(ml, exe) == "Stopped"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "./nowhere", "--catalog", "1"], "nowhere"),
        (["--host", "{place}", "--catalog", "99"], "99"),
    ],
)
def test_wrong_places_are_one_line(place, words, said, capsys):
    assert main([word.format(place=place) for word in words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("deriva-ml-upload: ") and said in line


def test_the_installed_command(ml, stopped):
    exe = stopped("installed.png")
    command = Path(sys.executable).with_name("deriva-ml-upload")
    words = [command, "--host", ml.host_name, "--catalog", "main", "--working-dir", ml.working_dir]
    done = subprocess.run(
        [*map(str, words), "--execution", exe.execution_rid, "--clean"],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "80"},
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "upload complete: 1 items uploaded, 0 failed." in done.stderr
    assert status(ml, exe) == "Uploaded"
    for lacking in (["--host", "x"], ["--catalog", "1"], []):
        assert subprocess.run([str(command), *lacking], capture_output=True).returncode == 2
