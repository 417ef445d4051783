"""``deriva-ml backup``."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from deriva_ml.cli.progress import Progress
from deriva_ml.cli.text import counted, examples
from deriva_ml.errors import DerivaMLConnectionError
from deriva_server.backup import Backup, back_up
from deriva_server.errors import DeploymentError
from deriva_server.sql.databases import shown_address

_MOST_DAMAGED = 10


def backup_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    examples(parser, "deriva-ml backup lab backups/2025-06-01")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a deployment; it may be in use")
    parser.add_argument("target", type=Path, metavar="TARGET", help="new or empty folder on a local disk")
    parser.add_argument(
        "--new-id",
        action="store_true",
        help="make the copy a deployment of its own, to be changed beside the original",
    )
    parser.add_argument(
        "--database",
        metavar="ADDRESS",
        help="of catalogs on a PostgreSQL server: new database for the copy, postgresql://user@host/new_name, "
        "remembered without its password; by default a free name beside the original, such as lab-monday",
    )
    parser.add_argument(
        "--objects",
        metavar="ADDRESS",
        help="keep the objects of the copy on S3 instead of in files: s3://bucket/new-prefix, "
        "with ?endpoint=… as for deriva-ml init; nothing may be there",
    )
    parser.add_argument("--quiet", action="store_true", help="do not show progress")


def backup(arguments: argparse.Namespace) -> int:
    """Copy a deployment; 1 when some objects were found to be damaged."""
    # The half-made copy is removed on the way out.
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))
    progress = Progress(shown=not arguments.quiet and sys.stderr.isatty())
    try:
        made = back_up(
            arguments.folder,
            arguments.target,
            new_id=arguments.new_id,
            database=arguments.database,
            objects=arguments.objects,
            told=progress.tell,
        )
    except DeploymentError as error:
        raise DerivaMLConnectionError(str(error)) from error
    finally:
        progress.clear()
    holds = f"{counted(made.catalogs, 'catalog')} and {counted(made.objects, 'object')}"
    print(f"{made.deployment.folder} is a deployment with {holds} of {arguments.folder}.")
    if made.database is not None:
        print(f"Its catalogs are kept at {shown_address(made.database)}.")
    if made.bucket is not None:
        print(f"Its objects are kept at {made.bucket}.")
    return _warn_of_damage(made)


def _warn_of_damage(made: Backup) -> int:
    for key in made.damaged[:_MOST_DAMAGED]:
        print(f"deriva-ml: content {key} is missing or damaged in the original", file=sys.stderr)
    if len(made.damaged) > _MOST_DAMAGED:
        print(f"deriva-ml: … and {len(made.damaged) - _MOST_DAMAGED} more", file=sys.stderr)
    return 1 if made.damaged else 0
