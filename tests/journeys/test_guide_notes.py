"""What the guide says beside its code blocks: notes, tables and pitfalls, one test each."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.interpreter import python

from deriva_ml import BuiltinTypes, ColumnDefinition, DatasetSpec, DerivaML, ExecutionConfiguration
from deriva_ml.asset.aux_classes import AssetFilePath
from deriva_ml.core.enums import ExecMetadataType, MLAsset
from deriva_ml.dataset import VersionPart
from deriva_ml.ermrest import objects
from deriva_ml.errors import (
    DerivaMLDirtyWorkflowError,
    DerivaMLException,
    DerivaMLUploadError,
    DerivaMLValidationError,
    InvalidTransitionError,
)
from deriva_ml.execution import AssetSpec, LocalFile
from deriva_ml.execution.state_machine import ALLOWED_TRANSITIONS
from deriva_ml.execution.state_store import ExecutionStatus
from deriva_ml.records import UploadProgress, UploadReport
from deriva_ml.schema import create_ml_catalog
from deriva_ml.workflow.workflow import Workflow


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A catalog with images, models and a feature; its folder and id."""
    folder = tmp_path_factory.mktemp("notes")
    catalog = create_ml_catalog(str(folder / "lab"), "notes")
    catalog.getCatalogModel().create_schema({"schema_name": "notes"})
    ml = DerivaML(str(folder / "lab"), catalog.catalog_id, working_dir=folder / "setup")
    ml.create_asset("Image", column_defs=[ColumnDefinition("Note", BuiltinTypes.text)])
    ml.create_asset("Model")
    ml.create_vocabulary("Grade", "How bad")
    ml.add_term("Grade", "Mild", "A little")
    ml.create_feature("Image", "Quality", terms=["Grade"])
    ml.create_feature("Image", "Sharpness", metadata=[ColumnDefinition("Score", BuiltinTypes.float8)])
    ml.add_dataset_element_type("Image")
    return folder / "lab", catalog.catalog_id


@pytest.fixture
def ml(lab: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DerivaML:
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    monkeypatch.delenv("DERIVA_ML_STRICT", raising=False)
    monkeypatch.chdir(tmp_path)
    return DerivaML(str(lab[0]), lab[1], working_dir=tmp_path / "work")


@pytest.fixture
def config(ml: DerivaML) -> ExecutionConfiguration:
    workflow = ml.create_workflow("Notes", "Training", "The notes of the guide")
    return ExecutionConfiguration(workflow=workflow, description="A run of the notes")


Run = Callable[..., Any]


@pytest.fixture
def run(ml: DerivaML, config: ExecutionConfiguration) -> Run:
    """Makes a committed execution that writes files, given as ``Table/name=content``."""

    def made(files: dict[str, str], **given: Any) -> Any:
        with ml.create_execution(config) as exe:
            for key, content in files.items():
                table, name = key.split("/")
                exe.asset_file_path(table, name, **given).write_text(content)
        exe.commit_output_assets()
        return exe

    return made


def rows(ml: DerivaML, path: str) -> list[dict[str, Any]]:
    return ml.catalog.get(path).json()


def types_of(ml: DerivaML, table: str, rid: str | None) -> list[str]:
    schema = "deriva-ml" if table.startswith("Execution") else "notes"
    return sorted(row["Asset_Type"] for row in rows(ml, f"/entity/{schema}:{table}_Asset_Type/{table}={rid}"))


def execution(ml: DerivaML, exe: Any) -> dict[str, Any]:
    (row,) = rows(ml, f"/entity/deriva-ml:Execution/RID={exe.execution_rid}")
    return row


def made_by(exe: Any, label: str) -> dict[str, AssetFilePath]:
    return {path.file_name: path for path in exe.uploaded_assets[label]}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """Every request, as verb and URL."""
    seen: list[tuple[str, str]] = []
    send = requests.Session.send

    def noted(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        seen.append((str(request.method), str(request.url)))
        return send(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", noted)
    return seen


# Describing an execution


def test_a_workflow_is_asked_for_when_the_execution_is_created(ml: DerivaML) -> None:
    config = ExecutionConfiguration(description="no workflow yet")
    before = len(rows(ml, "/entity/deriva-ml:Execution"))
    with pytest.raises(DerivaMLException, match="needs a workflow"):
        ml.create_execution(config)
    assert len(rows(ml, "/entity/deriva-ml:Execution")) == before
    exe = ml.create_execution(config, workflow=ml.create_workflow("Notes", "Training"))
    assert exe.status is ExecutionStatus.Created


def test_assets_of_a_configuration_are_specs() -> None:
    config = ExecutionConfiguration(assets=["2-GHI", AssetSpec(rid="2-JKL", cache=True)])
    assert [a.rid for a in config.assets] == ["2-GHI", "2-JKL"]
    assert all(isinstance(a, AssetSpec) for a in config.assets)
    assert [a.cache for a in config.assets] == [False, True]
    assert config.config_choices == {}
    assert ExecutionConfiguration(config_choices={"model_config": "quick"}).config_choices == {
        "model_config": "quick"
    }


def test_what_is_put_into_a_configuration_later_counts_too(
    ml: DerivaML, config: ExecutionConfiguration, run: Run
) -> None:
    image = made_by(run({"Image/late.png": "late"}), "notes/Image")["late.png"]
    with ml.create_execution(config) as exe:
        dataset = exe.create_dataset(description="Late").dataset_rid
    config.assets = [str(image.asset_rid)]  # type: ignore[list-item]
    config.datasets.append(dataset)
    late = ml.create_execution(config)
    assert [asset.asset_rid for asset in late.list_assets(asset_role="Input")] == [image.asset_rid]
    assert [found.dataset_rid for found in late.list_input_datasets()] == [dataset]
    config.assets.append("not a rid!")  # type: ignore[arg-type]
    with pytest.raises(DerivaMLException, match="not a rid!"):
        ml.create_execution(config)


def test_a_cached_input_is_fetched_once(
    ml: DerivaML, config: ExecutionConfiguration, run: Run, sent: list[tuple[str, str]]
) -> None:
    run({"Model/large.pt": "many weights"})
    rid = next(asset.asset_rid for asset in ml.list_assets("Model") if asset.filename == "large.pt")
    for cache, fetches in ((True, 1), (False, 2)):
        given = config.model_copy(update={"assets": [AssetSpec(rid=rid, cache=cache)]})
        sent.clear()
        for _ in range(2):
            with ml.create_execution(given) as exe:
                assert exe.asset_paths["Model"][0].read_text() == "many weights"
        assert len([url for verb, url in sent if verb == "GET" and "large.pt" in url]) == fetches


def test_only_metadata_of_a_dataset(ml: DerivaML, config: ExecutionConfiguration, run: Run) -> None:
    image = made_by(run({"Image/pixels.png": "pixels"}), "notes/Image")["pixels.png"]
    with ml.create_execution(config) as exe:
        dataset = exe.create_dataset("Complete", description="One image")
        dataset.add_dataset_members({"Image": [image.asset_rid]})
    dataset.release(VersionPart.minor, "First")
    for materialize in (False, True):
        spec = DatasetSpec(rid=dataset.dataset_rid, materialize=materialize)
        with ml.create_execution(config.model_copy(update={"datasets": [spec]})) as exe:
            bag = exe.download_dataset_bag(spec)
        assert [row["RID"] for row in bag.list_dataset_members()["Image"]] == [image.asset_rid]
        assert bool(list(bag.path.rglob("pixels.png"))) is materialize


# Running


def test_declared_datasets_are_specs_that_can_be_downloaded(
    ml: DerivaML, config: ExecutionConfiguration, run: Run
) -> None:
    image = made_by(run({"Image/member.png": "member"}), "notes/Image")["member.png"]
    with ml.create_execution(config) as exe:
        datasets = [exe.create_dataset(description=text) for text in ("One", "Two")]
        for dataset in datasets:
            dataset.add_dataset_members({"Image": [image.asset_rid]})
            dataset.release(VersionPart.minor, "First")
    specs = [DatasetSpec(rid=dataset.dataset_rid) for dataset in datasets]
    with ml.create_execution(config.model_copy(update={"datasets": specs})) as exe:
        assert all(isinstance(spec, DatasetSpec) for spec in exe.datasets)
        bags = [exe.download_dataset_bag(spec) for spec in exe.datasets]
    assert [bag.dataset_rid for bag in bags] == [dataset.dataset_rid for dataset in datasets]
    assert execution(ml, exe)["Download_Duration"] > "0.0H 0.0min 0.0"
    links = rows(ml, f"/entity/deriva-ml:Dataset_Execution/Execution={exe.execution_rid}")
    assert len(links) == 2 and all(link["Dataset_Version"] for link in links)


def test_inputs_that_share_a_name_lie_side_by_side(
    ml: DerivaML, config: ExecutionConfiguration, run: Run
) -> None:
    rids = [made_by(run({"Image/same.png": text}), "notes/Image")["same.png"].asset_rid for text in "ab"]
    rids.append(made_by(run({"Model/same.png": "c"}), "notes/Model")["same.png"].asset_rid)
    with ml.create_execution(config.model_copy(update={"assets": rids})) as exe:
        assert {name: len(paths) for name, paths in exe.asset_paths.items()} == {"Image": 2, "Model": 1}
        for table, paths in exe.asset_paths.items():
            for path in paths:
                assert isinstance(path, AssetFilePath)
                assert path == exe.working_dir / "downloaded-assets" / table / path.asset_rid / "same.png"
                assert Path(path.file_name) == path
        assert [path.file_name.read_text() for path in exe.asset_paths["Image"]] == ["a", "b"]


def test_leaving_the_block_uploads_nothing(
    ml: DerivaML, config: ExecutionConfiguration, sent: list[tuple[str, str]]
) -> None:
    with ml.create_execution(config) as exe:
        exe.asset_file_path("Image", "waits.png").write_text("waits")
        sent.clear()
    assert [url for verb, url in sent if "/hatrac/" in url or verb == "POST"] == []
    assert (exe.status, execution(ml, exe)["Status"]) == ("Stopped", "Stopped")
    assert exe.stop_time is not None
    assert "waits.png" not in {asset.filename for asset in ml.list_assets("Image")}


def test_files_written_beside_the_registered_ones_stay_here(
    ml: DerivaML, config: ExecutionConfiguration
) -> None:
    with ml.create_execution(config) as exe:
        for place in ("Execution_Metadata", "assets/Image"):
            (exe.working_dir / place).mkdir(parents=True, exist_ok=True)
            (exe.working_dir / place / "my-metrics.json").write_text("{}")
        exe.asset_file_path("Image", "registered.png").write_text("registered")
    report = exe.commit_output_assets()
    assert report.total_uploaded == 1
    assert "my-metrics.json" not in {asset.filename for asset in exe.list_assets()}
    for place in ("Execution_Metadata", "assets/Image"):
        assert (exe.working_dir / place / "my-metrics.json").read_text() == "{}"


def test_an_exception_reaches_the_caller_and_the_record(ml: DerivaML, config: ExecutionConfiguration) -> None:
    error = RuntimeError("the loss is not a number")
    with pytest.raises(RuntimeError) as caught, ml.create_execution(config) as exe:
        raise error
    assert caught.value is error
    row = execution(ml, exe)
    assert row["Status"] == "Failed" and "the loss is not a number" in row["Status_Detail"]


def test_a_dry_run_reads_what_is_declared(
    ml: DerivaML, config: ExecutionConfiguration, run: Run, tmp_path: Path
) -> None:
    rid = made_by(run({"Image/dry.png": "dry"}), "notes/Image")["dry.png"].asset_rid
    local = tmp_path / "local.txt"
    local.write_text("local")
    before = {table: len(rows(ml, f"/entity/deriva-ml:{table}")) for table in ("Execution", "File")}
    given = config.model_copy(update={"assets": [rid, LocalFile(path=local)]})
    with ml.create_execution(given, dry_run=True) as exe:
        assert [path.read_text() for path in exe.asset_paths["Image"]] == ["dry"]
        assert [path.read_text() for path in exe.asset_paths["File"]] == ["local"]
    assert exe.commit_output_assets().total_uploaded == 0
    assert before == {table: len(rows(ml, f"/entity/deriva-ml:{table}")) for table in before}


# Writing files


def test_three_modes_of_registering(ml: DerivaML, config: ExecutionConfiguration, tmp_path: Path) -> None:
    source = tmp_path / "source.png"
    source.write_text("source")
    with ml.create_execution(config) as exe:
        new = exe.asset_file_path("Image", "new.png")
        linked = exe.asset_file_path("Image", source)
        copied = exe.asset_file_path("Image", source, copy_file=True, rename_file="copied.png")
        assert not new.exists()
        new.write_text("new")
        assert linked.is_symlink() and linked.resolve() == source.resolve()
        assert not copied.is_symlink()
        source.write_text("changed")
        assert (linked.read_text(), copied.read_text()) == ("changed", "source")
    exe.commit_output_assets()
    assert set(made_by(exe, "notes/Image")) == {"new.png", "source.png", "copied.png"}


def test_the_setters_of_a_registered_file(ml: DerivaML, config: ExecutionConfiguration) -> None:
    with ml.create_execution(config) as exe:
        path = exe.asset_file_path("Image", "set.png", metadata={"Note": "first"})
        path.write_text("set")
        assert path.metadata == {"Note": "first"}
        path.metadata = {}
        assert path.metadata == {}
        path.metadata = ml.asset_record_class("Image")(Note="from a record")
        path.set_asset_types(["Model_File"])
    exe.commit_output_assets()
    rid = made_by(exe, "notes/Image")["set.png"].asset_rid
    assert rows(ml, f"/entity/notes:Image/RID={rid}")[0]["Note"] == "from a record"
    assert types_of(ml, "Image", rid) == ["Model_File", "Output_File"]


def test_metadata_files_of_a_run(ml: DerivaML, run: Run) -> None:
    exe = run({"Execution_Metadata/settings.yaml": "lr: 0.1"}, asset_types="Execution_Config")
    path = made_by(exe, "deriva-ml/Execution_Metadata")["settings.yaml"]
    assert types_of(ml, "Execution_Metadata", path.asset_rid) == ["Execution_Config", "Output_File"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["Output_File", "Model_File"], ["Model_File", "Output_File"]),
        (["Output_File"], ["Output_File"]),
        ([], ["Output_File"]),
        (None, ["Model", "Output_File"]),
        ("Model_File", ["Model_File", "Output_File"]),
        (["Model_File", "Model_File"], ["Model_File", "Output_File"]),
    ],
)
def test_tags_of_outputs(ml: DerivaML, run: Run, given: Any, expected: list[str]) -> None:
    exe = run({f"Model/{expected}{given}.pt": str(given)}, asset_types=given)
    (path,) = exe.uploaded_assets["notes/Model"]
    assert types_of(ml, "Model", path.asset_rid) == expected


def test_tags_and_roles_of_inputs(ml: DerivaML, config: ExecutionConfiguration, run: Run) -> None:
    rid = made_by(run({"Model/input.pt": "input"}, asset_types=[]), "notes/Model")["input.pt"].asset_rid
    with ml.create_execution(config) as exe:
        for _ in range(2):
            given = exe.download_asset(rid, exe.working_dir / "not" / "there yet")
        assert sorted(given.asset_types) == ["Input_File", "Output_File"]
        exe.asset_file_path("Model", "output.pt", asset_types=[]).write_text("output")
    exe.commit_output_assets()
    links = rows(ml, f"/entity/notes:Model_Execution/Execution={exe.execution_rid}")
    output = made_by(exe, "notes/Model")["output.pt"].asset_rid
    assert {link["Model"]: link["Asset_Role"] for link in links} == {rid: "Input", output: "Output"}
    assert types_of(ml, "Model", rid) == ["Input_File", "Output_File"]
    assert [asset.asset_rid for asset in exe.list_assets(asset_role="Input")] == [rid]
    every = {row["Model"] for row in rows(ml, "/entity/notes:Model_Asset_Type/Asset_Type=Output_File")}
    assert {rid, output} <= every


# Features and metrics


def test_feature_rows_accumulate_and_are_sent_once(
    ml: DerivaML, config: ExecutionConfiguration, run: Run, sent: list[tuple[str, str]]
) -> None:
    images = run({"Image/f1.png": "f1", "Image/f2.png": "f2"}).uploaded_assets["notes/Image"]
    quality = ml.feature_record_class("Image", "Quality")
    sharpness = ml.feature_record_class("Image", "Sharpness")
    with ml.create_execution(config) as exe:
        for image in images:
            assert exe.add_features([quality(Image=image.asset_rid, Grade="Mild")]) == 1
        with pytest.raises(DerivaMLValidationError):
            exe.add_features(
                [
                    quality(Image=images[0].asset_rid, Grade="Mild"),
                    sharpness(Image=images[0].asset_rid, Score=1),
                ]
            )
        assert exe.add_features([sharpness(Image=images[0].asset_rid, Score=0.5)]) == 1
        exe.asset_file_path("Image", "with features.png").write_text("with features")
    sent.clear()
    exe.commit_output_assets()
    bytes_sent = [n for n, (verb, url) in enumerate(sent) if verb == "PUT" and "/hatrac/" in url]
    written = [n for n, (verb, url) in enumerate(sent) if verb == "POST" and "Execution_Image_" in url]
    assert len(bytes_sent) == 1 and len(written) == 2
    assert max(bytes_sent) < min(written)
    for name, number in (("Quality", 2), ("Sharpness", 1)):
        found = rows(ml, f"/entity/notes:Execution_Image_{name}/Execution={exe.execution_rid}")
        assert len(found) == number


def test_there_is_no_other_way_to_write_values(ml: DerivaML) -> None:
    with pytest.raises(DerivaMLException, match=r"exe\.add_features"):
        ml.add_features([])


def test_a_metrics_file_is_plain_registration(ml: DerivaML, config: ExecutionConfiguration) -> None:
    with ml.create_execution(config) as exe:
        sugar = exe.metrics_file()
        sugar.write_text("not, json\n")
        plain = exe.asset_file_path(
            MLAsset.execution_metadata, "metrics.jsonl", asset_types=ExecMetadataType.metrics_file.value
        )
        assert (plain, plain.asset_types) == (sugar, ["Metrics_File"])
        assert exe.metrics_file().read_text() == "not, json\n"
        for name in ("train_metrics.jsonl", "eval_metrics.csv"):
            exe.metrics_file(name).write_text(name)
            assert exe.metrics_file(name) == exe.metrics_file(name)
    assert exe.commit_output_assets().total_uploaded == 3
    found = made_by(exe, "deriva-ml/Execution_Metadata")
    for name in ("metrics.jsonl", "train_metrics.jsonl", "eval_metrics.csv"):
        assert types_of(ml, "Execution_Metadata", found[name].asset_rid) == ["Metrics_File", "Output_File"]


# Uploading


def test_the_report_of_an_upload(ml: DerivaML, config: ExecutionConfiguration) -> None:
    seen: list[UploadProgress] = []
    with ml.create_execution(config) as exe:
        exe.asset_file_path("Image", "r.png", description="An image to report").write_text("r")
        exe.asset_file_path("Model", "r.pt").write_text("r")
    report = exe.commit_output_assets(progress_callback=seen.append)
    assert isinstance(report, UploadReport)
    assert (report.execution_rids, report.errors) == ([exe.execution_rid], [])
    assert (report.total_uploaded, report.total_failed) == (2, 0)
    assert report.per_table == {
        "notes/Image": {"uploaded": 1, "failed": 0},
        "notes/Model": {"uploaded": 1, "failed": 0},
    }
    assert seen and all(isinstance(item, UploadProgress) for item in seen)
    (image,) = exe.uploaded_assets["notes/Image"]
    (row,) = rows(ml, f"/entity/notes:Image/RID={image.asset_rid}")
    assert (row["Filename"], row["Description"]) == (image.file_name, "An image to report")
    assert execution(ml, exe)["Upload_Duration"]


def test_a_failed_upload_can_be_tried_again(
    ml: DerivaML, config: ExecutionConfiguration, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ml.create_execution(config) as exe:
        exe.asset_file_path("Image", "again.png").write_text("again")
    with monkeypatch.context() as patch:
        patch.setattr(objects, "put_upload", _lost)
        with pytest.raises(DerivaMLUploadError, match="the line is dead"):
            exe.commit_output_assets()
    row = execution(ml, exe)
    assert row["Status"] == "Failed" and "the line is dead" in row["Status_Detail"]
    assert row["Upload_Duration"]
    assert exe.commit_output_assets().total_uploaded == 1
    assert execution(ml, exe)["Status"] == "Uploaded"


def _lost(*_: Any, **__: Any) -> Any:
    raise DerivaMLException("the line is dead")


def test_only_what_is_pending_is_sent_again(ml: DerivaML, run: Run, sent: list[tuple[str, str]]) -> None:
    exe = run({"Image/first.png": "first"})
    again = ml.resume_execution(exe.execution_rid)
    again.asset_file_path("Image", "afterwards.png").write_text("afterwards")
    sent.clear()
    assert again.commit_output_assets().total_uploaded == 1
    stored = [url for verb, url in sent if verb == "PUT" and "/hatrac/" in url]
    assert len(stored) == 1 and "afterwards.png" in stored[0]
    assert set(made_by(again, "notes/Image")) == {"first.png", "afterwards.png"}


@pytest.mark.parametrize("clean", [False, True])
def test_a_batch_goes_on_after_a_failure(ml: DerivaML, config: ExecutionConfiguration, clean: bool) -> None:
    made = []
    for name in (f"batch-{clean}.png", None):
        with ml.create_execution(config) as exe:
            path = exe.asset_file_path("Image", name or "never written.png")
            if name:
                path.write_text(name)
        made.append(exe)
    good, bad = made
    folders = [exe.working_dir for exe in made]
    assert {exe.execution_rid for exe in made} == {found.rid for found in ml.find_incomplete_executions()}
    rids = [bad.execution_rid, good.execution_rid]
    report = ml.commit_pending_executions(execution_rids=rids, clean_folder=clean)
    assert (report.execution_rids, report.total_uploaded, report.total_failed) == (rids, 1, 1)
    assert len(report.errors) == 1 and bad.execution_rid in report.errors[0]
    assert [execution(ml, exe)["Status"] for exe in made] == ["Uploaded", "Failed"]
    assert [folder.exists() for folder in folders] == [not clean, True]


# Status


def _bring(exe: Any, status: ExecutionStatus) -> None:
    """Bring a new execution to a status by the moves that are allowed."""
    ways: dict[str, list[str]] = {
        "Created": [],
        "Running": ["Running"],
        "Stopped": ["Running", "Stopped"],
        "Failed": ["Running", "Failed"],
        "Pending_Upload": ["Running", "Pending_Upload"],
        "Uploaded": ["Running", "Stopped", "Pending_Upload", "Uploaded"],
        "Aborted": ["Aborted"],
    }
    for step in ways[status]:
        exe.update_status(ExecutionStatus(step))
    assert exe.status is status


@pytest.mark.parametrize("start", ExecutionStatus)
def test_every_move_of_the_diagram_and_no_other(
    ml: DerivaML, config: ExecutionConfiguration, start: ExecutionStatus
) -> None:
    for target in ExecutionStatus:
        if target is start:
            continue
        exe = ml.create_execution(config)
        _bring(exe, start)
        if (start, target) in ALLOWED_TRANSITIONS:
            exe.update_status(target, "moved")
            row = execution(ml, exe)
            assert (row["Status"], row["Status_Detail"]) == (target, "moved")
        else:
            with pytest.raises(InvalidTransitionError, match=f"from {start} to {target}"):
                exe.update_status(target, "not moved")
            row = execution(ml, exe)
            assert (exe.status, row["Status"]) == (start, start)
            assert row["Status_Detail"] != "not moved"


def test_the_same_status_changes_only_the_message(ml: DerivaML, config: ExecutionConfiguration) -> None:
    exe = ml.create_execution(config)
    for status in (ExecutionStatus.Created, ExecutionStatus.Running):
        if exe.status is not status:
            exe.update_status(status)
        exe.update_status(status, f"still {status}")
        row = execution(ml, exe)
        assert (row["Status"], row["Status_Detail"]) == (status, f"still {status}")
    assert exe.start_time is not None and exe.stop_time is None


def test_start_and_stop_are_timed(ml: DerivaML, config: ExecutionConfiguration) -> None:
    exe = ml.create_execution(config)
    assert (exe.start_time, exe.stop_time) == (None, None)
    with exe:
        assert exe.start_time is not None
    assert exe.stop_time is not None and exe.stop_time >= exe.start_time
    assert execution(ml, exe)["Execution_Duration"]


# Pitfalls


def test_workflows_are_told_apart_by_checksum(ml: DerivaML) -> None:
    given = {"name": "Same", "workflow_type": "Training"}
    first = ml.add_workflow(Workflow(**given, url="https://x/1", checksum="aa"))
    assert ml.add_workflow(Workflow(**given, url="https://x/2", checksum="aa")) == first
    other = ml.add_workflow(Workflow(**given, url="https://x/3", checksum="bb"))
    assert other != first
    assert [workflow.checksum for workflow in (ml.lookup_workflow(first), ml.lookup_workflow(other))] == [
        "aa",
        "bb",
    ]


PROGRAM = """
import sys
from deriva_ml import DerivaML, ExecutionConfiguration

ml = DerivaML(sys.argv[1], sys.argv[2], working_dir=sys.argv[3])
workflow = ml.create_workflow("Program", "Training")
with ml.create_execution(ExecutionConfiguration(workflow=workflow)) as exe:
    pass
print(exe.workflow_rid)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A script in a repository with an origin."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "train.py").write_text(PROGRAM)
    identity = ["-c", "user.name=Tester", "-c", "user.email=t@example.org"]
    for words in (["init"], ["remote", "add", "origin", "https://example.org/lab/eyes.git"], ["add", "."]):
        subprocess.run(["git", *words], cwd=project, check=True, capture_output=True)
    subprocess.run(["git", *identity, "commit", "-m", "first"], cwd=project, check=True, capture_output=True)
    return project / "train.py"


def test_code_is_known_by_its_commit_and_changes_are_warned_about(
    ml: DerivaML, program: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("DERIVA_ML_ALLOW_DIRTY")
    words = [program.name, str(ml.host_name), str(ml.catalog_id), str(ml.working_dir)]
    monkeypatch.setattr(sys, "argv", words)

    def called() -> str:
        return runpy.run_path(str(program))["exe"].workflow_rid

    first = called()
    assert called() == first
    assert caplog.text == ""
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=program.parent, check=True, capture_output=True, text=True
    ).stdout.strip()
    committed = ml.lookup_workflow(first)
    assert committed.url == f"https://example.org/lab/eyes/blob/{commit}/train.py"

    program.write_text(PROGRAM + "# a change\n")
    changed = ml.lookup_workflow(called())
    assert "uncommitted changes (train.py)" in caplog.text
    assert changed.url == committed.url
    assert changed.checksum != committed.checksum
    done = subprocess.run([python(), *words], cwd=program.parent, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, changed.workflow_rid)
    assert "uncommitted changes (train.py)" in done.stderr

    caplog.clear()
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    assert called() == changed.workflow_rid
    assert caplog.text == ""

    monkeypatch.delenv("DERIVA_ML_ALLOW_DIRTY")
    monkeypatch.setenv("DERIVA_ML_STRICT", "true")
    before = len(rows(ml, "/entity/deriva-ml:Execution"))
    with pytest.raises(DerivaMLDirtyWorkflowError, match=r"train\.py"):
        called()
    assert len(rows(ml, "/entity/deriva-ml:Execution")) == before


def test_staged_outputs_lie_in_files_that_outlive_the_process(
    ml: DerivaML, config: ExecutionConfiguration, run: Run
) -> None:
    image = made_by(run({"Image/kept.png": "kept"}), "notes/Image")["kept.png"]
    quality = ml.feature_record_class("Image", "Quality")
    with ml.create_execution(config) as exe:
        exe.asset_file_path("Image", "staged.png").write_text("staged")
        exe.add_features([quality(Image=image.asset_rid, Grade="Mild")])
        manifest = json.loads((exe.working_dir / "asset-manifest.json").read_text())
        assert manifest["execution_rid"] == exe.execution_rid
        assert manifest["assets"]["Image/staged.png"]["status"] == "pending"
        (database,) = Path(ml.working_dir).rglob("main.db")
        program = (
            "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("
            "'SELECT status FROM execution_state__feature_records WHERE execution_rid = ?', sys.argv[2:]).fetchall())"
        )
        words = [sys.executable, "-c", program, str(database), exe.execution_rid]
        found = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        assert found.strip() == "[('Pending',)]"
    exe.commit_output_assets()
    found = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[('Uploaded',)]"
