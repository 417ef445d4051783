"""``deriva-ml reproduce``: run an execution again, and tell which of its outputs come out the same."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from deriva_ml.cli.text import examples
from deriva_ml.cli.upload import connected, connection_arguments


def reproduce_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("execution", metavar="EXECUTION", help="RID of the execution")
    connection_arguments(parser)
    parser.add_argument(
        "--check", action="store_true", help="only say whether all that it needs is still there"
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-6,
        metavar="T",
        help="relative difference up to which numbers of metrics and features are the same (default: 1e-6)",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="run it in this new folder and keep it (default: a temporary one)",
    )
    examples(
        parser,
        "deriva-ml reproduce 1-0SYG --host ./lab --catalog 1 --check",
        "deriva-ml reproduce 1-0SYG --host ./lab --catalog 1 --tolerance 0.001",
    )


def reproduce(arguments: argparse.Namespace) -> int:
    """Print a verdict per output; 0 when all came out again, 1 when not, or when something that it needs is gone."""
    from deriva_ml.reproduction import check
    from deriva_ml.reproduction import reproduce as run_again

    ml = connected(arguments)
    if arguments.check:
        report = check(ml, arguments.execution)
        print(report)
        return 0 if report.is_possible else 1
    # The run and its folder do not outlive this program.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))
    done = run_again(
        ml,
        arguments.execution,
        tolerance=arguments.tolerance,
        folder=arguments.folder,
        say=lambda text: print(text, file=sys.stderr, flush=True),
    )
    print(done)
    return 0 if done.is_reproduced else 1
