"""Datasets whose making is killed at any step or instant, and repeated, are what they are undisturbed."""

import itertools
import os
import random
import signal
import time

import pytest
from tests.machines.curation import PARTS, STATES, Cabinet, broken, outcome
from tests.machines.runs import dying, ended, in_child, started

_labels = (f"set{number:04}" for number in itertools.count())


@pytest.fixture(scope="module")
def cabinet(tmp_path_factory):
    return Cabinet.made(tmp_path_factory.mktemp("cabinet"))


@pytest.fixture(scope="module")
def undisturbed(cabinet, tmp_path_factory):
    """Outcome, steps and seconds of a process that nobody kills."""
    folder = tmp_path_factory.mktemp("undisturbed")
    # The terms that only the first split adds are none of the steps.
    cabinet.curate(cabinet.session(folder / "first"), next(_labels))
    label = next(_labels)

    def child():
        with dying(-1, folder / "steps"):
            cabinet.curate(cabinet.session(folder), label)

    begun = time.monotonic()
    assert in_child(child) == 0
    took = time.monotonic() - begun
    steps = (folder / "steps").read_text().splitlines()
    return outcome(cabinet.session(folder), label), steps, took


def recovered(cabinet, folder, label):
    """What is there after the same calls were made again; nothing was broken before."""
    session = cabinet.session(folder)
    assert broken(session, label) == []
    cabinet.curate(session, label)
    assert broken(session, label) == []
    return outcome(session, label)


def killed_at(cabinet, folder, steps):
    label = next(_labels)

    def child(step):
        with dying(step):
            cabinet.curate(cabinet.session(folder), label)

    codes = [in_child(lambda step=step: child(step)) for step in steps]
    return recovered(cabinet, folder, label), codes


def killed_after(cabinet, folder, moments):
    label, codes = next(_labels), []
    for seconds in moments:
        pid = started(lambda: cabinet.curate(cabinet.session(folder), label))
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        codes.append(ended(pid))
    return recovered(cabinet, folder, label), codes


def test_undisturbed(undisturbed):
    found, steps, _ = undisturbed
    assert found["versions"] == STATES
    assert sorted(found["parts"]) == sorted(PARTS.values())
    assert (found["leaks"], found["strays"], found["dirty"]) == (0, [], False)
    assert found["types"][:2] == [["Complete"], ["Split"]]
    assert all(found["current"]) and all(found["snapshots"])
    assert len(steps) > 60


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_killed_at_a_step(cabinet, undisturbed, tmp_path, share):
    expected, steps, _ = undisturbed
    found, codes = killed_at(cabinet, tmp_path, [round(len(steps) * share)])
    assert codes == [-9]
    assert found == expected


def test_killed_again_while_recovering(cabinet, undisturbed, tmp_path):
    expected, steps, _ = undisturbed
    found, codes = killed_at(cabinet, tmp_path, [len(steps) // 2, 16, 8])
    assert codes == [-9] * 3
    assert found == expected


def test_killed_at_an_instant(cabinet, undisturbed, tmp_path):
    expected, _, seconds = undisturbed
    chance = random.Random(11)
    moments = [chance.uniform(0, seconds)]
    found, _ = killed_after(cabinet, tmp_path, moments)
    assert found == expected, moments


@pytest.mark.soak
def test_killed_at_every_step(cabinet, undisturbed, tmp_path):
    expected, steps, _ = undisturbed
    for number, step in enumerate(steps, 1):
        found, _ = killed_at(cabinet, tmp_path / str(number), [number])
        assert found == expected, step


@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))
def test_killed_at_many_instants(cabinet, undisturbed, tmp_path, part):
    expected, _, seconds = undisturbed
    killed = 0
    for number in range(50):
        chance = random.Random(50 * part + number)
        moments = [chance.uniform(0, seconds) for _ in range(chance.randrange(1, 4))]
        found, codes = killed_after(cabinet, tmp_path / str(number), moments)
        assert found == expected, moments
        killed += codes.count(-9)
    print(f"{killed} processes were killed")
