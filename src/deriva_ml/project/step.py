"""Run a step as people type it, and show what they would type."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

INTERRUPTED = 130

_MODULES = {
    "deriva-ml": "deriva_ml.cli.main",
    "deriva-ml-run": "deriva_ml.run_model",
    "deriva-ml-run-notebook": "deriva_ml.run_notebook",
}


def show(*commands: str) -> None:
    """Print commands as they are typed."""
    for command in commands:
        print(f"$ {command}", flush=True)


def shown(folder: Path) -> str:
    """A folder as it is typed here."""
    here = Path.cwd()
    return shlex.quote(str(folder.relative_to(here) if folder.is_relative_to(here) else folder))


def step(words: Sequence[str], folder: Path) -> int:
    """Print a command, and run it to its end.

    Commands of DerivaML and ``python`` are those of the Python that runs this, whether the shell finds them or not. An
    interruption is handed on, so that the command ends in its own way.

    Parameters
    ----------
    words : sequence of str
    folder : Path
        To run it in.

    Returns
    -------
    int
        Its exit status; 130 if it was interrupted.
    """
    show(shlex.join(words))
    program, *rest = words
    if program == "python":
        command = [sys.executable, *rest]
    else:
        module = _MODULES.get(program)
        command = [sys.executable, "-m", module, *rest] if module else list(words)
    # A group of its own, so that a terminal interrupts it no second time.
    process = subprocess.Popen(
        command, cwd=folder, env=os.environ | {"PYTHONUNBUFFERED": "1"}, process_group=0
    )
    interrupted = False
    while True:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            interrupted = True
            process.send_signal(signal.SIGINT)
        else:
            return INTERRUPTED if interrupted or status == -signal.SIGINT else status
