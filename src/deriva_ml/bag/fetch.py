"""Bring the files of a bag here: in parallel, checked, and going on where an interrupted attempt stopped."""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from deriva_ml.bag import seal
from deriva_ml.bag.write import FetchEntry
from deriva_ml.checksums import md5_of
from deriva_ml.errors import DerivaMLChecksumError, DerivaMLDataError
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
    for entry in entries:
        _inside(folder, entry.path)
        if not is_there(folder / entry.path, entry):
            wanted[entry.url, entry.md5].append(entry)
    if not wanted:
        return 0
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


def _inside(folder: Path, place: str) -> None:
    """Refuse a path that leads out of the bag."""
    path = PurePosixPath(place)
    if path.is_absolute() or ".." in path.parts or "\\" in place:
        raise DerivaMLDataError(f"Bag {folder} names a file outside of itself: {place!r}.")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    shutil.copyfile(source, partial)
    partial.replace(target)


# --- has anything changed since ---------------------------------------------------------------------------------------


def note_state(folder: Path, state: Path) -> None:
    """Note size and time of every payload file, so that a change is noticed without reading them all."""
    found = {
        place: _mark(folder / place) for place in seal.read_manifest(folder) if (folder / place).exists()
    }
    partial = state.with_name(f"{state.name}.{os.getpid()}.part")
    partial.write_text(json.dumps(found), encoding="utf-8")
    partial.replace(state)


def check_state(folder: Path, state: Path) -> None:
    """Check that the files of a bag are those that were put there.

    Files whose size and time are as noted are taken for unchanged, others are read.

    Raises
    ------
    DerivaMLChecksumError
        If a file is damaged, or one that is not in ``fetch.txt`` is gone; the message names it.
    """
    sums = seal.read_manifest(folder)
    try:
        noted = json.loads(state.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        noted = {}
    fetchable = {entry.path for entry in seal.read_fetch(folder)}
    damaged = []
    for place, md5 in sums.items():
        path = folder / place
        try:
            if noted.get(place) != _mark(path) and md5_of(path) != md5:
                damaged.append(place)
        except FileNotFoundError:
            if place not in fetchable:
                damaged.append(place)
    if damaged:
        raise DerivaMLChecksumError(
            f"Bag {folder} is damaged: {', '.join(damaged[:5])}{', …' if len(damaged) > 5 else ''} changed or gone. "
            f"Delete the folder {folder.parent} and download again."
        )


def _mark(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
