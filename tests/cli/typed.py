"""Programs as a user types them, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

# What an installed program holds, so that tests also find programs that are not installed anew yet.
_PROGRAM = "import sys; from {module} import {name}; sys.argv[0] = {program!r}; sys.exit({name}())"

OWN = {
    "COLUMNS": "100",
    "DERIVA_ML_ALLOW_DIRTY": "true",
    "PYTHONIOENCODING": "utf-8",
    "PYTHONPATH": str(ROOT / "src"),
}


def typed(
    program: str, *words: object, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a program of this project and wait for its end."""
    module, _, name = SCRIPTS[program].partition(":")
    code = _PROGRAM.format(module=module, name=name, program=program)
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=cwd,
        env=os.environ | OWN | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
