"""The packages that a run had: how those of this environment differ, and an environment made from its lock file."""

from __future__ import annotations

import logging
import os
import re
import shlex
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml.errors import DerivaMLExecutionError
from deriva_ml.reproduction.process import watched
from deriva_ml.reproduction.recorded import Recorded
from deriva_ml.workflow.environment import packages

if TYPE_CHECKING:
    from deriva_ml.asset.asset import Asset

logger = logging.getLogger(__name__)


def differences(recorded: Recorded) -> list[str]:
    """Packages that are not here in the version that the run had; what a repository makes of its commit does not count."""
    here = packages()
    found = [
        f"{name} {version} (here {here.get(name, 'missing')})"
        for name, version in recorded.packages.items()
        if here.get(name) != version and not ("+" in version or ".dev" in version)
    ]
    python = ".".join(map(str, sys.version_info[:3]))
    if recorded.python and recorded.python != python:
        found.insert(0, f"Python {recorded.python} (here {python})")
    return found


def uv() -> str | None:
    """The program uv, None where there is none."""
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.is_file() else shutil.which("uv")


def left_out(patch: Asset) -> list[str]:
    """Lines in front of a patch that name what it lacks."""
    with tempfile.TemporaryDirectory() as folder:
        lines = patch.download(Path(folder)).read_text(encoding="utf-8", errors="replace").splitlines()
    header = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
    place = header.index("Not in this patch:") + 1 if "Not in this patch:" in header else len(header)
    return header[place:]


def parts_of(lock: str, installed: Iterable[str]) -> list[str]:
    """Options of ``uv sync`` for the extras and groups of a project of which a run had every package.

    Parameters
    ----------
    lock : str
        Text of ``uv.lock``.
    installed : iterable of str
        Names of packages.

    Raises
    ------
    ValueError
        If it is no lock file.
    """
    had = {_plain(name) for name in installed}
    own: dict[str, Any] = next(
        (each for each in tomllib.loads(lock).get("package", []) if "." in each.get("source", {}).values()),
        {},
    )
    options = ["--no-default-groups"]
    for option, table in (("--extra", "optional-dependencies"), ("--group", "dev-dependencies")):
        for name, needs in own.get(table, {}).items():
            if _is_among(needs, had):
                options += [option, name]
    return options


def _is_among(needs: Sequence[Mapping[str, Any]], had: Collection[str]) -> bool:
    """Whether all are there; those for certain platforms only need not be."""
    missing = [need for need in needs if _plain(need["name"]) not in had]
    return all("marker" in need for need in missing) and len(missing) < len(needs)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _interpreter(version: str) -> str:
    """What makes an environment for a version of Python: the one that runs here, if it will do; else uv looks for one.

    It would not find the one that runs here everywhere, and download another.
    """
    minor = version.split(".")[:2]
    return sys.executable if minor == [str(part) for part in sys.version_info[:2]] else ".".join(minor)


def python_for(
    recorded: Recorded, code: Path, folder: Path, say: Callable[[str], None] = logger.info
) -> Path:
    """An interpreter with the packages of the run: this one, or one of an environment made from its lock file.

    Parameters
    ----------
    recorded : Recorded
    code : Path
        Files of its commit.
    folder : Path
        Where an environment may be made.
    say : callable
        Is told what happens.

    Raises
    ------
    DerivaMLExecutionError
        If the environment cannot be made.
    """
    program = uv()
    if recorded.lock is None or program is None or not differences(recorded):
        return Path(sys.executable)
    lock = recorded.lock.download(folder)
    shutil.copyfile(lock, code / "uv.lock")
    environment = folder / "environment"
    command = [program, "sync", "--frozen", "--project", str(code)]
    failed = f"The environment of execution {recorded.execution_rid} cannot be made from its uv.lock: "
    try:
        text = lock.read_text(encoding="utf-8")
        command += parts_of(text, recorded.packages) if recorded.packages else ["--all-extras"]
    except ValueError as error:
        raise DerivaMLExecutionError(f"{failed}{error}") from error
    if recorded.python:
        command += ["--python", _interpreter(recorded.python)]
    say(f"Making an environment of its uv.lock: {shlex.join(command)}")
    status, said = watched(command, code, os.environ | {"UV_PROJECT_ENVIRONMENT": str(environment)}, say)
    if status != 0:
        raise DerivaMLExecutionError(f"{failed}{said}")
    return environment / "bin" / "python"
