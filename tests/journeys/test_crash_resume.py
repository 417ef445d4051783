"""A user's run is killed; what was staged is uploaded later, from another process or by the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import textwrap

import pytest
from tests.interpreter import python

from deriva_ml import DerivaML
from deriva_ml.cli.upload import main as upload
from deriva_ml.execution.state_store import ExecutionStatus
from deriva_ml.schema import create_ml_catalog

PROGRAM = """
import os, signal, sys
from deriva_ml import DerivaML, ExecutionConfiguration

ml = DerivaML(sys.argv[1], sys.argv[2], working_dir=sys.argv[3])
grade = ml.feature_record_class("Image", "Grade")
targets = [asset.asset_rid for asset in ml.list_assets("Image")]
config = ExecutionConfiguration(workflow=ml.create_workflow("Crash", "Training"), description="crashes")
with ml.create_execution(config) as exe:
    print(exe.execution_rid, flush=True)
    exe.add_features([grade(Image=rid, Level="Mild") for rid in targets])
    exe.asset_file_path("Model", "model.pt").write_bytes(b"weights")
    exe.metrics_file().write_text("{}")
    how = sys.argv[4]
    if how == "exception":
        raise RuntimeError("out of luck")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "wait":
        print("ready", flush=True)
        signal.pause()
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    folder, work = tmp_path / "lab", tmp_path / "work"
    catalog = create_ml_catalog(str(folder), "lab")
    ml = DerivaML(str(folder), catalog.catalog_id, working_dir=work)
    ml._session.create_schema("lab")
    ml.create_asset("Image")
    ml.create_asset("Model")
    ml.create_vocabulary("Level")
    ml.add_term("Level", "Mild", "little")
    ml.create_feature("Image", "Grade", terms=["Level"])
    with ml.create_execution(workflow=ml.create_workflow("Images", "Ingest")) as exe:
        for number in range(3):
            exe.asset_file_path("Image", f"{number}.png").write_bytes(b"%d" % number)
    exe.commit_output_assets()
    (tmp_path / "train.py").write_text(textwrap.dedent(PROGRAM))
    return tmp_path, ml, [str(folder), ml.catalog_id, str(work)]


def crash(place, how):
    folder, _, arguments = place
    command = [python(), str(folder / "train.py"), *arguments, how]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    rid = process.stdout.readline().strip()
    if how == "wait":
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert rid, errors
    return rid, process.returncode, errors


def check_uploaded(ml, exe):
    assert exe.status is ExecutionStatus.Uploaded
    assert ml.lookup_execution(exe.execution_rid).status is ExecutionStatus.Uploaded
    assert len(list(ml.feature_values("Image", "Grade", execution_rids=[exe.execution_rid]))) == 3
    [model] = exe.uploaded_assets["lab/Model"]
    asset = ml.lookup_asset(model.asset_rid)
    assert asset.execution_rid == exe.execution_rid
    assert set(asset.asset_types) == {"Model", "Output_File"}
    assert asset.download(ml.working_dir / "back").read_bytes() == b"weights"
    assert exe.commit_output_assets().total_uploaded == 0


def test_an_exception_in_the_block(place):
    _, ml, _ = place
    rid, code, errors = crash(place, "exception")
    assert code == 1
    assert "RuntimeError: out of luck" in errors
    exe = ml.resume_execution(rid)
    assert exe.status is ExecutionStatus.Failed
    assert exe.error == "RuntimeError: out of luck"
    assert exe.configuration.description == "crashes"
    exe.commit_output_assets()
    check_uploaded(ml, exe)


def test_a_hard_crash_in_the_block(place):
    _, ml, _ = place
    rid, code, _ = crash(place, "kill")
    assert code == -signal.SIGKILL
    assert ml.lookup_execution(rid).status is ExecutionStatus.Running
    [found] = ml.find_incomplete_executions()
    assert (found.rid, found.status, found.pending_rows, found.pending_files) == (rid, "Running", 3, 2)
    assert found.owner_gone_since is not None
    exe = ml.resume_execution(rid)
    assert exe.status is ExecutionStatus.Running
    manifest = json.loads((exe.working_dir / "asset-manifest.json").read_text())["assets"]
    assert manifest["Model/model.pt"]["status"] == "pending"
    exe.update_status(ExecutionStatus.Pending_Upload)
    exe.commit_output_assets()
    check_uploaded(ml, exe)


def test_a_cancelled_job(place):
    _, ml, _ = place
    rid, code, _ = crash(place, "wait")
    assert code != 0
    exe = ml.resume_execution(rid)
    assert exe.status is ExecutionStatus.Failed
    assert "SIGTERM" in exe.error
    exe.commit_output_assets()
    check_uploaded(ml, exe)


def test_the_command_uploads_what_is_left(place, capsys):
    _, ml, (host, catalog, work) = place
    rid, _, _ = crash(place, "kill")
    assert upload(["--host", host, "--catalog", catalog, "--working-dir", work, "--clean"]) == 0
    said = capsys.readouterr().err
    assert "upload complete: 2 items uploaded, 0 failed." in said
    assert "lab/Model: +1 / -0" in said
    exe = ml.resume_execution(rid)
    assert not (ml.working_dir / "deriva-ml" / "execution" / rid / "assets").exists()
    check_uploaded(ml, exe)
    assert upload(["--host", host, "--catalog", catalog, "--working-dir", work]) == 0
    assert "0 items uploaded" in capsys.readouterr().err
    assert upload(["--host", host, "--catalog", catalog, "--working-dir", work, "--execution", "1-ZZZZ"]) == 1
    assert "execution 1-ZZZZ" in capsys.readouterr().err
    assert upload(["--host", host, "--catalog", "99", "--working-dir", work]) == 2
    assert "99" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        upload(["--host", host])
    assert caught.value.code == 2


def test_the_user_empties_the_scratch_directory(place):
    """Feature rows are in the local store; files that are gone are named, and the rest goes through."""
    _, ml, _ = place
    rid, _, _ = crash(place, "kill")
    exe = ml.resume_execution(rid)
    import shutil

    shutil.rmtree(exe.working_dir)
    with pytest.raises(Exception, match=r"Model/model\.pt"):
        exe.commit_output_assets()
    exe.asset_file_path("Model", "model.pt").write_bytes(b"weights")
    exe.metrics_file().write_text("{}")
    exe.commit_output_assets()
    check_uploaded(ml, exe)


def test_a_program_holds_no_lock_when_it_is_gone(place):
    _, ml, _ = place
    rid, _, _ = crash(place, "kill")
    pid = os.fork()
    if pid == 0:
        from deriva_ml.execution.lock import locked

        with locked(ml._session, rid, "test"):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    exe = ml.resume_execution(rid)
    exe.commit_output_assets()
    check_uploaded(ml, exe)
