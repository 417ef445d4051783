import json
from contextlib import suppress
from datetime import UTC

import pytest

from deriva_ml.ermrest import rows
from deriva_ml.ermrest.connect import Connection
from deriva_ml.errors import (
    DerivaMLConnectionError,
    DerivaMLException,
    DerivaMLInvalidTerm,
    DerivaMLNotFoundError,
    DerivaMLStateInconsistency,
    DerivaMLValidationError,
    InvalidTransitionError,
)
from deriva_ml.execution import lifecycle
from deriva_ml.execution.execution import Execution, create_execution, resume_execution
from deriva_ml.execution.execution_snapshot import find_incomplete_executions, gc_executions, list_executions
from deriva_ml.names import ExecutionStatus
from deriva_ml.specs import DatasetSpec, ExecutionConfiguration, LocalFile, WorkflowSpec
from deriva_ml.workflow.workflow import Workflow


def status(row_of, exe):
    row = row_of("Execution", exe.execution_rid)
    return row["Status"], row["Status_Detail"]


# Creation


def test_create_records_everything(session, config, row_of, rows_of):
    exe = create_execution(session, config)
    row = row_of("Execution", exe.execution_rid)
    assert (row["Status"], row["Description"], row["Workflow"]) == ("Created", "a run", exe.workflow_rid)
    assert exe.status is ExecutionStatus.Created
    assert exe.working_dir.is_dir()
    assert exe.working_dir == session.working_dir / "deriva-ml" / "execution" / exe.execution_rid
    links = rows_of("Execution_Metadata_Execution", Execution=exe.execution_rid)
    assert {link["Asset_Role"] for link in links} == {"Output"}
    files = rows_of("Execution_Metadata", RID=[link["Execution_Metadata"] for link in links])
    names = {file["Filename"].partition("_20")[0] for file in files}
    assert names == {"configuration.json", "environment_snapshot"} or names == {
        "configuration.json",
        "environment_snapshot",
        "uv.lock",
    }
    assert all(file["Description"] for file in files)
    types = rows_of("Execution_Metadata_Asset_Type", Execution_Metadata=[file["RID"] for file in files])
    assert {"Deriva_Config", "Runtime_Env", "Output_File"} <= {row["Asset_Type"] for row in types}


def test_the_callers_configuration_is_left_alone(session, config):
    before = config.model_dump_json()
    create_execution(session, config)
    assert config.model_dump(exclude={"workflow"}) == ExecutionConfiguration.model_validate_json(
        before
    ).model_dump(exclude={"workflow"})


def test_the_same_code_is_one_workflow(session):
    first = create_execution(
        session, workflow=Workflow(name="One", workflow_type="Testing"), description="first"
    )
    again = create_execution(
        session, workflow=Workflow(name="Other", workflow_type="Testing"), description="second"
    )
    assert first.workflow_rid == again.workflow_rid


def test_workflow_may_be_named(session, config):
    first = create_execution(session, config)
    for name in (first.workflow_rid, config.workflow.checksum, config.workflow.url):
        assert create_execution(session, workflow=name).workflow_rid == first.workflow_rid


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"configuration": ExecutionConfiguration()}, "needs a workflow"),
        ({"configuration": ExecutionConfiguration(), "workflow": 3}, "cannot be 3"),
        ({"workflow": "nowhere"}, "nowhere"),
    ],
)
def test_without_a_workflow_nothing_is_made(session, rows_of, arguments, error):
    before = len(rows_of("Execution"))
    with pytest.raises(DerivaMLException, match=error):
        create_execution(session, **arguments)
    assert len(rows_of("Execution")) == before


def test_a_configuration_is_not_mixed_with_its_parts(session, config):
    with pytest.raises(TypeError, match="datasets"):
        create_execution(session, config, datasets=["1-A"])


def test_unknown_inputs_leave_nothing(session, workflow, rows_of, image_rid, tmp_path):
    before = len(rows_of("Execution"))
    bad = [
        {"datasets": [DatasetSpec(rid="1-ZZZZ")]},
        {"datasets": [DatasetSpec(rid=image_rid)]},
        {"assets": ["1-ZZZZ"]},
        {"assets": [LocalFile(path=tmp_path / "missing")]},
    ]
    for given in bad:
        with pytest.raises(DerivaMLException):
            create_execution(session, workflow=workflow, **given)
    with pytest.raises(DerivaMLInvalidTerm, match="Nonsense"):
        create_execution(session, workflow=Workflow(name="x", workflow_type="Nonsense", url="https://x/y"))
    assert len(rows_of("Execution")) == before
    assert list_executions(session) != [] or before >= 0


def test_a_failing_step_takes_the_execution_back(session, config, rows_of, monkeypatch, tmp_path):
    before = len(rows_of("Execution"))
    monkeypatch.setenv("DERIVA_ML_SAVE_EXECUTION_RID", str(tmp_path / "no" / "such" / "folder"))
    with pytest.raises(OSError):
        create_execution(session, config)
    assert len(rows_of("Execution")) == before
    assert list_executions(session) == []


def test_the_rid_is_saved_for_a_caller(session, config, monkeypatch, tmp_path):
    monkeypatch.setenv("DERIVA_ML_SAVE_EXECUTION_RID", str(tmp_path / "rid.json"))
    exe = create_execution(session, config)
    saved = json.loads((tmp_path / "rid.json").read_text())
    assert saved["execution_rid"] == exe.execution_rid
    assert saved["workflow_rid"] == exe.workflow_rid
    assert saved["catalog_id"] == session.connection.catalog_id


# Running


def test_a_clean_run(execute, row_of):
    with execute() as exe:
        assert exe.status is ExecutionStatus.Running
        assert status(row_of, exe)[0] == "Running"
        assert exe.start_time.tzinfo is UTC
        assert exe.stop_time is None
    assert status(row_of, exe) == ("Stopped", None)
    assert exe.stop_time >= exe.start_time
    assert row_of("Execution", exe.execution_rid)["Execution_Duration"].startswith("0.0H 0.0min ")
    exe.commit_output_assets()
    assert status(row_of, exe) == ("Uploaded", None)
    assert row_of("Execution", exe.execution_rid)["Upload_Duration"]


def test_an_exception_fails_the_run_and_flies_on(execute, row_of):
    with pytest.raises(ZeroDivisionError), execute() as exe:
        _ = 1 / 0
    assert exe.status is ExecutionStatus.Failed
    assert exe.error == "ZeroDivisionError: division by zero"
    assert status(row_of, exe) == ("Failed", exe.error)
    assert exe.stop_time is not None
    exe.commit_output_assets()
    assert exe.error is None
    assert status(row_of, exe) == ("Uploaded", "ZeroDivisionError: division by zero")


@pytest.mark.parametrize("ending", [None, ZeroDivisionError])
def test_the_catalog_is_told_once_of_an_end(execute, counted, ending):
    exe = execute()
    with counted() as told, suppress(ZeroDivisionError), exe:
        told.sent.clear()
        if ending is not None:
            raise ending
    assert [method for method, _ in told.catalog] == ["PUT"]


@pytest.mark.parametrize(
    "abort", [lambda exe: exe.abort(), lambda exe: exe.update_status("Aborted", error="Execution Aborted")]
)
def test_an_abort_stops_the_clock_of_what_runs(execute, row_of, abort):
    running, created = execute(), execute()
    running.execution_start()
    with execute() as stopped:
        pass
    ended = stopped.stop_time
    for exe in (running, created, stopped):
        abort(exe)
        assert status(row_of, exe) == ("Aborted", "Execution Aborted")
    assert running.stop_time >= running.start_time
    assert row_of("Execution", running.execution_rid)["Execution_Duration"].startswith("0.0H 0.0min ")
    assert created.stop_time is None
    assert row_of("Execution", created.execution_rid)["Execution_Duration"] is None
    assert stopped.stop_time == ended


def test_execute_gives_the_execution(execute):
    exe = execute()
    with exe.execute() as same:
        assert same is exe


def test_messages_are_visible_at_once(execute, row_of):
    with execute() as exe:
        exe.update_status(ExecutionStatus.Running, "Loading")
        assert status(row_of, exe) == ("Running", "Loading")
        exe.update_status(ExecutionStatus.Running, "Epoch 1/3 — loss=0.5")
        assert status(row_of, exe) == ("Running", "Epoch 1/3 — loss=0.5")
    assert status(row_of, exe) == ("Stopped", "Epoch 1/3 — loss=0.5")


@pytest.mark.parametrize("ending", ["Stopped", "Failed", "Pending_Upload"])
def test_a_status_that_is_set_ends_the_run_as_its_own_call_does(session, execute, row_of, ending):
    exe = execute()
    exe.update_status("Running", "begun")
    begun = session.workspace.executions.get(exe.execution_rid)
    assert begun.start_time is not None and begun.is_mine
    exe.update_status(ending, "the cat did it")
    failed = ending in {"Failed", "Aborted"}
    assert status(row_of, exe) == (ending, "the cat did it")
    assert exe.error == ("the cat did it" if failed else None)
    assert (exe.stop_time is None) == (ending == "Pending_Upload")
    assert (row_of("Execution", exe.execution_rid)["Execution_Duration"] is None) == (exe.stop_time is None)
    exe.update_status(ending, "no, the dog", error="it was the dog" if failed else None)
    assert status(row_of, exe) == (ending, "it was the dog" if failed else "no, the dog")


def test_illegal_moves_are_refused(execute, row_of):
    exe = execute()
    with pytest.raises(InvalidTransitionError):
        exe.update_status(ExecutionStatus.Stopped, "no")
    with pytest.raises(InvalidTransitionError, match="from Created to Created"):
        exe.update_status(ExecutionStatus.Created)
    with pytest.raises(InvalidTransitionError, match="run it first"):
        exe.commit_output_assets()
    assert status(row_of, exe) == ("Created", None)
    exe.abort()
    assert status(row_of, exe) == ("Aborted", "Execution Aborted")
    for forbidden in (exe.execution_start, exe.abort, exe.commit_output_assets):
        with pytest.raises(InvalidTransitionError):
            forbidden()


def test_a_block_that_committed_stays_uploaded(execute, row_of):
    with execute() as exe:
        exe.commit_output_assets()
        ended = exe.stop_time
        assert ended >= exe.start_time
    assert status(row_of, exe)[0] == "Uploaded"
    assert exe.stop_time == ended
    assert row_of("Execution", exe.execution_rid)["Execution_Duration"].startswith("0.0H 0.0min ")


def test_a_run_may_be_stopped_without_a_block(execute, row_of):
    exe = execute()
    exe.execution_start()
    exe.execution_stop()
    assert status(row_of, exe) == ("Stopped", None)


def test_of_two_moves_at_once_one_is_refused(session, execute, row_of, monkeypatch):
    exe, validate = execute(), lifecycle.validate_transition
    exe.execution_start()

    def late(**move):
        validate(**move)
        # Another process is faster.
        session.workspace.executions.update(exe.execution_rid, status=ExecutionStatus.Aborted)

    monkeypatch.setattr(lifecycle, "validate_transition", late)
    with pytest.raises(InvalidTransitionError, match="moved from Running by another process meanwhile"):
        exe.execution_stop()
    assert (exe.status, exe.stop_time) == (ExecutionStatus.Aborted, None)
    assert status(row_of, exe) == ("Running", None)


def test_dropping_the_object_changes_nothing(execute, row_of):
    exe = execute()
    rid = exe.execution_rid
    exe.execution_start()
    del exe
    assert row_of("Execution", rid)["Status"] == "Running"


# Dry run


def test_a_dry_run_writes_nothing(session, config, rows_of, image_rid, record_class):
    before = {name: len(rows_of(name)) for name in ("Execution", "Image", "Execution_Metadata")}
    with create_execution(session, config, dry_run=True) as exe:
        assert exe.execution_rid == "0000"
        path = exe.asset_file_path("Image", "dry.png")
        path.write_bytes(b"x")
        assert exe.metrics_file() == exe.metrics_file()
        assert exe.add_features([record_class("Glaucoma_Grade")(Image=image_rid, Grade="Mild")]) == 1
        assert exe.download_asset(image_rid, exe.working_dir / "in").read_bytes() == b"seed"
        exe.add_input_dataset("1-A")
        exe.abort()
    assert exe.commit_output_assets().total_uploaded == 0
    assert exe.uploaded_assets == {}
    assert before == {name: len(rows_of(name)) for name in before}
    with pytest.raises(DerivaMLException):
        exe.is_nested()
    assert session.workspace.executions.get("0000") is None


def test_a_dry_run_refuses_what_the_run_would(session):
    config = ExecutionConfiguration(workflow=WorkflowSpec(name="Mistyped", workflow_type=["Nonsense"]))
    with pytest.raises(DerivaMLInvalidTerm, match="Nonsense"):
        create_execution(session, config, dry_run=True)


# Resume


def test_an_unknown_execution_cannot_be_resumed(session):
    with pytest.raises(DerivaMLException, match="working directory"):
        resume_execution(session, "1-ZZZZ")


def test_resume_restores_configuration_and_inputs(session, workflow, image_rid):
    exe = create_execution(session, workflow=workflow, assets=[image_rid], description="a resumed run")
    again = resume_execution(session, exe.execution_rid)
    assert again.configuration.description == "a resumed run"
    assert [spec.rid for spec in again.configuration.assets] == [image_rid]
    assert again.workflow_rid == exe.workflow_rid
    assert again.asset_paths == exe.asset_paths
    assert again.asset_paths["Image"][0].read_bytes() == b"seed"
    assert again.execution_record is None
    assert Execution.from_registry(ml_object=session, execution_rid=exe.execution_rid).status == "Created"


@pytest.mark.parametrize(
    ("local", "remote", "expected"),
    [
        ("Running", "Running", "Running"),
        ("Running", "Aborted", "Aborted"),
        ("Running", "Failed", "Failed"),
        ("Pending_Upload", "Uploaded", "Uploaded"),
        ("Stopped", "Running", "Stopped"),
        ("Failed", "Running", "Failed"),
        ("Uploaded", "Pending_Upload", "Uploaded"),
        ("Uploaded", "Running", "Uploaded"),
        ("Aborted", "Running", "Aborted"),
        ("Stopped", "Uploaded", None),
        ("Created", "Running", None),
        ("Running", None, None),
    ],
)
def test_states_are_reconciled(session, execute, row_of, local, remote, expected):
    exe = execute()
    session.workspace.executions.update(exe.execution_rid, status=ExecutionStatus(local), sync_pending=False)
    row = {"RID": exe.execution_rid, "Status": remote, "Status_Detail": "elsewhere"}
    rows.update(session.connection, session.ml_table("Execution"), [row], columns=["Status", "Status_Detail"])
    if expected is None:
        with pytest.raises(DerivaMLStateInconsistency, match=f"{remote} (in the catalog|of execution)"):
            resume_execution(session, exe.execution_rid)
        return
    again = resume_execution(session, exe.execution_rid)
    assert again.status == expected
    assert row_of("Execution", exe.execution_rid)["Status"] == expected
    assert again.error == (
        "elsewhere" if local != remote and expected == remote and remote != "Uploaded" else None
    )


def test_what_the_catalog_missed_is_sent_first(session, execute, row_of):
    exe = execute()
    session.workspace.executions.update(exe.execution_rid, status=ExecutionStatus.Uploaded, sync_pending=True)
    resume_execution(session, exe.execution_rid)
    assert row_of("Execution", exe.execution_rid)["Status"] == "Uploaded"
    assert not session.workspace.executions.get(exe.execution_rid).sync_pending


def away(*given, **options):
    raise DerivaMLConnectionError("nobody there")


def test_what_cannot_be_sent_is_sent_later(session, execute, row_of, caplog, monkeypatch):
    begun, created = execute(), execute()
    begun.execution_start()
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "put", away)
        begun.update_status(ExecutionStatus.Running, "halfway")
        created.execution_start()
        for exe in (begun, created):
            assert f"The status Running of execution {exe.execution_rid} is kept on this" in caplog.text
            # What the catalog says is old, so it is no contradiction.
            assert resume_execution(session, exe.execution_rid).status is ExecutionStatus.Running
            assert session.workspace.executions.get(exe.execution_rid).sync_pending
    assert [status(row_of, exe) for exe in (begun, created)] == [("Running", None), ("Created", None)]
    for exe in (begun, created):
        resume_execution(session, exe.execution_rid)
        assert not session.workspace.executions.get(exe.execution_rid).sync_pending
    assert [status(row_of, exe) for exe in (begun, created)] == [("Running", "halfway"), ("Running", None)]


def test_what_cannot_be_settled_is_sent_later(session, execute, monkeypatch):
    exe = execute()
    exe.execution_start()
    session.workspace.executions.update(exe.execution_rid, status=ExecutionStatus.Stopped)
    monkeypatch.setattr(Connection, "put", away)
    assert resume_execution(session, exe.execution_rid).status is ExecutionStatus.Stopped
    assert session.workspace.executions.get(exe.execution_rid).sync_pending


def test_a_run_goes_on_while_the_catalog_cannot_be_asked(session, execute, caplog, monkeypatch):
    exe = execute()
    monkeypatch.setattr(rows, "read", away)
    assert resume_execution(session, exe.execution_rid).status is ExecutionStatus.Created
    assert f"state of execution {exe.execution_rid} is unknown: nobody there" in caplog.text


def test_an_execution_gone_from_the_catalog_is_an_inconsistency(session, execute, caplog):
    exe = execute()
    rows.delete(session.connection, session.ml_table("Execution"), {"RID": [exe.execution_rid]})
    with pytest.raises(DerivaMLStateInconsistency, match="not in"):
        resume_execution(session, exe.execution_rid)
    exe.execution_start()
    assert f"Execution {exe.execution_rid} is no longer in the catalog" in caplog.text
    assert session.workspace.executions.get(exe.execution_rid).sync_pending


def test_a_withdrawn_creation_is_forgotten(session, execute):
    exe = execute()
    session.workspace.executions.update(exe.execution_rid, prepared=False)
    rows.delete(session.connection, session.ml_table("Execution"), {"RID": [exe.execution_rid]})
    with pytest.raises(DerivaMLNotFoundError, match="taken back"):
        resume_execution(session, exe.execution_rid)
    assert session.workspace.executions.get(exe.execution_rid) is None


# Local listing


def test_local_executions_are_listed(session, execute):
    with execute() as first:
        first.asset_file_path("Image", "a.png").write_bytes(b"a")
    second = execute()
    listed = {found.rid: found for found in list_executions(session)}
    assert set(listed) == {first.execution_rid, second.execution_rid}
    assert listed[first.execution_rid].pending_files == 1
    assert {found.rid for found in find_incomplete_executions(session)} == set(listed)
    first.commit_output_assets()
    assert [found.rid for found in find_incomplete_executions(session)] == [second.execution_rid]
    assert first.pending_summary().total_pending_files == 0
    assert gc_executions(session, delete_working_dir=True) == 1
    assert not (session.working_dir / "deriva-ml" / "execution" / first.execution_rid).exists()
    assert [found.rid for found in list_executions(session)] == [second.execution_rid]


def test_bad_input_is_named(session, workflow):
    spec = [DatasetSpec(rid="1-ABC", version="1.0.0"), DatasetSpec(rid="1-ABC", version="2.0.0")]
    with pytest.raises(DerivaMLException):
        create_execution(session, workflow=workflow, datasets=spec)
    with pytest.raises((DerivaMLValidationError, ValueError)):
        create_execution(session, workflow=workflow, datasets=["not a rid!"])


def test_what_runs_is_not_forgotten(session, execute, caplog):
    with execute() as exe:
        path = exe.asset_file_path("Model", "running.pt")
        path.write_text("half")
        assert gc_executions(session, status=ExecutionStatus.Running, delete_working_dir=True) == 0
        assert exe.execution_rid in caplog.text
        assert path.read_text() == "half"
    assert gc_executions(session, status=ExecutionStatus.Stopped, delete_working_dir=True) == 1
    assert not path.exists()
