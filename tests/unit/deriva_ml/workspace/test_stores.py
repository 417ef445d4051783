import json
import os
import pickle
import sqlite3
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import pytest

from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLValidationError
from deriva_ml.names import ExecutionStatus
from deriva_ml.workspace import Workspace, paths
from deriva_ml.workspace.bags import BagIndex
from deriva_ml.workspace.executions import EXECUTIONS_TABLE, InputAsset, now
from deriva_ml.workspace.manifest import AssetEntry
from deriva_ml.workspace.pinned_model import KeptModel, PinnedModel
from deriva_ml.workspace.processes import Process
from deriva_ml.workspace.whole_files import write_whole


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path, "data.example.org:8080", "7")


def add(workspace, rid="1-A", **fields):
    workspace.executions.add(rid, config_json="{}", working_dir_rel=paths.execution_dir_rel(rid), **fields)


# Paths


def test_names_are_made_safe(tmp_path):
    assert paths.safe_name("host:80/x y") == "host_80_x_y"
    assert paths.safe_name("..") == "_.."
    assert (
        paths.database_path(tmp_path, "h:1", "2") == tmp_path / "catalogs" / "h_1__2" / "working" / "main.db"
    )
    assert paths.staged_file(tmp_path, "1-A", "Image", "a.png") == (
        tmp_path / "deriva-ml" / "execution" / "1-A" / "assets" / "Image" / "a.png"
    )


# Executions


def test_an_execution_is_kept(workspace):
    add(workspace, workflow_rid="1-W", description="d")
    state = Workspace(workspace.root, workspace.authority, "7").executions.get("1-A")
    assert (state.status, state.workflow_rid, state.working_dir_rel) == ("Created", "1-W", "execution/1-A")
    assert state.created_at.utcoffset() == timedelta(0)
    assert state.owner_pid == os.getpid()
    assert not state.owner_is_gone
    assert workspace.executions.get("1-B") is None


def test_the_store_is_where_the_contract_says(workspace):
    add(workspace)
    file = workspace.root / "catalogs" / "data.example.org_8080__7" / "working" / "main.db"
    connection = sqlite3.connect(file)
    assert connection.execute(f"SELECT rid, status FROM {EXECUTIONS_TABLE}").fetchall() == [
        ("1-A", "Created")
    ]
    connection.close()


def test_update_knows_its_columns(workspace):
    add(workspace)
    assert workspace.executions.update("1-A", status=ExecutionStatus.Running, start_time=now())
    assert workspace.executions.get("1-A").start_time.tzinfo is not None
    assert not workspace.executions.update(
        "1-A", expected=ExecutionStatus.Created, status=ExecutionStatus.Aborted
    )
    assert not workspace.executions.update("1-Z", error="x")
    with pytest.raises(KeyError):
        workspace.executions.update("1-A", colour="red")
    with pytest.raises(KeyError):
        workspace.executions.update("1-A", rid="1-B")


def test_executions_are_found(workspace):
    add(workspace, "1-A", workflow_rid="1-W")
    add(workspace, "1-B")
    workspace.executions.update("1-B", status=ExecutionStatus.Failed)
    found = workspace.executions.find
    assert [state.rid for state in found()] == ["1-A", "1-B"]
    assert [state.rid for state in found(status=ExecutionStatus.Failed)] == ["1-B"]
    assert [state.rid for state in found(status=[ExecutionStatus.Failed, ExecutionStatus.Created])] == [
        "1-A",
        "1-B",
    ]
    assert [state.rid for state in found(workflow_rid="1-W")] == ["1-A"]
    assert found(since=now() + timedelta(hours=1)) == []
    assert len(found(since=now() - timedelta(hours=1))) == 2


def test_a_dead_owner_is_seen(workspace):
    add(workspace)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    workspace.executions.update("1-A", owner_pid=pid)
    assert workspace.executions.get("1-A").owner_is_gone


@pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="the system does not tell when a process began"
)
def test_a_number_used_again_fools_nobody(workspace):
    add(workspace)
    mine = workspace.executions.get("1-A")
    assert mine.is_mine
    # This process, had it begun at another time, on another start of the machine, or elsewhere.
    boot, _, began = mine.owner_born.partition(" ")
    for born, gone in ((f"{boot} {int(began) - 1}", True), (f"other {began}", True), (None, False)):
        workspace.executions.update("1-A", owner_born=born)
        assert workspace.executions.get("1-A").owner_is_gone is gone
    workspace.executions.update("1-A", owner_host="elsewhere.example.org", owner_born=f"other {began}")
    assert not workspace.executions.get("1-A").owner_is_gone


@pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="the system does not tell when a process began"
)
def test_a_process_that_nobody_waits_for_is_gone():
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, pickle.dumps(Process.this()))
        os._exit(0)
    child = pickle.loads(os.read(read, 1000))
    os.close(read)
    os.close(write)
    for _ in range(100):
        if child.is_gone:
            break
        time.sleep(0.02)
    assert child.is_gone
    os.waitpid(pid, 0)


def test_parents_are_known():
    parent = Process.this()
    assert not parent.is_parent
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        if (grandchild := os.fork()) == 0:
            os.write(writing, b"y" if parent.is_parent else b"n")
            os._exit(0)
        os.waitpid(grandchild, 0)
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 1) == b"y"
    os.close(reading)
    os.close(writing)


def test_remove_takes_everything_along(workspace):
    add(workspace)
    workspace.manifest_of("1-A").add_asset("T/a", AssetEntry("T", "s"))
    workspace.executions.add_inputs("1-A", [InputAsset("/a", "1-X", "T", True, "[]", "{}")])
    workspace.features.stage(
        "1-A", feature_table="s.F", feature_name="f", target_table="T", records={"k": "{}"}
    )
    assert workspace.executions.remove("1-A")
    assert not workspace.executions.remove("1-A")
    assert workspace.manifest_of("1-A").assets == {}
    assert workspace.features.pending("1-A") == []
    assert workspace.executions.inputs("1-A") == []


# Manifest


def test_the_manifest_and_its_mirror_agree(workspace):
    manifest = workspace.manifest_of("1-A")
    manifest.add_asset(
        "T/a.png", AssetEntry("T", "s", ["x"], {"Day": date(2026, 1, 15), "At": Path("/a")}, "d")
    )
    mirror = workspace.root / "deriva-ml" / "execution" / "1-A" / "asset-manifest.json"
    assert json.loads(mirror.read_text()) == {
        "execution_rid": "1-A",
        "assets": {
            "T/a.png": {
                "asset_table": "T",
                "schema": "s",
                "asset_types": ["x"],
                "metadata": {"Day": "2026-01-15", "At": "/a"},
                "description": "d",
                "status": "pending",
                "rid": None,
                "uploaded_at": None,
                "error": None,
            }
        },
    }
    manifest.update_asset_metadata("T/a.png", {"Day": None})
    manifest.update_asset_types("T/a.png", [])
    manifest.set_asset_rid("T/a.png", "1-L")
    entry = manifest.get_asset("T/a.png")
    assert (entry.metadata, entry.asset_types, entry.rid) == ({"Day": None}, [], "1-L")
    assert json.loads(mirror.read_text()) == manifest.to_json()


def test_the_manifest_survives_its_folder(workspace):
    manifest = workspace.manifest_of("1-A")
    manifest.add_asset("T/a", AssetEntry("T", "s"))
    mirror = paths.manifest_file(workspace.root, "1-A")
    mirror.unlink()
    mirror.parent.rmdir()
    again = Workspace(workspace.root, workspace.authority, "7").manifest_of("1-A")
    assert list(again.pending_assets()) == ["T/a"]
    again.write_mirror()
    assert json.loads(mirror.read_text()) == again.to_json()


def test_entries_move_from_pending_to_uploaded(workspace):
    manifest = workspace.manifest_of("1-A")
    manifest.add_assets({f"T/{n}": AssetEntry("T", "s") for n in range(3)})
    manifest.mark_uploaded("T/0", "1-X")
    manifest.mark_failed("T/1", "no")
    assert list(manifest.pending_assets()) == ["T/1", "T/2"]
    assert manifest.uploaded_assets()["T/0"].rid == "1-X"
    assert manifest.uploaded_assets()["T/0"].uploaded_at
    assert manifest.get_asset("T/1").error == "no"
    assert manifest.counts() == {"uploaded": 1, "failed": 1, "pending": 1}
    assert manifest.known(["T/0", "T/2", "U/0", 'T/"']) == {"T/0", "T/2"}
    manifest.add_asset("T/0", AssetEntry("T", "s"))
    assert manifest.get_asset("T/0").status == "pending"
    assert manifest.get_asset("T/0").rid is None


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.get_asset("T/z"),
        lambda manifest: manifest.mark_uploaded("T/z", "1"),
        lambda manifest: manifest.mark_failed("T/z", "1"),
        lambda manifest: manifest.set_asset_rid("T/z", "1"),
        lambda manifest: manifest.update_asset_types("T/z", []),
        lambda manifest: manifest.update_asset_metadata("T/z", {}),
        lambda manifest: manifest.remove_asset("T/z"),
    ],
)
def test_a_missing_key_is_a_key_error(workspace, change):
    with pytest.raises(KeyError):
        change(workspace.manifest_of("1-A"))


def test_the_mirror_costs_little_for_many_files(workspace):
    manifest = workspace.manifest_of("1-A")
    mirror = paths.manifest_file(workspace.root, "1-A")
    written = set()
    for number in range(300):
        manifest.add_asset(f"T/{number}", AssetEntry("T", "s"))
        written.add(mirror.stat().st_ino)
        if number < 50:
            assert len(json.loads(mirror.read_text())["assets"]) == number + 1
    assert len(json.loads(mirror.read_text())["assets"]) > 150
    assert len(list(mirror.parent.glob(".*"))) == 0


# Features


def stage(workspace, **records):
    workspace.features.stage("1-A", feature_table="s.F", feature_name="f", target_table="T", records=records)


def test_records_are_staged_in_order_and_replaced_by_key(workspace):
    stage(workspace, a="1", b="2")
    stage(workspace, a="3")
    assert [record.record_json for record in workspace.features.pending("1-A")] == ["3", "2"]
    row = workspace.database.fetch_one("SELECT DISTINCT status FROM execution_state__feature_records")
    assert row[0] == "Pending"
    assert workspace.features.has_pending("1-A")
    assert not workspace.features.has_pending("1-B")


def test_committed_records_stay(workspace):
    stage(workspace, a="1", b="2")
    with workspace.database.transaction() as connection:
        ids = [record.stage_id for record in workspace.features.pending("1-A")]
        workspace.features.mark_uploaded_within(connection, "1-A", ids)
    stage(workspace, a="1")
    assert not workspace.features.has_pending("1-A")
    with pytest.raises(DerivaMLValidationError, match="already committed"):
        stage(workspace, a="2", c="3")
    assert not workspace.features.has_pending("1-A")
    assert workspace.features.counts() == {"1-A": {"uploaded": 2}}


def test_failed_records_wait_again_and_can_be_discarded(workspace):
    stage(workspace, a="1", b="2")
    workspace.features.mark_failed("1-A", "no")
    assert len(workspace.features.pending("1-A")) == 2
    assert workspace.features.counts_of("1-A") == {"s.F": {"failed": 2}}
    assert workspace.features.discard("1-A", "other") == 0
    assert workspace.features.discard("1-A") == 2


# Bags, kept model, pickling


def test_bags_are_indexed(tmp_path):
    index = BagIndex(tmp_path)
    index.add("c1", anchors=[("Dataset", "1-D")], summary={"version": "0.1.0"}, size_bytes=5)
    index.add("c2", anchors=[("Dataset", "1-D"), ("Dataset", "1-E")], summary={}, size_bytes=6)
    assert [entry.checksum for entry in index.find("Dataset", "1-D")] == ["c2", "c1"]
    assert index.lookup("c1").summary == {"version": "0.1.0"}
    assert index.anchors("c2") == [("Dataset", "1-D"), ("Dataset", "1-E")]
    assert index.remove("c2")
    assert [entry.checksum for entry in index.entries()] == ["c1"]
    assert index.find("Dataset", "1-E") == []


def test_the_model_is_kept_and_pinned(tmp_path):
    kept = PinnedModel(tmp_path / "schema-cache.json")
    assert kept.load() is None
    with pytest.raises(DerivaMLConfigurationError):
        kept.pin("why")
    kept.store(KeptModel("h", "1", "2ZX", "deriva-ml", {"schemas": {}}))
    kept.pin("why")
    assert kept.load().pin.reason == "why"
    kept.unpin()
    assert kept.load().pin is None
    kept.path.write_text("{")
    with pytest.raises(DerivaMLConfigurationError, match="Delete it"):
        kept.load()


def test_a_workspace_can_be_pickled(workspace):
    add(workspace)
    assert pickle.loads(pickle.dumps(workspace)).executions.get("1-A") is not None


@pytest.mark.skipif(sys.platform == "win32", reason="has no such permissions")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_whole_files_are_for_whom_the_umask_lets(tmp_path, mask):
    former = os.umask(mask)
    try:
        for text in ("one", "two"):
            write_whole(tmp_path / "new" / "file", text)
    finally:
        os.umask(former)
    (file,) = (tmp_path / "new").iterdir()
    assert file.read_text() == "two"
    assert file.stat().st_mode & 0o777 == 0o666 & ~mask
