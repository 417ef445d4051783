"""Several clients work at once while their server is killed, stopped and started again: they do not notice."""

import hashlib
import os
import random
import signal
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cli.typed import typed
from tests.conftest import drop_databases
from tests.deployments import Http
from tests.machines.runs import ended, started
from tests.machines.team import SIZES, Client, Served, Team, disturbed, files

from deriva_ml import DerivaML
from deriva_ml.ermrest import objects
from deriva_ml.schema.terms import UNKNOWN_EXECUTION
from deriva_server.blobs.verify import verify
from deriva_server.embed import LocalServer

NAMES = ("ann", "bob", "eve")
TABLES = (
    "Execution",
    "Image",
    "Image_Execution",
    "Image_Asset_Type",
    "Execution_Target_Label",
    "Execution_Target_Mask",
    "Dataset",
    "Dataset_Version",
)


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
    read = {name: list(ml.get_table_as_dict(name)) for name in TABLES}
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
    by_name = {row["Filename"]: row["RID"] for row in read["Image"]}
    for client in clients:
        assert client.pending() == []
        own = client.acknowledged
        found = ml.lookup_lineage(by_name[f"{own[-1]}.0"])
        assert found.walked_complete
        assert sorted(node.rid for node in found.executions) == sorted(executions[label] for label in own)
        for number, label in enumerate(own):
            exe = ml.lookup_execution(executions[label])
            read_by = len(exe.list_assets(asset_role="Input")), len(exe.list_input_datasets())
            # The first one has nothing to read.
            assert read_by == ((len(SIZES) + 1, 1) if number else (0, 0))


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
        assert sorted(str(entry.dataset_version) for entry in history) == ["0.1.0", "0.2.0"]
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


@pytest.mark.usefixtures("postgres_programs")
def test_a_backup_while_clients_work(team, tmp_path, postgres, new_address, s3):
    """What is restored from it answers as the original did at that moment, and can be worked in."""
    addresses, restored = [new_address(), new_address()], tmp_path / "restored"
    with Served(team.folder, tmp_path / "server.log").running() as served:
        with working(team, served.url, tmp_path) as clients:
            while not all(client.acknowledged for client in clients):
                time.sleep(0.1)
            before = [label for client in clients for label in client.acknowledged]
            _copied(team.folder, tmp_path / "copy", "--database", addresses[0])
        _copied(tmp_path / "copy", restored, "--database", addresses[1], "--objects", s3.address())
        with Served(restored, tmp_path / "server2.log").running() as other:
            theirs = Http(other.url)
            at = theirs.send("GET", "/ermrest/catalog/1").json["snaptime"]
            _compare(Http(served.url), theirs, at, set(before))
            client = Client(Team(restored, team.targets), other.url, "max", tmp_path)
            client.work(tmp_path)
            assert len(client.acknowledged) == 2 and client.pending() == []
    check_store(Team(restored, team.targets))
    for address in addresses:
        drop_databases(postgres, address)


def _copied(*words):
    made = typed("deriva-ml", "backup", *words)
    assert made.returncode == 0, made.stderr


def _compare(ours, theirs, at, labels):
    """All rows and files of a copy are those of the original at a snapshot, and so is its past."""

    def both(path, at):
        found = [each.send("GET", f"/ermrest/catalog/1@{at}{path}") for each in (ours, theirs)]
        assert [each.status for each in found] == [200, 200]
        assert found[0].json == found[1].json, path
        return found[0].json

    names = [
        (schema, table)
        for schema, found in both("/schema", at)["schemas"].items()
        for table in found["tables"]
    ]
    read = {name: both(f"/entity/{name[0]}:{name[1]}", at) for name in names}
    done = {row["Description"] for row in read["deriva-ml", "Execution"] if row["Status"] == "Uploaded"}
    assert labels <= done
    for row in read["team", "Image"]:
        data = theirs.send("GET", row["URL"]).body
        assert hashlib.md5(data, usedforsecurity=False).hexdigest() == row["MD5"]
    past = {row["Snapshot"] for row in read["deriva-ml", "Dataset_Version"] if row["Snapshot"]}
    assert past
    for each in past:
        both("/entity/deriva-ml:Dataset", each)
        both("/entity/team:Image", each)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10))
def test_the_server_is_started_anew_many_times(team, tmp_path, seed):
    endured(team, tmp_path, 120, 100 + seed)
