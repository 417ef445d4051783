"""Every Python block of the user guide, run verbatim, with what the guide says about it asserted.

Supplied is only what the guide leaves open: where the catalog is, the objects behind the RIDs it names, input files,
and the user's own functions (`train`, `build_model`, data loaders).
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import pickle
import signal
import subprocess
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.interpreter import python

from deriva_ml import BuiltinTypes, ColumnDefinition, DerivaML, ExecutionConfiguration, TableDefinition
from deriva_ml.dataset import VersionPart
from deriva_ml.errors import InvalidTransitionError
from deriva_ml.execution.state_store import ExecutionStatus
from deriva_ml.schema import create_ml_catalog

BLOCKS = Path(__file__).parent / "guide"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
GUIDE_FILES = (Path("/tmp/processed.png"), Path("/tmp/temp_scan.png"))


class Net:
    """Stands for the user's model, optimizer and loaders."""

    def state_dict(self) -> dict[str, float]:
        return {"weight": 0.5}


def _torch() -> Any:
    if importlib.util.find_spec("torch"):
        import torch

        return torch
    stand_in = types.ModuleType("torch")
    stand_in.save = lambda thing, path: Path(path).write_bytes(pickle.dumps(thing))  # type: ignore[attr-defined]
    return stand_in


def _insert(ml: DerivaML, table: str, **row: Any) -> None:
    ml.catalog.post(f"/entity/{table}?nondefaults=RID", json=[row]).raise_for_status()


def _object(ml: DerivaML, table: str, name: str, content: bytes) -> dict[str, Any]:
    md5 = hashlib.md5(content).hexdigest()
    url = f"/hatrac/{table}/{md5}.{name}"
    from deriva_ml.ermrest import objects

    path = Path(ml.working_dir) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    objects.put(ml._session.connection, path, url, md5=md5)
    return {"Filename": name, "URL": url, "Length": len(content), "MD5": md5}


def _dataset(ml: DerivaML, rid: str, members: list[str]) -> Any:
    _insert(ml, "deriva-ml:Dataset", RID=rid, Description=f"Dataset {rid}")
    _insert(ml, "deriva-ml:Dataset_Version", RID=f"{rid}-V", Dataset=rid, Version="0.1.0")
    snaptime = ml.catalog.get("/").json()["snaptime"]
    ml.catalog.put(
        "/attributegroup/deriva-ml:Dataset_Version/RID;Snapshot",
        json=[{"RID": f"{rid}-V", "Snapshot": snaptime}],
    )
    ml.catalog.put(
        "/attributegroup/deriva-ml:Dataset/RID;Version", json=[{"RID": rid, "Version": f"{rid}-V"}]
    )
    dataset = ml.lookup_dataset(rid)
    dataset.add_dataset_members({"Image": members})
    return dataset


@pytest.fixture(scope="module")
def ml(tmp_path_factory: pytest.TempPathFactory) -> DerivaML:
    folder = tmp_path_factory.mktemp("guide")
    catalog = create_ml_catalog(str(folder / "lab"), "retina")
    ml = DerivaML(str(folder / "lab"), catalog.catalog_id, working_dir=folder / "work")
    ml.create_schema("retina")
    ml.create_table(
        TableDefinition(name="Subject", columns=[ColumnDefinition(name="Name", type=BuiltinTypes.text)])
    )
    ml.create_vocabulary("Glaucoma_Grade", "How bad")
    for term in ("Mild", "Severe"):
        ml.add_term("Glaucoma_Grade", term, term)
    ml.create_asset(
        "Image",
        column_defs=[
            ColumnDefinition(name="Acquisition_Date", type=BuiltinTypes.date),
            ColumnDefinition(name="Acquisition_Time", type=BuiltinTypes.text),
        ],
        referenced_tables=["Subject"],
    )
    subject = next(c for c in ml.model.name_to_table("Image").column_definitions if c.name == "Subject")
    if not subject.nullok:
        subject.alter(nullok=True)
    ml.create_asset("Model")
    ml.create_feature("Image", "Glaucoma_Grade", terms=["Glaucoma_Grade"])
    ml.add_dataset_element_type("Image")
    for term in ("Segmentation_Mask", "Derived"):
        ml.add_term("Asset_Type", term, term)
    _insert(ml, "retina:Subject", RID="1-SBJ1", Name="A")
    for name in ("1-IMG1", "1-IMG2"):
        _insert(ml, "retina:Image", RID=name, Subject="1-SBJ1", **_object(ml, "Image", f"{name}.png", PNG))
    _insert(ml, "retina:Model", RID="2-GHI", **_object(ml, "Model", "pretrained.pt", b"weights"))

    _dataset(ml, "1-ABC", ["1-IMG1"]).release(VersionPart.minor, "First release")
    other = _dataset(ml, "1-DEF", ["1-IMG1", "1-IMG2"])
    other.release(VersionPart.major, "One")
    for part in (VersionPart.major, VersionPart.minor):
        other.mark_dev("Next")
        other.release(part, "Next")
    return ml


@pytest.fixture
def names(ml: DerivaML, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Everything that a block may take for granted, in a folder that holds the input files it names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    absent = [path for path in GUIDE_FILES if not path.exists()]
    for number, path in enumerate([Path("mask.png"), Path("scan.jpg"), *absent]):
        path.write_bytes(PNG + bytes([number]))
    workflow = ml.create_workflow("Guide", "Training", "The guide's own runs")
    config = ExecutionConfiguration(workflow=workflow, description="A run of the guide")
    yield {
        "ml": ml,
        "config": config,
        "cfg": config,
        "torch": _torch(),
        "train": lambda images: Net(),
        "model": Net(),
        "subject_rid": "1-SBJ1",
        "image_rid": "1-IMG1",
        "num_epochs": 3,
        "train_loader": None,
        "val_loader": None,
        "build_model": Net,
        "build_optimizer": lambda model: None,
        "train_one_epoch": lambda model, optimizer, loader: 0.25,
        "evaluate": lambda model, loader: 0.5,
        "load_data": list,
        "train_epoch": lambda model, data: 0.125,
    }
    for path in absent:
        path.unlink()


def run(name: str, names: dict[str, Any], **replaced: str) -> dict[str, Any]:
    (path,) = BLOCKS.glob(f"*_{name}.py")
    source = path.read_text()
    for old, new in replaced.items():
        assert old in source
        source = source.replace(old, new)
    exec(compile(source, str(path), "exec"), names)
    return names


def catalog_status(ml: DerivaML, rid: str) -> tuple[str, str | None]:
    (row,) = ml.catalog.get(f"/entity/deriva-ml:Execution/RID={rid}").json()
    return row["Status"], row["Status_Detail"]


def rows(ml: DerivaML, path: str) -> list[dict[str, Any]]:
    return ml.catalog.get(path).json()


def test_configure(names: dict[str, Any]) -> None:
    run("configure", names)
    config = names["config"]
    assert [asset.rid for asset in config.assets] == ["2-GHI"]
    assert [(spec.rid, spec.version and str(spec.version)) for spec in config.datasets] == [
        ("1-ABC", None),
        ("1-DEF", "2.1.0"),
    ]


def test_run_records_inputs_and_uploads_the_model(ml: DerivaML, names: dict[str, Any]) -> None:
    run("configure", names)
    read: list[bytes] = []

    def train(images: object) -> Net:
        read.append(names["exe"].asset_paths["Model"][0].read_bytes())
        return Net()

    names["train"] = train
    run("run", names)
    exe = names["exe"]
    assert [row["RID"] for row in names["images"]] == ["1-IMG1"]
    assert catalog_status(ml, exe.execution_rid)[0] == exe.status == "Uploaded"
    consumed = rows(ml, f"/entity/deriva-ml:Dataset_Execution/Execution={exe.execution_rid}")
    versions = {row["RID"]: row["Version"] for row in rows(ml, "/entity/deriva-ml:Dataset_Version")}
    assert {row["Dataset"]: versions[row["Dataset_Version"]] for row in consumed} == {
        "1-ABC": "0.2.0",
        "1-DEF": "2.1.0",
    }
    (given,) = exe.asset_paths["Model"]
    assert given == exe.working_dir / "downloaded-assets" / "Model" / "2-GHI" / "pretrained.pt"
    assert Path(given.file_name).name == "pretrained.pt"
    assert read == [b"weights"]
    assert [spec.rid for spec in exe.datasets] == ["1-ABC", "1-DEF"]
    (made,) = exe.list_assets(asset_role="Output")[:1]
    assert "best_model.pt" in {asset.filename for asset in exe.list_assets(asset_role="Output")}
    assert made.execution_rid == exe.execution_rid


def test_asset_files(ml: DerivaML, names: dict[str, Any]) -> None:
    run("asset_files", names)
    exe = names["exe"]
    made = {
        asset.filename: asset
        for asset in exe.list_assets(asset_role="Output")
        if asset.asset_table != "Execution_Metadata"
    }
    assert set(made) == {"classifier.pt", "processed.png", "scan_001.png", "mask.png", "scan.jpg"}
    assert set(made["mask.png"].asset_types) == {"Segmentation_Mask", "Derived", "Output_File"}
    assert set(made["classifier.pt"].asset_types) == {"Model", "Output_File"}
    scan = made["scan.jpg"].get_metadata()
    assert (scan["Subject"], scan["Acquisition_Date"], scan["Acquisition_Time"]) == (
        "1-SBJ1",
        "2026-01-15",
        "14:30:00",
    )
    assert made["scan.jpg"].description == "Preprocessed fundus image"


def test_manifest_is_beside_the_staged_files(ml: DerivaML, names: dict[str, Any]) -> None:
    with ml.create_execution(names["config"]) as exe:
        exe.asset_file_path("Model", "kept.pt").write_bytes(b"x")
        manifest = json.loads((exe.working_dir / "asset-manifest.json").read_text())
    assert manifest["assets"]["Model/kept.pt"]["status"] == "pending"
    exe.commit_output_assets()


def test_features_appear_only_after_commit(ml: DerivaML, names: dict[str, Any]) -> None:
    def stored() -> list[dict[str, Any]]:
        return rows(ml, "/entity/retina:Execution_Image_Glaucoma_Grade")

    seen: list[int] = []
    names["print"] = lambda *_: seen.append(len(stored()))
    before = len(stored())
    run("features", names)
    assert names["n"] == 2
    assert seen == [before]
    written = [row for row in stored() if row["Execution"] == names["exe"].execution_rid]
    assert {row["Image"]: row["Glaucoma_Grade"] for row in written} == {"1-IMG1": "Mild", "1-IMG2": "Severe"}


def test_metrics_are_a_tagged_asset(ml: DerivaML, names: dict[str, Any]) -> None:
    run("metrics", names)
    (metrics,) = [a for a in names["exe"].list_assets(asset_role="Output") if a.filename == "metrics.jsonl"]
    assert metrics.asset_table == "Execution_Metadata"
    assert set(metrics.asset_types) == {"Metrics_File", "Output_File"}


def test_metrics_read_back_from_a_bag(ml: DerivaML, names: dict[str, Any]) -> None:
    with ml.create_execution(names["config"]) as exe:
        dataset = exe.create_dataset(dataset_types=["Complete"], description="With metrics")
        dataset.add_dataset_members({"Image": ["1-IMG1"]})
        exe.metrics_file().write_text('{"epoch": 0, "loss": 1.5}\n{"epoch": 1, "loss": 0.5}\n')
    exe.commit_output_assets()
    dataset.release(VersionPart.major, "With metrics", execution=exe)
    names["dataset"] = dataset
    run("metrics_from_bag", names)
    assert names["records"] == [
        {"execution_rid": exe.execution_rid, "epoch": 0, "loss": 1.5},
        {"execution_rid": exe.execution_rid, "epoch": 1, "loss": 0.5},
    ]


def test_roles(ml: DerivaML, names: dict[str, Any]) -> None:
    run("roles", names)
    exe = names["exe"]
    assert [asset.asset_rid for asset in names["inputs"]] == ["1-IMG1"]
    best = next(asset for asset in names["outputs"] if asset.filename == "best.pt")
    assert sorted(best.asset_types) == ["Model_File", "Output_File"]
    roles = rows(ml, f"/entity/retina:Model_Execution/Execution={exe.execution_rid}")
    assert {row["Asset_Role"] for row in roles} == {"Output"}


def test_upload_is_not_automatic(ml: DerivaML, names: dict[str, Any]) -> None:
    with ml.create_execution(names["config"]) as exe:
        exe.asset_file_path("Model", "later.pt").write_bytes(b"later")
    assert catalog_status(ml, exe.execution_rid)[0] == "Stopped"
    assert "later.pt" not in {asset.filename for asset in ml.list_assets("Model")}
    exe.commit_output_assets()
    run("upload", names)
    assert catalog_status(ml, names["exe"].execution_rid)[0] == "Uploaded"


def test_three_callers(ml: DerivaML, names: dict[str, Any]) -> None:
    with ml.create_execution(names["config"]) as waiting:
        waiting.asset_file_path("Model", "waiting.pt").write_bytes(b"waiting")
    with ml.create_execution(names["config"]) as exe:
        exe.asset_file_path("Model", "resumed.pt").write_bytes(b"resumed")
    names["rid"] = exe.execution_rid
    subset = ["EXE-A", "EXE-B"]
    template = ml._session.workspace.executions.get(exe.execution_rid)
    for late in subset:
        _insert(ml, "deriva-ml:Execution", RID=late, Workflow=exe.workflow_rid, Status="Stopped")
        known = ml._session.workspace.executions
        known.add(
            late,
            config_json=template.config_json,
            working_dir_rel=template.working_dir_rel.replace(exe.execution_rid, late),
            workflow_rid=exe.workflow_rid,
        )
        known.update(late, status=ExecutionStatus.Stopped, prepared=True, sync_pending=False)
    run("three_callers", names)
    assert names["report"].execution_rids == subset
    assert names["report"].total_failed == 0
    for rid in (names["rid"], waiting.execution_rid, *subset):
        assert catalog_status(ml, rid)[0] == "Uploaded"


def test_status_is_visible_during_the_run(ml: DerivaML, names: dict[str, Any]) -> None:
    seen: list[tuple[str, str | None]] = []

    def train_epoch(model: object, data: object) -> float:
        seen.append(catalog_status(ml, names["exe"].execution_rid))
        return 0.125

    names["train_epoch"] = train_epoch
    run("status", names)
    assert seen == [
        ("Running", "Loading dataset..."),
        ("Running", "Epoch 1/3 — loss=0.1250"),
        ("Running", "Epoch 2/3 — loss=0.1250"),
    ]


def _records(ml: DerivaML) -> list[Any]:
    record = ml.feature_record_class("Image", "Glaucoma_Grade")
    return [record(Image="1-IMG1", Glaucoma_Grade="Mild")]


def test_resume_flushes_staged_rows(ml: DerivaML, names: dict[str, Any]) -> None:
    names["build_feature_records"] = lambda: _records(ml)
    run("crash_resume", names)
    assert len(rows(ml, f"/entity/retina:Execution_Image_Glaucoma_Grade/Execution={names['rid']}")) == 1
    assert catalog_status(ml, names["rid"])[0] == "Uploaded"


def test_exception_ends_failed_and_can_be_committed(ml: DerivaML, names: dict[str, Any]) -> None:
    with pytest.raises(RuntimeError, match="boom"), ml.create_execution(names["config"]) as exe:
        exe.add_features(_records(ml))
        raise RuntimeError("boom")
    status, detail = catalog_status(ml, exe.execution_rid)
    assert status == "Failed" and detail is not None and "boom" in detail
    resumed = ml.resume_execution(exe.execution_rid)
    assert resumed.status == ExecutionStatus.Failed
    resumed.commit_output_assets()
    assert catalog_status(ml, exe.execution_rid)[0] == "Uploaded"


KILLED = """
import os, signal, sys
from pathlib import Path
from deriva_ml import DerivaML, ExecutionConfiguration

folder, catalog_id, working_dir, tell = sys.argv[1:]
ml = DerivaML(folder, catalog_id, working_dir=working_dir)
workflow = ml.create_workflow("Guide", "Training", "Killed")
with ml.create_execution(ExecutionConfiguration(workflow=workflow, description="Killed")) as exe:
    grade = ml.feature_record_class("Image", "Glaucoma_Grade")
    exe.add_features([grade(Image="1-IMG1", Glaucoma_Grade="Mild")])
    exe.asset_file_path("Model", "killed.pt").write_bytes(b"survives")
    Path(tell).write_text(exe.execution_rid)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_hard_crash(ml: DerivaML, names: dict[str, Any], tmp_path: Path) -> None:
    tell = tmp_path / "rid"
    child = subprocess.run(
        [python(), "-c", KILLED, str(ml.host_name), str(ml.catalog_id), str(ml.working_dir), str(tell)],
        timeout=60,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    names["rid"] = tell.read_text()
    assert catalog_status(ml, names["rid"])[0] == "Running"
    names["ExecutionStatus"] = ExecutionStatus
    run("hard_crash", names)
    assert catalog_status(ml, names["rid"])[0] == "Uploaded"
    assert len(rows(ml, f"/entity/retina:Execution_Image_Glaucoma_Grade/Execution={names['rid']}")) == 1
    assert "killed.pt" in {asset.filename for asset in names["exe"].list_assets(asset_role="Output")}


def test_additive_upload_and_illegal_moves(ml: DerivaML, names: dict[str, Any]) -> None:
    with ml.create_execution(names["config"]) as exe:
        pass
    with pytest.raises(InvalidTransitionError):
        exe.update_status(ExecutionStatus.Failed)
    exe.commit_output_assets()
    assert exe.commit_output_assets().total_uploaded == 0
    assert exe.status == ExecutionStatus.Uploaded
    exe.asset_file_path("Model", "afterwards.pt").write_bytes(b"more")
    assert exe.commit_output_assets().total_uploaded == 1
    assert catalog_status(ml, exe.execution_rid)[0] == "Uploaded"
    with pytest.raises(InvalidTransitionError):
        exe.update_status(ExecutionStatus.Failed)


def test_lineage(ml: DerivaML, names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    description = "Trained-model predictions on test set v0.4.0"
    with ml.create_execution(names["config"]) as upstream:
        upstream.asset_file_path("Model", "upstream.pt").write_bytes(b"upstream")
    upstream.commit_output_assets()
    model = next(a for a in upstream.list_assets(asset_role="Output") if a.filename == "upstream.pt")
    config = names["config"].model_copy(update={"assets": []})
    with ml.create_execution(config) as exe:
        exe.download_asset(model.asset_rid, exe.working_dir / "inputs")
    exe.commit_output_assets()
    _insert(
        ml,
        "deriva-ml:Execution_Asset",
        RID="2-PRED1",
        Description=description,
        **_object(ml, "Execution_Asset", "predictions.csv", b"a,b\n"),
    )
    ml.catalog.post(
        "/entity/deriva-ml:Execution_Asset_Execution",
        json=[{"Execution_Asset": "2-PRED1", "Execution": exe.execution_rid, "Asset_Role": "Output"}],
    )
    run(
        "lineage",
        names,
        **{
            '"data.example.org"': repr(str(ml.host_name)),
            'catalog_id="1"': f"catalog_id={str(ml.catalog_id)!r}",
        },
    )
    assert capsys.readouterr().out.splitlines()[0] == f"Asset {description}"
    lineage = names["lineage"]
    assert lineage.lineage.execution.rid == exe.execution_rid
    assert [parent.execution.rid for parent in lineage.lineage.parents] == [upstream.execution_rid]
    assert (lineage.executions_visited, lineage.walked_complete) == (2, True)


def test_every_block_of_the_guide_is_run() -> None:
    used = Path(__file__).read_text()
    for path in BLOCKS.glob("*.py"):
        assert (
            f'run("{path.stem.partition("_")[2]}"' in used or f'"{path.stem.partition("_")[2]}",' in used
        ), path
