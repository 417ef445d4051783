"""`deriva-ml backup`, as a user runs it, while other processes write."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from tests.interpreter import python

from deriva_ml.ermrest.address import read_address
from deriva_ml.ermrest.connect import Site, connect
from deriva_ml.ml import DerivaML
from deriva_ml.schema import create_ml_catalog
from deriva_server.embed import LocalServer

PROGRAM = ["-m", "deriva_ml.cli.main"]

WRITER = """
import itertools, sys
from deriva_ml.ermrest.address import read_address
from deriva_ml.ermrest.connect import Site

# Each row names an object that is there before it; both tables get a row in one transaction; old ones go in reverse.
folder, number, work = sys.argv[1:]
site = Site(read_address(folder))
catalog, store = site.server().connect_ermrest("1"), site.store()
kept = []
for count in itertools.count():
    path = f"{work}/{number}.txt"
    open(path, "w").write(f"{number} {count} " * 1000)
    url = store.put_loc(f"/hatrac/w{number}/{count % 7}-{count}", path)
    (row,) = catalog.post("/entity/lab:File", json=[{"URL": url}]).json()
    kept.append((row["RID"], url))
    catalog.put("/attributegroup/lab:Sum/Name;Value", json=[{"Name": number, "Value": count}])
    if len(kept) > 5:
        rid, url = kept.pop(0)
        catalog.delete(f"/entity/lab:File/RID={rid}")
        store.del_obj(url.rpartition(":")[0])
    print(count, flush=True)
"""


def run(*words, **options):
    return subprocess.run([python(), *PROGRAM, *map(str, words)], capture_output=True, text=True, **options)


def server(folder):
    return Site(read_address(folder)).server()


SYSTEM = [
    {"name": name, "type": {"typename": type_}, "nullok": name in ("RCB", "RMB")}
    for name, type_ in [
        ("RID", "ermrest_rid"),
        ("RCT", "ermrest_rct"),
        ("RMT", "ermrest_rmt"),
        ("RCB", "ermrest_rcb"),
        ("RMB", "ermrest_rmb"),
    ]
]


def document(name, columns):
    own = [{"name": column, "type": {"typename": type_}} for column, type_ in columns.items()]
    keys = [{"unique_columns": ["RID"]}]
    return {"table_name": name, "column_definitions": SYSTEM + own, "keys": keys}


@pytest.fixture
def busy(tmp_path):
    """A deployment that two processes write to."""
    folder = tmp_path / "lab"
    with LocalServer.open(folder, create=True):
        catalog = server(folder).create_ermrest_catalog()
        catalog.post("/schema/lab")
        catalog.post("/schema/lab/table", json=document("File", {"URL": "text"}))
        catalog.post("/schema/lab/table", json=document("Sum", {"Name": "text", "Value": "int4"}))
        catalog.post("/entity/lab:Sum", json=[{"Name": str(number), "Value": 0} for number in range(2)])
    words = [[python(), "-c", WRITER, str(folder), str(number), str(tmp_path)] for number in range(2)]
    writers = [subprocess.Popen(each, stdout=subprocess.PIPE, text=True) for each in words]
    try:
        for writer in writers:
            while int(writer.stdout.readline()) < 8:
                pass
        yield folder, writers
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


def check_copy(folder):
    """Every row finds its object, with the bytes that belong to it."""
    site = Site(read_address(folder))
    catalog, store = site.server().connect_ermrest("1"), site.store()
    rows = catalog.get("/entity/lab:File").json()
    for row in rows:
        number, count = row["URL"].split("/")[2][1:], row["URL"].rpartition(":")[0].rpartition("-")[2]
        assert store.get_obj(row["URL"]).text == f"{number} {count} " * 1000
    sums = {row["Name"]: row["Value"] for row in catalog.get("/entity/lab:Sum").json()}
    return len(rows), sums


def test_backup_of_a_deployment_in_use(busy, tmp_path):
    folder, writers = busy
    for turn in range(3):
        done = run("backup", folder, tmp_path / f"copy{turn}")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{tmp_path / f'copy{turn}'} is a deployment with 1 catalog and ")
        assert done.stderr == ""
    assert all(writer.poll() is None for writer in writers)
    for writer in writers:
        writer.kill()
    before = {"0": 0, "1": 0}
    for turn in range(3):
        rows, sums = check_copy(tmp_path / f"copy{turn}")
        assert 8 <= rows <= 14
        assert all(sums[name] > before[name] for name in sums)
        before = sums


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_backup_leaves_nothing(busy, tmp_path, end):
    folder, _ = busy
    with subprocess.Popen(
        [python(), *PROGRAM, "backup", str(folder), str(tmp_path / "copies" / "copy")],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(lambda: (tmp_path / "copies" / ".copy.partial").exists())
        process.send_signal(end)
        said = process.communicate(timeout=60)[1]
    assert process.returncode in (128 + end, 0), said
    assert "Traceback" not in said
    left = os.listdir(tmp_path / "copies") if (tmp_path / "copies").exists() else []
    assert left == ([] if process.returncode else ["copy"])


def wait_for(happened):
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_killed_at_random_instants(busy, tmp_path):
    """The name of the target appears only when the copy is whole; the next backup removes what was left."""
    folder, _ = busy
    chance = random.Random(5)
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, *PROGRAM, "backup", str(folder), str(tmp_path / "copy")]
        ) as process:
            wait_for(lambda: (tmp_path / ".copy.partial").exists() or (tmp_path / "copy").exists())
            time.sleep(chance.uniform(0, 0.3))
            process.kill()
        if (tmp_path / "copy").exists():
            break
    else:
        assert run("backup", folder, tmp_path / "copy").returncode == 0
    assert not (tmp_path / ".copy.partial").exists()
    check_copy(tmp_path / "copy")


def test_the_copy_opens_at_once(tmp_path):
    create_ml_catalog(tmp_path / "lab", "eyes")
    ml = DerivaML(tmp_path / "lab", 1, working_dir=tmp_path / "work")
    ml.add_term("Asset_Type", "Scan", "Scanned page")
    assert run("backup", tmp_path / "lab", tmp_path / "copy").returncode == 0
    copy = DerivaML(tmp_path / "copy", 1, working_dir=tmp_path / "work")
    assert copy.lookup_term("Asset_Type", "Scan").description == "Scanned page"
    assert copy.working_dir == ml.working_dir


def test_a_copy_of_its_own(tmp_path):
    create_ml_catalog(tmp_path / "lab", "eyes")
    assert run("backup", tmp_path / "lab", tmp_path / "copy", "--new-id").returncode == 0
    ids = [json.loads((tmp_path / name / "deployment.json").read_text())["id"] for name in ("lab", "copy")]
    assert ids[0] != ids[1]
    assert connect(tmp_path / "lab", 1).authority != connect(tmp_path / "copy", 1).authority


def test_wrong_input(tmp_path):
    LocalServer.open(tmp_path / "lab", create=True).close()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for words, said in [
        ((tmp_path / "nowhere", tmp_path / "copy"), "There is no folder"),
        ((tmp_path / "lab", tmp_path / "full"), "overwrites nothing"),
        ((tmp_path / "lab", tmp_path / "lab"), "lies in the deployment itself"),
        ((tmp_path / "full", tmp_path / "copy"), "is not a deployment"),
    ]:
        done = run("backup", *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("deriva-ml: ") and said in done.stderr
    assert run("backup", tmp_path / "lab").returncode == 2
    assert sorted(os.listdir(tmp_path)) == ["full", "lab"]


def test_help_shows_an_example():
    assert "  deriva-ml backup lab " in run("backup", "--help").stdout
