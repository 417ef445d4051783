"""Runs that are killed, and what a user does after a crash."""

from __future__ import annotations

import json
import os
import signal
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from deriva_ml import vocabulary
from deriva_ml.asset import define
from deriva_ml.ermrest import rows
from deriva_ml.errors import DerivaMLNotFoundError
from deriva_ml.execution.execution import Execution, create_execution, resume_execution
from deriva_ml.feature import feature as features
from deriva_ml.model.define import ColumnDefinition, TableDefinition
from deriva_ml.model.types import BuiltinTypes
from deriva_ml.names import ExecutionStatus
from deriva_ml.schema.create import create_connected
from deriva_ml.session import Session
from deriva_ml.specs import ExecutionConfiguration
from deriva_ml.workflow.workflow import Workflow
from deriva_ml.workspace.database import Database
from deriva_ml.workspace.manifest import UPLOADED


@dataclass(frozen=True)
class Lab:
    """A catalog for runs, and how much each of them makes: `images` files, and a value of 3 features for each target."""

    host: str
    catalog_id: str
    images: int
    targets: int

    @classmethod
    def made(cls, folder: Path, images: int, targets: int) -> Lab:
        """A new one on SQLite files."""
        connection = create_connected(folder / "lab", "lab", domain_schema="lab")
        session = Session.open(connection.host, connection.catalog_id, working_dir=folder / "setup")
        define.create_asset(session, "Image", column_defs=[ColumnDefinition("Note", BuiltinTypes.text)])
        session.create_tables([TableDefinition("Target", [ColumnDefinition("Name", BuiltinTypes.text)])])
        vocabulary.create_vocabulary(session, "Grade")
        vocabulary.add_terms(session, "Grade", {"Mild": "little", "Severe": "much"})
        features.create_feature(session, "Target", "Label", terms=["Grade"])
        features.create_feature(
            session, "Target", "Size", metadata=[ColumnDefinition("Area", BuiltinTypes.float8)]
        )
        features.create_feature(session, "Target", "Mask", assets=["Image"])
        targeted = ({"Name": f"t{number}"} for number in range(targets))
        rows.insert(connection, session.table("Target"), targeted)
        return cls(connection.host, connection.catalog_id, images, targets)

    def session(self, folder: Path) -> Session:
        """A session of its own working directory in `folder`."""
        return Session.open(self.host, self.catalog_id, working_dir=folder / "work")

    def work(self, session: Session, exe: Execution, label: str) -> None:
        """Everything that a run makes; may be done again after a crash."""
        found = rows.read(session.connection, session.table("Target"), columns=["RID"])
        targets = sorted(row["RID"] for row in found)
        made = [
            exe.asset_file_path(
                "Image", f"{label}-{number}.png", description=f"image {number}", Note=f"n{number}"
            )
            for number in range(self.images)
        ]
        for number, path in enumerate(made):
            path.write_text(f"{label} {number}")
        if exe.status is ExecutionStatus.Running:
            exe.update_status(ExecutionStatus.Running, "half way")
        kinds = {
            name: features.lookup_feature(session.model, "Target", name).feature_record_class()
            for name in ("Label", "Size", "Mask")
        }
        exe.add_features([kinds["Label"](Target=rid, Grade="Mild") for rid in targets])
        exe.add_features([kinds["Size"](Target=rid, Area=place / 7) for place, rid in enumerate(targets)])
        image = exe.asset_file_path("Image", f"{label}-mask.png", asset_types=["Image"])
        image.write_text(f"{label} mask")
        exe.add_features([kinds["Mask"](Target=rid, Image=image) for rid in targets])
        exe.metrics_file().write_text('{"epoch": 1}\n')

    def run(self, session: Session, label: str) -> None:
        """A whole run: work, commit, additive commit."""
        config = ExecutionConfiguration(workflow=workflow(), description=label)
        with create_execution(session, config) as exe:
            self.work(session, exe, label)
        exe.commit_output_assets()
        more(exe, label)
        exe.commit_output_assets()

    def recover(self, session: Session, label: str) -> None:
        """What a user does after a crash: resume, do again what may be missing, commit."""
        states = [state for state in session.workspace.executions.find() if state.description == label]
        if not states:
            self.run(session, label)
            return
        try:
            exe = resume_execution(session, states[-1].rid)
        except DerivaMLNotFoundError:
            # It died before the catalog heard of the execution.
            self.run(session, label)
            return
        if exe.status is ExecutionStatus.Created:
            exe.execution_start()
        if exe.status is ExecutionStatus.Running:
            self.work(session, exe, label)
            exe.update_status(ExecutionStatus.Pending_Upload)
        if exe.status is ExecutionStatus.Failed:
            self.work(session, exe, label)
        if exe.status is ExecutionStatus.Uploaded:
            # It may have died between the registration of the late file and its writing.
            more(exe, label)
        exe.commit_output_assets()
        more(exe, label)
        exe.commit_output_assets()


def workflow() -> Workflow:
    return Workflow(name="kill", workflow_type="Testing", url="https://example.org/kill", checksum="k" * 40)


def more(exe: Execution, label: str) -> None:
    """What the run adds after its first commit."""
    exe.asset_file_path("Image", f"{label}-late.png").write_text(f"{label} late")


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


def started(function: Callable[[], Any]) -> int:
    """Process id of a forked process that calls `function`; its exit code is 0 when that returns."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return pid


def ended(pid: int) -> int:
    """Exit code of a forked process, waited for; negative for the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def in_child(function: Callable[[], Any]) -> int:
    """Call `function` in a forked process; its exit code."""
    return ended(started(function))


def outcome(session: Session, label: str) -> dict[str, Any]:
    """What catalog, object store and manifest hold of a run, without RIDs, times, and its label."""

    def read(table: str, **where: list[str]) -> list[dict[str, Any]]:
        return list(rows.read(session.connection, session.table(table), where=where or None))

    executions = read("Execution", Description=[label])
    mine = [row["RID"] for row in executions]
    images = {row["RID"]: row for row in read("Image") if row["Filename"].startswith(f"{label}-")}
    roles = read("Image_Execution", Execution=mine)
    types: dict[str, list[str]] = {}
    for row in read("Image_Asset_Type"):
        types.setdefault(row["Image"], []).append(row["Asset_Type"])
    own = {row["Image"]: images[row["Image"]] for row in roles}
    metadata = read("Execution_Metadata_Execution", Execution=mine)
    files = read("Execution_Metadata", RID=[row["Execution_Metadata"] for row in metadata] or ["none"])
    stored = session.connection.store.get("/hatrac/Image").json()
    found = {
        "executions": [(row["Status"], row["Status_Detail"]) for row in executions],
        "images": sorted(
            (row["Filename"], row["Note"], row["Description"], row["Length"], sorted(types[rid]))
            for rid, row in own.items()
        ),
        "roles": sorted(row["Asset_Role"] for row in roles),
        "labels": sorted(
            (row["Target"], row["Grade"]) for row in read("Execution_Target_Label", Execution=mine)
        ),
        "sizes": sorted(
            (row["Target"], row["Area"]) for row in read("Execution_Target_Size", Execution=mine)
        ),
        "masks": sorted(
            (row["Target"], images[row["Image"]]["Filename"])
            for row in read("Execution_Target_Mask", Execution=mine)
        ),
        "metadata": sorted(
            row["Filename"].partition("_20")[0] for row in files if row["Filename"] != "uv.lock"
        ),
        "stray": sorted(row["Filename"] for rid, row in images.items() if rid not in own),
        "readable": sorted(session.connection.store.get_obj(row["URL"]).text for row in own.values()),
        "stored": sorted(
            name.rpartition(".png")[0].rpartition(".")[2] for name in stored if f".{label}-" in name
        ),
        "manifest": sorted(
            _manifest(session, {row["RID"]: row["Filename"] for row in [*own.values(), *files]})
        ),
    }
    text: dict[str, Any] = json.loads(json.dumps(found).replace(label, "RUN"))
    return text


def _manifest(session: Session, in_catalog: dict[str, str]) -> list[tuple[str, bool]]:
    """Registered files, and whether each is what the catalog has under its RID."""
    return [
        (
            key.partition("_20")[0],
            entry.status == UPLOADED and in_catalog.get(entry.rid or "") == key.partition("/")[2],
        )
        for state in session.workspace.executions.find()
        for key, entry in session.workspace.manifest_of(state.rid).assets.items()
        if not key.endswith("/uv.lock")
    ]
