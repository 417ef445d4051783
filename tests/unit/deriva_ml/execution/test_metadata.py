"""Files that describe a run: what is not committed when it is created."""

from __future__ import annotations

import subprocess

import pytest

from deriva_ml.execution.execution import create_execution, resume_execution
from deriva_ml.specs import ExecutionConfiguration, LocalFile
from deriva_ml.workflow.changes import PATCH_NAME
from deriva_ml.workflow.workflow import Workflow


def run(folder, *arguments):
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def code(tmp_path, monkeypatch):
    """A repository with one script."""
    monkeypatch.delenv("DERIVA_ML_PATCH_BYTES", raising=False)
    root = tmp_path / "code"
    root.mkdir()
    run(root, "init")
    (root / "train.py").write_text("print(1)\n")
    run(root, "add", ".")
    run(root, "commit", "-m", "first")
    return root


@pytest.fixture
def begin(session, code):
    """Creates an execution of that script."""

    def begin(**options):
        workflow = Workflow(
            name="Test", workflow_type=["Testing"], url=code.as_uri(), checksum="1", git_root=code
        )
        return create_execution(session, ExecutionConfiguration(workflow=workflow), **options)

    return begin


def kept(exe):
    return [item for item in exe.list_assets() if item.filename == PATCH_NAME]


def test_nothing_is_kept_of_a_clean_tree(begin):
    assert kept(begin()) == []


@pytest.mark.parametrize("allowed", ["true", "false"])
def test_changes_are_kept_however_they_are_warned_about(begin, code, tmp_path, monkeypatch, allowed):
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", allowed)
    (code / "train.py").write_text("print(2)\n")
    (code / "new.py").write_text("print(3)\n")
    with begin() as exe:
        (patch,) = kept(exe)
        assert patch.asset_table == "Execution_Metadata"
        assert "Execution_Config" in patch.asset_types
        assert "Uncommitted changes" in patch.description
        path = exe.download_asset(patch.asset_rid, tmp_path)
    run(code, "stash", "--include-untracked")
    run(code, "apply", str(path))
    assert (code / "train.py").read_text() == "print(2)\n"
    assert (code / "new.py").read_text() == "print(3)\n"


def test_no_run_fails_because_of_git(begin, code, monkeypatch, caplog):
    (code / "train.py").write_text("print(2)\n")
    (code / ".git" / "HEAD").write_text("damaged")
    exe = begin()
    assert kept(exe) == []
    assert "are not kept" in caplog.text


def test_a_dry_run_keeps_nothing(begin, code):
    (code / "train.py").write_text("print(2)\n")
    assert not list(begin(dry_run=True).working_dir.rglob(PATCH_NAME))


def test_what_was_kept_stays_when_the_run_is_resumed(session, begin, code):
    (code / "train.py").write_text("print(2)\n")
    rid = begin().execution_rid
    (code / "train.py").write_text("print(3)\n")
    session.workspace.executions.update(rid, prepared=False)
    again = resume_execution(session, rid)
    assert len(kept(again)) == 1


def test_a_configuration_that_is_read_back_is_the_same(code, tmp_path):
    workflow = Workflow(
        name="Test", workflow_type=["Testing"], url=code.as_uri(), checksum="1", git_root=code
    )
    given = ExecutionConfiguration(
        workflow=workflow,
        datasets=["1-ABC@2.1.0", "1-DEF"],
        assets=["2-GHI", LocalFile(path=code / "train.py")],
        config_choices={"model": "small"},
    )
    file = tmp_path / "configuration.json"
    file.write_text(given.model_dump_json())
    found = ExecutionConfiguration.load_configuration(file)
    assert found == given
    assert [str(spec.version) for spec in found.datasets] == ["2.1.0", "None"]
    assert found != given.model_copy(update={"workflow": workflow.model_copy(update={"checksum": "2"})})
