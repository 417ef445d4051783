"""What lies on this disk for all catalogs that were worked with: found, told, and removed with care."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from deriva_ml import settings, storage
from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLException
from deriva_ml.execution.commit import remove_folder
from deriva_ml.execution.execution_snapshot import ExecutionSnapshot, list_executions
from deriva_ml.execution.lock import locked
from deriva_ml.execution.states import AT_WORK
from deriva_ml.names import CacheStatus
from deriva_ml.workspace import Workspace, paths

if TYPE_CHECKING:
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)

CACHE, EXECUTIONS = "cache", "executions"

_STATES = {
    CacheStatus.cached_materialized: "complete",
    CacheStatus.cached_holey: "some files",
    CacheStatus.cached_metadata_only: "tables only",
}


@dataclass(frozen=True)
class Place:
    """A working directory with the state of one catalog."""

    workspace: Workspace

    @property
    def working_dir(self) -> Path:
        """The working directory."""
        return self.workspace.root

    @property
    def cache_dir(self) -> Path:
        """Where its downloads are."""
        return self.workspace.cache_dir

    @cached_property
    def session(self) -> Session:
        """Itself, as rooms that ask a session only for what is on this disk want it."""
        return cast("Session", self)


@dataclass(frozen=True)
class Item:
    """One thing that can be removed.

    Parameters
    ----------
    rid : str
        Of the dataset, asset or execution; empty where it cannot be told any more.
    location : str
        ``cache`` or ``executions``.
    kind : str
        ``dataset``, ``asset`` or ``execution``.
    state : str
        For people.
    size : int
        In bytes.
    modified : datetime
    folder : Path
        What is removed.
    place : Place
    kept_because : str
        Why it must not be removed; empty when it may.
    is_used : bool
        Whether a process works with it, so that it stays in any case.
    """

    rid: str
    location: str
    kind: str
    state: str
    size: int
    modified: datetime
    folder: Path
    place: Place
    kept_because: str = ""
    is_used: bool = False


def find_places(home: Path) -> list[Place]:
    """Working directories in a folder, or the folder itself; those that share one give one per catalog.

    Parameters
    ----------
    home : Path
    """
    found = []
    for root in (home, *sorted(home.glob("*/*")), *sorted(home.glob("*/deriva-ml/*/*"))):
        for state in sorted(root.glob("catalogs/*/working/main.db")):
            authority, _, catalog_id = state.parts[-3].rpartition("__")
            found.append(Place(Workspace(root, authority, catalog_id)))
    return found


def list_items(home: Path | None = None) -> list[Item]:
    """All that can be removed below a folder, by default where working directories are that nobody named.

    Parameters
    ----------
    home : Path, optional

    Raises
    ------
    DerivaMLConfigurationError
        If the folder that is given is none, or what is there by default is no folder.
    """
    folder = settings.home() if home is None else home
    if not folder.is_dir() and (home is not None or folder.exists()):
        raise DerivaMLConfigurationError(
            f"{folder} is no folder. Name a working directory, or a folder of them."
        )
    items: list[Item] = []
    shared: dict[Path, list[Place]] = {}
    for place in find_places(folder):
        shared.setdefault(place.working_dir, []).append(place)
    for folder, places in shared.items():
        try:
            items += _cached(places[0])
            items += _executions(places)
        except (DerivaMLException, OSError) as error:
            # One damaged folder must not hide the others.
            logger.warning("%s is not listed in full: %s", folder, error)
    return items


def _cached(place: Place) -> Iterator[Item]:
    bags = [bag for bag in storage.list_cached_bags(place.session) if bag.status in _STATES]
    for bag in [*bags, *storage.list_broken_bags(place.session)]:
        state = (
            f"version {bag.version}, {_STATES[bag.status]}"
            if bag.status in _STATES
            else "damaged or unfinished"
        )
        folder = place.cache_dir / "bags" / paths.safe_name(bag.checksum)
        modified = datetime.fromisoformat(bag.built_at)
        yield Item(bag.dataset_rid, CACHE, "dataset", state, bag.size_bytes, modified, folder, place)
    for asset in storage.list_cached_assets(place.session):
        state = "" if asset.file_count else "empty"
        yield Item(asset.rid, CACHE, "asset", state, asset.size_bytes, asset.modified, asset.path, place)


def _executions(places: list[Place]) -> Iterator[Item]:
    known: dict[str, tuple[Place, ExecutionSnapshot]] = {}
    for place in places:
        known |= {paths.safe_name(each.rid): (place, each) for each in list_executions(place.session)}
    for entry in storage.list_execution_dirs(places[0].session):
        rid, folder = entry["execution_rid"], Path(entry["path"])
        place, snapshot = known.get(rid, (places[0], None))
        yield Item(
            rid,
            EXECUTIONS,
            "execution",
            "unknown here" if snapshot is None else str(snapshot.status),
            entry["size_bytes"],
            entry["modified"],
            folder,
            place,
            *(("", False) if snapshot is None else _kept_because(place, snapshot)),
        )


def _kept_because(place: Place, snapshot: ExecutionSnapshot) -> tuple[str, bool]:
    """Why the folder of an execution is still needed, and whether by a process."""
    state = place.workspace.executions.get(snapshot.rid)
    owner = None if state is None else state.owner
    if snapshot.status in AT_WORK and owner is not None and not owner.is_gone:
        return f"{owner} works on it" if owner.is_alive else f"{owner} may work on it", owner.is_alive
    if snapshot.waiting:
        where = f"--host HOST --catalog {place.workspace.catalog_id} --working-dir {place.working_dir}"
        waits = "1 output of it is" if snapshot.waiting == 1 else f"{snapshot.waiting} outputs of it are"
        return f"{waits} not uploaded yet; run deriva-ml-upload {where} --execution {snapshot.rid}", False
    return "", False


def remove(item: Item, *, discard: bool = False) -> int:
    """Remove a thing; returns how many bytes that freed.

    Parameters
    ----------
    item : Item
    discard : bool
        Whether outputs that are not uploaded yet may be lost; what a process of this machine works with stays.

    Raises
    ------
    DerivaMLException
        If it is in use, or holds what would be lost.
    """
    if item.kept_because and (item.is_used or not discard):
        hint = "" if item.is_used else " (--discard gives it up)"
        raise DerivaMLException(f"{item.kind} {item.rid} stays: {item.kept_because}{hint}.")
    session = item.place.session
    if item.kind == "execution":
        with locked(session, item.rid, "remove the folder of"):
            remove_folder(item.folder)
        gone = not item.folder.exists()
    elif item.kind == "dataset":
        gone = bool(storage.delete_bag_folders(session, [item.folder])["dirs_removed"])
    else:
        gone = bool(
            storage.delete_cached_asset(session, item.rid, item.folder.name.rpartition("_")[2])[
                "assets_removed"
            ]
        )
    if not gone:
        raise DerivaMLException(f"{item.folder} could not be removed: a process uses it, or it is not yours.")
    return item.size
