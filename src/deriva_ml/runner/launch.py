"""Hand a request to Hydra, and say in the user's words what comes of it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra

from deriva_ml.configs import command, hints, registry, swept
from deriva_ml.configs.load import place_of
from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLException
from deriva_ml.execution import signals
from deriva_ml.runner import completion, model, multirun, trace
from deriva_ml.runner.once import composed_once
from deriva_ml.runner.sweep import ParentNote, SweepNotes, find_unfinished

_CALLBACK = "deriva_ml.runner.multirun.SweepCallback"
_VERSION_BASE = "1.3"
_YES, _NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
_SHOW = ("--cfg", "--info", "-i")
"""Flags of Hydra with which it shows a configuration."""
_INSTEAD = (*_SHOW, "--run", "-r", "--help", "-h", "--hydra-help", "--version")
"""Flags of Hydra with which it does not sweep."""


@dataclass
class Request:
    """What was asked for.

    Parameters
    ----------
    config_name : str
    overrides : list of str
        Of the run.
    flags : list of str
        Hydra's.
    is_sweep : bool
    hydra : list of str
        Overrides of Hydra's own configuration, which are no part of what is run.
    """

    config_name: str
    overrides: list[str]
    flags: list[str]
    is_sweep: bool = False
    hydra: list[str] = field(default_factory=list)


def launch(request: Request) -> int:
    """Run what was asked for; gives the exit status.

    Raises
    ------
    DerivaMLException
        If the request makes no sense; says what to type instead.
    """
    resume = _take_resume(request)
    _expand(request)
    hints.require_names(request.overrides)
    if resume:
        _take_up(request)
    instead = {flag.partition("=")[0] for flag in request.flags} & {*_INSTEAD, "--shell-completion", "-sc"}
    if request.is_sweep and instead & {*_SHOW}:
        _show_first(request)
    elif request.is_sweep and not instead:
        request.hydra.append(
            f"++hydra.callbacks.deriva_ml={{_target_:{_CALLBACK},resume:{str(resume).lower()}}}"
        )
        request.flags.append("--multirun")
    with _watched() if request.is_sweep else nullcontext():
        return _run(request)


def _show_first(request: Request) -> None:
    """Of a sweep show its first job, below a list of all."""
    try:
        jobs = swept.jobs_of(request.overrides)
    except hints.COMPOSING:
        # Hydra says what is wrong.
        return
    if len(jobs) > 1:
        print(f"# A sweep of {len(jobs)} jobs; of job 0 this is:")
        for number, job in enumerate(jobs):
            print(f"#   {number}: {' '.join(item for item in job if not item.startswith('description='))}")
    request.overrides, request.is_sweep = jobs[0], False


def _take_resume(request: Request) -> bool:
    """Whether a sweep is to be resumed; the word is for us, not for the configuration."""
    found = [item for item in request.overrides if item.lstrip("+").partition("=")[0] == "resume"]
    for item in found:
        request.overrides.remove(item)
    if not found:
        return False
    value = found[-1].partition("=")[2].lower()
    if value not in (*_YES, *_NO):
        raise DerivaMLConfigurationError(
            f"{found[-1]!r} is neither yes nor no; write resume=true or resume=false."
        )
    return value in _YES


def _expand(request: Request) -> None:
    """Replace ``+multirun=NAME`` by what stands for it."""
    names = [item for item in request.overrides if item.lstrip("+").partition("=")[0] == "multirun"]
    for item in names:
        name = item.partition("=")[2]
        spec = registry.get_multirun_config(name)
        if spec is None:
            known = registry.list_multirun_configs()
            raise DerivaMLConfigurationError(f"There is no sweep {name!r}. {hints.near(name, known)}")
        place = request.overrides.index(item)
        request.overrides[place : place + 1] = spec.overrides
        request.is_sweep = True
        if spec.description:
            request.overrides.append(f"description={_text(spec.description)}")


def _text(value: str) -> str:
    quoted = command.quoted(value)
    return quoted if quoted.startswith("'") else f"'{quoted}'"


def _take_up(request: Request) -> None:
    """Find the sweep to resume, and go on in its folder."""
    if not request.is_sweep:
        raise DerivaMLConfigurationError(
            "resume=true goes on with a sweep: add --multirun, or +multirun=NAME, with the overrides of that sweep."
        )
    given = [item for item in request.overrides if item.startswith("hydra.sweep.dir=")]
    if given:
        return
    own = [item for item in request.overrides if not item.lstrip("+~").startswith(("hydra.", "hydra/"))]
    folder = _sweeps_folder(request)
    wanted = ParentNote(started_in=str(Path.cwd()), config_name=request.config_name, overrides=own)
    found: SweepNotes | None = find_unfinished(folder, wanted)
    if found is None:
        raise DerivaMLConfigurationError(
            f"There is nothing to resume: no unfinished sweep of {' '.join(own) or 'these overrides'} in {folder}. "
            "Sweeps are known by their overrides and by where they were started; give the same ones there, or "
            "hydra.sweep.dir=FOLDER."
        )
    print(f"Resuming the sweep in {found.sweep_folder}")
    request.hydra.append(f"hydra.sweep.dir={_text(str(found.sweep_folder))}")


def _sweeps_folder(request: Request) -> Path:
    config = _composed(request.config_name, [*request.overrides, *request.hydra])
    return Path(str(config.hydra.sweep.dir)).absolute().parent


def _composed(config_name: str, overrides: Sequence[str]) -> Any:
    """The configuration of a sweep, or of what does not sweep; nothing is run."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    with hydra.initialize(version_base=_VERSION_BASE, config_path=None):
        loader = GlobalHydra.instance().config_loader()
        return loader.load_configuration(config_name, list(overrides), run_mode=RunMode.MULTIRUN)


class _Sweep:
    """A sweep as what signals end: its jobs first, then itself."""

    def record_end(self, reason: str | None) -> bool:
        return bool(completion.complete(interrupted=True))


@contextmanager
def _watched() -> Iterator[None]:
    """Let a signal that ends the process end the execution of the sweep too."""
    sweep, error = _Sweep(), None
    signals.entered(sweep)
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        with signals.leaving(sweep, error):
            pass


def _run(request: Request) -> int:
    words = [*request.flags, *request.overrides, *request.hydra]
    task = hydra.main(config_name=request.config_name, version_base=_VERSION_BASE, config_path=None)(
        model.run_job
    )
    interrupted = True
    try:
        with _typed(words), composed_once(request.is_sweep):
            task()
        status, interrupted = 0, False
    except multirun.JobFailed:
        # It is logged where it happened, and counted below.
        status, interrupted = 1, False
    except Exception as error:  # noqa: BLE001 - whatever the model raises is shown, and ends the run
        status = 1
        _show(error, request)
    finally:
        summaries = completion.complete(interrupted)
        _tell(summaries)
    return status if all(summary.is_complete for summary in summaries) else 1


def _tell(summaries: Sequence[completion.Summary]) -> None:
    for summary in summaries:
        print(summary, file=sys.stdout if summary.is_complete else sys.stderr)
    if any(summary.jobs and not summary.is_complete for summary in summaries):
        print("Run it again with resume=true to run only the jobs that are not done.", file=sys.stderr)


@contextmanager
def _typed(words: list[str]) -> Iterator[None]:
    """Let Hydra read these words, and leave errors to us."""
    former = sys.argv
    sys.argv = [former[0], *words]
    try:
        with trace.left_to_us():
            yield
    finally:
        sys.argv = former


def _show(error: Exception, request: Request) -> None:
    """One line for what the user can mend on the command line, a traceback for what the model raised; then the notes."""
    codes = {frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)}
    in_job, in_model = (part.__code__ in codes for part in (model.run_job, model.run_model))
    error = error if in_model else hints.cause_of(error)
    known = () if in_model else hints.MAKING if in_job else hints.COMPOSING
    if isinstance(error, DerivaMLException):
        place = place_of(error) if in_model else ""
        said = f"{error}\n  from {place}" if place else str(error)
    elif isinstance(error, known):
        said = hints.explain(error, request.overrides, _plain(request))
    elif isinstance(error, OSError) and not in_job:
        said = str(error)
    else:
        print(trace.trace_of(error), file=sys.stderr)
        return
    if trace.is_full():
        traceback.print_exception(error)
    print("\n".join([f"Error: {said}", *getattr(error, "__notes__", ())]), file=sys.stderr)


def _plain(request: Request) -> Any:
    """What is composed of the options that are chosen, with no field changed; None where not even that can be."""
    try:
        return _composed(request.config_name, hints.chosen(request.overrides))
    except hints.COMPOSING:
        return None
