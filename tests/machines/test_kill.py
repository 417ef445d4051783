"""A run that is killed at any step or instant, and resumed, leaves exactly what an undisturbed run leaves."""

import itertools
import os
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.machines.runs import Lab, dying, ended, in_child, outcome, started

_labels = (f"run{number:04}" for number in itertools.count())


@dataclass
class Undisturbed:
    """What a run leaves that nobody disturbs, its steps, and how long it takes, in seconds."""

    outcome: dict
    steps: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @classmethod
    def of(cls, lab: Lab, folder: Path) -> "Undisturbed":
        label = next(_labels)

        def child():
            with dying(-1, folder / "steps"):
                lab.run(lab.session(folder), label)

        start = time.monotonic()
        assert in_child(child) == 0
        took = time.monotonic() - start
        steps = (folder / "steps").read_text().splitlines()
        return cls(outcome(lab.session(folder), label), steps, took)


@pytest.fixture(scope="module")
def undisturbed(lab, tmp_path_factory):
    return Undisturbed.of(lab, tmp_path_factory.mktemp("undisturbed"))


def killed_at(lab, folder, steps):
    """Kill a run at the first step, its recovery at the second, and so on; then let it end."""
    label = next(_labels)

    def attempt(step, function):
        def child():
            session = lab.session(folder)
            with dying(step):
                function(session, label)

        return in_child(child)

    codes = [attempt(steps[0], lab.run), *(attempt(step, lab.recover) for step in steps[1:])]
    session = lab.session(folder)
    lab.recover(session, label)
    return outcome(session, label), codes


def killed_after(lab, folder, moments):
    """Kill a run after the first number of seconds, its recovery after the second, and so on; then let it end."""
    label = next(_labels)

    def attempt(seconds, function):
        pid = started(lambda: function(lab.session(folder), label))
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        return ended(pid)

    codes = [attempt(moments[0], lab.run), *(attempt(seconds, lab.recover) for seconds in moments[1:])]
    session = lab.session(folder)
    lab.recover(session, label)
    return outcome(session, label), codes


def test_an_undisturbed_run(lab, undisturbed):
    found = undisturbed.outcome
    assert found["executions"] == [["Uploaded", "half way"]]
    assert len(found["images"]) == lab.images + 2
    assert len(found["stored"]) == lab.images + 2
    assert [len(found[name]) for name in ("labels", "sizes", "masks")] == [lab.targets] * 3
    assert {name for _, name in found["masks"]} == {"RUN-mask.png"}
    assert found["stray"] == []
    assert found["manifest"] and all(agrees for _, agrees in found["manifest"])
    assert len(undisturbed.steps) > 60


@pytest.mark.parametrize("share", [place / 10 for place in range(1, 10)])
def test_killed_once(lab, undisturbed, tmp_path, share):
    found, codes = killed_at(lab, tmp_path, [round(len(undisturbed.steps) * share)])
    assert codes == [-9]
    assert found == undisturbed.outcome


def test_killed_again_while_recovering(lab, undisturbed, tmp_path):
    found, codes = killed_at(lab, tmp_path, [len(undisturbed.steps) * 2 // 3, 25, 12, 6])
    assert codes == [-9] * 4
    assert found == undisturbed.outcome


@pytest.mark.soak
def test_killed_at_every_step(lab, undisturbed, tmp_path):
    for number in range(1, len(undisturbed.steps) + 1):
        found, _ = killed_at(lab, tmp_path / str(number), [number])
        assert found == undisturbed.outcome, undisturbed.steps[number - 1]


@pytest.mark.soak
def test_killed_at_several_steps(lab, undisturbed, tmp_path):
    chance = random.Random(5)
    for number in range(60):
        times = [chance.randrange(1, len(undisturbed.steps)) for _ in range(chance.randrange(1, 5))]
        found, _ = killed_at(lab, tmp_path / str(number), times)
        assert found == undisturbed.outcome, times


def test_killed_at_an_instant(lab, undisturbed, tmp_path):
    chance = random.Random(7)
    for number in range(4):
        moments = [chance.uniform(0, undisturbed.seconds) for _ in range(number % 2 + 1)]
        found, _ = killed_after(lab, tmp_path / str(number), moments)
        assert found == undisturbed.outcome, moments


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_a_large_run_killed_at_many_instants(tmp_path, part):
    lab = Lab.made(tmp_path, images=50, targets=667)
    expected = Undisturbed.of(lab, tmp_path)
    killed = 0
    for number in range(50):
        chance = random.Random(50 * part + number)
        moments = [chance.uniform(0, expected.seconds) for _ in range(chance.randrange(1, 5))]
        found, codes = killed_after(lab, tmp_path / str(number), moments)
        assert found == expected.outcome, moments
        killed += codes.count(-9)
    print(f"{killed} processes were killed")
