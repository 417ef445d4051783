"""``deriva-ml-storage``: what lies on this disk for all catalogs, and removing it."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deriva_ml.cli.ask import agreed
from deriva_ml.cli.program import program
from deriva_ml.cli.stored import HEADINGS, SORTS, cells
from deriva_ml.cli.text import counted, examples, size, table

if TYPE_CHECKING:
    from deriva_ml.cli.kept import Item

PROGRAM = "deriva-ml-storage"


def storage_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    examples(
        parser,
        parser.prog,
        f"{parser.prog} --list cache --sort size",
        f"{parser.prog} --delete 1-0B3T 1-0C4W --yes",
    )
    parser.add_argument(
        "--list",
        nargs="?",
        const="all",
        choices=("cache", "executions", "all"),
        help="list downloads, folders of executions, or both (the default)",
    )
    parser.add_argument(
        "--sort",
        choices=tuple(SORTS),
        help="order of the list (default: location); lists, also without --list",
    )
    parser.add_argument(
        "--delete",
        nargs="+",
        metavar="RID",
        help="remove everything of these datasets, assets and executions",
    )
    parser.add_argument(
        "--discard",
        action="store_true",
        help="with --delete: also what is not uploaded yet, which is then lost",
    )
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    parser.add_argument(
        "--working-dir",
        type=Path,
        metavar="DIR",
        help="a working directory, or a folder of them (default: DERIVA_ML_HOME, else ~/.deriva-ml)",
    )


def storage(arguments: argparse.Namespace) -> int:
    """Remove, list, or let the user choose on a screen."""
    # Here, so that --help stays instant.
    from deriva_ml.cli.kept import list_items

    if arguments.delete:
        _delete(arguments, list_items(arguments.working_dir))
    elif arguments.list or arguments.sort or not _has_screen():
        print(
            listing(list_items(arguments.working_dir), arguments.list or "all", arguments.sort or "location")
        )
    else:
        from deriva_ml.cli.storage_screen import StorageScreen

        StorageScreen(lambda: list_items(arguments.working_dir)).run()
    return 0


def _has_screen() -> bool:
    """Whether the interactive screen can be shown; says why not."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("This is no terminal, so here is the list; see --help for what else there is.", file=sys.stderr)
        return False
    if importlib.util.find_spec("textual") is None:
        print("For the interactive screen: pip install 'deriva-ml[tui]'. Here is the list.", file=sys.stderr)
        return False
    return True


def listing(items: Sequence[Item], location: str, sort: str) -> str:
    """The list.

    Parameters
    ----------
    items : list of Item
    location : str
        ``cache``, ``executions`` or ``all``.
    sort : str
    """
    shown = sorted((item for item in items if location in ("all", item.location)), key=SORTS[sort])
    if not shown:
        return "Nothing is stored here."
    total = f"{counted(len(shown), 'item')} of {size(sum(item.size for item in shown))}"
    return f"{table([HEADINGS, *map(cells, shown)])}\n{total}"


def _delete(arguments: argparse.Namespace, items: Sequence[Item]) -> None:
    from deriva_ml.cli.kept import remove
    from deriva_ml.errors import DerivaMLException

    wanted = [item for item in items if item.rid in arguments.delete]
    for rid in dict.fromkeys(arguments.delete):
        if all(item.rid != rid for item in wanted):
            print(f"{PROGRAM}: nothing of {rid} is stored here.", file=sys.stderr)
    if not wanted:
        return
    if not arguments.yes:
        print(table([HEADINGS, *map(cells, wanted)]))
        if not agreed(f"Remove {'this' if len(wanted) == 1 else 'these'} for ever? "):
            return
    freed, count = 0, 0
    for item in wanted:
        try:
            freed += remove(item, discard=arguments.discard)
            count += 1
        except DerivaMLException as error:
            print(f"{PROGRAM}: {error}", file=sys.stderr)
    print(f"Removed {count} of {len(wanted)}, {size(freed)} freed.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Without the name of the program; `sys.argv` by default.
    """
    description = (
        "See and remove what lies on this disk: downloaded datasets and assets, and folders of executions. "
        "Without options an interactive screen is shown."
    )
    return program(PROGRAM, description, storage_arguments, storage, argv)


if __name__ == "__main__":
    sys.exit(main())
