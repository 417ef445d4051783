"""``deriva-ml remove``."""

from __future__ import annotations

import argparse
from pathlib import Path

from deriva_ml.cli.ask import agreed
from deriva_ml.cli.text import counted, examples
from deriva_ml.errors import DerivaMLConnectionError
from deriva_server.errors import DeploymentError, ServiceError
from deriva_server.removal import Removal, plan_removal


def remove_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    examples(parser, "deriva-ml remove backups/2025-06-01", "deriva-ml remove backups/2025-06-01 --yes")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a deployment that nobody uses")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def remove(arguments: argparse.Namespace) -> int:
    """Remove a deployment, after asking."""
    try:
        removal = plan_removal(arguments.folder)
        if not arguments.yes and not agreed(f"Remove {_told(removal)}, for ever? "):
            return 1
        left = removal.run()
    except (DeploymentError, ServiceError) as error:
        raise DerivaMLConnectionError(str(error)) from error
    print(f"Removed {_told(removal)}.")
    if left:
        print(f"{removal.deployment.folder} stays, because it holds {', '.join(left)}.")
    return 0


def _told(removal: Removal) -> str:
    made = removal.deployment
    where = "" if removal.database is None else f" at {removal.database}"
    there = "" if removal.objects is None else f" at {removal.objects}"
    held = f"{counted(len(removal.catalogs), 'catalog')}{where} and all its objects{there}"
    return f"{made.folder} (deployment {made.name!r}) with {held}"
