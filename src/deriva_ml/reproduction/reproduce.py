"""Run an execution again, from its commit, its command and its inputs, and compare what comes of it."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from deriva_ml.ermrest import address
from deriva_ml.errors import (
    DerivaMLConfigurationError,
    DerivaMLException,
    DerivaMLExecutionError,
    DerivaMLNotFoundError,
)
from deriva_ml.execution import repetition
from deriva_ml.execution.repetition import Repeated, Repetition
from deriva_ml.reproduction import command as commands
from deriva_ml.reproduction.check import Level, checked, relative_to, source_of
from deriva_ml.reproduction.command import Place
from deriva_ml.reproduction.compare import Compared, Verdict
from deriva_ml.reproduction.packages import python_for
from deriva_ml.reproduction.process import watched
from deriva_ml.reproduction.recorded import Recorded, datasets_read, read
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
    read_otherwise : list of str
        Datasets of which another version was read.
    """

    execution_rid: str
    repeated: Repeated
    outputs: list[Compared]
    folder: Path | None = None
    read_otherwise: list[str] = field(default_factory=list)

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
            [
                *lines,
                *self.read_otherwise,
                f"{self.execution_rid} was run again as {self.repeated.execution_rid}: {summary}.",
            ]
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
        for finding in report.findings:
            if finding.level == Level.doubt:
                say(f"In doubt: {finding.subject}: {finding.detail}")
        made = _run(ml, recorded, place, say)
        repeated, outputs = _best(ml, execution_rid, _candidates(ml, recorded, made), tolerance, say)
        _describe(ml, execution_rid, made, repeated)
        return Reproduction(execution_rid, repeated, outputs, kept, _read_otherwise(ml, recorded, repeated))
    finally:
        if kept is None:
            shutil.rmtree(place, ignore_errors=True)


def _at(ml: DerivaML, repeated: Repeated) -> DerivaML:
    """The catalog in which an execution was made."""
    is_same = (repeated.hostname, repeated.catalog_id) == (_host(ml), str(ml.catalog_id))
    return ml if is_same else type(ml)(repeated.hostname, repeated.catalog_id)


def _host(ml: DerivaML) -> str:
    return str(address.read_address(ml.host_name).folder or ml.host_name)


def _run(ml: DerivaML, recorded: Recorded, folder: Path, say: Say) -> list[Repeated]:
    code = folder / "code"
    source, commit = source_of(recorded), recorded.code.commit
    assert source is not None and commit is not None
    say(f"Checking out {commit[:12]} of {source} …")
    git.check_out(source, commit, code)
    if recorded.code.patch is not None:
        say("Applying what was not committed …")
        git.apply(code, recorded.code.patch.download(folder))
    meant = relative_to(recorded)
    place = Place(code, python_for(recorded, code, folder, say), _host(ml), str(ml.catalog_id))
    words = commands.command(recorded, place)
    journal = folder / "executions.jsonl"
    workflow = recorded.workflow
    repetition.begin(
        journal,
        Repetition(
            recorded.execution_rid,
            workflow.get("name", ""),
            workflow.get("checksum"),
            recorded.datasets,
            str(meant) if meant is not None else None,
            repetition.own_description(recorded.description),
        ),
    )
    say(f"Running {shlex.join(words)}")
    where = commands.folder(recorded, place)
    status, said = watched(words, where, _variables(recorded, place, journal), say)
    made = [each for each in repetition.created(journal) if each.repeats]
    if not made:
        ending = f"ended with {status}" if status else "ended well"
        raise DerivaMLExecutionError(
            f"The command {ending} and made no execution of the workflow {workflow.get('name')!r}.{_advice(said)} "
            f"It said at last:\n{said}"
        )
    if status:
        say(f"The command ended with {status}.{_advice(said)}")
    return made


def _advice(said: str) -> str:
    """What a user may not know of errors that a repetition alone brings about."""
    if "EOFError" in said:
        return " It asks for input, which a repetition cannot give."
    if "FileNotFoundError" in said:
        return (
            " It runs in a copy of its commit, without the files that git does not keep: name such a file by its full path, "
            "or let executions read it, as an asset or a LocalFile."
        )
    return ""


def _variables(recorded: Recorded, place: Place, journal: Path) -> dict[str, str]:
    """Environment of the command."""
    own = {name: value for name, value in os.environ.items() if name not in _OF_THIS_PROCESS}
    mine = [str(Path(each).absolute()) for each in own.get("PYTHONPATH", "").split(os.pathsep) if each]
    paths = [*commands.search_path(recorded, place), *mine]
    own |= {
        repetition.VARIABLE: str(journal),
        "PYTHONPATH": os.pathsep.join(paths),
        "PATH": os.pathsep.join((str(place.python.parent), own.get("PATH", ""))),
    }
    if (meant := relative_to(recorded)) is not None:
        own[address.RELATIVE_TO] = str(meant)
    return own


def _candidates(ml: DerivaML, recorded: Recorded, made: list[Repeated]) -> list[Repeated]:
    """Of several executions of its workflow, those with its description; all of them where none has."""
    if len(made) == 1:
        return made
    wanted = repetition.own_description(recorded.description)
    found = []
    for each in made:
        with suppress(DerivaMLException):
            description = _at(ml, each).lookup_execution(each.execution_rid).description
            if repetition.own_description(description) == wanted:
                found.append(each)
    return found or made


def _best(
    ml: DerivaML, execution_rid: str, candidates: list[Repeated], tolerance: float, say: Say
) -> tuple[Repeated, list[Compared]]:
    """What a script that makes several executions alike made of this one: the one that most outputs came out in."""
    before = results_of(ml, execution_rid)
    found: list[tuple[Repeated, list[Compared]]] = []
    for each in candidates:
        say(f"Comparing {execution_rid} with {each.execution_rid} …")
        found.append((each, compared(before, results_of(_at(ml, each), each.execution_rid), tolerance)))
    best = max(found, key=lambda pair: _holding(pair[1]))
    if len(found) > 1:
        say(f"Of {len(found)} executions alike, {best[0].execution_rid} is the nearest.")
    return best


def _describe(ml: DerivaML, execution_rid: str, made: list[Repeated], repeated: Repeated) -> None:
    """Let the one that was compared say what it repeats, and no other."""
    for each in made:
        with suppress(DerivaMLNotFoundError):
            record = _at(ml, each).lookup_execution(each.execution_rid)
            own = repetition.own_description(record.description)
            wanted = repetition.described(execution_rid, own) if each == repeated else own
            if wanted != (record.description or ""):
                record.description = wanted


def _read_otherwise(ml: DerivaML, recorded: Recorded, repeated: Repeated) -> list[str]:
    """What code read by itself, without asking the execution for it, is as it is now."""
    now = datasets_read(_at(ml, repeated), repeated.execution_rid)
    return [
        f"  Dataset {rid} was read in version {version}, now in {now[rid]}: its outputs may differ for that."
        for rid, version in recorded.datasets.items()
        if now.get(rid, version) != version
    ]


def _holding(outputs: list[Compared]) -> tuple[int, int]:
    """Outputs that came out again; of as many, those that are there at all, less those that are new."""
    absent = sum(each.verdict in (Verdict.missing, Verdict.added) for each in outputs)
    return sum(each.verdict.holds for each in outputs), -absent
