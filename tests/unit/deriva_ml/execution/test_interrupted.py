"""Commits that were interrupted, and begun again: the same rows, from the same bag where it is whole."""

import hashlib
import shutil
from types import SimpleNamespace

import pytest
import requests

from deriva_ml.asset.asset import lookup_asset
from deriva_ml.bag.load import BagCatalogLoader
from deriva_ml.ermrest import patience, rows
from deriva_ml.ermrest.connect import Connection
from deriva_ml.errors import (
    DerivaMLConnectionError,
    DerivaMLUploadError,
)
from deriva_ml.execution import lifecycle
from deriva_ml.execution.bundle import _content, _Former, _has_key
from deriva_ml.execution.execution import resume_execution
from deriva_ml.execution.salvage import salvage
from deriva_ml.feature.feature import create_feature
from deriva_ml.names import ExecutionStatus
from deriva_ml.workspace import paths


def only(exe, table):
    [path] = exe.uploaded_assets[f"lab/{table}"]
    return path


def nobody_there(self):
    raise DerivaMLConnectionError("nobody there")


@pytest.mark.parametrize("bag", ["whole", "lost"])
def test_a_file_changed_after_an_interrupted_commit(execute, session, monkeypatch, bag):
    """The bag of the interrupted commit does not fit any more; its RIDs may be taken by rows already."""
    with execute() as exe:
        path = exe.asset_file_path("Image", "change.png")
        path.write_text(f"before, {bag}")
    from deriva_ml.execution import upload

    with monkeypatch.context() as patch:
        patch.setattr(
            upload, "_mark_uploaded", lambda *arguments: (_ for _ in ()).throw(OSError("the lights went out"))
        )
        with pytest.raises(DerivaMLUploadError, match="the lights went out"):
            exe.commit_output_assets()
    if bag == "lost":
        shutil.rmtree(paths.upload_dir(session.workspace.root, exe.execution_rid))
    after = f"after!, {bag}".encode()
    path.write_bytes(after)
    exe.commit_output_assets()
    row = lookup_asset(session, only(exe, "Image").asset_rid)
    assert row.md5 == hashlib.md5(after).hexdigest()


def test_a_machine_that_was_restarted_during_a_run_is_told(execute, session, caplog):
    exe = execute()
    exe.execution_start()
    born = session.workspace.executions.get(exe.execution_rid).owner_born
    session.workspace.executions.update(exe.execution_rid, owner_pid=1, owner_born=f"other {born}")
    exe.commit_output_assets()
    assert f"The machine was restarted while execution {exe.execution_rid} ran" in caplog.text
    caplog.clear()
    exe.commit_output_assets()
    assert "restarted" not in caplog.text


def test_outputs_that_cannot_be_synced_do_not_keep_a_run_from_its_end(execute, monkeypatch, caplog):
    from deriva_ml.execution import outputs

    def refuse(files, root):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(outputs, "let_last", refuse)
    with execute() as exe:
        exe.asset_file_path("Image", "unsafe.png").write_bytes(b"x")
    assert exe.status is ExecutionStatus.Stopped
    assert "may not survive a power failure" in caplog.text


def test_a_catalog_that_was_given_up_is_not_waited_for_again(execute, session, monkeypatch):
    with execute() as exe:
        exe.asset_file_path("Image", "far.png").write_bytes(b"far")
    told = []

    def raise_away(*_arguments):
        lost = requests.ConnectionError("nobody there")
        setattr(lost, patience._GIVEN_UP, 16)
        raise DerivaMLConnectionError("The catalog does not answer.") from lost

    with monkeypatch.context() as patch:
        patch.setattr(BagCatalogLoader, "load", raise_away)
        patch.setattr(lifecycle, "push", lambda session, rid: told.append(exe.status))
        with pytest.raises(DerivaMLUploadError, match="does not answer"):
            exe.commit_output_assets()
    assert told == [ExecutionStatus.Pending_Upload]
    assert session.workspace.executions.get(exe.execution_rid).sync_pending
    exe.commit_output_assets()
    assert exe.status is ExecutionStatus.Uploaded


def test_rows_keep_their_rids_from_one_attempt_to_the_next(execute, session, image_rid, rows_of, monkeypatch):
    record = create_feature(session, "Image", "Keyless", terms=["Grade"])
    images = session.table("Image")
    bare = {"URL": "/hatrac/bare", "Filename": "bare", "Length": 1, "MD5": "0" * 32}
    other = rows.insert(session.connection, images, [bare])[0]["RID"]
    with execute() as exe:
        exe.add_features([record(Image=rid, Grade="Mild") for rid in (image_rid, other)])
        exe.asset_file_path("Model", "first.pt").write_bytes(b"first")
    grades = session.table("Execution_Image_Keyless")
    next(key for key in grades.keys if len(key.unique_columns) == 3).drop()
    post = Connection.post

    def answer_lost(self, path, **options):
        answer = post(self, path, **options)
        if grades.name in path:
            raise DerivaMLConnectionError("the answer was lost")
        return answer

    monkeypatch.setattr(Connection, "post", answer_lost)
    with pytest.raises(DerivaMLUploadError, match="the answer was lost"):
        exe.commit_output_assets()
    monkeypatch.setattr(Connection, "post", post)
    sent = {row["Image"]: row["RID"] for row in rows_of(grades.name, Execution=exe.execution_rid)}
    exe.asset_file_path("Model", "second.pt").write_bytes(b"second")
    exe.add_features([record(Image=image_rid, Grade="Severe")])
    exe.commit_output_assets()
    kept = {
        (row["Image"], row["Grade"]): row["RID"] for row in rows_of(grades.name, Execution=exe.execution_rid)
    }
    # What is sent again is the same row; what is another is none that was sent.
    assert kept.pop((image_rid, "Severe")) not in sent.values()
    assert kept == {(rid, "Mild"): sent[rid] for rid in (image_rid, other)}
    assert {path.file_name for path in exe.uploaded_assets["lab/Model"]} == {"first.pt", "second.pt"}


def keys_of(*may_be_empty):
    """A table with a key for each list of whether its columns may be empty."""
    keys = [
        SimpleNamespace(
            unique_columns=[SimpleNamespace(name=f"C{at}", nullok=nullok) for at, nullok in enumerate(each)]
        )
        for each in may_be_empty
    ]
    rid = SimpleNamespace(unique_columns=[SimpleNamespace(name="RID", nullok=False)])
    return SimpleNamespace(keys=[rid, *keys])


def test_rows_are_known_by_a_key_without_empty_columns():
    assert [_has_key(keys_of(*each)) for each in ([], [[True]], [[False, True]], [[True], [False, False]])] == [
        False, False, False, True,
    ]  # fmt: skip


def test_equal_rows_get_a_rid_each():
    row, name = {"Image": "1-A", "Note": None}, ("lab", "Loose")
    former = _Former("signature", {(name, _content(row)): ["1-X", "1-Y"]})
    tables = {name: [dict(row), dict(row)]}
    former.give_rids(SimpleNamespace(table=lambda _: keys_of(), connection=None), tables)
    assert sorted(row["RID"] for row in tables[name]) == ["1-X", "1-Y"]


def test_an_interrupted_commit_goes_on_with_its_bag(
    execute, session, image_rid, record_class, rows_of, monkeypatch
):
    with execute() as exe:
        exe.asset_file_path("Model", "on.pt").write_bytes(b"on")
        exe.add_features([record_class("Glaucoma_Grade")(Image=image_rid, Grade="Mild")])
    folder = paths.upload_dir(session.workspace.root, exe.execution_rid)
    plain, seen = BagCatalogLoader.load, []

    def load(self):
        seen.append({path: path.stat().st_mtime_ns for path in folder.rglob("*")})
        if len(seen) == 1:
            raise DerivaMLConnectionError("nobody there")
        return plain(self)

    monkeypatch.setattr(BagCatalogLoader, "load", load)
    with pytest.raises(DerivaMLUploadError, match="nobody there"):
        exe.commit_output_assets()
    report = exe.commit_output_assets()
    assert (report.total_uploaded, sorted(report.per_table)) == (
        1,
        ["lab/Execution_Image_Glaucoma_Grade", "lab/Model"],
    )
    assert seen[0] == seen[1]
    assert len(rows_of("Execution_Image_Glaucoma_Grade", Execution=exe.execution_rid)) == 1
    assert not exe.pending_summary().has_pending


def test_a_damaged_bag_of_an_interrupted_commit_is_made_again(execute, session, rows_of, monkeypatch):
    with execute() as exe:
        exe.asset_file_path("Model", "weights.pt").write_bytes(b"weights")

    with monkeypatch.context() as patch:
        patch.setattr(BagCatalogLoader, "load", nobody_there)
        with pytest.raises(DerivaMLUploadError, match="nobody there"):
            exe.commit_output_assets()
    folder = paths.upload_dir(session.workspace.root, exe.execution_rid)
    for path in folder.rglob("*.jsonl"):
        path.write_bytes(b"")
    exe.commit_output_assets()
    [role] = rows_of("Model_Execution", Execution=exe.execution_rid)
    assert role["Model"] == only(exe, "Model").asset_rid


def test_an_output_that_is_missing_is_named_though_the_bag_of_an_interrupted_commit_is_whole(
    execute, monkeypatch
):
    with execute() as exe:
        exe.asset_file_path("Model", "whole.pt").write_bytes(b"whole")
    with monkeypatch.context() as patch:
        patch.setattr(BagCatalogLoader, "load", nobody_there)
        with pytest.raises(DerivaMLUploadError, match="nobody there"):
            exe.commit_output_assets()
    exe.asset_file_path("Model", "never.pt")
    with pytest.raises(DerivaMLUploadError, match=r"Model/never\.pt .*No such file"):
        exe.commit_output_assets()
    assert exe.status is ExecutionStatus.Failed
    assert "lab/Model" not in exe.uploaded_assets


def test_what_an_interrupted_commit_had_begun_is_sent_with_what_tells_why_a_run_failed(
    execute, session, monkeypatch
):
    with execute() as exe:
        for name in ("log.txt", "whole.pt"):
            exe.asset_file_path("Model", name).write_text(f"{exe.execution_rid} {name}")
    with monkeypatch.context() as patch:
        patch.setattr(BagCatalogLoader, "load", nobody_there)
        with pytest.raises(DerivaMLUploadError, match="nobody there"):
            exe.commit_output_assets()
    report = salvage(session, exe.execution_rid, "it broke", ["Model/log.txt"])
    assert (report.total_uploaded, exe.status) == (2, ExecutionStatus.Failed)
    assert {path.file_name for path in exe.uploaded_assets["lab/Model"]} == {"log.txt", "whole.pt"}


@pytest.mark.parametrize("what", ["metadata", "description", "record"])
def test_what_is_said_after_an_interrupted_commit_reaches_the_catalog(
    execute, image_rid, record_class, row_of, rows_of, monkeypatch, what
):
    with execute() as exe:
        path = exe.asset_file_path("Image", "said.png")
        path.write_text(exe.execution_rid)
    with monkeypatch.context() as patch:
        patch.setattr(BagCatalogLoader, "load", nobody_there)
        with pytest.raises(DerivaMLUploadError, match="nobody there"):
            exe.commit_output_assets()
    if what == "metadata":
        path.metadata = {"Note": "later"}
    elif what == "description":
        exe.asset_file_path("Image", path, description="later")
    else:
        exe.add_features([record_class("Glaucoma_Grade")(Image=image_rid, Grade="Mild")])
    exe.commit_output_assets()
    row = row_of("Image", only(exe, "Image").asset_rid)
    graded = rows_of("Execution_Image_Glaucoma_Grade", Execution=exe.execution_rid)
    found = {
        "metadata": row["Note"],
        "description": row["Description"],
        "record": [r["Grade"] for r in graded],
    }
    nothing = {"metadata": None, "description": None, "record": []}
    assert found == nothing | {what: ["Mild"] if what == "record" else "later"}


def test_commit_after_resume(session, execute):
    with execute() as exe:
        exe.asset_file_path("Image", "resumed.png").write_bytes(b"resumed")
    again = resume_execution(session, exe.execution_rid)
    store = session.workspace.executions
    store.update(exe.execution_rid, status=ExecutionStatus.Pending_Upload, owner_pid=2**22 + 1)
    assert again.commit_output_assets().total_uploaded == 1
    assert store.get(exe.execution_rid).is_mine
    assert only(again, "Image").asset_rid
