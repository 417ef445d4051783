import hashlib
import json
import logging
import os
from pathlib import Path

import pytest

from deriva_ml.asset.asset import lookup_asset
from deriva_ml.asset.record import asset_record_class
from deriva_ml.bag import load as loading
from deriva_ml.ermrest import rows
from deriva_ml.errors import (
    DerivaMLConnectionError,
    DerivaMLException,
    DerivaMLInvalidTerm,
    DerivaMLOfflineError,
    DerivaMLTableNotFound,
    DerivaMLUploadError,
    DerivaMLValidationError,
)
from deriva_ml.execution import outputs
from deriva_ml.execution.commit import commit_many, pending_executions
from deriva_ml.execution.execution_snapshot import list_executions
from deriva_ml.execution.outputs import Outputs
from deriva_ml.execution.queries import lookup_execution
from deriva_ml.execution.salvage import salvage
from deriva_ml.names import ConnectionMode, ExecutionStatus
from deriva_ml.records import UploadProgress


def types_of(rows_of, table, rid):
    return {row["Asset_Type"] for row in rows_of(f"{table}_Asset_Type", **{table: rid})}


def only(exe, table):
    [path] = exe.uploaded_assets[f"lab/{table}"]
    return path


# Registering


def test_former_names_of_the_commit(session, execute):
    with execute() as exe:
        exe.asset_file_path("Model", "best.pt").write_bytes(b"former names")
    [report, files] = exe.upload_outputs(retry_failed=True), exe.upload_execution_outputs(clean_folder=False)
    assert (report.total_uploaded, [path.file_name for path in files["lab/Model"]]) == (1, ["best.pt"])
    exe.asset_file_path("Model", "later.pt").write_bytes(b"later")
    [snapshot] = [found for found in list_executions(session) if found.rid == exe.execution_rid]
    report = snapshot.upload_outputs(ml=session, retry_failed=True)
    assert (report.execution_rids, report.total_uploaded) == ([exe.execution_rid], 1)


def test_a_new_file_is_written_to_the_path(session, execute, row_of, rows_of):
    with execute() as exe:
        path = exe.asset_file_path("Model", "best.pt")
        assert isinstance(path, Path)
        assert path.parent == exe.working_dir / "assets" / "Model"
        assert (path.file_name, path.asset_types, path.metadata) == ("best.pt", ["Model"], {})
        path.write_bytes(b"weights")
    report = exe.commit_output_assets()
    assert (report.execution_rids, report.total_uploaded, report.total_failed) == ([exe.execution_rid], 1, 0)
    assert report.per_table == {"lab/Model": {"uploaded": 1, "failed": 0}}
    uploaded = only(exe, "Model")
    row = row_of("Model", uploaded.asset_rid)
    md5 = hashlib.md5(b"weights").hexdigest()
    assert row["URL"].partition(":")[0] == f"/hatrac/Model/{md5}.best.pt"
    assert (row["Filename"], row["Length"], row["MD5"]) == ("best.pt", 7, md5)
    assert types_of(rows_of, "Model", row["RID"]) == {"Model", "Output_File"}
    [role] = rows_of("Model_Execution", Model=row["RID"])
    assert (role["Execution"], role["Asset_Role"]) == (exe.execution_rid, "Output")
    asset = lookup_asset(session, row["RID"])
    assert asset.execution_rid == exe.execution_rid
    assert asset.download(exe.working_dir / "back").read_bytes() == b"weights"


def test_existing_files_are_linked_copied_and_renamed(execute, tmp_path):
    source = tmp_path / "scan.png"
    source.write_bytes(b"scan")
    with execute() as exe:
        linked = exe.asset_file_path("Image", source)
        copied = exe.asset_file_path("Image", str(source), copy_file=True, rename_file="copy.png")
        renamed = exe.asset_file_path("Image", source, rename_file="scan_001.png")
        assert linked.is_symlink() and linked.read_bytes() == b"scan"
        assert not copied.is_symlink() and copied.read_bytes() == b"scan"
        assert (copied.file_name, renamed.file_name) == ("copy.png", "scan_001.png")
    assert exe.commit_output_assets().total_uploaded == 3
    assert source.read_bytes() == b"scan"
    assert {path.file_name for path in exe.uploaded_assets["lab/Image"]} == {
        "scan.png",
        "copy.png",
        "scan_001.png",
    }


def test_relative_names_are_resolved_against_the_working_directory(execute, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    Path("here.png").write_bytes(b"here")
    with execute() as exe:
        assert exe.asset_file_path("Image", "here.png").resolve() == tmp_path / "here.png"
        assert "here.png is there already and becomes the output of Image" in caplog.text
        caplog.clear()
        assert not exe.asset_file_path("Image", "not_here.png").exists()
        assert not caplog.text
        assert not exe.asset_file_path("Image", "gone/scan.png").exists()
        assert "There is no file" in caplog.text
        caplog.clear()
        assert exe.asset_file_path("Image", "gone.png", rename_file="kept.png").file_name == "gone.png"
        assert f"There is no file {tmp_path / 'gone.png'}; gone.png is a new output" in caplog.text
        assert "kept.png does not become its name" in caplog.text


def test_a_reserved_name_is_changed(execute):
    with execute() as exe:
        assert exe.asset_file_path("Image", "_implementations.log").file_name == "-implementations.log"


def test_types_metadata_and_description(session, execute, row_of, rows_of):
    with execute() as exe:
        path = exe.asset_file_path(
            "Image",
            "t.png",
            asset_types=["Mask", "Derived"],
            description="An *image*",
            metadata={"Note": "n"},
            Shots=3,
        )
        assert path.metadata == {"Note": "n", "Shots": 3}
        path.metadata = {**path.metadata, "Note": "m"}
        path.write_bytes(b"t")
        bare = exe.asset_file_path("Image", "bare.png", asset_types=[])
        bare.write_bytes(b"bare")
        later = exe.asset_file_path("Image", "later.png")
        later.set_asset_types(["Mask", "Output_File"])
        later.write_bytes(b"typed later")
        record = asset_record_class(session.model, "Image")(Note="from a record")
        exe.asset_file_path("Image", "r.png", metadata=record).write_bytes(b"r")
    exe.commit_output_assets()
    found = {path.file_name: path.asset_rid for path in exe.uploaded_assets["lab/Image"]}
    row = row_of("Image", found["t.png"])
    assert (row["Note"], row["Shots"], row["Description"]) == ("m", 3, "An *image*")
    assert row_of("Image", found["r.png"])["Note"] == "from a record"
    assert types_of(rows_of, "Image", found["t.png"]) == {"Mask", "Derived", "Output_File"}
    assert types_of(rows_of, "Image", found["bare.png"]) == {"Output_File"}
    assert types_of(rows_of, "Image", found["later.png"]) == {"Mask", "Output_File"}


def test_registration_refuses_what_cannot_be(execute, tmp_path):
    with execute() as exe:
        with pytest.raises(DerivaMLException, match="not an asset table"):
            exe.asset_file_path("Subject", "a")
        with pytest.raises(DerivaMLTableNotFound):
            exe.asset_file_path("Nothing", "a")
        with pytest.raises(DerivaMLInvalidTerm, match="Nonsense"):
            exe.asset_file_path("Image", "a", asset_types="Nonsense")
        with pytest.raises(DerivaMLValidationError, match="no metadata column 'Colour'; it has: Note, Shots"):
            exe.asset_file_path("Image", "a", metadata={"Colour": "red"})
        with pytest.raises(DerivaMLValidationError, match=r"Image\.Shots cannot be 'many'"):
            exe.asset_file_path("Image", "a", Shots="many")
        with pytest.raises(DerivaMLValidationError, match="folder"):
            exe.asset_file_path("Image", tmp_path)
        with pytest.raises(DerivaMLValidationError, match="does not exist"):
            exe.asset_file_path("Image", tmp_path / "no.png", copy_file=True)
        path = exe.asset_file_path("Image", "ok.png")
        with pytest.raises(DerivaMLInvalidTerm):
            path.set_asset_types(["Nonsense"])
        with pytest.raises(DerivaMLValidationError):
            path.metadata = {"Colour": "red"}
        assert exe.pending_summary().total_pending_files == 1


def test_two_files_do_not_share_a_name(execute, tmp_path):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "x.png").write_bytes(place.encode())
    with execute() as exe:
        exe.asset_file_path("Image", tmp_path / "a" / "x.png")
        exe.asset_file_path("Image", tmp_path / "a" / "x.png", asset_types="Mask")
        with pytest.raises(DerivaMLValidationError, match="rename_file="):
            exe.asset_file_path("Image", tmp_path / "b" / "x.png")
        exe.asset_file_path("Model", tmp_path / "b" / "x.png")


def test_many_files_at_once(execute, tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"%d" % number)
    with execute() as exe:
        paths = exe.asset_file_paths(
            "Image",
            [{"file_name": path, "metadata": {"Note": path.name}} for path in sorted(tmp_path.glob("*.png"))],
        )
        assert [path.file_name for path in paths] == ["0.png", "1.png", "2.png"]
        with pytest.raises(DerivaMLValidationError):
            exe.asset_file_paths("Image", ["new.png", tmp_path / "missing" / ".." / ".."])
    assert exe.commit_output_assets().total_uploaded == 3


def test_the_manifest_file_is_in_the_working_dir(execute):
    with execute() as exe:
        exe.asset_file_path("Image", "m.png", metadata={"Note": "n"}).write_bytes(b"m")
        entry = json.loads((exe.working_dir / "asset-manifest.json").read_text())["assets"]["Image/m.png"]
        assert (entry["status"], entry["metadata"], entry["asset_types"]) == (
            "pending",
            {"Note": "n"},
            ["Image"],
        )
    exe.commit_output_assets(clean_folder=False)
    entry = json.loads((exe.working_dir / "asset-manifest.json").read_text())["assets"]["Image/m.png"]
    assert (entry["status"], entry["rid"]) == ("uploaded", only(exe, "Image").asset_rid)


def test_the_metrics_file_is_registered_once(execute, row_of, rows_of):
    with execute() as exe:
        for epoch in range(3):
            with exe.metrics_file().open("a") as file:
                file.write(json.dumps({"epoch": epoch}) + "\n")
        assert exe.metrics_file().file_name == "metrics.jsonl"
        assert exe.metrics_file("eval.jsonl") != exe.metrics_file()
        exe.metrics_file("eval.jsonl").write_text("{}")
    assert exe.commit_output_assets(clean_folder=False).total_uploaded == 2
    path = exe.metrics_file()
    assert path.read_text().count("\n") == 3
    assert path.asset_rid is not None
    assert types_of(rows_of, "Execution_Metadata", path.asset_rid) == {"Metrics_File", "Output_File"}
    assert exe.commit_output_assets().total_uploaded == 0
    with path.open("a") as file:
        file.write("{}\n")
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 1))
    assert exe.commit_output_assets().total_uploaded == 1


# Committing


def test_a_commit_without_outputs(execute, session, monkeypatch):
    with execute() as exe:
        pass
    with monkeypatch.context() as patch:
        patch.setattr(session, "mode", ConnectionMode.offline)
        with pytest.raises(DerivaMLOfflineError, match="^Cannot commit an execution"):
            exe.commit_output_assets()
    report = exe.commit_output_assets()
    assert (report.total_uploaded, report.per_table) == (0, {})
    assert exe.status is ExecutionStatus.Uploaded


def test_running_executions_are_stopped_first(execute):
    exe = execute()
    exe.execution_start()
    exe.asset_file_path("Image", "running.png").write_bytes(b"running")
    exe.commit_output_assets()
    assert exe.status is ExecutionStatus.Uploaded
    assert exe.stop_time is not None


def test_additive_commits(execute, row_of):
    with execute() as exe:
        exe.asset_file_path("Image", "one.png").write_bytes(b"one")
    exe.commit_output_assets()
    modified = row_of("Execution", exe.execution_rid)["RMT"]
    report = exe.commit_output_assets()
    assert (report.total_uploaded, report.per_table, exe.status) == (0, {}, ExecutionStatus.Uploaded)
    assert row_of("Execution", exe.execution_rid)["RMT"] == modified
    exe.asset_file_path("Image", "two.png").write_bytes(b"two")
    assert exe.commit_output_assets().total_uploaded == 1
    assert exe.status is ExecutionStatus.Uploaded
    assert len(exe.uploaded_assets["lab/Image"]) == 2


def test_a_missing_file_is_named_and_nothing_is_sent(execute, row_of, rows_of, counted):
    with execute() as exe:
        exe.asset_file_path("Image", "forgotten.png")
        exe.asset_file_path("Image", "there.png").write_bytes(b"there")
    with counted() as seen, pytest.raises(DerivaMLUploadError, match=r"Image/forgotten\.png"):
        exe.commit_output_assets()
    assert seen.store == []
    assert exe.status is ExecutionStatus.Failed
    assert row_of("Execution", exe.execution_rid)["Status"] == "Failed"
    assert row_of("Execution", exe.execution_rid)["Upload_Duration"]
    assert rows_of("Image_Execution", Execution=exe.execution_rid) == []
    exe.discard_asset_file("Image/forgotten.png")
    assert exe.commit_output_assets().total_uploaded == 1
    assert exe.status is ExecutionStatus.Uploaded
    with pytest.raises(DerivaMLException, match="committed already"):
        exe.discard_asset_file("Image/there.png")


def test_a_path_where_a_rid_is_needed_is_refused_before_the_work_is_done(execute):
    with execute() as exe:
        note = exe.asset_file_path("Image", "one.png", Note=Path("a/b"))
        for wrong in (note, Path("one.png")):
            with pytest.raises(
                DerivaMLValidationError, match=r"Scan\.Subject cannot be the path .*one.png.* row of Subject"
            ):
                exe.asset_file_path("Scan", "two.dcm", Day="2026-01-15", Subject=wrong)
        note.write_bytes(b"one")
    report = exe.commit_output_assets()
    assert note.metadata == {"Note": "a/b"} and "lab/Scan" not in report.per_table


def test_everything_that_is_wrong_is_named_at_once(execute, session, rows_of):
    [subject] = rows.insert(session.connection, session.table("Subject"), [{"Name": "s"}])
    with execute() as exe:
        first = exe.asset_file_path("Scan", "one.dcm")
        first.write_bytes(b"one")
        second = exe.asset_file_path("Scan", "two.dcm", Day="2026-01-15", Subject="1-ZZZZ")
        second.write_bytes(b"two")
        third = exe.asset_file_path("Image", "never.png")
        fourth = exe.asset_file_path("Image", "folder.png")
        fourth.mkdir()
    with pytest.raises(DerivaMLValidationError) as caught:
        exe.commit_output_assets()
    text = str(caught.value)
    assert "Scan/one.dcm: column Day needs a value" in text
    assert "Scan/one.dcm: column Subject needs a value" in text
    assert "Scan/two.dcm: column Subject names '1-ZZZZ'" in text
    assert f"Image/never.png ({third}): No such file" in text
    assert f"Image/folder.png ({fourth}): it is no file; of a folder, register an archive" in text
    assert f"ml.resume_execution('{exe.execution_rid}').discard_asset_file('Image/never.png')" in text
    exe.discard_asset_file(third)
    (fourth / "inside").write_bytes(b"kept")
    exe.discard_asset_file(fourth)
    assert (fourth / "inside").read_bytes() == b"kept"
    first.metadata = {"Day": "2026-01-15", "Subject": subject["RID"]}
    second.metadata = {"Day": "2026-01-15", "Subject": subject["RID"]}
    assert exe.commit_output_assets().total_uploaded == 2
    assert {row["Side"] for row in rows_of("Scan", Subject=subject["RID"])} == {"left"}
    with pytest.raises(DerivaMLValidationError, match="committed already"):
        first.metadata = {}


def test_the_same_bytes_and_name_are_the_same_asset(execute, row_of, caplog):
    executions = []
    for note in ("first", "second"):
        with execute() as exe:
            exe.asset_file_path("Image", "same.png", description=note, metadata={"Note": note}).write_bytes(
                b"same"
            )
            exe.asset_file_path("Image", f"{note}.png").write_bytes(b"same")
        assert exe.commit_output_assets().total_uploaded == 2
        executions.append(exe)
    found = [
        {path.file_name: path.asset_rid for path in exe.uploaded_assets["lab/Image"]} for exe in executions
    ]
    assert found[0]["same.png"] == found[1]["same.png"]
    assert found[0]["first.png"] != found[1]["second.png"]
    with execute() as silent:
        silent.asset_file_path("Image", "same.png").write_bytes(b"same")
    silent.commit_output_assets()
    row = row_of("Image", found[0]["same.png"])
    assert (row["Note"], row["Description"]) == ("first", "second")
    same = found[0]["same.png"]
    assert f"Image/same.png is the same file as asset {same}, which keeps its values of Note." in caplog.text
    assert "recorded as an input" not in caplog.text
    assert {asset.asset_rid for asset in executions[1].list_assets("Output")} >= {found[0]["same.png"]}


def test_an_input_that_is_committed_unchanged_stays_an_input(execute, image_rid, rows_of, caplog):
    with execute() as exe:
        exe.asset_file_path("Image", exe.download_asset(image_rid, exe.working_dir / "in"))
    exe.commit_output_assets()
    assert (
        f"Image/seed.png is asset {image_rid}, unchanged, which this execution read: it stays recorded as an input"
        in caplog.text
    )
    [role] = rows_of("Image_Execution", Execution=exe.execution_rid)
    assert (role["Image"], role["Asset_Role"]) == (image_rid, "Input")


def test_outputs_without_inputs_are_marked(execute, rows_of, caplog, image_rid):
    with execute() as exe:
        exe.asset_file_path("Image", "orphan.png").write_bytes(b"orphan")
    with caplog.at_level(logging.WARNING):
        exe.commit_output_assets()
    assert "origin is marked as unknown" in caplog.text
    assert len(rows_of("File_Execution", Execution=exe.execution_rid)) == 1
    assert exe.list_assets("Input") == []
    caplog.clear()
    with execute() as exe:
        exe.download_asset(image_rid, exe.working_dir / "in")
        exe.asset_file_path("Image", "child.png").write_bytes(b"child")
    exe.commit_output_assets()
    assert "unknown" not in caplog.text
    assert rows_of("File_Execution", Execution=exe.execution_rid) == []


def test_a_dataset_without_inputs_is_marked(execute, rows_of):
    with execute() as exe:
        exe.create_dataset(description="out of nothing")
    exe.commit_output_assets()
    assert len(rows_of("File_Execution", Execution=exe.execution_rid)) == 1


def test_a_commit_does_not_fail_for_want_of_knowing_what_was_read(execute, caplog, monkeypatch):
    with execute() as exe:
        exe.asset_file_path("Image", "alone.png").write_bytes(b"alone")
    answer = rows.count

    def lost(connection, table, *arguments, **options):
        if "Dataset_Execution" in str(table):
            raise DerivaMLConnectionError("nobody there")
        return answer(connection, table, *arguments, **options)

    monkeypatch.setattr(rows, "count", lost)
    assert exe.commit_output_assets().total_uploaded == 1
    assert exe.status is ExecutionStatus.Uploaded
    assert f"Could not check what execution {exe.execution_rid} read: nobody there" in caplog.text


def test_progress_is_told_for_files_and_tables(execute):
    seen = []
    with execute() as exe:
        for number in range(3):
            exe.asset_file_path("Image", f"p{number}.png").write_bytes(b"p" * (number + 1))
    with pytest.raises(DerivaMLValidationError, match="callback for progress cannot be 'bar'"):
        exe.commit_output_assets(progress_callback="bar")
    exe.commit_output_assets(progress_callback=seen.append)
    assert all(isinstance(item, UploadProgress) for item in seen)
    staged = [item for item in seen if item.phase == "Staging"]
    sent = [item for item in seen if item.phase == "Uploading"]
    assert [item.percent_complete for item in staged][-1] == 100
    assert {item.file_name for item in staged} == {"p0.png", "p1.png", "p2.png"}
    assert all(item.bytes_completed == item.bytes_total > 0 for item in sent)
    assert sent[-1].percent_complete == 100
    assert all("of 3" in item.message for item in sent)
    assert [(item.phase, item.file_name) for item in seen][-1] == ("Uploaded", "Image")


def test_what_is_written_after_a_run_lasts_before_it_is_committed(execute, monkeypatch):
    with execute() as exe:
        pass
    path = exe.asset_file_path("Image", "afterwards.png")
    path.write_bytes(b"afterwards")
    lasting = []
    monkeypatch.setattr(outputs, "let_last", lambda files, root: lasting.extend(files))
    exe.commit_output_assets()
    assert lasting == [path]


def test_whatever_ends_a_commit_the_execution_has_failed(execute, row_of):
    with execute() as exe:
        exe.asset_file_path("Image", "ended.png").write_bytes(b"ended")

    def broken(seen):
        raise ZeroDivisionError("no bar to draw")

    with pytest.raises(ZeroDivisionError):
        exe.commit_output_assets(progress_callback=broken)
    row = row_of("Execution", exe.execution_rid)
    assert (exe.status, row["Status"]) == (ExecutionStatus.Failed, "Failed")
    assert row["Status_Detail"] == "ZeroDivisionError: no bar to draw"
    assert exe.commit_output_assets().total_uploaded == 1


def test_requests_do_not_grow_with_files(execute, counted):
    counts = []
    for number in (1, 60):
        with execute() as exe:
            for place in range(number):
                exe.asset_file_path("Image", f"{number}-{place}.png").write_bytes(b"%d-%d" % (number, place))
        with counted() as seen:
            exe.commit_output_assets()
        counts.append(len(seen.catalog))
        assert len(seen.store) == number
    assert counts[0] == counts[1] <= 16


def test_an_empty_run_costs_few_requests(execute, counted):
    with counted() as seen:
        with execute() as exe:
            pass
        exe.commit_output_assets()
    assert len([item for item in seen.catalog if "Execution_Metadata" not in item[1]]) <= 15


# Batch


def test_pending_executions_are_committed(session, execute):
    with execute() as good:
        good.asset_file_path("Image", "good.png").write_bytes(b"good")
    with execute() as other:
        other.asset_file_path("Image", "other.png").write_bytes(b"other")
        other.asset_file_path("Model", "other.pt").write_bytes(b"other")
    with execute() as bad:
        bad.asset_file_path("Image", "never written.png")
    with execute() as done:
        pass
    done.commit_output_assets()
    created = execute()
    with execute() as alone:
        alone.asset_file_path("Image", "alone.png").write_bytes(b"alone")
    due = [good.execution_rid, other.execution_rid, bad.execution_rid]
    assert pending_executions(session) == [*due, alone.execution_rid]
    assert commit_many(session, [alone.execution_rid]).execution_rids == [alone.execution_rid]
    assert pending_executions(session) == due
    report = commit_many(session)
    assert report.execution_rids == due
    assert (report.total_uploaded, report.total_failed) == (3, 1)
    assert report.per_table == {
        "lab/Image": {"uploaded": 2, "failed": 0},
        "lab/Model": {"uploaded": 1, "failed": 0},
    }
    assert report.errors[0].startswith(f"execution {bad.execution_rid}: ")
    assert (good.working_dir / "assets" / "Image" / "good.png").exists()
    assert lookup_execution(session, good.execution_rid).status == "Uploaded"
    assert lookup_execution(session, created.execution_rid).status == "Created"
    report = commit_many(session, ["1-ZZZZ", done.execution_rid])
    assert (report.total_failed, report.total_uploaded) == (1, 0)


def test_a_disk_that_fails_under_one_execution_does_not_keep_others_from_their_commit(
    session, execute, monkeypatch
):
    runs = [execute() for _ in range(2)]
    for exe in runs:
        with exe:
            exe.asset_file_path("Image", f"{exe.execution_rid}.png").write_bytes(b"disk")
    bad, good = runs
    plain = Outputs.let_last

    def let_last(self):
        if self._execution_rid == bad.execution_rid:
            raise OSError(5, "Input/output error")
        plain(self)

    monkeypatch.setattr(Outputs, "let_last", let_last)
    report = commit_many(session, [exe.execution_rid for exe in runs])
    assert (report.total_failed, report.total_uploaded) == (1, 1)
    assert report.errors == [f"execution {bad.execution_rid}: [Errno 5] Input/output error"]
    assert good.status is ExecutionStatus.Uploaded


def test_what_was_aborted_elsewhere_is_not_committed_with_others(session, execute, rows_of):
    exe = execute()
    exe.execution_start()
    exe.asset_file_path("Image", "unwanted.png").write_bytes(b"unwanted")
    session.workspace.executions.update(exe.execution_rid, owner_pid=2**22 + 1)
    aborted = {"RID": exe.execution_rid, "Status": "Aborted", "Status_Detail": "enough"}
    columns = ("Status", "Status_Detail")
    rows.update(session.connection, session.ml_table("Execution"), [aborted], columns=columns)
    report = commit_many(session, [exe.execution_rid])
    assert "is Aborted and cannot be committed" in report.errors[0]
    assert (exe.status, exe.error) == (ExecutionStatus.Aborted, "enough")
    assert rows_of("Image_Execution", Execution=exe.execution_rid) == []


def test_files_that_are_not_stored_are_counted_with_others(session, execute, monkeypatch):
    with execute() as exe:
        exe.asset_file_path("Image", "far.png").write_bytes(b"far")
        exe.asset_file_path("Model", "far.pt").write_bytes(b"far")

    def away(connection, uploads, progress_of):
        yield from (DerivaMLConnectionError("nobody there") for _ in uploads)

    monkeypatch.setattr(loading, "put_batch", away)
    report = commit_many(session, [exe.execution_rid])
    failed = {"uploaded": 0, "failed": 1}
    assert report.per_table == {"lab/Image": failed, "lab/Model": failed}
    assert (report.total_uploaded, report.total_failed, exe.status) == (0, 1, ExecutionStatus.Failed)


def test_what_is_due_says_how_the_run_ended_and_what_waits(session, execute):
    with execute() as exe:
        path = exe.asset_file_path("Image", "due.png")
        path.write_bytes(b"due")
    store, rid = session.workspace.executions, exe.execution_rid
    no_process = {"owner_pid": 2**22 + 1}

    def is_due(status, **fields):
        store.update(rid, status=ExecutionStatus(status), **fields)
        return pending_executions(session) == [rid]

    def are_due(**fields):
        return {str(status) for status in ExecutionStatus if is_due(status, **fields)}

    owner = store.get(rid).owner.pid
    always = {"Stopped", "Pending_Upload"}
    assert are_due(owner_pid=owner) == always | {"Failed", "Uploaded"}
    assert are_due(**no_process) == always | {"Failed", "Uploaded", "Running"}
    exe.discard_asset_file(path)
    assert are_due(**no_process) == always


def test_what_tells_why_a_run_failed_is_sent_alone(session, execute, record_class, image_rid):
    exe = execute()
    exe.execution_start()
    for name in ("log.txt", "half.pt"):
        exe.asset_file_path("Model", name).write_text(exe.execution_rid)
    exe.add_features([record_class("Glaucoma_Grade")(Image=image_rid, Grade="Mild")])
    report = salvage(session, exe.execution_rid, "it broke", ["Model/log.txt"])
    assert (report.total_uploaded, report.per_table) == (1, {"lab/Model": {"uploaded": 1, "failed": 0}})
    assert (exe.status, only(exe, "Model").file_name) == (ExecutionStatus.Failed, "log.txt")
    assert lookup_execution(session, exe.execution_rid).status_detail == "it broke"
    assert exe.commit_output_assets().per_table == {
        "lab/Model": {"uploaded": 1, "failed": 0},
        "lab/Execution_Image_Glaucoma_Grade": {"uploaded": 1, "failed": 0},
    }
