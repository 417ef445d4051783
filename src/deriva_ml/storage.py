"""What lies on this disk for a catalog, how big it is, and cleaning it up."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml.bag import layout
from deriva_ml.bag.lock import attempted
from deriva_ml.bag.seal import is_sealed, missing, read_fetch
from deriva_ml.bag.state import Guard
from deriva_ml.errors import DerivaMLDataError, DerivaMLValidationError
from deriva_ml.names import CacheStatus, optional_list
from deriva_ml.records import CachedAsset, CachedBag
from deriva_ml.workspace import paths

if TYPE_CHECKING:
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)

_MB = 1024 * 1024


@dataclass(frozen=True)
class _Size:
    """How much is below a folder, links not followed."""

    bytes: int = 0
    files: int = 0
    folders: int = 0
    modified: float = 0.0


def _size(folder: Path) -> _Size:
    total = files = folders = 0
    newest = 0.0
    for place, inner, names in os.walk(folder):
        folders += len(inner)
        for name in names:
            try:
                status = Path(place, name).lstat()
            except FileNotFoundError:
                continue
            total, files, newest = total + status.st_size, files + 1, max(newest, status.st_mtime)
    if not newest and folder.exists():
        newest = folder.stat().st_mtime
    return _Size(total, files, folders, newest)


def _folders(parent: Path) -> Iterator[Path]:
    return (entry for entry in sorted(parent.iterdir()) if entry.is_dir()) if parent.is_dir() else iter(())


def _cutoff(older_than_days: float | None) -> float | None:
    if older_than_days is None:
        return None
    is_number = isinstance(older_than_days, int | float) and not isinstance(older_than_days, bool)
    if not is_number or not older_than_days >= 0:
        raise DerivaMLValidationError(
            f"older_than_days must be a number of days, 0 or more, not {older_than_days!r}."
        )
    return datetime.now(UTC).timestamp() - older_than_days * timedelta(days=1).total_seconds()


def _remove(folders: Collection[Path]) -> dict[str, int]:
    """Remove folders; what cannot be removed is counted, and stays."""
    done = {"dirs_removed": 0, "files_removed": 0, "bytes_freed": 0, "errors": 0}
    for folder in folders:
        size = _size(folder)
        try:
            shutil.rmtree(folder)
        except OSError:
            done["errors"] += 1
            continue
        done["dirs_removed"] += 1
        done["files_removed"] += size.files
        done["bytes_freed"] += size.bytes
    return done


def _only(done: dict[str, int], *names: str) -> dict[str, int]:
    return {name: done[name] for name in names}


def list_execution_dirs(session: Session) -> list[dict[str, Any]]:
    """Scratch folders of executions, newest first.

    Parameters
    ----------
    session : Session

    Returns
    -------
    list of dict
        ``execution_rid``, ``path``, ``size_bytes``, ``size_mb``, ``modified`` and ``file_count`` of each.
    """
    found = []
    for folder in _folders(paths.executions_dir(session.working_dir)):
        size = _size(folder)
        found.append(
            {
                "execution_rid": folder.name,
                "path": str(folder),
                "size_bytes": size.bytes,
                "size_mb": size.bytes / _MB,
                "modified": datetime.fromtimestamp(size.modified, UTC),
                "file_count": size.files,
            }
        )
    return sorted(found, key=lambda entry: entry["modified"], reverse=True)


def clean_execution_dirs(
    session: Session, older_than_days: float | None = None, exclude_rids: Collection[str] | None = None
) -> dict[str, int]:
    """Remove scratch folders of executions; those with outputs that are not committed yet are kept.

    Parameters
    ----------
    session : Session
    older_than_days : float, optional
        Only folders in which nothing changed for so long.
    exclude_rids : collection of str, optional
        Executions whose folders are kept.

    Returns
    -------
    dict
        ``dirs_removed``, ``bytes_freed`` and ``errors``.
    """
    limit = _cutoff(older_than_days)
    waiting = {
        rid for rid, counts in session.workspace.manifest.counts().items() if set(counts) - {"uploaded"}
    }
    kept = waiting | set(optional_list("exclude_rids", exclude_rids))
    old = [
        folder
        for folder in _folders(paths.executions_dir(session.working_dir))
        if folder.name not in kept and (limit is None or _size(folder).modified < limit)
    ]
    return _only(_remove(old), "dirs_removed", "bytes_freed", "errors")


def note_bag(session: Session, folder: Path) -> None:
    """Enter a bag that is complete in the cache into its index, by what its maker noted in it.

    Parameters
    ----------
    session : Session
    folder : Path
        Root of the bag.
    """
    try:
        noted = json.loads((folder / layout.PROVENANCE).read_text(encoding="utf-8"))
        extra, profile, rid = noted["extra"], noted["profile_identifier"], noted["anchors"][0]["rid"]
        summary = {"version": extra["version"], "snapshot": extra["snapshot"]}
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        # A damaged one is listed by what its folder is called, so that it can be removed.
        logger.warning("Bag %s is damaged: %s cannot be read: %s", folder, layout.PROVENANCE, error)
        summary, profile, rid = {}, layout.PROFILE, folder.name.removeprefix("Dataset_")
    session.workspace.bags.add(
        folder.parent.name,
        anchors=[("Dataset", rid)],
        summary=summary,
        size_bytes=_size(folder.parent).bytes,
        profile_id=profile,
    )


def _complete_index(session: Session) -> None:
    """Enter bags whose maker was killed before it could, or whose index was lost; forget those that are gone."""
    index = session.workspace.bags
    parent = session.cache_dir / "bags"
    places = {folder.name: folder for folder in _folders(parent) if not folder.name.endswith(paths.STAGING)}
    known = {entry.checksum for entry in index.entries()}
    for checksum in sorted(known - set(places)):
        index.remove(checksum)
    for name in sorted(set(places) - known):
        for folder in places[name].glob("Dataset_*"):
            note_bag(session, folder)


def list_cached_bags(session: Session, check: bool = False) -> list[CachedBag]:
    """Versions of datasets that were downloaded, newest first.

    Parameters
    ----------
    session : Session
    check : bool
        Whether to look for damage, which is then said in ``damage``; files whose size and times are as noted are not
        read for it.
    """
    _complete_index(session)
    found = []
    for entry in session.workspace.bags.entries():
        for table, rid in session.workspace.bags.anchors(entry.checksum):
            folder = paths.cached_bag_dir(session.cache_dir, entry.checksum, rid)
            if table != "Dataset" or not folder.is_dir():
                continue
            found.append(
                CachedBag(
                    dataset_rid=rid,
                    version=entry.summary.get("version"),
                    checksum=entry.checksum,
                    status=bag_status(folder),
                    built_at=entry.built_at,
                    size_bytes=_size(folder).bytes,
                    path=folder,
                    damage=damage_of(folder) if check else None,
                )
            )
    return found


def damage_of(folder: Path) -> str | None:
    """What is wrong with a bag in the cache, None if nothing is.

    Parameters
    ----------
    folder : Path
        Root of the bag.
    """
    if not is_sealed(folder):
        return f"{folder} has lost its tag files."
    try:
        Guard(folder)
    except DerivaMLDataError as error:
        return str(error)
    return None


def bag_status(folder: Path) -> CacheStatus:
    """How much of a bag is here: nothing, its tables only, some of its files, or all of it."""
    if not is_sealed(folder):
        return CacheStatus.not_cached
    try:
        elsewhere, fetched = missing(folder), read_fetch(folder)
    except DerivaMLDataError as error:
        logger.warning("Bag %s is damaged and of no use: %s", folder, error)
        return CacheStatus.not_cached
    if not elsewhere:
        return CacheStatus.cached_materialized
    some_are_here = len(elsewhere) < len(fetched)
    return CacheStatus.cached_holey if some_are_here else CacheStatus.cached_metadata_only


def delete_cached_bag(session: Session, dataset_rid: str, version: str | None = None) -> dict[str, int]:
    """Remove downloaded versions of a dataset.

    Parameters
    ----------
    session : Session
    dataset_rid : str
    version : str, optional
        Only this version.

    Returns
    -------
    dict
        ``bags_removed`` and ``bytes_freed``.
    """
    gone = [
        bag
        for bag in list_cached_bags(session)
        if bag.dataset_rid == dataset_rid and version in (None, bag.version)
    ]
    done = _remove_bags(session, [bag.path.parent for bag in gone])
    return {"bags_removed": done["dirs_removed"], "bytes_freed": done["bytes_freed"]}


def _remove_bags(session: Session, folders: Collection[Path]) -> dict[str, int]:
    """Remove folders of the cache of bags; one that a process works in stays, and counts as an error."""
    done = Counter({"dirs_removed": 0, "files_removed": 0, "bytes_freed": 0, "errors": 0})
    for folder in folders:
        target = folder.with_name(folder.name.removesuffix(paths.STAGING))
        with attempted(paths.bag_lock_file(target)) as is_free:
            if not is_free:
                done["errors"] += 1
                continue
            staging = paths.bag_staging_dir(target)
            if folder != staging:
                # Killed on the way, this leaves nothing that could be taken for a bag.
                done.update(_remove([staging] if staging.exists() else []))
                folder.rename(staging)
            session.workspace.bags.remove(target.name)
            done.update(_remove([staging]))
    return dict(done)


def list_cached_assets(session: Session) -> list[CachedAsset]:
    """Assets whose bytes are kept for all runs."""
    found = []
    for folder in _folders(session.cache_dir / "assets"):
        rid, _, md5 = folder.name.rpartition("_")
        size = _size(folder)
        modified = datetime.fromtimestamp(size.modified, UTC)
        found.append(CachedAsset(rid, md5, size.files, size.bytes, modified, folder))
    return found


def delete_cached_asset(session: Session, rid: str, md5: str | None = None) -> dict[str, int]:
    """Remove the kept bytes of an asset: ``assets_removed`` and ``bytes_freed``."""
    gone = [
        asset.path for asset in list_cached_assets(session) if asset.rid == rid and md5 in (None, asset.md5)
    ]
    done = _remove(gone)
    return {"assets_removed": done["dirs_removed"], "bytes_freed": done["bytes_freed"]}


def clear_cache(session: Session, older_than_days: float | None = None) -> dict[str, int]:
    """Remove downloaded bags, assets and tables; they are fetched again when they are needed.

    Parameters
    ----------
    session : Session
    older_than_days : float, optional
        Only those in which nothing changed for so long.

    Returns
    -------
    dict
        ``files_removed``, ``dirs_removed``, ``bytes_freed`` and ``errors``.
    """
    limit = _cutoff(older_than_days)

    def old(kind: str) -> list[Path]:
        places = _folders(session.cache_dir / kind)
        return [folder for folder in places if limit is None or _size(folder).modified < limit]

    done = Counter(_remove_bags(session, old("bags")))
    done.update(_remove([*old("assets"), *old("tables")]))
    return _only(done, "files_removed", "dirs_removed", "bytes_freed", "errors")


def get_cache_size(session: Session) -> dict[str, float]:
    """How much is cached: ``total_bytes``, ``total_mb``, ``file_count`` and ``dir_count``."""
    size = _size(session.cache_dir)
    return {
        "total_bytes": size.bytes, "total_mb": size.bytes / _MB, "file_count": size.files, "dir_count": size.folders,
    }  # fmt: skip


def get_storage_summary(session: Session) -> dict[str, Any]:
    """What lies on this disk for this catalog, in one dict; sizes in MB."""
    cache = get_cache_size(session)
    executions = list_execution_dirs(session)
    bags, kept = list_cached_bags(session), list_cached_assets(session)
    execution_mb = sum(entry["size_mb"] for entry in executions)
    return {
        "working_dir": str(session.working_dir),
        "cache_dir": str(session.cache_dir),
        "cache_size_mb": cache["total_mb"],
        "cache_file_count": cache["file_count"],
        "execution_dir_count": len(executions),
        "execution_size_mb": execution_mb,
        "total_size_mb": cache["total_mb"] + execution_mb,
        "bag_count": len(bags),
        "bag_size_mb": sum(bag.size_bytes for bag in bags) / _MB,
        "asset_count": len(kept),
        "asset_size_mb": sum(asset.size_bytes for asset in kept) / _MB,
    }


def download_dir(session: Session, cached: bool = False) -> Path:
    """Folder for downloads: that of the cache, or the working directory."""
    return session.cache_dir if cached else session.working_dir


def list_broken_bags(session: Session) -> list[CachedBag]:
    """Folders in the cache of bags that are of no use: left by a process that ended, or damaged.

    Parameters
    ----------
    session : Session

    Returns
    -------
    list of CachedBag
        Without a version; one that a process works in now is not among them.
    """
    good = {bag.path.parent for bag in list_cached_bags(session) if bag.status is not CacheStatus.not_cached}
    found = []
    for folder in _folders(session.cache_dir / "bags"):
        if folder in good:
            continue
        with attempted(
            paths.bag_lock_file(folder.with_name(folder.name.removesuffix(paths.STAGING)))
        ) as is_free:
            if not is_free:
                continue
        size = _size(folder)
        inner = next(folder.glob("Dataset_*"), None)
        found.append(
            CachedBag(
                dataset_rid="" if inner is None else inner.name.removeprefix("Dataset_"),
                version=None,
                checksum=folder.name,
                status=CacheStatus.not_cached,
                built_at=datetime.fromtimestamp(size.modified, UTC).isoformat(),
                size_bytes=size.bytes,
                path=folder if inner is None else inner,
            )
        )
    return found


def delete_bag_folders(session: Session, folders: Collection[Path]) -> dict[str, int]:
    """Remove folders of the cache of bags, whole or broken: ``dirs_removed``, ``bytes_freed`` and ``errors``."""
    return _only(_remove_bags(session, folders), "dirs_removed", "bytes_freed", "errors")
