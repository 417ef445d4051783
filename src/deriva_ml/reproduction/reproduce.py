"""Run an execution again, from its commit, its command and its inputs, and compare what comes of it."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deriva_ml.ermrest.address import read_address
from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLException, DerivaMLExecutionError
from deriva_ml.execution import repetition
from deriva_ml.execution.repetition import Repeated, Repetition
from deriva_ml.reproduction import command as commands
from deriva_ml.reproduction.check import CheckReport, checked, source_of
from deriva_ml.reproduction.command import Place
from deriva_ml.reproduction.compare import Compared, Verdict
from deriva_ml.reproduction.packages import python_for
from deriva_ml.reproduction.recorded import Recorded, read
from deriva_ml.reproduction.results import compared, results_of
from deriva_ml.workflow import git

if TYPE_CHECKING:
    from deriva_ml.ml import DerivaML

logger = logging.getLogger(__name__)

TOLERANCE = 1e-6
"""Relative difference of numbers that counts as none."""

_OF_THIS_PROCESS = (
    "DERIVA_ML_DRY_RUN",
    "DERIVA_ML_NOTEBOOK_PATH",
    "DERIVA_ML_SAVE_EXECUTION_RID",
    "DERIVA_ML_STRICT",
    "DERIVA_ML_WORKFLOW_CHECKSUM",
    "DERIVA_ML_WORKFLOW_URL",
    "PYTHONHOME",
)
_LINES = 20

Say = Callable[[str], None]


@dataclass(frozen=True)
class Reproduction:
    """An execution that was run again, and how its outputs compare.

    Parameters
    ----------
    execution_rid : str
        The earlier one.
    repeated : Repeated
        The new one.
    outputs : list of Compared
    folder : Path, optional
        Where it ran, if that is kept.
    """

    execution_rid: str
    repeated: Repeated
    outputs: list[Compared]
    folder: Path | None = None

    @property
    def is_reproduced(self) -> bool:
        """Whether every output came out again, identical or within tolerance."""
        return all(each.verdict.holds or each.verdict == Verdict.added for each in self.outputs)

    def __str__(self) -> str:
        width = max((len(each.name) for each in self.outputs), default=0)
        lines = [
            f"  {each.verdict:<16} {each.name:<{width}}  {each.detail}".rstrip() for each in self.outputs
        ]
        counts = {verdict: sum(each.verdict == verdict for each in self.outputs) for verdict in Verdict}
        summary = (
            ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) or "no outputs"
        )
        return "\n".join(
            [*lines, f"{self.execution_rid} was run again as {self.repeated.execution_rid}: {summary}."]
        )


def reproduce(
    ml: DerivaML,
    execution_rid: str,
    *,
    tolerance: float = TOLERANCE,
    folder: Path | str | None = None,
    say: Say = logger.info,
) -> Reproduction:
    """Run an execution again as a new one, and compare what both made.

    The recorded commit is checked out into a fresh folder, with what was not committed; the recorded command runs there,
    with the recorded configuration, on the recorded versions of its datasets.

    Parameters
    ----------
    ml : DerivaML
    execution_rid : str
    tolerance : float
        Relative difference up to which numbers of metrics and features count as the same.
    folder : path, optional
        Where to run it, must not exist; a temporary folder that is removed by default.
    say : callable
        Is told what happens.

    Raises
    ------
    DerivaMLExecutionError
        If something that it needs is not there any more, or the run ends before it has made an execution.

    Examples
    --------
    >>> print(reproduce(ml, "1-0SYG"))  # doctest: +SKIP
    """
    if not 0 <= tolerance < 1:
        raise DerivaMLConfigurationError(f"The tolerance must be from 0 to 1, not {tolerance}.")
    recorded = read(ml, execution_rid)
    report = checked(ml, recorded)
    if not report.is_possible:
        raise DerivaMLExecutionError(f"Execution {execution_rid} cannot be reproduced:\n{report}")
    kept = Path(folder).absolute() if folder is not None else None
    if kept is not None and kept.exists():
        raise DerivaMLConfigurationError(f"{kept} exists already; name a new folder.")
    place = kept or Path(tempfile.mkdtemp(prefix=f"reproduce-{execution_rid}-"))
    place.mkdir(exist_ok=True, parents=True)
    try:
        repeated = _run(ml, recorded, report, place, say)
        there = ml if _is_same(ml, repeated) else type(ml)(repeated.hostname, repeated.catalog_id)
        say(f"Comparing {execution_rid} with {repeated.execution_rid} …")
        before, after = results_of(ml, execution_rid), results_of(there, repeated.execution_rid)
        return Reproduction(execution_rid, repeated, compared(before, after, tolerance), kept)
    finally:
        if kept is None:
            shutil.rmtree(place, ignore_errors=True)


def _is_same(ml: DerivaML, repeated: Repeated) -> bool:
    return (repeated.hostname, repeated.catalog_id) == (_host(ml), str(ml.catalog_id))


def _host(ml: DerivaML) -> str:
    return str(read_address(ml.host_name).folder or ml.host_name)


def _run(ml: DerivaML, recorded: Recorded, report: CheckReport, folder: Path, say: Say) -> Repeated:
    code = folder / "code"
    source, commit = source_of(recorded), recorded.code.commit
    assert source is not None and commit is not None
    say(f"Checking out {commit[:12]} of {source} …")
    git.check_out(source, commit, code)
    if recorded.code.patch is not None:
        say("Applying what was not committed …")
        git.apply(code, recorded.code.patch.download(folder))
    place = Place(code, python_for(recorded, code, folder), _host(ml), str(ml.catalog_id))
    words = commands.command(recorded, place)
    journal = folder / "executions.jsonl"
    workflow = recorded.workflow
    repetition.begin(
        journal,
        Repetition(
            recorded.execution_rid, workflow.get("name", ""), workflow.get("checksum"), recorded.datasets
        ),
    )
    say(f"Running {shlex.join(words)}")
    status, said = _watched(words, recorded, place, journal, say)
    made = [each for each in repetition.created(journal) if each.repeats]
    if not made:
        ending = f"ended with {status}" if status else "ended well"
        raise DerivaMLExecutionError(
            f"The command {ending} and made no execution of the workflow {workflow.get('name')!r}. It said at last:\n{said}"
        )
    if status:
        say(f"The command ended with {status}.")
    return _same_of(ml, recorded, made)


def _watched(words: list[str], recorded: Recorded, place: Place, journal: Path, say: Say) -> tuple[int, str]:
    """Run the command; its exit status, and the last that it said."""
    own = {name: value for name, value in os.environ.items() if name not in _OF_THIS_PROCESS}
    mine = [str(Path(each).absolute()) for each in own.get("PYTHONPATH", "").split(os.pathsep) if each]
    paths = [*commands.search_path(recorded, place), *mine]
    own |= {
        repetition.VARIABLE: str(journal),
        "PYTHONPATH": os.pathsep.join(paths),
        "PATH": os.pathsep.join((str(place.python.parent), own.get("PATH", ""))),
    }
    if recorded.folder is not None:
        own["DERIVA_ML_RELATIVE_TO"] = str(recorded.folder)
    where = commands.folder(recorded, place)
    last: deque[str] = deque(maxlen=_LINES)
    try:
        process = subprocess.Popen(
            words,
            cwd=where,
            env=own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise DerivaMLExecutionError(f"{words[0]} cannot be run in {where}: {error}") from error
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            last.append(line)
            say(f"  | {line.rstrip()}")
    return process.returncode, "".join(last).rstrip()


def _same_of(ml: DerivaML, recorded: Recorded, made: list[Repeated]) -> Repeated:
    """Of several executions of its workflow, the one with its description."""
    wanted = repetition.described(recorded.execution_rid, recorded.description)
    for each in made:
        if _is_same(ml, each) and len(made) > 1:
            try:
                description = ml.lookup_execution(each.execution_rid).description
            except DerivaMLException:
                continue
            if description == wanted:
                return each
    return made[0]
