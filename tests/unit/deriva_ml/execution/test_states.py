import itertools
from datetime import timedelta

import pytest

from deriva_ml.errors import InvalidTransitionError
from deriva_ml.execution.lifecycle import duration_text
from deriva_ml.execution.state_machine import ALLOWED_TRANSITIONS, validate_transition
from deriva_ml.names import ExecutionStatus

LEGAL = {
    ("Created", "Running"),
    ("Running", "Stopped"),
    ("Running", "Failed"),
    ("Running", "Pending_Upload"),
    ("Stopped", "Pending_Upload"),
    ("Pending_Upload", "Uploaded"),
    ("Pending_Upload", "Failed"),
    ("Failed", "Pending_Upload"),
    ("Uploaded", "Pending_Upload"),
    ("Created", "Aborted"),
    ("Running", "Aborted"),
    ("Stopped", "Aborted"),
    ("Failed", "Aborted"),
}


def test_the_table_is_the_guides():
    assert ALLOWED_TRANSITIONS == LEGAL
    assert isinstance(ALLOWED_TRANSITIONS, frozenset)


@pytest.mark.parametrize(("current", "target"), list(itertools.product(ExecutionStatus, repeat=2)))
def test_every_pair(current, target):
    if (current, target) in LEGAL:
        validate_transition(current=current, target=target)
    else:
        with pytest.raises(InvalidTransitionError, match=f"from {current} to {target}"):
            validate_transition(current=current, target=target)


def test_durations_are_text():
    assert duration_text(timedelta(hours=1, minutes=2, seconds=3.12341)) == "1.0H 2.0min 3.1234sec"
    assert duration_text(timedelta(seconds=0.00004)) == "0.0H 0.0min 0.0sec"
    assert duration_text(None) == "0H 0min 0.0sec"
