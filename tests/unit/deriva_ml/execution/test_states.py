import itertools
from datetime import timedelta

import pytest

from deriva_ml.errors import InvalidTransitionError
from deriva_ml.execution.lifecycle import duration_of, duration_text, reason_of
from deriva_ml.execution.state_machine import ALLOWED_TRANSITIONS, validate_transition
from deriva_ml.execution.states import AT_WORK, COMMITTABLE, INCOMPLETE
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
    assert set(COMMITTABLE) == {"Running", "Stopped", "Pending_Upload", "Failed", "Uploaded"}
    assert set(AT_WORK) == {"Created", "Running", "Pending_Upload"}
    assert set(INCOMPLETE) == set(ExecutionStatus) - {"Uploaded", "Aborted"}


@pytest.mark.parametrize(("current", "target"), list(itertools.product(ExecutionStatus, repeat=2)))
def test_every_pair(current, target):
    if (current, target) in LEGAL:
        validate_transition(current=current, target=target)
    else:
        with pytest.raises(InvalidTransitionError, match=f"from {current} to {target}"):
            validate_transition(current=current, target=target)


def test_a_refusal_says_what_may_follow():
    with pytest.raises(InvalidTransitionError, match="Uploaded: only Running or Aborted may follow Created"):
        validate_transition(current=ExecutionStatus.Created, target=ExecutionStatus.Uploaded)
    with pytest.raises(InvalidTransitionError, match="Running: nothing may follow Aborted"):
        validate_transition(current=ExecutionStatus.Aborted, target=ExecutionStatus.Running)


def test_durations_are_text():
    assert duration_text(timedelta(hours=1, minutes=2, seconds=3.12341)) == "1.0H 2.0min 3.1234sec"
    assert duration_text(timedelta(seconds=0.00004)) == "0.0H 0.0min 0.0sec"
    assert duration_text(None) == "0H 0min 0.0sec"
    for text in ("1.0H 2.0min 3.1234sec", "0.0H 0.0min 0.5sec"):
        assert duration_text(duration_of(text)) == text
    for nothing in (None, "", "0H 0min 0.0sec", "a while"):
        assert duration_of(nothing) == timedelta()


def test_what_ends_a_run_is_text_that_any_database_takes():
    assert reason_of(ValueError("no such level")) == "ValueError: no such level"
    assert reason_of(KeyboardInterrupt()) == "KeyboardInterrupt"
    assert reason_of(ValueError("a\0b\ud800")) == "ValueError: a\\0b\\ud800"


def test_an_error_that_cannot_be_text_is_named_all_the_same():
    class Odd(Exception):
        def __str__(self):
            raise TypeError("no text of this")

    assert reason_of(Odd()).startswith("Odd: <")
