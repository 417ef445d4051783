"""What this machine is, and how fast at the moment, beside the one on which others were measured."""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import Row
from benchmarks.timing import seconds

_MEBIBYTE = 1 << 20


def described() -> str:
    """Processor, memory and versions, as a sentence."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"{_processor()}, {os.cpu_count()} processors, {memory:.0f} GB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def measure(folder: Path, share: int) -> Iterator[Row]:
    """What the works consist of, without anything of this project."""
    folder.mkdir(parents=True)
    size = 1024 // share
    data = bytes(_MEBIBYTE)

    def digest(kind: str) -> None:
        hashing = hashlib.new(kind, usedforsecurity=False)
        for _ in range(size):
            hashing.update(data)

    whole = folder / "whole"
    with whole.open("wb") as file:
        for _ in range(size):
            file.write(data)
    reference = "reference machine"
    works = {
        f"MD5 of {size:,} MiB": (lambda: digest("md5"), 1.49),
        f"SHA-256 of {size:,} MiB": (lambda: digest("sha256"), 0.69),
        f"copy of {size:,} MiB": (lambda: shutil.copyfile(whole, folder / "copy"), 0.65),
    }
    for name, (work, other) in works.items():
        yield Row(name, min(seconds(work, 2)), other=other, whose=reference)
    start = statistics.median(seconds(lambda: subprocess.run([sys.executable, "-c", "pass"]), 9))
    yield Row("python -c pass", start * 1000, "ms", other=12, whose=reference)
    yield Row("fsync of a small file", _fsync() * 1000, "ms", other=1.5, whose=f"{reference}, 0.8 to 2.3")
    rows = 100_000 // share
    yield Row(
        f"{rows:,} rows out of SQLite as JSON",
        _json_out(rows),
        other=0.12,
        whose=f"{reference}, 0.10 to 0.14",
    )


def _fsync() -> float:
    def once() -> None:
        os.write(file.fileno(), bytes(4096))
        os.fsync(file.fileno())

    with tempfile.NamedTemporaryFile() as file:
        return statistics.median(seconds(once, 20))


def _json_out(count: int) -> float:
    """Seconds that SQLite alone takes to print the rows of a table."""
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE t (a, b, c, d, e, f, g, h)")
        row = ("1-2ABC", "name 12345", "kind7", 12.3456789, 12345, 1, "2026-01-01", "some more text")
        database.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)", itertools.repeat(row, count))
        members = ", ".join(f"'{name}', {name}" for name in "abcdefgh")
        query = f"SELECT json_group_array(json_object({members})) FROM t"
        taken = statistics.median(seconds(lambda: database.execute(query).fetchone(), 3))
    database.close()
    return taken
