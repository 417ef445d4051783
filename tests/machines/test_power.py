"""The power fails at any moment of a run or download: what was acknowledged is there, and nothing torn is taken for whole."""

import json
import random
import sys

import pytest
from tests.machines import power
from tests.machines.runs import Lab, in_child, outcome
from tests.machines.test_kill_download import content

from deriva_ml.asset.download import cached
from deriva_ml.bag import seal
from deriva_ml.dataset import registry
from deriva_ml.dataset.download import download
from deriva_ml.dataset.draft import Draft, create_together
from deriva_ml.ermrest import rows
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


class Story:
    """A program that is recorded once, and its undisturbed end."""

    def __init__(self, folder, prepare, program, recover):
        self.root, self.log, self.recover = folder / "disk", folder / "calls", recover
        self.root.mkdir()
        assert in_child(lambda: Lab.made(self.root, 4, 6)) == 0
        if prepare is not None:
            assert in_child(lambda: prepare(self.root)) == 0
        self.before = power.Disk(self.root).now()
        code = f"from pathlib import Path; from {__name__} import {program.__name__}; {program.__name__}(Path({str(self.root)!r}))"
        power.record([sys.executable, "-c", code], self.log)
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
