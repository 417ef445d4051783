"""A download that is killed at any step or instant leaves nothing that is taken for a bag unless it is one."""

import itertools
import os
import random
import signal
import time
from pathlib import Path

import pytest
from tests.machines.runs import dying, ended, in_child, started

from deriva_ml.bag import seal
from deriva_ml.dataset import registry
from deriva_ml.dataset.download import download
from deriva_ml.dataset.draft import Draft, create_together
from deriva_ml.ermrest import rows
from deriva_ml.session import Session
from deriva_ml.storage import clear_cache, list_cached_bags

_numbers = itertools.count()


@pytest.fixture(scope="module")
def dataset(lab, tmp_path_factory):
    """RID of a released dataset of the images of a run."""
    session = lab.session(tmp_path_factory.mktemp("ingest"))
    lab.run(session, "ingest")
    images = sorted(row["RID"] for row in rows.read(session.connection, session.table("Image")))
    registry.add_element_type(session, "Image")
    (made,) = create_together(session, [Draft("images", members={"Image": images})])
    return made.dataset_rid


def open_session(lab, cache):
    """A session of its own working directory, which shares a cache."""
    work = cache.with_name(f"work{next(_numbers)}")
    return Session.open(lab.host, lab.catalog_id, working_dir=work, cache_dir=cache)


def content(folder):
    """What a bag holds, without what says when it was made."""
    places = [*seal.read_manifest(folder), "fetch.txt"]
    return {place: (folder / place).read_bytes() for place in places}


@pytest.fixture(scope="module")
def undisturbed(lab, dataset, tmp_path_factory):
    """Content of a bag, number of steps to make it, and how long that takes."""
    folder = tmp_path_factory.mktemp("calm")

    def child():
        with dying(-1, folder / "steps"):
            download(open_session(lab, folder / "cache"), dataset)

    start = time.monotonic()
    assert in_child(child) == 0
    took = time.monotonic() - start
    bag = download(open_session(lab, folder / "cache"), dataset)
    assert len(content(bag.path)) > 20
    return content(bag.path), len((folder / "steps").read_text().splitlines()), took


def killed(lab, dataset, cache, seconds):
    """Kill a download after some seconds; what it left is a whole bag or no bag."""
    pid = started(lambda: download(open_session(lab, cache), dataset))
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return ended(pid)


def check(lab, dataset, cache, expected):
    """What is in the cache is used only if it is whole, and another download completes it."""
    session = open_session(lab, cache)
    for kept in list_cached_bags(session):
        seal.validate(Path(kept.path), complete=False)
    bag = download(session, dataset)
    assert content(bag.path) == expected
    seal.validate(bag.path)
    assert [Path(kept.path) for kept in list_cached_bags(session)] == [bag.path]
    assert not list((cache / "bags").glob("*_staging"))
    assert len(bag.list_dataset_members()["Image"]) == len(
        {p.parent for p in bag.path.glob("data/assets/Image/*/*")}
    )
    clear_cache(session)


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_killed_at_a_step(lab, dataset, undisturbed, tmp_path, share):
    expected, steps, _ = undisturbed

    def child():
        with dying(round(steps * share)):
            download(open_session(lab, tmp_path / "cache"), dataset)

    assert in_child(child) == -9
    check(lab, dataset, tmp_path / "cache", expected)


def killed_often(lab, dataset, undisturbed, cache, seed, times):
    expected, _, seconds = undisturbed
    chance = random.Random(seed)
    codes = []
    for _ in range(times):
        moments = [chance.uniform(0, 1.3 * seconds) for _ in range(chance.randrange(1, 3))]
        codes += [killed(lab, dataset, cache, moment) for moment in moments]
        check(lab, dataset, cache, expected)
    assert set(codes) <= {-9, 0}
    return codes.count(-9)


def test_killed_at_an_instant(lab, dataset, undisturbed, tmp_path):
    killed_often(lab, dataset, undisturbed, tmp_path / "cache", 11, 1)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(14))
def test_killed_at_many_instants(lab, dataset, undisturbed, tmp_path, part):
    number = killed_often(lab, dataset, undisturbed, tmp_path / "cache", part, 15)
    print(f"{number} downloads were killed")
    assert number
