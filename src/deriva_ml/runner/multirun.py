"""A sweep is one execution, and each of its jobs is an execution that is part of it.

The process that launches the sweep records its execution and notes it in the folder of the sweep, where the jobs find
it, in whichever processes and on whichever machines they run. Where nothing tells that process of the beginning, the
first job does the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue

from deriva_ml.configs import hints, swept, tasks
from deriva_ml.errors import DerivaMLException, DerivaMLExecutionError, DerivaMLValidationError
from deriva_ml.execution import nested
from deriva_ml.execution.lifecycle import reason_of
from deriva_ml.ml import DerivaML
from deriva_ml.runner import completion, job, trace
from deriva_ml.runner.sweep import JobNote, ParentNote, SweepNotes
from deriva_ml.session import session_of
from deriva_ml.specs import ExecutionConfiguration
from deriva_ml.workflow import source

if TYPE_CHECKING:
    from deriva_ml.execution.execution import Execution

logger = logging.getLogger(__name__)


class JobFailed(DerivaMLExecutionError):
    """A job of a sweep failed; plain text, so that any launcher can carry it to the process that launched it."""


# Jobs ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A job, as part of its sweep.

    Parameters
    ----------
    ml : DerivaML
    notes : SweepNotes
    parent : str
        RID of the execution of the sweep.
    number : int
    overrides : list of str
    """

    ml: DerivaML
    notes: SweepNotes
    parent: str
    number: int
    overrides: list[str]

    def is_done(self) -> bool:
        """Whether the job needs not run, as it did before; outputs that wait are committed."""
        known = self.notes.job(self.number)
        if known is None or known.overrides != self.overrides:
            return False
        if known.state == "ran" and known.execution is not None:
            self.ml.resume_execution(known.execution).commit_output_assets()
            known = replace(known, state="done")
            self.notes.write_job(known)
        if known.state != "done":
            completion.give_up(self.ml, known)
            return False
        print(f"Job {self.number} was done before, by execution {known.execution}.")
        return True

    def note(self, state: Any, execution: str | None, error: str | None = None) -> None:
        """Note how far the job is."""
        self.notes.write_job(JobNote(self.number, self.overrides, state, execution, error))

    def begun(self, execution: Execution) -> None:
        """The job has an execution, which becomes part of the sweep's."""
        self.note("running", execution.execution_rid)
        try:
            nested.add(session_of(self.ml), self.parent, execution, self.number)
        except DerivaMLException as error:
            logger.warning(
                "Execution %s is not recorded as part of %s: %s", execution.execution_rid, self.parent, error
            )

    def ran(self, execution: Execution) -> None:
        """The model ended well."""
        self.note("ran", execution.execution_rid)


def joined(ml: DerivaML, workflow: Any, description: str) -> Part | None:
    """The sweep that this job is part of, None if it is none; its execution is recorded if that was not done before.

    Parameters
    ----------
    ml : DerivaML
    workflow : Workflow
    description : str
        Of the sweep.
    """
    if not job.is_sweep():
        return None
    notes = SweepNotes(job.sweep_folder())
    with notes.making_parent():
        parent = notes.parent()
        if parent is None:
            # Nobody told of the beginning, so nobody else will tell of the end.
            completion.expect(ml, notes)
        if parent is None or not parent.execution:
            parent = _record(ml, notes, workflow, description, parent or ParentNote())
    return Part(ml, notes, parent.execution, job.number(), job.overrides())


@contextmanager
def noted(part: Part | None) -> Iterator[None]:
    """Note the end of a job, good or bad."""
    if part is None:
        yield
        return
    try:
        yield
    except BaseException as error:
        known = part.notes.job(part.number)
        rid = known.execution if known is not None else None
        if known is None or known.state != "ran":
            state = "failed" if isinstance(error, Exception) else "interrupted"
            part.note(state, rid, reason_of(error))
        raise
    known = part.notes.job(part.number)
    part.note("done", known.execution if known is not None else None)


@contextmanager
def carried() -> Iterator[None]:
    """Around a whole job of a sweep: no other process runs it, and its error can be carried to any process."""
    if not job.is_sweep():
        yield
        return
    notes, number = SweepNotes(job.sweep_folder()), job.number()
    _begin_processes_as_usual()
    with notes.running_job(number):
        try:
            yield
        except Exception as error:  # whatever it was is logged, and goes on as text
            logger.error("Job %s failed.\n%s", number, trace.trace_of(error))
            known = notes.job(number)
            if known is None or known.state not in ("ran", "failed"):
                # It failed before it had an execution.
                notes.write_job(JobNote(number, job.overrides(), "failed", None, reason_of(error)))
            if job.is_followed():
                return
            raise JobFailed(
                f"Job {number} ({' '.join(job.overrides())}) failed: {reason_of(error)}"
            ) from error


def _begin_processes_as_usual() -> None:
    """Let what a model starts, such as workers that load its data, start as it does outside of a sweep.

    Where joblib launches jobs, the default of `multiprocessing` can start joblib's own processes only.
    """
    import multiprocessing

    if multiprocessing.get_start_method(allow_none=True) == "loky":
        multiprocessing.set_start_method(None, force=True)


# The sweep -------------------------------------------------------------------------------------------------------------


def _record(ml: DerivaML, notes: SweepNotes, workflow: Any, description: str, note: ParentNote) -> ParentNote:
    execution = ml.create_execution(ExecutionConfiguration(description=description), workflow=workflow)
    execution.execution_start()
    made = replace(note, execution=execution.execution_rid)
    notes.write_parent(made)
    return made


class SweepCallback(Callback):
    """Tells this module where a sweep begins; Hydra makes it in the process that launches the sweep.

    Parameters
    ----------
    resume : bool
        Go on with the sweep that is noted in the folder.
    """

    def __init__(self, resume: bool = False) -> None:
        self.resume = resume
        self._running = ExitStack()

    def __reduce__(self) -> tuple[Any, ...]:
        # Launchers send it to their workers, which need not hold the lock.
        return type(self), (self.resume,)

    def on_multirun_start(self, config: Any, config_name: str | None = None, **kwargs: Any) -> None:
        """Record the execution of the sweep, before its jobs begin."""
        overrides = [str(item) for item in config.hydra.overrides.task]
        with _refused():
            swept.require_possible(config, overrides)
            file = source_of(config)
            notes = SweepNotes(Path(str(config.hydra.sweep.dir)).absolute())
        if not self._running.enter_context(notes.running()):
            raise SystemExit(
                f"{notes.sweep_folder} belongs to a sweep that is still running; wait for its end."
            )
        if not self.resume:
            notes.clear()
            started_in = str(config.hydra.runtime.cwd)
            notes.write_parent(ParentNote("", started_in, config_name or "", overrides))
        if config.get("dry_run"):
            return
        with _refused():
            ml = tasks.call(opened, config)
            completion.expect(ml, notes)
            # A group that is swept may have no default; then the first job records the execution of the sweep.
            with suppress(MissingMandatoryValue), source.running(file):
                tasks.call(partial(_begin, ml, notes), config)

    def on_multirun_end(self, config: Any, **kwargs: Any) -> None:
        """Complete the sweep; not called by Hydra when a job failed, which the end of the process makes up for."""
        self._running.close()


@contextmanager
def _refused() -> Iterator[None]:
    """End the program where the sweep cannot begin: Hydra turns exceptions of callbacks into warnings, and would begin."""
    try:
        yield
    except Exception as error:  # whatever Hydra wraps is looked into, and all else goes on
        if isinstance(cause := hints.cause_of(error), DerivaMLException):
            raise SystemExit(f"Error: The sweep cannot begin: {cause}") from error
        raise


def opened(deriva_ml: Any, ml_class: Any = None) -> DerivaML:
    """The catalog that a configuration names."""
    if ml_class is not None and not hasattr(ml_class, "instantiate"):
        raise DerivaMLValidationError(
            f"ml_class is {ml_class!r}, which is no class of catalogs. It is given where the configuration is declared: "
            "create_model_config(MyLab)."
        )
    made: DerivaML = (ml_class or DerivaML).instantiate(deriva_ml)
    return made


def _begin(ml: DerivaML, notes: SweepNotes, workflow: Any, description: str) -> None:
    with notes.making_parent():
        note = notes.parent() or ParentNote()
        if not note.execution:
            _record(ml, notes, workflow, description, note)


def source_of(config: Any) -> Path | None:
    """File of what a configuration will call, by which its workflow is identified; None where that is not known yet."""
    for name in ("script_config", "model_config"):
        # A group that is swept may have no default.
        declared = None if OmegaConf.is_missing(config, name) else config.get(name)
        if isinstance(declared, str | int | float):
            raise DerivaMLValidationError(
                f"{name} is {declared!r}, which cannot be called. {hints.choose(name)}"
            )
        if declared is not None:
            return source.source_file(tasks.made(declared))
    return None
