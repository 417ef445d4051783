"""What the process that launched a sweep does at its end: tell how its jobs ended, and end those that nobody runs."""

from __future__ import annotations

import atexit
import logging
from collections import Counter
from dataclasses import dataclass, replace

from deriva_ml.errors import DerivaMLException
from deriva_ml.ml import DerivaML
from deriva_ml.names import ExecutionStatus
from deriva_ml.runner.sweep import JobNote, ParentNote, SweepNotes

logger = logging.getLogger(__name__)

INTERRUPTED = "the process that ran it ended before it did"

_TELLS = frozenset({ExecutionStatus.Uploaded, ExecutionStatus.Failed, ExecutionStatus.Stopped})
"""Statuses of a sweep whose detail tells how its jobs ended; that of an aborted one tells why it was."""


def give_up(ml: DerivaML, known: JobNote) -> None:
    """Record that the execution of a job, which nobody runs any more, came to no end.

    Parameters
    ----------
    ml : DerivaML
    known : JobNote
    """
    if known.execution is None:
        return
    try:
        left = ml.resume_execution(known.execution)
        if left.status is ExecutionStatus.Running:
            left.update_status(ExecutionStatus.Failed, INTERRUPTED)
        elif left.status is ExecutionStatus.Created:
            left.abort()
    except DerivaMLException as error:
        logger.warning("Execution %s, which was interrupted, keeps its status: %s", known.execution, error)


@dataclass(frozen=True)
class Summary:
    """How a sweep ended.

    Parameters
    ----------
    execution : str
        RID of its execution.
    jobs : list of JobNote
    interrupted : bool
        Whether there may be jobs that did not begin.
    """

    execution: str
    jobs: list[JobNote]
    interrupted: bool

    @property
    def is_complete(self) -> bool:
        """Whether every job is done."""
        return bool(self.jobs) and not self.interrupted and all(note.state == "done" for note in self.jobs)

    @property
    def counts(self) -> str:
        """How many jobs ended in which way."""
        counts = Counter("not committed" if note.state == "ran" else note.state for note in self.jobs)
        text = ", ".join(f"{number} {state}" for state, number in counts.items()) or "none began"
        number = "1 job" if len(self.jobs) == 1 else f"{len(self.jobs)} jobs"
        return f"{number}: {text}" + ("; the sweep was interrupted" if self.interrupted else "")

    def __str__(self) -> str:
        failed = [note for note in self.jobs if note.state != "done"]
        lines = [
            f"  job {note.number} ({' '.join(note.overrides)}): {note.error or 'not ended'}"
            for note in failed
        ]
        return "\n".join([f"Sweep {self.execution}, {self.counts}.", *lines])


@dataclass(frozen=True)
class Completion:
    """What the process that launched a sweep does at its end."""

    ml: DerivaML
    notes: SweepNotes

    def __call__(self, interrupted: bool) -> Summary:
        """Record how many jobs ended in which way, and commit the execution of the sweep."""
        parent, jobs = self.notes.parent() or ParentNote(), list(map(self._settled, self.notes.jobs()))
        if not parent.execution:
            return Summary("without execution", jobs, interrupted)
        interrupted |= any(note.state in ("running", "interrupted") for note in jobs)
        summary = Summary(parent.execution, jobs, interrupted)
        execution = self.ml.resume_execution(parent.execution)
        if execution.status is ExecutionStatus.Running and interrupted:
            execution.update_status(ExecutionStatus.Failed, summary.counts)
        elif not interrupted:
            execution.commit_output_assets()
        if execution.status in _TELLS:
            execution.update_status(execution.status, summary.counts)
        self.notes.write_parent(replace(parent, complete=summary.is_complete))
        return summary

    def _settled(self, note: JobNote) -> JobNote:
        """A job as it ended: launchers kill their workers, which then cannot say so; some live on, and will."""
        if note.state != "running":
            return note
        with self.notes.attempted_job(note.number) as is_nobodys:
            if is_nobodys:
                give_up(self.ml, note)
                note = replace(note, state="interrupted", error=INTERRUPTED)
                self.notes.write_job(note)
        return note


_to_complete: list[Completion] = []
"""Sweeps that this process has to complete: those that it launched."""


def expect(ml: DerivaML, notes: SweepNotes) -> None:
    """Note a sweep that this process launches, to be completed by it."""
    _to_complete.append(Completion(ml, notes))


def complete(interrupted: bool = False) -> list[Summary]:
    """Complete the sweeps that this process launched.

    Parameters
    ----------
    interrupted : bool
        Whether they ended before all jobs began.
    """
    summaries = []
    while _to_complete:
        summaries.append(_to_complete.pop()(interrupted))
    return summaries


def forget() -> None:
    """Leave the sweeps that this process launched as they are."""
    _to_complete.clear()


@atexit.register
def _at_exit() -> None:
    try:
        complete()
    except DerivaMLException as error:
        logger.error("The execution of the sweep is not complete: %s", error)
