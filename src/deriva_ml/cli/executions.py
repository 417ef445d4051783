"""``deriva-ml executions``: what a working directory knows of the executions that ran with it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from deriva_ml.cli.text import examples, table
from deriva_ml.cli.upload import connected, connection_arguments

if TYPE_CHECKING:
    from deriva_ml.execution.execution_snapshot import ExecutionSnapshot

_WIDTH = 60


def executions_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    examples(parser, "deriva-ml executions --host ./lab --catalog 1 --incomplete")
    connection_arguments(parser)
    parser.add_argument(
        "--incomplete", action="store_true", help="only those that are neither uploaded nor aborted"
    )


def executions(arguments: argparse.Namespace) -> int:
    """Print a line per execution, oldest first; the catalog is not asked about them."""
    ml = connected(arguments)
    found = ml.find_incomplete_executions() if arguments.incomplete else ml.list_executions()
    if not found:
        print(f"No executions in {ml.working_dir}.")
        return 0
    cells = [["RID", "STATUS", "SINCE", "WAITING", "ABOUT"], *(_cells(each) for each in found)]
    print(table(cells))
    return 0


def _cells(snapshot: ExecutionSnapshot) -> list[str]:
    return [
        snapshot.rid,
        str(snapshot.status),
        _local(snapshot.last_activity),
        str(snapshot.waiting or ""),
        "; ".join(_about(snapshot)),
    ]


def _about(snapshot: ExecutionSnapshot) -> Iterator[str]:
    if snapshot.owner_gone_since is not None:
        yield f"owner gone since {_local(snapshot.owner_gone_since)}"
    for text in (snapshot.error, snapshot.description):
        line = " ".join((text or "").split())
        if line:
            yield line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def _local(time: datetime) -> str:
    return time.astimezone().strftime("%Y-%m-%d %H:%M")
