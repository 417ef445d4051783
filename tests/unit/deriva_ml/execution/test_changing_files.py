"""Files that are changed or deleted while they are committed: named, the others safe, nothing half recorded."""

from __future__ import annotations

import hashlib
import os

import pytest

from deriva_ml.errors import DerivaMLUploadError
from deriva_ml.execution.execution import resume_execution
from deriva_ml.names import ExecutionStatus


@pytest.fixture
def staged(execute):
    """An execution with ten files that wait."""
    with execute() as exe:
        paths = [exe.asset_file_path("Model", f"{exe.execution_rid}-{number}.bin") for number in range(10)]
        for path in paths:
            path.write_text(path.name)
    return exe, paths


def recorded(exe, tmp_path, rows_of):
    """Bytes of the recorded outputs by name; each must be what its row says, and linked to the execution."""
    found = {}
    rids = [row["RID"] for row in rows_of("Model") if row["Filename"].startswith(exe.execution_rid)]
    linked = {row["Model"] for row in rows_of("Model_Execution", Execution=exe.execution_rid)}
    assert linked == set(rids)
    for row in rows_of("Model", RID=rids) if rids else []:
        content = exe.download_asset(row["RID"], tmp_path / row["RID"], update_catalog=False).read_bytes()
        assert (hashlib.md5(content).hexdigest(), len(content)) == (row["MD5"], row["Length"])
        assert rows_of("Model_Asset_Type", Model=row["RID"])
        found[row["Filename"]] = content.decode()
    return found


def meanwhile(path, act):
    """Does something to a file once it was looked at."""

    def progress(seen):
        if seen.phase == "Staging" and seen.file_name == path.name:
            act(path)

    return progress


def rewrite(path):
    path.write_text("x" * len(path.name))


ACTS = {
    "deleted": lambda path: path.unlink(),
    "longer": lambda path: path.write_text("much longer than its name, and other text"),
    "shorter": lambda path: path.write_text(""),
    "rewritten": rewrite,
    "a-folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("name", ACTS)
def test_a_file_that_changes_while_it_is_committed(staged, session, tmp_path, rows_of, name):
    exe, paths = staged
    with pytest.raises(DerivaMLUploadError) as caught:
        exe.commit_output_assets(progress_callback=meanwhile(paths[3], ACTS[name]))
    assert f"Model/{paths[3].name}" in str(caught.value)
    assert paths[4].name not in str(caught.value)
    report = caught.value.report
    assert (report.execution_rids, report.total_uploaded, report.total_failed) == ([exe.execution_rid], 0, 1)
    assert report.per_table == {"lab/Model": {"uploaded": 0, "failed": 1}}
    assert [reason.startswith(f"Model/{paths[3].name}: ") for reason in report.errors] == [True]
    assert exe.status is ExecutionStatus.Failed
    assert recorded(exe, tmp_path, rows_of) == {}
    if paths[3].is_dir():
        paths[3].rmdir()
    paths[3].write_text("what it is now")
    again = resume_execution(session, exe.execution_rid)
    assert again.commit_output_assets().total_uploaded == 10
    expected = {path.name: path.name for path in paths} | {paths[3].name: "what it is now"}
    assert recorded(exe, tmp_path, rows_of) == expected


def test_a_file_that_is_linked_and_changes(execute, tmp_path, rows_of):
    source = tmp_path / "source.bin"
    source.write_text("first")
    with execute() as exe:
        staged = exe.asset_file_path("Model", source, rename_file=f"{exe.execution_rid}.bin")
    source.write_text("second")
    exe.commit_output_assets()
    assert recorded(exe, tmp_path / "down", rows_of) == {staged.name: "second"}


def test_what_is_added_while_it_is_committed_waits_for_the_next_commit(execute, tmp_path, rows_of, caplog):
    """A log that goes on: cleaning must not remove what was not uploaded."""
    with execute() as exe:
        log = exe.asset_file_path("Model", f"{exe.execution_rid}.log")
        log.write_text("first")

    def go_on(seen):
        if seen.phase == "Uploaded" and log.read_text() == "first":
            with log.open("a") as file:
                file.write(", second")

    assert exe.commit_output_assets(clean_folder=True, progress_callback=go_on).total_uploaded == 1
    assert (exe.status, log.read_text()) == (ExecutionStatus.Uploaded, "first, second")
    assert f"Model/{log.name}" in caplog.text
    assert "never registered" not in caplog.text
    assert exe.pending_summary().total_pending_files == 1
    assert exe.commit_output_assets(clean_folder=True).total_uploaded == 1
    assert not log.exists()
    assert len(rows_of("Model", Filename=log.name)) == 2
    assert recorded(exe, tmp_path, rows_of)


def test_a_file_that_waits_for_another_table_is_not_cleaned_away(execute):
    """One file of the working directory, of which the catalog has what one table says, and not yet the other."""
    with execute() as exe:
        weights = exe.working_dir / f"{exe.execution_rid}.bin"
        weights.write_text("0.5")
        exe.asset_file_path("Model", weights)

    def register_again(seen):
        if seen.phase == "Uploaded":
            exe.asset_file_path("Image", weights)

    assert exe.commit_output_assets(clean_folder=True, progress_callback=register_again).total_uploaded == 1
    assert weights.read_text() == "0.5"
    assert exe.commit_output_assets(clean_folder=True).total_uploaded == 1
    assert not weights.exists()


def test_a_clock_that_is_ahead_sends_nothing_twice(execute):
    """On a network disk files have the times of another machine."""
    with execute() as exe:
        path = exe.asset_file_path("Model", f"{exe.execution_rid}.bin")
        path.write_text("once")
    later = path.stat().st_mtime + 3600
    os.utime(path, (later, later))
    assert exe.commit_output_assets(clean_folder=False).total_uploaded == 1
    assert exe.commit_output_assets(clean_folder=False).total_uploaded == 0
    path.write_text("again")
    assert exe.commit_output_assets(clean_folder=True).total_uploaded == 1
