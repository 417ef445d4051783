"""What lies on this disk is listed, measured and cleaned up."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from deriva_ml import DerivaML, ExecutionConfiguration
from deriva_ml.ermrest.connect import Connection
from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.records import CachedBag
from deriva_ml.specs import DatasetSpec


@pytest.fixture
def ml(ml_catalog: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DerivaML:
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    return DerivaML(
        ml_catalog.host, ml_catalog.catalog_id, working_dir=tmp_path / "work", clean_execution_dir=False
    )


def _run(ml: DerivaML, *, commit: bool) -> str:
    with ml.create_execution(ExecutionConfiguration(workflow=ml.create_workflow("Store", "Analysis"))) as exe:
        exe.asset_file_path("Execution_Asset", "result.txt").write_text("0123456789")
    if commit:
        exe.commit_output_assets()
    return str(exe.execution_rid)


def test_execution_folders(ml: DerivaML) -> None:
    assert ml.list_execution_dirs() == []
    done, waiting, other = _run(ml, commit=True), _run(ml, commit=False), _run(ml, commit=True)
    found = {entry["execution_rid"]: entry for entry in ml.list_execution_dirs()}
    assert set(found) == {done, waiting, other}
    assert found[done]["size_bytes"] >= 10
    assert found[done]["file_count"] >= 1
    assert ml.clean_execution_dirs(older_than_days=1)["dirs_removed"] == 0
    past = time.time() - 3 * 86400
    for file in Path(found[done]["path"]).rglob("*"):
        os.utime(file, (past, past))
    assert ml.clean_execution_dirs(older_than_days=1) == {
        "dirs_removed": 1, "bytes_freed": found[done]["size_bytes"], "errors": 0,
    }  # fmt: skip
    assert ml.clean_execution_dirs(exclude_rids=[other])["dirs_removed"] == 0
    assert ml.clean_execution_dirs()["dirs_removed"] == 1
    assert [entry["execution_rid"] for entry in ml.list_execution_dirs()] == [waiting]
    assert ml.commit_pending_executions(execution_rids=[waiting]).total_uploaded >= 1


def _damaged_bags_are_listed_and_removed(ml: DerivaML, bag: CachedBag) -> None:
    assert [each.damage for each in ml.list_cached_bags(check=True)] == [None]
    for place in ("manifest-md5.txt", "bagit.txt", "data/schema.json", "metadata/deriva-bag-provenance.json"):
        (bag.path / place).write_bytes(b"{}\xff")
        if place != "bagit.txt":
            index = ml._session.workspace.bags
            index.remove(bag.checksum)
        (damaged,) = ml.list_cached_bags(check=True)
        assert (damaged.dataset_rid, damaged.path) == (bag.dataset_rid, bag.path)
        assert place.rsplit("/")[-1] in str(damaged.damage)
        assert ml.delete_cached_bag(bag.dataset_rid)["bags_removed"] == 1
        assert ml.list_cached_bags() == []
        ml.download_dataset_bag(DatasetSpec(rid=bag.dataset_rid))
    assert [each.damage for each in ml.list_cached_bags(check=True)] == [None]


def test_downloads(ml: DerivaML, tmp_path: Path) -> None:
    _run(ml, commit=True)
    asset = ml.list_assets("Execution_Asset")[0]
    ml.create_execution(
        ExecutionConfiguration(
            workflow=ml.create_workflow("Store", "Analysis"), assets=[{"rid": asset.asset_rid, "cache": True}]
        )
    )
    with ml.create_execution(workflow=ml.create_workflow("Store", "Analysis")) as exe:
        dataset = exe.create_dataset(["Complete"], description="nothing")
    ml.cache_dataset(DatasetSpec(rid=dataset.dataset_rid))
    (bag,) = ml.list_cached_bags()
    assert (bag.dataset_rid, bag.version, bag.status) == (dataset.dataset_rid, "0.1.0", "cached_materialized")
    assert [kept.rid for kept in ml.list_cached_assets()] == [asset.asset_rid]
    assert ml.list_cached_assets()[0].md5 == asset.md5
    size = ml.get_cache_size()
    assert size["total_bytes"] > bag.size_bytes
    summary = ml.get_storage_summary()
    assert (summary["bag_count"], summary["asset_count"]) == (1, 1)
    assert summary["total_size_mb"] >= summary["cache_size_mb"] > 0
    _damaged_bags_are_listed_and_removed(ml, bag)
    assert ml.delete_cached_bag(dataset.dataset_rid, "9.9.9") == {"bags_removed": 0, "bytes_freed": 0}
    assert ml.delete_cached_bag(dataset.dataset_rid)["bags_removed"] == 1
    assert ml.list_cached_bags() == []
    assert ml.delete_cached_asset(asset.asset_rid)["assets_removed"] == 1
    ml.download_dataset_bag(DatasetSpec(rid=dataset.dataset_rid))
    for days in (1, float("inf")):
        assert ml.clear_cache(older_than_days=days)["dirs_removed"] == 0
    for days in (-1, float("nan"), True, "1"):
        with pytest.raises(DerivaMLValidationError, match="older_than_days must be a number of days"):
            ml.clear_cache(older_than_days=days)
    assert ml.clear_cache()["dirs_removed"] == 1
    assert ml.list_cached_bags() == []
    assert ml.download_dir() == ml.working_dir
    assert ml.download_dir(cached=True) == ml.cache_dir
