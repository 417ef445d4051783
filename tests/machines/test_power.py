"""The power fails at any moment of a run or download: what was acknowledged is there, and nothing torn is taken for whole."""

import json
import pickle
import random
import sys

import pytest
import requests
from tests.deployments import Direct, opened
from tests.machines import power
from tests.machines.catalog.ledger import CATALOG, Ledger
from tests.machines.catalog.test_crash import check_files
from tests.machines.objects.shelf import Shelf
from tests.machines.objects.test_crash import check_space
from tests.machines.runs import Lab, in_child, outcome
from tests.machines.test_kill_download import content

from deriva_ml import vocabulary
from deriva_ml.asset.download import cached
from deriva_ml.bag import seal
from deriva_ml.dataset import registry
from deriva_ml.dataset.download import download
from deriva_ml.dataset.draft import Draft, create_together
from deriva_ml.ermrest import rows
from deriva_ml.schema import create_ml_catalog
from deriva_ml.session import Session

needs_strace = pytest.mark.skipif(power.STRACE is None, reason="strace tells what a program asks of the disk")

LABEL = "run"


def lab_in(root):
    return Lab(str(root / "lab"), "1", images=4, targets=6)


# What is done, done again after a failure, and what there is then. Each is called in a process of its own. -------------


def run(root):
    lab = lab_in(root)
    lab.run(lab.session(root), LABEL)


def recover_run(root):
    lab = lab_in(root)
    lab.recover(lab.session(root), LABEL)
    return outcome(lab.session(root), LABEL)


def prepare_dataset(root):
    """Make a dataset of the images of a run."""
    session = lab_in(root).session(root / "ingest")
    lab_in(root).run(session, "ingest")
    registry.add_element_type(session, "Image")
    images = [row["RID"] for row in rows.read(session.connection, session.table("Image"))]
    create_together(session, [Draft("images", members={"Image": sorted(images)})])


def fetch(root):
    """Download the dataset, and each of its images to the cache of assets; texts of all of it."""
    lab = lab_in(root)
    session = Session.open(lab.host, lab.catalog_id, working_dir=root / "work", cache_dir=root / "cache")
    (dataset,) = rows.read(session.connection, session.table("Dataset"))
    bag = download(session, dataset["RID"])
    seal.validate(bag.path)
    images = sorted(rows.read(session.connection, session.table("Image")), key=lambda row: row["RID"])
    return {
        "bag": {place: data.hex() for place, data in content(bag.path).items()},
        "cached": [cached(session, row).read_text() for row in images],
        "members": sorted(row["Filename"] for row in bag.list_dataset_members()["Image"]),
    }


def told(function, root):
    """What a function returns in a process of its own, so that nothing of it stays open here."""
    answer = root.with_name("answer")

    def child():
        answer.write_text(json.dumps(function(root)))

    assert in_child(child) == 0
    return json.loads(answer.read_text())


def calling(function, root):
    """A program that calls a function of this module."""
    name = function.__name__
    return f"from pathlib import Path; from {__name__} import {name}; {name}(Path({str(root)!r}))"


class Story:
    """A program that is recorded once, and its undisturbed end."""

    def __init__(self, folder, prepare, program, recover):
        self.root, self.log, self.recover = folder / "disk", folder / "calls", recover
        self.root.mkdir()
        assert in_child(lambda: Lab.made(self.root, 4, 6)) == 0
        if prepare is not None:
            assert in_child(lambda: prepare(self.root)) == 0
        self.before = power.Disk(self.root).now()
        power.record([sys.executable, "-c", calling(program, self.root)], self.log)
        self.after = power.Disk(self.root).now()
        self.moments = sum(1 for _ in self.replayed())
        self.expected = told(recover, self.root)

    def replayed(self):
        power.put(self.root, self.before)
        self.disk = power.Disk(self.root)
        return self.disk.replay(self.log)

    def fail(self, seed, times):
        """Let the power fail at some moments, each time with the disk as it may be then, and recover."""
        chance = random.Random(seed)
        moments = set(chance.sample(range(1, self.moments + 1), times))
        left = []
        for moment in self.replayed():
            if moment in moments:
                how = chance.choice(power.NAMES), chance.choice(power.BYTES)
                left.append(((moment, *how), self.disk.after_failure(*how, chance)))
        for how, state in left:
            power.put(self.root, state)
            assert told(self.recover, self.root) == self.expected, how


# The services themselves, of which every answer counts. ----------------------------------------------------------------

NOTE = "note"

FIRST = 100
"""Number of the first change at which the power fails: there is a note by then."""


def note(root, content):
    """Say what was acknowledged until now."""
    new = root / "new"
    new.write_bytes(pickle.dumps(content))
    new.replace(root / NOTE)


class Noting:
    """Sends requests to a server in this process, and notes before each what the answers until then led to."""

    def __init__(self, server, root, writer, most):
        self.direct, self.root, self.writer, self.left = Direct(server), root, writer, most

    def send(self, method, target, body=None, **headers):
        if self.left == 0:
            raise requests.ConnectionError("enough")
        self.left -= 1
        note(self.root, self.writer)
        return self.direct.send(method, target, body, **headers)


def set_up(root):
    with opened(root / "lab", None) as server:
        direct = Direct(server)
        assert direct.send("POST", "/ermrest/catalog").status == 201
        Ledger(0).set_up(direct)
        Shelf(0).set_up(direct)


def write_rows(root):
    ledger = Ledger(0)
    with opened(root / "lab", None) as server:
        ledger.run(Noting(server, root, ledger, 30))


def write_objects(root):
    shelf = Shelf(0)
    with opened(root / "lab", None) as server:
        shelf.run(Noting(server, root, shelf, 60))


def settle_rows(root, ledger):
    with opened(root / "lab", None) as server:
        ledger.settle(Direct(server))
        assert ledger.check_kept(Direct(server)) >= ledger.acknowledged
        model = Direct(server).send("GET", f"{CATALOG}/schema").json
    check_files(root / "lab", [ledger], model)


def settle_objects(root, shelf):
    with opened(root / "lab", None) as server:
        shelf.settle(Direct(server))
        shelf.check(Direct(server))
        check_space(server.objects.directory)


def begin(root):
    note(root, 0)


def make_catalogs(root):
    for count in (1, 2):
        create_ml_catalog(str(root / "lab"), f"catalog{count}")
        note(root, count)


def settle_catalogs(root, count):
    """Catalogs that were made can be used, and others made."""
    create_ml_catalog(str(root / "lab"), "another")
    with opened(root / "lab", None) as server:
        assert len(server.registry.entries()) >= count + 1
    for number in range(1, count + 1):
        session = Session.open(str(root / "lab"), str(number), working_dir=root / f"work{number}")
        vocabulary.add_term(session, "Workflow_Type", "Tried", "after the failure")


def fail_services(folder, write, settle, seed, times):
    """Let the power fail at some moments; what was answered until then is there, and no part of anything else."""
    root, log, chance = folder / "disk", folder / "calls", random.Random(seed)
    root.mkdir()
    assert in_child(lambda: (begin if write is make_catalogs else set_up)(root)) == 0
    before = power.Disk(root).now()
    power.record([sys.executable, "-c", calling(write, root)], log)

    def replayed():
        power.put(root, before)
        disk = power.Disk(root)
        return disk, disk.replay(log)

    moments = sum(1 for _ in replayed()[1])
    chosen, left, (disk, replay) = set(chance.sample(range(FIRST, moments + 1), times)), [], replayed()
    for moment in replay:
        if moment in chosen:
            how = chance.choice(power.NAMES), chance.choice(power.BYTES)
            left.append(((moment, *how), disk.seen(NOTE), disk.after_failure(*how, chance)))
    for how, note, state in left:
        power.put(root, state)
        assert in_child(lambda note=note: settle(root, pickle.loads(note))) == 0, how


SERVICES = pytest.mark.parametrize(
    ("write", "settle"),
    [(write_rows, settle_rows), (write_objects, settle_objects), (make_catalogs, settle_catalogs)],
)


@needs_strace
@SERVICES
def test_the_power_of_a_server_fails(tmp_path, write, settle):
    fail_services(tmp_path, write, settle, seed=3, times=5)


@needs_strace
@pytest.mark.soak
@SERVICES
@pytest.mark.parametrize("seed", range(6))
def test_the_power_of_a_server_fails_often(tmp_path, write, settle, seed):
    fail_services(tmp_path, write, settle, seed, times=80)


@pytest.fixture(scope="module")
def a_run(tmp_path_factory):
    return Story(tmp_path_factory.mktemp("run"), None, run, recover_run)


@pytest.fixture(scope="module")
def a_download(tmp_path_factory):
    return Story(tmp_path_factory.mktemp("download"), prepare_dataset, fetch, fetch)


@pytest.fixture(params=["a_run", "a_download"])
def story(request):
    return request.getfixturevalue(request.param)


@needs_strace
def test_the_disk_is_told_truly(story):
    """Without a failure the calls lead to what is really there, but for what SQLite shares by memory."""
    for _ in story.replayed():
        pass
    told_ = {place: what for place, what in story.disk.now().items() if not place.endswith("-shm")}
    really = {place: what for place, what in story.after.items() if not place.endswith("-shm")}
    assert {place: what if isinstance(what, str | None) else what[0] for place, what in told_.items()} == {
        place: what if isinstance(what, str | None) else what[0] for place, what in really.items()
    }


@needs_strace
def test_the_power_fails(story):
    story.fail(seed=7, times=6)


@needs_strace
@pytest.mark.soak
@pytest.mark.parametrize("seed", range(12))
def test_the_power_fails_often(story, seed):
    story.fail(seed, times=25)


@needs_strace
def test_what_was_not_synced_may_be_torn(tmp_path):
    """The model itself: a renamed file without its bytes, bytes without a name, and both after their syncs."""
    code = "import os; f = open('{{root}}/a', 'w'); f.write('one'); f.flush(); os.rename('{{root}}/a', '{{root}}/b'); {then}"
    chance = random.Random(0)
    names, content_ = "os.fsync(os.open('{root}', os.O_RDONLY))", "os.fsync(f.fileno())"
    for then, how, expected in (
        ("pass", ("now", "lasting"), {"b": b""}),
        ("pass", ("lasting", "lasting"), {}),
        (names, ("lasting", "lasting"), {"b": b""}),
        (content_, ("lasting", "lasting"), {}),
        (content_, ("journal", "lasting"), {"b": b"one"}),
        (f"{content_}; {names}", ("lasting", "lasting"), {"b": b"one"}),
        ("os.sync()", ("lasting", "lasting"), {"b": b"one"}),
    ):
        root = tmp_path / "disk"
        power.put(root, {})
        disk = power.Disk(root)
        power.record([sys.executable, "-c", code.format(then=then).format(root=root)], tmp_path / "calls")
        assert list(disk.replay(tmp_path / "calls"))
        found = disk.after_failure(*how, chance)
        assert {place: what[0] for place, what in found.items()} == expected, then
