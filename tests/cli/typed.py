"""Programs as a user types them, in a process of their own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.interpreter import ROOT, SCRIPTS, program

__all__ = ["OWN", "ROOT", "SCRIPTS", "typed"]

OWN = {
    "COLUMNS": "100",
    "DERIVA_ML_ALLOW_DIRTY": "true",
    "PYTHONIOENCODING": "utf-8",
    "PYTHONPATH": str(ROOT / "src"),
}


def typed(
    name: str, *words: object, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a program of this project and wait for its end."""
    return subprocess.run(
        [*program(name), *map(str, words)],
        cwd=cwd,
        env=os.environ | OWN | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
