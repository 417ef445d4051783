"""One folder used by several processes at a time, by children made by fork, over HTTP, after moves and after kills."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.interpreter import python

from deriva_ml import DatasetSpec, DerivaML, ExecutionConfiguration
from deriva_ml.dataset import VersionPart
from deriva_ml.ermrest.connect import connect
from deriva_ml.errors import DerivaMLConnectionError, DerivaMLSchemaError
from deriva_ml.names import ExecutionStatus
from deriva_ml.schema import create_ml_catalog
from deriva_server.embed import LocalServer

WRITERS, IMAGES = 6, 6
MB = 1 << 20

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a deployment and the working directory of the one who made it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
        place = tmp_path_factory.mktemp("processes")
        catalog = create_ml_catalog(str(place / "lab"), "lab")
        ml = DerivaML(str(place / "lab"), catalog.catalog_id, working_dir=place / "work")
        ml.create_schema("lab")
        ml.create_asset("Image")
        ml.create_asset("Model")
        ml.create_vocabulary("Level")
        ml.add_term("Level", "Mild", "little")
        ml.create_feature("Image", "Grade", terms=["Level"])
        ml.add_dataset_element_type("Image")
        run(ml, "ingest", IMAGES)
    return place


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")


@pytest.fixture
def ml(lab: Path) -> DerivaML:
    return DerivaML(str(lab / "lab"), 1, working_dir=lab / "work")


def run(ml: DerivaML, name: str, count: int, targets: list[str] | None = None) -> Any:
    """An execution with files and labels, committed."""
    workflow = ml.create_workflow(name, "Ingest")
    with ml.create_execution(workflow=workflow, description=name) as exe:
        for number in range(count):
            exe.asset_file_path("Image", f"{name}-{number}.png").write_text(f"{name} {number}")
        if targets:
            grade = ml.feature_record_class("Image", "Grade")
            exe.add_features([grade(Image=rid, Level="Mild") for rid in targets])
    exe.commit_output_assets()
    return exe


def images_of(ml: DerivaML, name: str) -> list[str]:
    return sorted(
        asset.asset_rid for asset in ml.list_assets("Image") if asset.filename.startswith(f"{name}-")
    )


# --- several processes ------------------------------------------------------------------------------------------------

WRITER = """
import sys
from deriva_ml import DerivaML
from tests.journeys.test_processes import images_of, run

ml = DerivaML(sys.argv[1], 1, working_dir=sys.argv[2])
for turn in "ab":
    exe = run(ml, f"writer{sys.argv[3]}{turn}", 4, images_of(ml, "ingest"))
    print(exe.execution_rid, exe.status)
"""

READER = """
import sys
from deriva_ml import DerivaML

ml = DerivaML(sys.argv[1], 1, working_dir=sys.argv[2])
before = -1
while before < 48:
    labels = list(ml.feature_values("Image", "Grade"))
    images = {asset.asset_rid for asset in ml.list_assets("Image")}
    # What is referred to is there, and nothing that was there goes away.
    assert {label.Image for label in labels} <= images
    now = sum(asset.filename.startswith("writer") for asset in ml.list_assets("Image"))
    assert now >= before
    before = now
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [python(), "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_writers_and_readers_at_once(lab: Path, ml: DerivaML) -> None:
    places = (lab / "lab", lab / "work")
    processes = [start(WRITER, *places, number) for number in range(WRITERS)]
    processes += [start(READER, *places) for _ in range(2)]
    told = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), told
    rows = [line.split() for out, _ in told for line in out.splitlines()]
    assert len({rid for rid, _ in rows}) == 2 * WRITERS
    for rid, status in rows:
        assert status == ml.lookup_execution(rid).status == ExecutionStatus.Uploaded
        assert len(list(ml.feature_values("Image", "Grade", execution_rids=[rid]))) == IMAGES
    assert len(images_of(ml, "writer0a")) == 4
    assert not [err for _, err in told if "locked" in err]


# --- over HTTP --------------------------------------------------------------------------------------------------------


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, int]]:
    """URL and process id of ``deriva-ml serve``."""
    command = [sys.executable, "-m", "deriva_ml.cli.main", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found is not None, process.stderr.read()
            yield found[0], process.pid
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()


def curate(ml: DerivaML, name: str) -> tuple[str, str]:
    """RID and version of a dataset of labelled images, made from nothing."""
    run(ml, name, 3)
    members = images_of(ml, name)
    grade = ml.feature_record_class("Image", "Grade")
    with ml.create_execution(workflow=ml.create_workflow(name, "Ingest"), description=name) as exe:
        dataset = exe.create_dataset(dataset_types=["Complete"], description=name)
        dataset.add_dataset_members(members)
        exe.add_features([grade(Image=rid, Level="Mild") for rid in members])
    exe.commit_output_assets()
    assert exe.status is ExecutionStatus.Uploaded
    return dataset.dataset_rid, str(dataset.release(VersionPart.minor, "first"))


def contents(ml: DerivaML, rid: str, version: str) -> dict[str, Any]:
    """All that a run sees of a dataset that it downloads."""
    spec = DatasetSpec(rid=rid, version=version)
    configuration = ExecutionConfiguration(workflow=ml.create_workflow("look", "Ingest"), datasets=[spec])
    with ml.create_execution(configuration) as exe:
        bag = exe.datasets[0].bag
        found = {
            "rows": sorted(map(dict, bag.get_table_as_dict("Image")), key=lambda row: str(row["RID"])),
            "members": sorted(row["RID"] for row in bag.list_dataset_members()["Image"]),
            "labels": sorted(
                (label.Image, label.Level, label.Execution) for label in bag.feature_values("Image", "Grade")
            ),
            "files": {
                str(path.relative_to(bag.path)): path.read_bytes()
                for path in sorted((bag.path / "data" / "assets").rglob("*"))
                if path.is_file()
            },
        }
    exe.commit_output_assets()
    assert exe.status is ExecutionStatus.Uploaded
    return found


def test_in_process_and_over_http_at_once(lab: Path, ml: DerivaML, tmp_path: Path) -> None:
    with served(lab / "lab") as (url, _):
        there = DerivaML(url, 1, working_dir=tmp_path)
        assert there.whoami() == ml.whoami()
        for rid, version in (curate(ml, "here"), curate(there, "there")):
            seen = contents(ml, rid, version)
            assert seen == contents(there, rid, version)
            assert len(seen["rows"]) == len(seen["members"]) == len(seen["labels"]) == 3
            assert sum(name.endswith(".png") for name in seen["files"]) == 3
            assert json.loads(json.dumps(str(ml.lookup_lineage(rid)))) == str(there.lookup_lineage(rid))


# --- fork and pickle --------------------------------------------------------------------------------------------------


def in_child(work: Callable[[], object]) -> object:
    """What `work` returns in a forked process."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = work()
        except BaseException as error:
            answer = repr(error)
        os.write(writing, pickle.dumps(answer))
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        answer = pickle.loads(file.read())
    os.waitpid(pid, 0)
    return answer


@pytest.fixture(scope="module")
def bag(lab: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
        ml = DerivaML(str(lab / "lab"), 1, working_dir=lab / "work")
        rid, version = curate(ml, "forked")
        return ml.download_dataset_bag(DatasetSpec(rid=rid, version=version))


def look(ml: DerivaML, bag: Any) -> tuple[int, int, int]:
    """Numbers that any process must see alike."""
    rows = len(list(bag.get_table_as_dict("Image")))
    return rows, len(images_of(ml, "ingest")), len(bag.list_dataset_members()["Image"])


def test_children_of_a_user(ml: DerivaML, bag: Any) -> None:
    expected = look(ml, bag)
    assert in_child(lambda: look(ml, bag)) == expected
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.starmap(look, [(ml, bag)] * 6) == [expected] * 6
    assert look(ml, bag) == expected


def test_workers_of_joblib(ml: DerivaML, bag: Any) -> None:
    joblib = pytest.importorskip("joblib")
    tasks = [joblib.delayed(look)(ml, bag)] * 4
    assert joblib.Parallel(2, backend="multiprocessing")(tasks) == [look(ml, bag)] * 4
    assert joblib.Parallel(2, prefer="threads")(tasks) == [look(ml, bag)] * 4


def test_an_execution_in_children(ml: DerivaML, bag: Any) -> None:
    targets = images_of(ml, "ingest")
    grade = ml.feature_record_class("Image", "Grade")

    def work(number: int) -> object:
        exe.asset_file_path("Model", f"child-{number}.bin").write_text(str(number))
        exe.add_features([grade(Image=targets[number], Level="Mild")])
        exe.update_status(ExecutionStatus.Running, f"child {number}")
        return exe.status

    with ml.create_execution(workflow=ml.create_workflow("children", "Ingest")) as exe:
        assert [in_child(lambda number=number: work(number)) for number in range(3)] == ["Running"] * 3
        copy = pickle.loads(pickle.dumps(exe))
        copy.asset_file_path("Model", "copy.bin").write_text("copy")
    exe.commit_output_assets()
    assert exe.status is ExecutionStatus.Uploaded
    names = {asset.filename for asset in ml.list_assets("Model")}
    assert names >= {"child-0.bin", "child-1.bin", "child-2.bin", "copy.bin"}
    assert len(list(ml.feature_values("Image", "Grade", execution_rids=[exe.execution_rid]))) == 3


def test_round_trips(ml: DerivaML, bag: Any) -> None:
    def copied(original: Any) -> Any:
        return pickle.loads(pickle.dumps(original))

    assert look(copied(ml), copied(bag)) == look(ml, bag)
    assert copied(ml._session).model.ml_schema == ml.ml_schema
    assert copied(ml._session.connection).document()["id"] == ml.catalog_id
    assert copied(ml.catalog.latest_snapshot()).get("/").json()["id"] == ml.catalog_id
    with ml.create_execution(workflow=ml.create_workflow("paths", "Ingest")) as exe:
        path = exe.asset_file_path("Image", "path.png", asset_types=["Image"], description="kept")
        again = copied(path)
        assert (again, type(again)) == (path, type(path))
        assert (again.asset_table, again.asset_types) == (path.asset_table, path.asset_types)
        again.write_text("by its copy")
    exe.commit_output_assets()
    assert exe.status is ExecutionStatus.Uploaded


# --- the folder -------------------------------------------------------------------------------------------------------


def test_a_moved_folder_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERIVA_ML_HOME", str(tmp_path / "home"))
    create_ml_catalog(str(tmp_path / "here"), "lab")
    before = DerivaML(str(tmp_path / "here"), 1)
    before.add_term("Asset_Role", "Odd", "before the move")
    url = before._session.connection.url("/id/1/1-0000")
    LocalServer.open(tmp_path / "here").close()
    shutil.move(tmp_path / "here", tmp_path / "else" / "where")
    after = DerivaML(str(tmp_path / "else" / "where"), 1)
    assert (after.working_dir, after.cache_dir) == (before.working_dir, before.cache_dir)
    assert after._session.connection.url("/id/1/1-0000") == url
    assert after.lookup_term("Asset_Role", "Odd").description == "before the move"
    with pytest.raises(DerivaMLConnectionError, match="here"):
        DerivaML(str(tmp_path / "here"), 1)
    document = tmp_path / "else" / "where" / "deployment.json"
    document.write_text(document.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(DerivaMLConnectionError, match=r"format 2.*pip install --upgrade"):
        connect(str(tmp_path / "else" / "where"), 1)


def test_two_begin_at_once(tmp_path: Path) -> None:
    command = [python(), "-m", "deriva_ml.cli.main", "catalog", "create", str(tmp_path / "lab"), "lab"]
    made = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    told = [process.communicate(timeout=120)[0] for process in made]
    assert [process.returncode for process in made] == [0] * 3
    assert {line.split()[2] for line in told} == {"1", "2", "3"}
    for id in "123":
        assert DerivaML(str(tmp_path / "lab"), id, working_dir=tmp_path / id).lookup_term(
            "Asset_Role", "Input"
        )


@pytest.mark.parametrize("seed", range(2))
def test_killed_while_a_catalog_is_made(tmp_path: Path, seed: int) -> None:
    folder, chance = tmp_path / "lab", random.Random(seed)
    start = time.monotonic()
    create_ml_catalog(str(tmp_path / "other"), "lab")
    usual = time.monotonic() - start
    for _ in range(6):
        pid = os.fork()
        if pid == 0:
            create_ml_catalog(str(folder), "lab")
            os._exit(0)
        time.sleep(chance.random() * usual)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    catalog = create_ml_catalog(str(folder), "lab")
    ml = DerivaML(str(folder), catalog.catalog_id, working_dir=tmp_path / "work")
    exe = ml.create_execution(workflow=ml.create_workflow("after", "Ingest"))
    assert exe.status is ExecutionStatus.Created
    for entry in LocalServer.open(folder).registry.entries():
        try:
            found = DerivaML(str(folder), entry.id, working_dir=tmp_path / entry.id)
        except DerivaMLSchemaError as error:
            assert "create_ml_catalog()" in str(error)
        else:
            assert found.catalog_id == entry.id


# --- large files ------------------------------------------------------------------------------------------------------

LARGE = """
import sys
from pathlib import Path
from deriva_ml.checksums import md5_of
from deriva_ml.ermrest import objects
from deriva_ml.ermrest.connect import connect

host, big, back = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
connection = connect(host, 1)

def pieces():
    with big.open("rb") as file:
        for _ in range(100):
            yield file.read(1 << 20)

def most():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) >> 10

before, md5 = most(), md5_of(big)
objects.put(connection, big, f"/hatrac/large/{back.name}", md5=md5)
objects.fetch(connection, f"/hatrac/large/{back.name}", back, md5=md5, length=big.stat().st_size)
url = connection.url(f"/hatrac/large/stream-{back.name}?parents=true")
answer = connection.store._session.put(url, data=pieces())
assert answer.status_code == 201, answer.text
print(most() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_large_objects_take_little_memory(lab: Path, tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.write(b"start")
        file.seek(200 * MB)
        file.write(b"end")
    with served(lab / "lab") as (url, pid):
        for host, back in ((lab / "lab", tmp_path / "embedded"), (url, tmp_path / "http")):
            process = start(LARGE, host, big, back)
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
            assert int(out) < 100
            assert back.stat().st_size == 200 * MB + 3
            back.unlink()
        status = Path(f"/proc/{pid}/status").read_text()
        assert int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) >> 10 < 250


def _child_leaves_the_block(ml: DerivaML) -> int:
    """Status with which a forked child ends that leaves the parent's block by an error."""
    workflow = ml.create_workflow("fork", "Ingest")
    with ml.create_execution(workflow=workflow, description="forks") as exe:
        child = os.fork()
        if not child:
            try:
                raise SystemExit(3)
            finally:
                exe.__exit__(*sys.exc_info())
                os._exit(3)
        _, status = os.waitpid(child, 0)
        assert exe.status is ExecutionStatus.Running
    assert exe.status is ExecutionStatus.Stopped
    return os.waitstatus_to_exitcode(status)


def test_a_child_cannot_end_its_parents_run(ml: DerivaML) -> None:
    assert _child_leaves_the_block(ml) == 3


def test_a_terminated_child_ends_by_the_signal(ml: DerivaML) -> None:
    workflow = ml.create_workflow("fork", "Ingest")
    fork = multiprocessing.get_context("fork")
    begun = fork.Event()

    def wait() -> None:
        begun.set()
        time.sleep(30)

    with ml.create_execution(workflow=workflow, description="terminates a child") as exe:
        child = fork.Process(target=wait)
        child.start()
        assert begun.wait(20)
        child.terminate()
        child.join(10)
        assert child.exitcode == -signal.SIGTERM
        assert exe.status is ExecutionStatus.Running
