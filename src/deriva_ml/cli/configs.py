"""``deriva-ml validate-config`` and ``bootstrap-config``: configurations of a project beside what is in a catalog."""

from __future__ import annotations

import argparse
from pathlib import Path

from deriva_ml.cli.text import examples
from deriva_ml.cli.upload import connected, connection_arguments

FOLDER = Path("src/configs")
"""Where projects keep their configurations."""


def validate_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``validate-config``."""
    examples(
        parser,
        "deriva-ml validate-config --host ./lab --catalog 1",
        "deriva-ml validate-config src/configs/datasets.py --host deriva.example.org --catalog 52",
    )
    parser.add_argument(
        "path",
        nargs="?",
        type=Path,
        default=FOLDER,
        metavar="PATH",
        help="file or folder (default: %(default)s)",
    )
    connection_arguments(parser)


def validate(arguments: argparse.Namespace) -> int:
    """Print a line per declaration with its place: 0 when a run could use all that could be read, else 1."""
    ml = connected(arguments)
    is_folder = arguments.path.is_dir() or arguments.path == FOLDER
    check = ml.validate_config_directory if is_folder else ml.validate_config_file
    report = check(arguments.path)
    print(report)
    return 0 if report.all_valid else 1


def bootstrap_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``bootstrap-config``."""
    examples(
        parser,
        "deriva-ml bootstrap-config --host ./lab --catalog 1",
        "deriva-ml bootstrap-config --host ./lab --catalog 1 --kind datasets > src/configs/released.py",
    )
    connection_arguments(parser)
    parser.add_argument(
        "--kind",
        action="append",
        metavar="KIND",
        help="datasets, assets or workflow, may be repeated; all if left out",
    )
    parser.add_argument(
        "--dataset-type",
        action="append",
        metavar="TYPE",
        help="only datasets of this type, may be repeated",
    )


def bootstrap(arguments: argparse.Namespace) -> int:
    """Print Python text that declares what is in a catalog."""
    ml = connected(arguments)
    found = ml.bootstrap_config(kinds=arguments.kind, dataset_type_filter=arguments.dataset_type)
    print(found, end="")
    return 0
