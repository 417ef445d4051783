"""A command that is run and listened to; it ends with this process, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from deriva_ml.errors import DerivaMLExecutionError

_LINES = 20
_SECONDS = 20.0
"""How long a run may take to record that it was interrupted."""


def watched(
    words: Sequence[str], where: Path, variables: Mapping[str, str], say: Callable[[str], None]
) -> tuple[int, str]:
    """Run a command, which has nothing to read, and pass on every line as it is written.

    Returns
    -------
    (int, str)
        Its exit status, and the last that it said.

    Raises
    ------
    DerivaMLExecutionError
        If it cannot be started.
    """
    last: deque[str] = deque(maxlen=_LINES)
    try:
        process = subprocess.Popen(
            words,
            cwd=where,
            env={**variables, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C reaches this process only, which passes it on once; a second one would cut the record of the end short.
            process_group=0,
        )
    except OSError as error:
        raise DerivaMLExecutionError(f"{words[0]} cannot be run in {where}: {error}") from error
    assert process.stdout is not None
    try:
        with process.stdout:
            for line in process.stdout:
                last.append(line)
                say(f"  | {line.rstrip()}")
        return process.wait(), "".join(last).rstrip()
    finally:
        if process.poll() is None:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Interrupt it with all that it has started; kill what does not end."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    try:
        # What interrupted this process is told, not that the other one did not end.
        with suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS)
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
