"""What a run refuses: one error of our own, which names it and the way out, and leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from deriva_ml import ExecutionConfiguration
from deriva_ml.dataset.aux_classes import DatasetSpec
from deriva_ml.errors import (
    DerivaMLDatasetNotFound,
    DerivaMLException,
    DerivaMLInvalidTerm,
    DerivaMLNotFoundError,
    DerivaMLRidsNotFound,
    DerivaMLTableTypeError,
    DerivaMLValidationError,
    InvalidTransitionError,
)
from deriva_ml.execution import LocalFile

Case = tuple[Callable[[Any], Any], type[Exception], list[str]]

RUNS: dict[str, Case] = {
    "config-mapping": (
        lambda lab: lab.ml.create_execution({"description": "x"}),
        DerivaMLValidationError,
        ["{'description': 'x'}", "ExecutionConfiguration"],
    ),
    "config-workflow": (
        lambda lab: lab.ml.create_execution(lab.workflow_rid),
        DerivaMLValidationError,
        ["workflow="],
    ),
    "datasets-text": (
        lambda lab: lab.ml.create_execution(datasets="9-ZZZ", workflow=lab.workflow_rid),
        DerivaMLValidationError,
        ["datasets", "'9-ZZZ'", "list"],
    ),
    "pending-text": (
        lambda lab: lab.ml.commit_pending_executions(execution_rids=lab.exe.execution_rid),
        DerivaMLValidationError,
        ["execution_rids", "list"],
    ),
    "validate-text": (
        lambda lab: lab.ml.validate_dataset_specs("9-ZZZ"),
        DerivaMLValidationError,
        ["'9-ZZZ'", "list"],
    ),
    "validate-mapping": (
        lambda lab: lab.ml.validate_execution_configuration({}),
        DerivaMLValidationError,
        ["ExecutionConfiguration"],
    ),
    "shorthand": (
        lambda lab: DatasetSpec.from_shorthand("1-A@1@2"),
        DerivaMLValidationError,
        ["RID@version"],
    ),
    "list-status": (lambda lab: lab.ml.list_executions(status="Done"), DerivaMLValidationError, ["'Done'"]),
    "list-mode": (lambda lab: lab.ml.list_executions(mode="away"), ValueError, ["'away'"]),
    "list-since": (
        lambda lab: lab.ml.list_executions(since="yesterday"),
        DerivaMLValidationError,
        ["since", "'yesterday'", "datetime"],
    ),
    "forget-age": (
        lambda lab: lab.ml.gc_executions(older_than=7),
        DerivaMLValidationError,
        ["older_than", "timedelta"],
    ),
    "forget-status": (lambda lab: lab.ml.gc_executions(status=["Done"]), DerivaMLValidationError, ["'Done'"]),
    "part": (
        lambda lab: lab.exe.add_nested_execution("9-ZZZ"),
        DerivaMLNotFoundError,
        ["'9-ZZZ'", "no execution"],
    ),
    "callback": (
        lambda lab: lab.exe.commit_output_assets(progress_callback=5),
        DerivaMLValidationError,
        ["5", "UploadProgress"],
    ),
    "no-workflow": (
        lambda lab: lab.ml.create_execution(ExecutionConfiguration(description="x")),
        DerivaMLException,
        ["create_workflow", "workflow="],
    ),
    "workflow-text": (
        lambda lab: ExecutionConfiguration(workflow="W"),
        DerivaMLValidationError,
        ["workflow", "'W'"],
    ),
    "config-field": (
        lambda lab: ExecutionConfiguration(dataset=["1-A"]),
        DerivaMLValidationError,
        ["'dataset'", "datasets"],
    ),
    "config-asset": (
        lambda lab: ExecutionConfiguration(assets=[3]),
        DerivaMLValidationError,
        ["assets", "3"],
    ),
    "config-path": (
        lambda lab: ExecutionConfiguration(assets=[lab.files / "real.txt"]),
        DerivaMLValidationError,
        ["LocalFile(path=", "real.txt"],
    ),
    "input-folder": (
        lambda lab: lab.configure(assets=[LocalFile(path=lab.files)]),
        DerivaMLException,
        ["cannot be folders", "files"],
    ),
    "dataset": (lambda lab: lab.configure(datasets=["9-ZZZ"]), DerivaMLDatasetNotFound, ["'9-ZZZ'"]),
    "dataset-kind": (
        lambda lab: lab.configure(datasets=[lab.workflow_rid]),
        DerivaMLTableTypeError,
        ["Workflow"],
    ),
    "asset": (lambda lab: lab.configure(assets=["9-ZZZ"]), DerivaMLRidsNotFound, ["9-ZZZ"]),
    "asset-kind": (
        lambda lab: lab.configure(assets=[lab.workflow_rid]),
        DerivaMLTableTypeError,
        ["'Workflow'"],
    ),
    "dataset-version": (
        lambda lab: lab.configure(datasets=[DatasetSpec(rid=lab.dataset.dataset_rid, version="9.9.9")]),
        DerivaMLException,
        ["no version 9.9.9"],
    ),
    "status": (
        lambda lab: lab.exe.update_status("Uploaded", "x"),
        InvalidTransitionError,
        ["Running", "Uploaded"],
    ),
    "missing-file": (
        lambda lab: lab.output(name="nofile.txt", copy_file=True),
        DerivaMLValidationError,
        ["nofile.txt", "does not exist"],
    ),
    "folder": (lambda lab: lab.output(name=lab.files), DerivaMLValidationError, ["is a folder"]),
    "no-name": (lambda lab: lab.output(name=""), DerivaMLValidationError, []),
    "same-name": (
        lambda lab: lab.output(name=lab.files / "other" / "real.txt"),
        DerivaMLValidationError,
        ["Document/real.txt", "rename_file="],
    ),
    "asset-type": (
        lambda lab: lab.output(asset_types=["Documnt"]),
        DerivaMLInvalidTerm,
        ["'Documnt'", "'Asset_Type'", "Document"],
    ),
    "column": (
        lambda lab: lab.output(metadata={"Dya": "2026-01-15"}),
        DerivaMLValidationError,
        ["'Dya'", "Day, Pages"],
    ),
    "keyword": (lambda lab: lab.output(Dya="2026-01-15"), DerivaMLValidationError, ["'Dya'"]),
    "system-column": (lambda lab: lab.output(metadata={"RID": "1-A"}), DerivaMLValidationError, ["'RID'"]),
    "date": (
        lambda lab: lab.output(metadata={"Day": "yesterday"}),
        DerivaMLValidationError,
        ["Day", "2026-01-15"],
    ),
    "number": (
        lambda lab: lab.output(metadata={"Pages": "many"}),
        DerivaMLValidationError,
        ["Pages", "'many'"],
    ),
    "no-file": (lambda lab: lab.output(name=None), DerivaMLValidationError, ["None", "file"]),
    "long-name": (
        lambda lab: lab.output(name="x" * 300),
        DerivaMLValidationError,
        ["255 bytes", "rename_file="],
    ),
    "long-folder": (
        lambda lab: lab.output(name="x" * 300 + "/a.txt"),
        DerivaMLValidationError,
        ["File name too long"],
    ),
    "null-byte": (lambda lab: lab.output(name="x\0.txt"), DerivaMLValidationError, ["null byte"]),
    "no-unicode": (lambda lab: lab.output(name="x\udcff.txt"), DerivaMLValidationError, ["Unicode"]),
    "dots": (lambda lab: lab.output(name="a/.."), DerivaMLValidationError, ["names no file"]),
    "unknown-home": (
        lambda lab: lab.output(name="~nosuchuser/a.txt"),
        DerivaMLValidationError,
        ["~nosuchuser"],
    ),
    "rename": (
        lambda lab: lab.output(name=lab.files / "real.txt", rename_file="/"),
        DerivaMLValidationError,
        ["'/'", "names no file"],
    ),
    "rename-number": (
        lambda lab: lab.output(name=lab.files / "real.txt", rename_file=3),
        DerivaMLValidationError,
        ["3"],
    ),
    "description": (lambda lab: lab.output(description=3), DerivaMLValidationError, ["description", "3"]),
    "types-number": (
        lambda lab: lab.output(asset_types=3),
        DerivaMLValidationError,
        ["asset_types", "3", "list"],
    ),
    "types-none": (lambda lab: lab.output(asset_types=[None]), DerivaMLValidationError, ["[None]"]),
    "metadata-list": (
        lambda lab: lab.output(metadata=["Day"]),
        DerivaMLValidationError,
        ["metadata", "['Day']", "dict"],
    ),
    "batch-text": (
        lambda lab: lab.exe.asset_file_paths("Document", "a.txt"),
        DerivaMLValidationError,
        ["list", "'a.txt'"],
    ),
    "batch-key": (
        lambda lab: lab.exe.asset_file_paths("Document", [{"name": "a.txt"}]),
        DerivaMLValidationError,
        ["'a.txt'", "file_name", "rename_file"],
    ),
    "metrics": (lambda lab: lab.exe.metrics_file("a/b"), DerivaMLValidationError, ["'a/b'", "metrics.jsonl"]),
    "metrics-none": (lambda lab: lab.exe.metrics_file(None), DerivaMLValidationError, ["None"]),
    "metrics-empty": (lambda lab: lab.exe.metrics_file(""), DerivaMLValidationError, ["names no file"]),
    "status-typo": (
        lambda lab: lab.exe.update_status("Runing"),
        DerivaMLValidationError,
        ["'Runing'", "'Running'", "'Uploaded'"],
    ),
    "status-of-record": (
        lambda lab: lab.ml.lookup_execution(lab.exe.execution_rid).update_status("Runing"),
        DerivaMLValidationError,
        ["'Runing'", "'Running'"],
    ),
    "status-searched": (
        lambda lab: lab.ml.find_executions(status="Runing"),
        DerivaMLValidationError,
        ["'Runing'", "'Running'"],
    ),
    "role": (
        lambda lab: lab.exe.list_assets(asset_role="Outpt"),
        DerivaMLValidationError,
        ["'Outpt'", "'Input', 'Output'"],
    ),
    "workflow-none": (
        lambda lab: lab.ml.create_workflow(None, None),
        DerivaMLValidationError,
        ["None", "name of a workflow"],
    ),
    "workflow-without-type": (
        lambda lab: lab.ml.create_workflow("X", None),
        DerivaMLValidationError,
        ["None", "Workflow_Type"],
    ),
    "resume-none": (lambda lab: lab.ml.resume_execution(None), DerivaMLValidationError, ["None", "RID"]),
    "no-features": (lambda lab: lab.exe.add_features([]), DerivaMLValidationError, ["at least one"]),
    "features-none": (lambda lab: lab.exe.add_features(None), DerivaMLValidationError, ["None", "list"]),
    "features-one": (
        lambda lab: lab.exe.add_features(lab.score(Document="1-A", Value=1)),
        DerivaMLValidationError,
        ["list of records"],
    ),
    "mixed-features": (
        lambda lab: lab.exe.add_features(
            [lab.label(Document="1-A", Mood="Sad"), lab.score(Document="1-A", Value=1)]
        ),
        DerivaMLValidationError,
        ["Document:Label", "Document:Score"],
    ),
    "no-record": (
        lambda lab: lab.exe.add_features([{"Document": "1-A"}]),
        DerivaMLValidationError,
        ["feature_record_class"],
    ),
    "feature-term": (
        lambda lab: lab.exe.add_features([lab.label(Document="1-A", Mood="Hapy")]),
        DerivaMLInvalidTerm,
        ["'Hapy'", "Happy"],
    ),
    "feature-row": (
        lambda lab: lab.exe.add_features([lab.label(Document=lab.workflow_rid, Mood="Sad")]),
        DerivaMLValidationError,
        ["Document", "Nothing was staged"],
    ),
    "record-field": (
        lambda lab: lab.label(Documnt="1-A", Mood="Sad"),
        DerivaMLValidationError,
        ["'Documnt'", "Document"],
    ),
    "record-value": (
        lambda lab: lab.score(Document="1-A", Value="high"),
        DerivaMLValidationError,
        ["Value", "'high'"],
    ),
    "record-none": (
        lambda lab: lab.label(Document="1-A", Mood=None),
        DerivaMLValidationError,
        ["Mood", "None"],
    ),
}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in RUNS.items()])
@pytest.mark.usefixtures("nothing_changes")
def test_wrong_input_of_a_run(lab: Any, refused: Any, case: Case) -> None:
    refused(lab, case)
