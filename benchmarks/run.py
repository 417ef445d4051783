"""Measure what the project costs, and write the table of docs/explanation/performance.md.

Every figure is a median, or one run of long works, in fresh folders.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path

from benchmarks import (
    bags,
    commands,
    counting,
    lineage,
    machine,
    metrics,
    objects,
    runs,
    service,
    streams,
    table,
)
from benchmarks.peers import PEERS
from benchmarks.table import Row

PAGE = Path(__file__).parents[1] / "docs/explanation/performance.md"

Measure = Callable[[Path, int], Iterable[Row]]

GROUPS: Mapping[str, tuple[str, Measure]] = {
    "machine": ("This machine", machine.measure),
    "commands": ("Programs and catalogs", commands.measure),
    "runs": ("Runs, in process", runs.measure),
    "bags": ("Datasets, in process", bags.measure),
    "metrics": ("Comparing runs, in process", metrics.measure),
    "lineage": ("Lineage, in process", lineage.measure),
    "sqlite": ("Catalog service over HTTP, SQLite", service.measure),
    "postgresql": ("Catalog service over HTTP, PostgreSQL", service.on_postgresql),
    "objects": ("Object service over HTTP", objects.measure),
    "streams": ("Many rows over HTTP, SQLite", streams.measure),
}
"""By the word of the command line: the heading in the table, and what measures its rows."""


def measured(names: Iterable[str], share: int) -> Iterator[tuple[str, Row]]:
    """Rows as they come, with the heading of their group."""
    for name in names:
        title, measure = GROUPS[name]
        folder = Path(tempfile.mkdtemp(prefix=f"deriva-bench-{name}-"))
        try:
            for row in measure(folder / "work", share):
                yield title, row.beside(PEERS) if share == 1 else row.without_targets()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def assembled(rows: Iterable[tuple[str, Row]], say: Callable[[str], object] = print) -> dict[str, list[Row]]:
    """The groups of the table; each row is told when it is there."""
    groups: dict[str, list[Row]] = {}
    for title, row in rows:
        if title not in groups:
            say(title)
        groups.setdefault(title, []).append(row)
        say(row.line())
    return groups


def main(arguments: list[str] | None = None) -> int:
    """Measure as the command line says."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parsed(given)
    if (status := counting.in_a_process_that_counts("benchmarks.run", given)) is not None:
        return status
    os.environ.setdefault("DERIVA_ML_ALLOW_DIRTY", "true")
    logging.disable(logging.WARNING)
    about, start = f"{machine.described()}.", time.monotonic()
    print(about)
    for name in options.groups or GROUPS:
        note = f"{date.today().isoformat()}, load {os.getloadavg()[0]:.1f}"
        groups = assembled(measured([name], options.share), lambda line: print(line, flush=True))
        if options.share == 1:
            lines = {title: table.group(title, note, rows) for title, rows in groups.items()}
            table.put_into(PAGE, about, lines, [title for title, _ in GROUPS.values()])
    print(f"{time.monotonic() - start:.0f} seconds in all.")
    if options.share == 1:
        print(f"The table is in {PAGE}.")
        for work in table.without_reason(PAGE.read_text(encoding="utf-8")):
            print(f"Missed, and no reason is given there: {work}")
    return 0


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__.splitlines()[0])
    parser.add_argument(
        "groups",
        nargs="*",
        metavar="GROUP",
        help=f"only some of: {', '.join(GROUPS)}; the others stay on the page as they are",
    )
    parser.add_argument(
        "--share",
        type=int,
        default=1,
        metavar="N",
        help="do one Nth of the work, without targets; the page stays as it is",
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"there is no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
