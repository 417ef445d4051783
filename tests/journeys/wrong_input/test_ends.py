"""What is refused of a run that is over, and what is done when there is no room."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deriva_ml import DerivaML, ExecutionConfiguration
from deriva_ml.errors import (
    DerivaMLConfigurationError,
    DerivaMLException,
    DerivaMLExecutionError,
    DerivaMLOfflineError,
    DerivaMLUploadError,
)
from deriva_ml.names import ExecutionStatus

ROOM = 2 << 20


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file can grow beyond some bytes, as on a full disk."""
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, former)


def begin(lab: Any) -> Any:
    return lab.configure(description="ends")


def test_an_aborted_run_takes_nothing_that_would_be_lost(lab: Any, says: Any) -> None:
    exe = begin(lab)
    with exe:
        exe.asset_file_path("Execution_Asset", "kept.txt").write_text("kept")
        exe.abort()
    before = exe.pending_summary()
    for act in (
        lambda: exe.asset_file_path("Execution_Asset", "late.txt"),
        lambda: exe.asset_file_paths("Execution_Asset", ["late.txt"]),
        exe.metrics_file,
        lambda: exe.add_features([lab.label(Document=document(lab), Mood="Sad")]),
        lambda: exe.create_dataset(description="late"),
    ):
        with pytest.raises(DerivaMLExecutionError) as caught:
            act()
        says(caught.value, exe.execution_rid, "aborted", "create_execution()")
    with pytest.raises(DerivaMLException, match="aborted execution is over"):
        exe.commit_output_assets()
    assert exe.pending_summary() == before


def document(lab: Any) -> str:
    """RID of a document in the catalog."""
    found = list(lab.ml.list_assets("Document"))
    if not found:
        subjects = lab.ml.pathBuilder().schemas["texts"].tables["Subject"]
        [subject] = subjects.insert([{"Name": "Ada"}])
        with begin(lab) as exe:
            exe.asset_file_path("Document", "first.txt", Subject=subject["RID"]).write_text("first")
        exe.commit_output_assets()
        found = list(lab.ml.list_assets("Document"))
    return str(found[0].asset_rid)


def test_a_committed_run_takes_more(lab: Any) -> None:
    with begin(lab) as exe:
        exe.asset_file_path("Execution_Asset", "in the block.txt").write_text("1")
        assert exe.commit_output_assets().total_uploaded == 1
        assert exe.status is ExecutionStatus.Uploaded
    exe.asset_file_path("Execution_Asset", "after it.txt").write_text("2")
    assert exe.commit_output_assets().total_uploaded == 1
    assert exe.status is ExecutionStatus.Uploaded


def test_nothing_is_created_offline(lab: Any) -> None:
    offline = DerivaML(lab.folder, 1, working_dir=lab.ml.working_dir, mode="offline")
    with pytest.raises(DerivaMLOfflineError, match="online"):
        offline.create_execution(ExecutionConfiguration(workflow=lab.exe.configuration.workflow))


@pytest.mark.parametrize("rid", ["", "workflow"])
def test_what_has_no_lineage(lab: Any, says: Any, rid: str) -> None:
    with pytest.raises(DerivaMLException) as caught:
        lab.ml.lookup_lineage(lab.workflow_rid if rid else "")
    says(caught.value, "Workflow" if rid else "''")


def test_a_minid_needs_a_bucket(lab: Any, says: Any) -> None:
    with pytest.raises(DerivaMLException) as caught:
        lab.dataset.download_dataset_bag(version="0.1.0", use_minid=True)
    says(caught.value, "s3_bucket")


def test_no_room_while_staging(lab: Any, says: Any, tmp_path: Path) -> None:
    big = tmp_path / "big.txt"
    big.write_text("first")
    value = lab.label(Document=document(lab), Mood="Sad")
    with begin(lab) as exe:
        staged = exe.asset_file_path("Execution_Asset", big, copy_file=True)
        big.write_bytes(b"x" * (ROOM + 1))
        with room(ROOM), pytest.raises(DerivaMLConfigurationError) as caught:
            exe.asset_file_path("Execution_Asset", big, copy_file=True)
        says(caught.value, str(big), "File too large", "Nothing was registered")
        # What was staged before is there, whole, and no part of the copy is.
        assert staged.read_text() == "first"
        assert [path.name for path in staged.parent.iterdir()] == ["big.txt"]
        with room(1000), pytest.raises(DerivaMLException) as caught:
            exe.asset_file_path("Execution_Asset", "other.txt")
        says(caught.value, "local store", "free disk space")
        with room(1000), pytest.raises(DerivaMLException):
            exe.add_features([value])
        exe.asset_file_path("Execution_Asset", "after.txt").write_text("after")
    assert exe.commit_output_assets().total_uploaded == 2
    assert not exe.pending_summary().has_pending


def test_no_room_to_connect(lab: Any, says: Any, tmp_path: Path) -> None:
    with room(10_000), pytest.raises(DerivaMLConfigurationError) as caught:
        DerivaML(lab.folder, 1, working_dir=tmp_path / "work")
    says(caught.value, str(tmp_path / "work"), "Free disk space", "working_dir=")
    assert DerivaML(lab.folder, 1, working_dir=tmp_path / "work").model.schemas


def test_no_room_while_committing(lab: Any, says: Any, tmp_path: Path) -> None:
    with begin(lab) as exe:
        exe.asset_file_path("Execution_Asset", "large.txt").write_bytes(b"y" * (ROOM + 1))
        exe.asset_file_path("Execution_Asset", "little.txt").write_text("little")
    with room(ROOM), pytest.raises(DerivaMLUploadError) as caught:
        exe.commit_output_assets()
    says(
        caught.value,
        "Execution_Asset/large.txt",
        "no room left",
        "commit_output_assets() again",
        "let `deriva-ml upload` do that",
    )
    assert "Execution_Asset/little.txt" not in str(caught.value)
    assert exe.status is ExecutionStatus.Failed
    failed = {"deriva-ml/Execution_Asset": {"uploaded": 0, "failed": 1}}
    assert (caught.value.report.per_table, caught.value.report.total_failed) == (failed, 1)
    with room(ROOM):
        batch = lab.ml.commit_pending_executions(execution_rids=[exe.execution_rid])
    assert (batch.per_table, batch.total_uploaded, batch.total_failed) == (failed, 0, 1)
    assert exe.commit_output_assets().total_uploaded == 2


def test_a_link_to_the_staged_file_is_that_file(lab: Any, tmp_path: Path) -> None:
    with begin(lab) as exe:
        staged = exe.asset_file_path("Document", "self.txt")
        staged.write_text("self")
        (tmp_path / "self.txt").symlink_to(staged)
        assert exe.asset_file_path("Document", tmp_path / "self.txt") == staged
        assert staged.read_text() == "self"
        assert not staged.is_symlink()


@pytest.mark.parametrize("message", ["a\0b", "a\udcffb", 3])
def test_messages_do_not_end_a_run(lab: Any, message: Any) -> None:
    with begin(lab) as exe:
        exe.update_status(ExecutionStatus.Running, message)
        detail = lab.ml.lookup_execution(exe.execution_rid).status_detail
        assert detail == str(message).replace("\0", "\\0").replace("\udcff", "\\udcff")
    assert lab.ml.lookup_execution(exe.execution_rid).status is ExecutionStatus.Stopped
