"""``deriva-ml-upload``: commit the executions of a workspace from outside the programs that ran them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deriva_ml.cli.program import program
from deriva_ml.cli.text import examples

if TYPE_CHECKING:
    from deriva_ml.ml import DerivaML
    from deriva_ml.records import UploadReport

_MOST_ERRORS = 10


def connection_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say which catalog is meant, and with which working directory; for `connected`."""
    parser.add_argument("--host", required=True, help="folder, host name, or http://host:port")
    parser.add_argument("--catalog", required=True, help="id or alias of the catalog")
    parser.add_argument(
        "--working-dir",
        metavar="DIR",
        help="working directory that the executions ran with, or what a configuration names as such (default: the usual "
        "one, and where that knows no execution the folder work of a HOST that is a folder)",
    )
    parser.add_argument(
        "--mode", choices=("online", "offline"), default="online", help="offline works with the kept schema"
    )


def connected(arguments: argparse.Namespace) -> DerivaML:
    """Open the catalog that the arguments name, in the working directory that knows executions of it."""
    # Here, so that --help stays instant.
    from deriva_ml.ml import DerivaML

    def opened(working_dir: str | Path | None) -> DerivaML:
        return DerivaML(arguments.host, arguments.catalog, working_dir=working_dir, mode=arguments.mode)

    ml = opened(arguments.working_dir)
    configured = _configured(arguments)
    return ml if configured is None or ml.list_executions() else opened(configured)


def _configured(arguments: argparse.Namespace) -> Path | None:
    """Where runs work whose configuration names the working directory that is meant, None when there is no such folder.

    A configuration names one that users and catalogs share; projects that `deriva-ml new` makes name ``HOST/work``.
    """
    from deriva_ml.connection import DerivaMLConfig

    named = arguments.working_dir or Path(arguments.host).expanduser() / "work"
    if not Path(named).is_dir():
        return None
    folder = DerivaMLConfig.compute_workdir(named, arguments.catalog, arguments.host)
    return folder if folder.is_dir() else None


def upload_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    examples(
        parser,
        f"{parser.prog} --host ./lab --catalog 1",
        f"{parser.prog} --host deriva.example.org --catalog 52 --execution 1-0B3T --clean",
    )
    connection_arguments(parser)
    parser.add_argument(
        "--execution",
        action="append",
        metavar="RID",
        help="an execution to commit, may be repeated; all that wait if left out",
    )
    parser.add_argument(
        "--clean", action="store_true", help="remove local copies of what is committed (kept by default)"
    )


def upload(arguments: argparse.Namespace) -> int:
    """Commit executions; 0 when all went well, 1 when some failed."""
    ml = connected(arguments)
    report = ml.commit_pending_executions(execution_rids=arguments.execution, clean_folder=arguments.clean)
    _print(report)
    return 1 if report.total_failed else 0


def _print(report: UploadReport) -> None:
    def say(text: str) -> None:
        print(text, file=sys.stderr)

    if not report.execution_rids:
        say("no execution of this workspace waits for its commit.")
    say(f"upload complete: {report.total_uploaded} items uploaded, {report.total_failed} failed.")
    for label, counts in sorted(report.per_table.items()):
        say(f"  {label}: +{counts['uploaded']} / -{counts['failed']}")
    for error in report.errors[:_MOST_ERRORS]:
        say(f"  {error}")
    if len(report.errors) > _MOST_ERRORS:
        say(f"  … and {len(report.errors) - _MOST_ERRORS} more")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Without the name of the program; `sys.argv` by default.
    """
    description = (
        "Commit executions of a working directory: those that stopped, failed or were interrupted. Exit status: 0 when "
        "nothing failed, 1 when an execution did, 2 when nothing could be tried."
    )
    return program("deriva-ml-upload", description, upload_arguments, upload, argv, failed=2)


if __name__ == "__main__":
    sys.exit(main())
