"""A command that is listened to, and that does not outlive its listener."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from deriva_ml.errors import DerivaMLExecutionError
from deriva_ml.reproduction import process
from deriva_ml.reproduction.process import watched

WAITING = """
import subprocess, sys, time
from pathlib import Path
sleeping = "import time; print('awake', flush=True); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", sleeping], stdout=subprocess.PIPE)
# While Python starts, an interruption may come in a callback, which swallows it.
child.stdout.readline()
try:
    print(child.pid)
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.2)
    Path("recorded").touch()
    child.wait()
"""


def interrupted(script: str, where: Path) -> int:
    """Press Ctrl-C when a script tells the number of a process, and return that."""
    heard: list[str] = []

    def say(text: str) -> None:
        heard.append(text)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watched([sys.executable, "-c", script], where, os.environ, say)
    return int(heard[0].removeprefix("  | "))


def test_it_ends_with_its_listener(tmp_path: Path) -> None:
    """It hears of the interruption once, as soon as what it wrote is known here, and has time to record its end."""
    announced = interrupted(WAITING, tmp_path)
    assert (tmp_path / "recorded").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(announced, 0)


STUBBORN = """
import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print(os.getpid())
time.sleep(60)
"""


def test_what_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_SECONDS", 0.2)
    announced = interrupted(STUBBORN, tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(announced, 0)


def test_status_and_last_words(tmp_path: Path) -> None:
    script = "import sys; print('a'); print(repr(sys.stdin.read()), file=sys.stderr); sys.exit(3)"
    assert watched([sys.executable, "-c", script], tmp_path, os.environ, print) == (3, "a\n''")
    with pytest.raises(DerivaMLExecutionError, match="no-such-program cannot be run"):
        watched(["no-such-program"], tmp_path, os.environ, print)
