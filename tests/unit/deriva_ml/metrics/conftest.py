"""Catalogs with executions that wrote metrics, made row by row; in process, over HTTP, and without an index."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests

from deriva_ml import DerivaML
from deriva_ml.ermrest import objects, rows
from deriva_ml.schema import create_ml_catalog
from deriva_server.embed import LocalServer
from deriva_server.model.document import FEATURES

Runs = Sequence[tuple[str, bytes | str | Sequence[dict[str, Any]]]]
"""Name and content of a file of metrics, one for each execution."""

_numbers = itertools.count(1)


class Lab:
    """A catalog in which executions can be recorded cheaply."""

    def __init__(self, ml: DerivaML, folder: Path) -> None:
        self.ml, self.folder = ml, folder
        self.connection = ml._session.connection

    def insert(self, table: str, new: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return rows.insert(self.connection, self.ml._session.ml_table(table), new)

    def workflow(self, name: str, kind: str | None = None) -> str:
        made = self.insert(
            "Workflow", [{"Name": name, "URL": f"https://x/{name}", "Checksum": name, "Version": "1"}]
        )
        if kind is not None:
            self.insert("Workflow_Workflow_Type", [{"Workflow": made[0]["RID"], "Workflow_Type": kind}])
        return str(made[0]["RID"])

    def record(self, runs: Runs, *, status: str = "Uploaded", workflow: str | None = None) -> list[str]:
        """Make an execution for each file; their RIDs."""
        made = self.insert(
            "Execution", [{"Status": status, "Workflow": workflow, "Description": name} for name, _ in runs]
        )
        rids = [str(row["RID"]) for row in made]
        self.attach(list(zip(rids, runs, strict=True)))
        return rids

    def attach(
        self, files: Sequence[tuple[str, tuple[str, Any]]], tag: str = "Metrics_File", role: str = "Output"
    ) -> list[str]:
        """Give executions files; the RIDs of these."""
        new = [self._put(name, content) for _, (name, content) in files]
        made = [str(row["RID"]) for row in self.insert("Execution_Metadata", new)]
        pairs = list(zip(made, (rid for rid, _ in files), strict=True))
        self.insert(
            "Execution_Metadata_Execution",
            [{"Execution_Metadata": asset, "Execution": rid, "Asset_Role": role} for asset, rid in pairs],
        )
        self.insert(
            "Execution_Metadata_Asset_Type",
            [{"Execution_Metadata": asset, "Asset_Type": tag} for asset in made],
        )
        return made

    def _put(self, name: str, content: Any) -> dict[str, Any]:
        if not isinstance(content, bytes | str):
            content = "".join(json.dumps(record) + "\n" for record in content)
        data = content if isinstance(content, bytes) else content.encode()
        md5 = hashlib.md5(data).hexdigest()
        file = self.folder / f"file-{next(_numbers)}"
        file.write_bytes(data)
        url = objects.put(
            self.connection, file, f"/hatrac/metadata/{file.name}.{md5}.{name}", md5=md5, filename=name
        )
        return {"URL": url, "Filename": name, "Length": len(data), "MD5": md5}


def lab_in(folder: Path, *, host: str | None = None) -> Lab:
    """The lab of a folder, where there is a deployment in ``lab``."""
    return Lab(DerivaML(host or str(folder / "lab"), "1", working_dir=folder / "work"), folder)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment with a catalog, to be copied."""
    folder = tmp_path_factory.mktemp("template") / "lab"
    create_ml_catalog(str(folder), "lab")
    LocalServer.open(folder).close()
    return folder


@pytest.fixture
def lab(template: Path, tmp_path: Path) -> Iterator[Lab]:
    shutil.copytree(template, tmp_path / "lab")
    yield lab_in(tmp_path)
    LocalServer.open(tmp_path / "lab").close()


@pytest.fixture(params=["with an index", "without an index"])
def either_lab(request: pytest.FixtureRequest, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A catalog on a service of ours, and on one that knows nothing of metrics."""
    if request.param == "without an index":
        without_index(monkeypatch)
    return lab


@pytest.fixture(params=["in process", "over HTTP", "on PostgreSQL", "without an index"])
def any_lab(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A catalog on each kind of service."""
    if request.param == "without an index":
        without_index(monkeypatch)
    if request.param == "on PostgreSQL":
        address = request.getfixturevalue("new_address")()
        with LocalServer.open(tmp_path / "lab", create=True, database=address):
            create_ml_catalog(str(tmp_path / "lab"), "lab")
            yield lab_in(tmp_path)
        return
    shutil.copytree(request.getfixturevalue("template"), tmp_path / "lab")
    with LocalServer.open(tmp_path / "lab") as server:
        if request.param != "over HTTP":
            yield lab_in(tmp_path)
            return
        with server.serve() as running:
            yield lab_in(tmp_path, host=running.url)


def without_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let servers be such as know nothing of metrics."""
    # The mapping itself must not be changed: put back, a name would stand in another place than in other processes.
    fewer = {name: value for name, value in FEATURES.items() if name != "object_metrics"}
    for module in ("model.document", "ermrest.catalogs"):
        monkeypatch.setattr(f"deriva_server.{module}.FEATURES", fewer)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Requests since the last call, without the address of the server."""
    seen: list[str] = []
    send = requests.Session.send

    def counting(
        self: requests.Session, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        seen.append(f"{request.method} {request.path_url}")
        return send(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", counting)

    def taken() -> list[str]:
        found = seen[:]
        seen.clear()
        return found

    return taken
