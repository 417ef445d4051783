"""A run that is killed at any step, and resumed, leaves exactly what an undisturbed run leaves."""

import itertools
import random

import pytest
from tests.machines.conftest import dying, in_child, outcome, recover, renamed, run

from deriva_ml.session import Session

_labels = (f"run{number:04}" for number in itertools.count())


@pytest.fixture(scope="module")
def undisturbed(lab, tmp_path_factory):
    """Outcome and steps of a run that nobody disturbs."""
    folder, label = tmp_path_factory.mktemp("undisturbed"), next(_labels)

    def child():
        with dying(-1, folder / "steps"):
            run(Session.open(*lab, working_dir=folder / "work"), label)

    assert in_child(child) == 0
    steps = (folder / "steps").read_text().splitlines()
    return renamed(outcome(Session.open(*lab, working_dir=folder / "work"), label), label), steps


def killed_at(lab, folder, steps):
    """Kill a run at the first step, its recovery at the second, and so on; then let it end."""
    label = next(_labels)

    def attempt(step, function):
        def child():
            session = Session.open(*lab, working_dir=folder / "work")
            with dying(step):
                function(session, label)

        return in_child(child)

    codes = [attempt(steps[0], run), *(attempt(step, recover) for step in steps[1:])]
    session = Session.open(*lab, working_dir=folder / "work")
    recover(session, label)
    manifest = [
        entry.status
        for state in session.workspace.executions.find()
        for entry in session.workspace.manifest_of(state.rid).assets.values()
    ]
    assert set(manifest) == {"uploaded"}
    return renamed(outcome(session, label), label), codes


def test_an_undisturbed_run(undisturbed):
    found, steps = undisturbed
    assert found["executions"] == [["Uploaded", "half way"]]
    assert len(found["images"]) == 8
    assert (len(found["labels"]), found["masks"], found["stray"]) == (4, ["RUN-mask.png"] * 4, [])
    assert len(steps) > 60


@pytest.mark.parametrize("share", [place / 10 for place in range(1, 10)])
def test_killed_once(lab, undisturbed, tmp_path, share):
    expected, steps = undisturbed
    found, codes = killed_at(lab, tmp_path, [round(len(steps) * share)])
    assert codes == [-9]
    assert found == expected


def test_killed_again_while_recovering(lab, undisturbed, tmp_path):
    expected, steps = undisturbed
    found, codes = killed_at(lab, tmp_path, [len(steps) * 2 // 3, 25, 12, 6])
    assert codes == [-9] * 4
    assert found == expected


@pytest.mark.soak
def test_killed_at_every_step(lab, undisturbed, tmp_path):
    expected, steps = undisturbed
    for number in range(1, len(steps) + 1):
        found, _ = killed_at(lab, tmp_path / str(number), [number])
        assert found == expected, steps[number - 1]


@pytest.mark.soak
def test_killed_anywhere_many_times(lab, undisturbed, tmp_path):
    expected, steps = undisturbed
    chance = random.Random(5)
    for number in range(60):
        times = [chance.randrange(1, len(steps)) for _ in range(chance.randrange(1, 5))]
        found, _ = killed_at(lab, tmp_path / str(number), times)
        assert found == expected, times
