"""The packages that a run had: how those of this environment differ, and an environment made from its lock file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from deriva_ml.errors import DerivaMLExecutionError
from deriva_ml.reproduction.recorded import Recorded
from deriva_ml.workflow.environment import packages

if TYPE_CHECKING:
    from deriva_ml.asset.asset import Asset


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


def python_for(recorded: Recorded, code: Path, folder: Path) -> Path:
    """An interpreter with the packages of the run: this one, or one of an environment made from its lock file.

    Parameters
    ----------
    recorded : Recorded
    code : Path
        Files of its commit.
    folder : Path
        Where an environment may be made.

    Raises
    ------
    DerivaMLExecutionError
        If the environment cannot be made.
    """
    program = uv()
    if recorded.lock is None or program is None or not differences(recorded):
        return Path(sys.executable)
    shutil.copyfile(recorded.lock.download(folder), code / "uv.lock")
    environment = folder / "environment"
    command = [program, "sync", "--frozen", "--all-extras", "--project", str(code)]
    if recorded.python:
        command += ["--python", ".".join(recorded.python.split(".")[:2])]
    done = subprocess.run(
        command,
        env=os.environ | {"UV_PROJECT_ENVIRONMENT": str(environment)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DerivaMLExecutionError(
            f"The environment of execution {recorded.execution_rid} cannot be made from its uv.lock: {done.stderr.strip()[-2000:]}"
        )
    return environment / "bin" / "python"
