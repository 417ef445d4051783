"""Several clients work at once while their server is killed, stopped and started again: they do not notice."""

import hashlib
import os
import random
import signal
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import drop_databases
from tests.machines.runs import ended, started
from tests.machines.team import SIZES, Client, Served, Team, disturbed, files

from deriva_ml import DerivaML
from deriva_ml.ermrest import objects
from deriva_ml.schema.terms import UNKNOWN_EXECUTION
from deriva_server.blobs.verify import verify
from deriva_server.embed import LocalServer

NAMES = ("ann", "bob", "eve")


@pytest.fixture
def team(postgres, new_address, s3, tmp_path, monkeypatch):
    # As it is where nobody set anything.
    monkeypatch.delenv("DERIVA_ML_RETRY_ATTEMPTS")
    address = new_address()
    yield Team.made(tmp_path / "lab", address, s3.address())
    drop_databases(postgres, address)


@contextmanager
def working(team, url, folder):
    """Clients that work during the block, in processes of their own, and end their last runs after it."""
    clients, enough = [Client(team, url, name, folder) for name in NAMES], folder / "enough"
    running = [started(lambda client=client: client.work(enough)) for client in clients]
    try:
        yield clients
        enough.touch()
        codes = [ended(running.pop(0)) for _ in clients]
    finally:
        for pid in running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    assert codes == [0] * len(clients)


def check(team: Team, url: str, clients: list[Client], folder: Path) -> None:
    """All that was acknowledged is there, once and whole; nothing else is, and nothing waits."""
    ml = DerivaML(url, 1, working_dir=folder / "check")
    read = {name: list(ml.get_table_as_dict(name)) for name in _TABLES}
    labels = [label for client in clients for label in client.acknowledged]
    (unknown,) = [row for row in read["Execution"] if row["Description"] == UNKNOWN_EXECUTION]
    read["Execution"].remove(unknown)
    executions = {row["Description"]: row["RID"] for row in read["Execution"]}
    assert sorted(row["Description"] for row in read["Execution"]) == sorted(labels)
    assert {row["Status"] for row in read["Execution"]} == {"Uploaded"}
    _check_files(ml, read, executions)
    for table in ("Execution_Target_Label", "Execution_Target_Mask"):
        wanted = sorted((rid, target) for rid in executions.values() for target in team.targets)
        assert sorted((row["Execution"], row["Target"]) for row in read[table]) == wanted
    images = {row["RID"]: row for row in read["Image"]}
    names = {rid: label for label, rid in executions.items()}
    for row in read["Execution_Target_Mask"]:
        assert images[row["Image"]]["Filename"] == f"{names[row['Execution']]}.mask"
    _check_datasets(ml, team, read, executions)
    for client in clients:
        own = [executions[label] for label in client.acknowledged]
        last = next(row["RID"] for row in read["Image"] if row["Filename"] == f"{client.acknowledged[-1]}.0")
        found = ml.lookup_lineage(last)
        assert found.walked_complete
        assert sorted(found_.rid for found_ in found.executions) == sorted(own)
        assert client.pending() == []
        for label in client.acknowledged:
            exe = ml.lookup_execution(executions[label])
            assert len(exe.list_assets(asset_role="Input")) == (len(SIZES) + 1) * (label != own_first(client))
            assert len(exe.list_input_datasets()) == (label != own_first(client))


def own_first(client: Client) -> str:
    """The run that read nothing."""
    return client.acknowledged[0]


_TABLES = (
    "Execution",
    "Image",
    "Image_Execution",
    "Image_Asset_Type",
    "Execution_Target_Label",
    "Execution_Target_Mask",
    "Dataset",
    "Dataset_Execution",
    "Dataset_Version",
)


def _check_files(ml: DerivaML, read: dict[str, list[Any]], executions: dict[str, str]) -> None:
    wanted: dict[str, tuple[str, bytes]] = {}
    for label, rid in executions.items():
        wanted |= {name: (rid, data) for name, data in files(label).items()}
        wanted[f"{label}.mask"] = (rid, label.encode())
    assert sorted(row["Filename"] for row in read["Image"]) == sorted(wanted)
    made = {
        (row["Image"], row["Execution"]) for row in read["Image_Execution"] if row["Asset_Role"] == "Output"
    }
    roles = Counter((row["Image"], row["Execution"]) for row in read["Image_Execution"])
    assert set(roles.values()) == {1}
    assert made == {(row["RID"], wanted[row["Filename"]][0]) for row in read["Image"]}
    types = Counter((row["Image"], row["Asset_Type"]) for row in read["Image_Asset_Type"])
    assert set(types.values()) == {1} and {image for image, _ in types} == {
        row["RID"] for row in read["Image"]
    }
    for row in read["Image"]:
        data = wanted[row["Filename"]][1]
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        assert (row["Length"], row["MD5"]) == (len(data), md5)
        target = objects.fetch(ml._session.connection, row["URL"], ml.working_dir / "fetched", md5=md5)
        assert target.read_bytes() == data


def _check_datasets(ml: DerivaML, team: Team, read: dict[str, list[Any]], executions: dict[str, str]) -> None:
    assert sorted(row["Description"] for row in read["Dataset"]) == sorted(executions)
    made = sorted((row["RID"], executions[row["Description"]]) for row in read["Dataset"])
    versions = Counter(row["Dataset"] for row in read["Dataset_Version"])
    assert set(versions.values()) == {2}
    for rid, execution in made:
        dataset = ml.lookup_dataset(rid)
        history = dataset.dataset_history()
        assert [str(entry.dataset_version) for entry in history] in (["0.1.0", "0.2.0"], ["0.2.0", "0.1.0"])
        assert all(entry.snapshot for entry in history)
        assert {entry.execution_rid for entry in history} == {execution}
        for version in (None, "0.2.0"):
            members = dataset.list_dataset_members(version=version)
            assert sorted(row["RID"] for row in members["Target"]) == sorted(team.targets)


def check_store(team: Team) -> None:
    """All bytes of the deployment are as they were put."""
    with LocalServer.open(team.folder) as server:
        assert verify(server.objects.directory, lambda *_: None).damaged == ()


def endured(team, folder, seconds, seed):
    with Served(team.folder, folder / "server.log").running() as served:
        with working(team, served.url, folder) as clients:
            told = disturbed(served, seconds, random.Random(seed))
        check(team, served.url, clients, folder)
        number = sum(len(client.acknowledged) for client in clients)
        print(f"{number} executions of {len(clients)} clients, server ended {dict(told)}")
        assert served.end(signal.SIGTERM) == 0
    check_store(team)


def test_the_server_is_started_anew(team, tmp_path):
    endured(team, tmp_path, 8, 1)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10))
def test_the_server_is_started_anew_many_times(team, tmp_path, seed):
    endured(team, tmp_path, 120, 100 + seed)
