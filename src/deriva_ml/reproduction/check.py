"""Whether all that an execution needs to run again is still there."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from deriva_ml.asset.filespec import FileSpec
from deriva_ml.checksums import md5_of
from deriva_ml.errors import DerivaMLException
from deriva_ml.execution.files import place_of
from deriva_ml.reproduction import packages
from deriva_ml.reproduction.command import RUNNER, overrides_of, unfit
from deriva_ml.reproduction.recorded import Code, Recorded, read
from deriva_ml.specs import DatasetSpec
from deriva_ml.workflow import git

if TYPE_CHECKING:
    from deriva_ml.asset.asset import Asset
    from deriva_ml.ml import DerivaML


_SHOWN = 3


class Level(StrEnum):
    """How much a finding matters."""

    ok = "ok"
    doubt = "doubt"
    missing = "missing"


@dataclass(frozen=True)
class Finding:
    """One thing that a repetition needs.

    Parameters
    ----------
    subject : str
    level : Level
        ``doubt`` where it can run, but may give something else.
    detail : str
    """

    subject: str
    level: Level
    detail: str


@dataclass(frozen=True)
class CheckReport:
    """All that a repetition of an execution needs.

    Parameters
    ----------
    execution_rid : str
    findings : list of Finding
    """

    execution_rid: str
    findings: list[Finding]

    @property
    def is_possible(self) -> bool:
        """Whether it can run."""
        return all(finding.level != Level.missing for finding in self.findings)

    def __str__(self) -> str:
        width = max(len(finding.subject) for finding in self.findings)
        lines = [
            f"  {finding.level:<8} {finding.subject:<{width}}  {finding.detail}" for finding in self.findings
        ]
        doubtful = any(finding.level == Level.doubt for finding in self.findings)
        verdict = "cannot be" if not self.is_possible else "may be" if doubtful else "can be"
        return "\n".join([*lines, f"Execution {self.execution_rid} {verdict} reproduced."])


def check(ml: DerivaML, execution_rid: str) -> CheckReport:
    """Say whether all that an execution needs to run again is still there, without running it.

    Parameters
    ----------
    ml : DerivaML
    execution_rid : str

    Raises
    ------
    DerivaMLException
        If there is no such execution, or it recorded nothing of how it ran.

    Examples
    --------
    >>> print(check(ml, "1-0SYG"))  # doctest: +SKIP
    """
    return checked(ml, read(ml, execution_rid))


def checked(ml: DerivaML, recorded: Recorded) -> CheckReport:
    """As `check`, of what has been read already."""
    findings = [
        _command(recorded),
        _code(recorded),
        *_changes(recorded),
        _packages(recorded),
        *_inputs(ml, recorded),
        _outputs(recorded),
    ]
    return CheckReport(recorded.execution_rid, findings)


def _command(recorded: Recorded) -> Finding:
    reason = unfit(recorded)
    told = overrides_of(recorded)
    shown = shlex.join([RUNNER, *told] if told is not None else recorded.arguments[1:])
    return Finding("command", Level.missing if reason else Level.ok, reason or shown)


def source_of(recorded: Recorded) -> str | None:
    """Repository that has the commit, else the address of its origin.

    The one that it ran from, one on this disk that this was made of, or that of the current folder: a project may have
    moved since.
    """
    code = recorded.code
    made_of = (Path(each) for each in code.remotes if Path(each).is_absolute())
    here = [code.root, *made_of, git.repository_root(Path.cwd())]
    for folder in here:
        if folder is not None and code.commit and folder.is_dir() and git.has_commit(folder, code.commit):
            return str(folder)
    return code.origin


def relative_to(recorded: Recorded) -> Path | None:
    """What relative places mean now: the same as then, unless that was in a project that has moved since."""
    then, root, source = recorded.relative_to, recorded.code.root, source_of(recorded)
    if then is None or root is None or source is None or root.is_dir() or not then.is_relative_to(root):
        return then
    return Path(source) / then.relative_to(root) if Path(source).is_dir() else then


def _code(recorded: Recorded) -> Finding:
    code, source = recorded.code, source_of(recorded)
    if code.commit is None or source is None:
        return Finding("code", Level.missing, _no_code(code))
    if not git.is_reachable(source):
        hint = (
            f"; clone its repository to {code.root}, or go to a clone of it" if code.root is not None else ""
        )
        detail = f"commit {code.commit[:12]} of {source}, which cannot be reached{hint}"
        return Finding("code", Level.missing, detail)
    if not code.is_exact:
        return Finding(
            "code", Level.doubt, f"commit {code.commit[:12]} of its script; other files may be newer"
        )
    return Finding("code", Level.ok, f"commit {code.commit[:12]} of {source}")


def _no_code(code: Code) -> str:
    if code.commit is None:
        return "no commit was recorded"
    where = "" if code.root is None else f", made in {code.root},"
    return f"commit {code.commit[:12]}{where} is in no repository here; try from a folder of one that has it"


def _changes(recorded: Recorded) -> Iterator[Finding]:
    if recorded.code.patch is None:
        return
    left_out = packages.left_out(recorded.code.patch)
    detail = f"left out of the patch: {_some(left_out)}" if left_out else "kept as a patch"
    yield Finding("uncommitted changes", Level.doubt if left_out else Level.ok, detail)


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _packages(recorded: Recorded) -> Finding:
    differing = packages.differences(recorded)
    if not differing:
        return Finding("packages", Level.ok, "the same as here")
    shown = _some(differing)
    if recorded.lock is not None and packages.uv() is not None:
        return Finding("packages", Level.ok, f"from its uv.lock; here differ {shown}")
    hint = "install uv to use its uv.lock" if recorded.lock is not None else "it had no uv.lock"
    return Finding("packages", Level.doubt, f"{shown}; {hint}")


def _inputs(ml: DerivaML, recorded: Recorded) -> Iterator[Finding]:
    datasets = [DatasetSpec.from_shorthand(f"{rid}@{version}") for rid, version in recorded.datasets.items()]
    if datasets:
        report = ml.validate_dataset_specs(datasets)
        level = Level.ok if report.all_valid else Level.missing
        named = ", ".join(_dataset(recorded, rid, version) for rid, version in recorded.datasets.items())
        yield Finding("datasets", level, named if report.all_valid else " ".join(str(report).split()))
    for rid in recorded.assets:
        try:
            asset = ml.lookup_asset(rid)
        except DerivaMLException as error:
            yield Finding("input file", Level.missing, str(error))
        else:
            yield Finding("input file", Level.ok, f"{rid} {asset.filename}")
    for file in recorded.local_files:
        yield _local_file(recorded, file)


def _dataset(recorded: Recorded, rid: str, version: str) -> str:
    asked = (
        ""
        if rid in recorded.declared
        else " (asked for by its code; pinned where the execution downloads it)"
    )
    return f"{rid}@{version}{asked}"


def _local_file(recorded: Recorded, file: Asset) -> Finding:
    """A file of the repository comes with the commit; another one is read where it was."""
    root, commit, source = recorded.code.root, recorded.code.commit, source_of(recorded)
    normal = Path(os.path.normpath(place_of(FileSpec(URL=file.url, MD5=file.md5, Length=file.length))))
    if root is not None and commit is not None and normal.is_relative_to(root):
        name = normal.relative_to(root).as_posix()
        if source == str(root) and git.has_file(root, commit, name):
            return Finding("local file", Level.ok, f"{name} of the commit")
    if not normal.is_file():
        return Finding("local file", Level.missing, f"{normal} is not there any more")
    if md5_of(normal) != file.md5:
        return Finding("local file", Level.doubt, f"{normal} has changed since")
    return Finding("local file", Level.ok, str(normal))


def _outputs(recorded: Recorded) -> Finding:
    number = len(recorded.outputs)
    detail = (
        f"{number:,} {'file' if number == 1 else 'files'} to compare, of a run that ended {recorded.status}"
    )
    return Finding("outputs", Level.ok if recorded.status == "Uploaded" else Level.doubt, detail)
