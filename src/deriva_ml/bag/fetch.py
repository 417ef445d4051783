"""Bring the files of a bag here: in parallel, checked, going on where an interrupted attempt stopped."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from deriva_ml.bag import layout
from deriva_ml.bag.write import FetchEntry
from deriva_ml.checksums import md5_of
from deriva_ml.copies import is_partial, partial_of
from deriva_ml.errors import DerivaMLDataError
from deriva_ml.parallel import run_all

FetchOne = Callable[[FetchEntry, Path], object]
"""Brings the bytes of one entry to a path, checked against length and MD5, under a temporary name until complete."""


def fetch(
    folder: Path, entries: Iterable[FetchEntry], fetch_one: FetchOne, *, workers: int = 8, label: str = ""
) -> int:
    """Bring the files of a bag that are not here yet.

    Parameters
    ----------
    folder : Path
        Root of the bag.
    entries : iterable of FetchEntry
    fetch_one : callable
        Gets an entry and the path to write.
    workers : int
        How many at a time.
    label : str
        Shown beside the progress bar.

    Returns
    -------
    int
        How many files were brought.

    Raises
    ------
    DerivaMLException
        If a file cannot be brought; those that were brought stay, and the next call goes on from there.
    """
    wanted: dict[tuple[str, str], list[FetchEntry]] = defaultdict(list)
    entries = list(entries)
    _check_inside(folder, (entry.path for entry in entries))
    for entry in entries:
        if not is_there(folder / entry.path, entry):
            wanted[entry.url, entry.md5].append(entry)
    if not wanted:
        return 0
    _remove_halves({(folder / entry.path).parent for group in wanted.values() for entry in group})
    with tqdm(
        total=sum(entry.length or 0 for group in wanted.values() for entry in group),
        desc=label or folder.name,
        unit="B",
        unit_scale=True,
        disable=None,
        leave=False,
    ) as bar:

        def bring(group: Sequence[FetchEntry]) -> None:
            first = folder / group[0].path
            fetch_one(group[0], first)
            for other in group[1:]:
                _copy(first, folder / other.path)

        def report(group: Sequence[FetchEntry], _result: None) -> None:
            bar.update(sum(entry.length or 0 for entry in group))

        run_all(bring, list(wanted.values()), max(1, workers), report)
    return sum(map(len, wanted.values()))


def is_there(path: Path, entry: FetchEntry) -> bool:
    """Whether the bytes of an entry are at a path; a file of the right length is read to be sure."""
    try:
        length = path.stat().st_size
    except OSError:
        return False
    if entry.length is not None and length != entry.length:
        return False
    return not entry.md5 or md5_of(path) == entry.md5.lower()


def _check_inside(folder: Path, places: Iterable[str]) -> None:
    """Refuse a path that leads out of the payload of a bag, be it by its name or by a link on the way."""
    real = folder.resolve()
    inside = set()
    for place in places:
        path = PurePosixPath(place)
        safe = not (path.is_absolute() or ".." in path.parts or "\\" in place)
        if not safe or len(path.parts) < 2 or path.parts[0] != layout.DATA:
            raise DerivaMLDataError(f"Bag {folder} names a file outside of its data: {place!r}.")
        parent = (folder / place).parent
        if parent.parent not in inside:
            if not parent.parent.resolve().is_relative_to(real):
                raise DerivaMLDataError(f"A link leads out of bag {folder}, on the way to {place!r}.")
            inside.add(parent.parent)
        if parent != folder / layout.DATA and parent.is_symlink():
            raise DerivaMLDataError(f"A link leads out of bag {folder}, on the way to {place!r}.")


def _remove_halves(folders: Iterable[Path]) -> None:
    """Remove what a process that died had not brought whole."""
    for folder in folders:
        for path in folder.glob(".*.part"):
            if is_partial(path):
                path.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(target)
    shutil.copyfile(source, partial)
    partial.replace(target)
