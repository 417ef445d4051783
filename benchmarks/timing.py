"""How pieces of work are timed."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.counting import counted
from benchmarks.table import Row


def timed(name: str, work: Callable[[], Any], limit: float | None = None, most: int | None = None) -> Row:
    """Run once; `limit` is the target in seconds, `most` that in requests to the catalog."""
    with counted() as found:
        start = time.perf_counter()
        work()
        taken = time.perf_counter() - start
    return Row(name, taken, counts=found.counts, limit=limit, most=most)


def median(
    name: str, work: Callable[[], Any], limit: float | None = None, most: int | None = None, runs: int = 9
) -> Row:
    """The median of a few runs after a first one, in which requests are counted."""
    first = timed(name, work, limit, most)
    return replace(first, value=statistics.median(seconds(work, runs)))


def seconds(work: Callable[[], object], runs: int = 1) -> list[float]:
    """Of each run."""
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return taken


def cpu_of(
    command: Sequence[str], folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> float:
    """CPU seconds of a process and of those that it waits for."""
    before = os.times()
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **(environment or {})}, capture_output=True, text=True
    )
    after = os.times()
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return after.children_user - before.children_user + after.children_system - before.children_system


def some(count: int, share: int) -> int:
    """How many of something when a share of the work is done; ten at least, where there are so many."""
    return max(min(count, 10), count // share)
