"""A catalog to be killed on, and runs that die at a chosen step."""

from __future__ import annotations

import json
import os
import signal
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from deriva_ml import vocabulary
from deriva_ml.asset import define
from deriva_ml.asset.asset import list_assets
from deriva_ml.ermrest import rows
from deriva_ml.execution.execution import Execution, create_execution, resume_execution
from deriva_ml.feature import feature as features
from deriva_ml.model.define import ColumnDefinition
from deriva_ml.model.types import BuiltinTypes
from deriva_ml.names import ExecutionStatus
from deriva_ml.schema.create import create_connected
from deriva_ml.session import Session
from deriva_ml.specs import ExecutionConfiguration
from deriva_ml.workflow.workflow import Workflow
from deriva_ml.workspace.database import Database

IMAGES = 6
TARGETS = 4


@pytest.fixture(scope="package")
def lab(tmp_path_factory):
    """Host and id of a catalog with images, masks, two features, and some images to be labelled."""
    connection = create_connected(tmp_path_factory.mktemp("deployment") / "lab", "lab", domain_schema="lab")
    session = Session.open(
        connection.host, connection.catalog_id, working_dir=tmp_path_factory.mktemp("setup")
    )
    define.create_asset(session, "Image", column_defs=[ColumnDefinition("Note", BuiltinTypes.text)])
    define.create_asset(session, "Target", column_defs=[])
    vocabulary.create_vocabulary(session, "Grade")
    vocabulary.add_terms(session, "Grade", {"Mild": "little", "Severe": "much"})
    features.create_feature(session, "Target", "Label", terms=["Grade"])
    features.create_feature(session, "Target", "Mask", assets=["Image"])
    with create_execution(session, workflow=workflow()) as exe:
        for number in range(TARGETS):
            exe.asset_file_path("Target", f"t{number}").write_text(str(number))
    exe.commit_output_assets()
    return connection.host, connection.catalog_id


def workflow() -> Workflow:
    return Workflow(name="kill", workflow_type="Testing", url="https://example.org/kill", checksum="k" * 40)


def work(session: Session, exe: Execution, label: str) -> None:
    """Everything that the run makes; may be done again after a crash."""
    targets = sorted(asset.asset_rid for asset in list_assets(session, "Target"))
    for number in range(IMAGES):
        path = exe.asset_file_path(
            "Image", f"{label}-{number}.png", description=f"image {number}", Note=f"n{number}"
        )
        path.write_text(f"{label} {number}")
    if exe.status is ExecutionStatus.Running:
        exe.update_status(ExecutionStatus.Running, "half way")
    kind = features.lookup_feature(session.model, "Target", "Label").feature_record_class()
    exe.add_features([kind(Target=rid, Grade="Mild") for rid in targets])
    mask = features.lookup_feature(session.model, "Target", "Mask").feature_record_class()
    image = exe.asset_file_path("Image", f"{label}-mask.png", asset_types=["Image"])
    image.write_text(f"{label} mask")
    exe.add_features([mask(Target=rid, Image=image) for rid in targets])
    exe.metrics_file().write_text('{"epoch": 1}\n')


def more(exe: Execution, label: str) -> None:
    """What the run adds after its first commit."""
    exe.asset_file_path("Image", f"{label}-late.png").write_text(f"{label} late")


def run(session: Session, label: str) -> None:
    """A whole run: work, commit, additive commit."""
    config = ExecutionConfiguration(workflow=workflow(), description=label)
    with create_execution(session, config) as exe:
        work(session, exe, label)
    exe.commit_output_assets()
    more(exe, label)
    exe.commit_output_assets()


def recover(session: Session, label: str) -> None:
    """What a user does after a crash: resume, do again what may be missing, commit."""
    states = [state for state in session.workspace.executions.find() if state.description == label]
    if not states:
        run(session, label)
        return
    exe = resume_execution(session, states[-1].rid)
    if exe.status is ExecutionStatus.Created:
        exe.execution_start()
    if exe.status is ExecutionStatus.Running:
        work(session, exe, label)
        exe.update_status(ExecutionStatus.Pending_Upload)
    if exe.status is ExecutionStatus.Failed:
        work(session, exe, label)
    if exe.status is ExecutionStatus.Uploaded:
        # It may have died between the registration of the late file and its writing.
        more(exe, label)
    exe.commit_output_assets()
    more(exe, label)
    exe.commit_output_assets()


@contextmanager
def dying(step: int, log: Path | None = None):
    """Kill this process at a step: before or after a request, before or after a transaction of the local store."""
    count = 0

    def tick(what: str) -> None:
        nonlocal count
        count += 1
        if log is not None:
            with log.open("a") as file:
                file.write(f"{what}\n")
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)

    send, transaction = requests.Session.send, Database.transaction

    def sending(self, request, **options):
        tick(f"before {request.method} {request.path_url}")
        answer = send(self, request, **options)
        tick(f"after {request.method} {request.path_url}")
        return answer

    @contextmanager
    def changing(self):
        tick(f"before changing {self.path.name}")
        with transaction(self) as connection:
            yield connection
        tick(f"after changing {self.path.name}")

    requests.Session.send, Database.transaction = sending, changing
    try:
        yield
    finally:
        requests.Session.send, Database.transaction = send, transaction


def in_child(function: Callable[[], Any]) -> int:
    """Exit code of a forked process; negative for the signal that killed it."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def outcome(session: Session, label: str) -> dict[str, Any]:
    """What the catalog holds of a run, without RIDs and times."""

    def read(table: str, **where: list[str]) -> list[dict[str, Any]]:
        return list(rows.read(session.connection, session.table(table), where=where or None))

    executions = [row for row in read("Execution", Description=[label]) if row["Status"] != "Created"]
    mine = [row["RID"] for row in executions]
    images = {row["RID"]: row for row in read("Image")}
    roles = read("Image_Execution", Execution=mine)
    types: dict[str, list[str]] = {}
    for row in read("Image_Asset_Type"):
        types.setdefault(row["Image"], []).append(row["Asset_Type"])
    own = {row["Image"]: images[row["Image"]] for row in roles}
    stray = [
        row["Filename"]
        for row in images.values()
        if row["Filename"].startswith(f"{label}-") and row["RID"] not in own
    ]
    metadata = read("Execution_Metadata_Execution", Execution=mine)
    files = read("Execution_Metadata", RID=[row["Execution_Metadata"] for row in metadata] or ["none"])
    return {
        "executions": [(row["Status"], row["Status_Detail"]) for row in executions],
        "images": sorted(
            (row["Filename"], row["Note"], row["Description"], row["Length"], sorted(types[rid]))
            for rid, row in own.items()
        ),
        "roles": sorted(row["Asset_Role"] for row in roles),
        "labels": sorted(row["Grade"] for row in read("Execution_Target_Label", Execution=mine)),
        "masks": sorted(
            images[row["Image"]]["Filename"] for row in read("Execution_Target_Mask", Execution=mine)
        ),
        "metadata": sorted(
            row["Filename"].partition("_20")[0] for row in files if row["Filename"] != "uv.lock"
        ),
        "stray": stray,
        "readable": sorted(session.connection.store.get_obj(row["URL"]).text for row in own.values()),
    }


def renamed(found: dict[str, Any], label: str) -> dict[str, Any]:
    """An outcome without the run's own name."""
    text: dict[str, Any] = json.loads(json.dumps(found).replace(label, "RUN"))
    return text


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
