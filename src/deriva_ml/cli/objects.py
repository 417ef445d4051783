"""``deriva-ml objects``: what the object store of a deployment holds, and whether it is sound."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from deriva_ml.cli.progress import Progress
from deriva_ml.cli.text import counted, examples, size, table
from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLConnectionError
from deriva_server.blobs.collect import DAY, Garbage, collect, find_garbage
from deriva_server.blobs.directory import Directory
from deriva_server.blobs.metrics import MetricsIndex
from deriva_server.blobs.verify import verify
from deriva_server.embed import LocalServer
from deriva_server.errors import DeploymentError, ServiceError
from deriva_server.sql.usage import usage

_MOST_NAMES = 5


def show_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``objects``."""
    examples(
        parser, "deriva-ml objects ./lab", "deriva-ml objects gc --help", "deriva-ml objects verify --help"
    )
    _common(parser)


def show(arguments: argparse.Namespace) -> int:
    """Print sizes."""
    with _opened(arguments) as (directory, progress):
        with directory.read() as connection:
            found = usage(connection)
        garbage = find_garbage(directory, None, progress.tell)
    names = f"{counted(found.objects, 'object')} in {counted(found.namespaces, 'namespace')}"
    print(f"{names}, {counted(found.versions, 'version')}")
    lines = [
        ("contents", f"{found.contents:,}", size(found.stored)),
        ("duplicates", f"{found.versions - found.contents:,}", f"{size(found.length - found.stored)} saved"),
        ("uploads", f"{found.uploads:,}", "not finished"),
        *_lines(garbage),
    ]
    print(table(lines))
    if garbage.length:
        print(f"Free {size(garbage.length)} with: deriva-ml objects gc {quote(str(arguments.folder))} --yes")
    return 0


def gc_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``objects gc``."""
    examples(parser, "deriva-ml objects gc ./lab", "deriva-ml objects gc ./lab --uploads 30 --yes")
    _common(parser)
    parser.add_argument(
        "--uploads",
        type=float,
        metavar="DAYS",
        help="also give up uploads in chunks that began more than DAYS days ago and are not finished",
    )
    parser.add_argument(
        "--yes", action="store_true", help="remove; else it is only told what would be removed"
    )


def gc(arguments: argparse.Namespace) -> int:
    """Remove what nobody refers to, or tell what it is; the deployment may be in use meanwhile."""
    if arguments.uploads is not None and not arguments.uploads >= 0:
        raise DerivaMLConfigurationError(f"--uploads is a number of days, not {arguments.uploads}.")
    older = None if arguments.uploads is None else arguments.uploads * DAY
    with _opened(arguments) as (directory, progress):
        garbage = find_garbage(directory, older, progress.tell)
        if arguments.yes:
            garbage = collect(directory, garbage, progress.tell)
    if not garbage.length and not garbage.uploads and not garbage.kept:
        print(f"There is nothing to remove in {arguments.folder}.")
        return 0
    print(table(_lines(garbage)))
    print(f"{'Removed' if arguments.yes else 'Would remove'} {size(garbage.length)}.")
    if garbage.kept:
        print(f"{counted(garbage.kept, 'content')} could not be removed while a backup is running.")
    if not arguments.yes:
        print("Nothing was changed; say --yes to remove it for ever.")
    return 0


def verify_all_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``objects verify``."""
    examples(parser, "deriva-ml objects verify ./lab")
    _common(parser)


def verify_all(arguments: argparse.Namespace) -> int:
    """Hash all contents; 1 when some are damaged."""
    with _opened(arguments) as (directory, progress):
        found = verify(directory, progress.tell)
    for damage in found.damaged:
        print(f"content {damage.key} {damage.what}; it is that of", file=sys.stderr)
        for location in damage.locations[:_MOST_NAMES]:
            print(f"  {location}", file=sys.stderr)
        if len(damage.locations) > _MOST_NAMES:
            print(f"  … and {len(damage.locations) - _MOST_NAMES:,} more", file=sys.stderr)
    read = f"{counted(found.contents, 'content')} of {size(found.length)}"
    if found.damaged:
        print(f"{len(found.damaged):,} of {read} are damaged. Restore them from a backup.")
        return 1
    print(f"{read} read, all as they were put.")
    return 0


def metrics_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``objects metrics``."""
    examples(parser, "deriva-ml objects metrics ./lab", "deriva-ml objects metrics ./lab --rebuild")
    _common(parser)
    parser.add_argument(
        "--rebuild",
        action="store_true",
        help="read all files of the index again; the deployment may be in use",
    )


def metrics(arguments: argparse.Namespace) -> int:
    """Tell how much the index of metrics holds; it grows by itself when metrics are asked for."""
    with _opened(arguments) as (directory, progress):
        index = MetricsIndex(directory)
        if arguments.rebuild:
            index.rebuild(progress.tell)
        found = index.size()
    print(f"{counted(found.entries, 'file')} of metrics, {size(found.length)}")
    return 0


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        type=Path,
        metavar="FOLDER",
        nargs="?",
        default=Path(),
        help="a deployment; it may be in use (default: .)",
    )
    parser.add_argument("--quiet", action="store_true", help="do not show progress")


@contextmanager
def _opened(arguments: argparse.Namespace) -> Iterator[tuple[Directory, Progress]]:
    progress = Progress(shown=not arguments.quiet and sys.stderr.isatty())
    try:
        with LocalServer.open(arguments.folder) as server:
            yield server.objects.directory, progress
    except (DeploymentError, ServiceError) as error:
        raise DerivaMLConnectionError(str(error)) from error
    finally:
        progress.clear()


def _lines(garbage: Garbage) -> list[tuple[str, str, str]]:
    """A line for each kind of garbage that there is."""
    return [
        (what, f"{len(found):,}", f"{size(sum(length for _, length in found))} {said}")
        for what, found, said in (
            ("orphans", garbage.orphans, "that no object has"),
            ("remains", garbage.remains, "that never arrived whole"),
            ("given up", garbage.uploads, "of uploads that nobody finishes"),
        )
        if found
    ]
