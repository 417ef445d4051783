"""A dataset version to a bag on this disk: resolve, look in the cache, export, fetch."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml import storage
from deriva_ml.bag import layout, seal, state
from deriva_ml.bag.build import build
from deriva_ml.bag.database import BagFile
from deriva_ml.bag.fetch import fetch
from deriva_ml.bag.lock import exclusive
from deriva_ml.bag.write import FetchEntry
from deriva_ml.copies import holding_cache
from deriva_ml.dataset import version as labels
from deriva_ml.dataset.bag import BagCatalog, DatasetBag
from deriva_ml.dataset.export import DatasetWalk
from deriva_ml.dataset.release import pinned
from deriva_ml.dataset.view import children, history
from deriva_ml.ermrest import objects
from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.rids import resolve_rid
from deriva_ml.errors import (
    DerivaMLDatasetNotFound,
    DerivaMLRidsNotFound,
    DerivaMLTableNotFound,
    DerivaMLTableTypeError,
)
from deriva_ml.lasting import let_last
from deriva_ml.names import DatasetVersion, MLTable, did_you_mean
from deriva_ml.records import DatasetHistory
from deriva_ml.rows.local import FILES, LocalReader
from deriva_ml.specs import DatasetSpec
from deriva_ml.workspace import paths

if TYPE_CHECKING:
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)

_LAYOUT = 2
"""Raised when bags of the same version come out differently, so that older ones in the cache are not used."""


@dataclass(frozen=True)
class Resolved:
    """A version that will be read.

    Parameters
    ----------
    spec : DatasetSpec
        With a concrete version.
    entry : DatasetHistory
        The row of that version.
    snapshot : str
        Catalog snapshot at which it is read.
    since : bool
        Whether what was changed since that version is read too; that is in no version yet.
    """

    spec: DatasetSpec
    entry: DatasetHistory
    snapshot: str
    since: bool = False

    @property
    def label(self) -> str:
        """What is noted as the version of a bag."""
        return f"{self.entry.dataset_version}+live" if self.since else str(self.entry.dataset_version)

    @property
    def spec_hash(self) -> str:
        """What identifies the content that was asked for, wherever the snapshot is."""
        asked = [
            _LAYOUT,
            self.spec.rid,
            str(self.entry.dataset_version),
            sorted(self.spec.exclude_tables or ()),
        ]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def resolve(session: Session, spec: DatasetSpec) -> Resolved:
    """Find the version row and the snapshot of what is asked for.

    Parameters
    ----------
    session : Session
    spec : DatasetSpec
        Without a version the last release is meant.

    Raises
    ------
    DerivaMLTableTypeError
        If the RID is that of something else.
    DerivaMLDatasetNotFound
        If there is no such RID.
    DerivaMLException
        If there is no such version; the message lists those there are.
    """
    entries = history(session.reader, [spec.rid])
    if not entries:
        require_dataset(session, spec.rid)
    by_label = {entry.dataset_version: entry for entry in entries}
    chosen = labels.choose(by_label, spec.version, spec.rid)
    newest = max(by_label)
    if spec.version is None and newest != chosen:
        logger.warning(
            "Dataset %s has changed since its release %s; the release is used. Call release() to make the changes a "
            "version, or ask for version %s.",
            spec.rid,
            chosen,
            newest,
        )
    entry = by_label[chosen]
    # A dev version is what is there now.
    snapshot = pinned(session, chosen, entry.version_rid, entry.snapshot) or session.connection.snaptime()
    return Resolved(spec.model_copy(update={"version": chosen}), entry, snapshot)


def require_dataset(session: Session, rid: str) -> None:
    """Check that a RID is that of a dataset.

    Raises
    ------
    DerivaMLTableTypeError
        If it is that of something else.
    DerivaMLDatasetNotFound
        If there is no such RID.
    """
    try:
        found = resolve_rid(session.connection, session.model, rid)
    except DerivaMLRidsNotFound:
        raise DerivaMLDatasetNotFound(rid) from None
    if found.table is not session.model.ml_table(MLTable.dataset):
        raise DerivaMLTableTypeError("Dataset", rid, f"{rid} is a row of {found.table_name}, not a dataset.")


def download(session: Session, spec: DatasetSpec | str) -> DatasetBag:
    """Download a version of a dataset, or take it from the cache.

    Parameters
    ----------
    session : Session
    spec : DatasetSpec or str
        RID, version (the last release by default), whether files are wanted, tables to leave out.

    Returns
    -------
    DatasetBag

    Raises
    ------
    DerivaMLException
        If there is no such dataset or version, or something cannot be read. What was downloaded by then is kept and
        used by the next call.
    """
    spec = spec if isinstance(spec, DatasetSpec) else DatasetSpec.model_validate(spec)
    session = session.patient(spec.timeout)
    bag = _bag(session, resolve(session, spec))
    return bag.materialize(fetch_concurrency=spec.fetch_concurrency) if spec.materialize else bag


def cache(session: Session, spec: DatasetSpec | str, materialize: bool = True) -> DatasetBag:
    """Download a version of a dataset to the cache, so that later downloads find it there; raises as `download`."""
    wanted = DatasetSpec.model_validate(spec)
    return download(session, wanted.model_copy(update={"materialize": materialize}))


def current_rows(session: Session, dataset_rid: str) -> DatasetBag:
    """Bring the rows of a dataset to this disk as they are now, be they part of a version or not; no files.

    Raises
    ------
    DerivaMLException
        If there is no such dataset, or something cannot be read.
    """
    released = resolve(session, DatasetSpec(rid=dataset_rid, version=_newest(session, dataset_rid)))
    spec = released.spec.model_copy(update={"materialize": False})
    now = replace(released, spec=spec, snapshot=session.connection.snaptime(), since=True)
    return _bag(session, now)


def _newest(session: Session, dataset_rid: str) -> DatasetVersion | None:
    return max((entry.dataset_version for entry in history(session.reader, [dataset_rid])), default=None)


def _bag(session: Session, resolved: Resolved) -> DatasetBag:
    """Find the rows of a version in the cache, or bring them there."""
    bring = partial(fetch_missing, session.connection)
    check_excluded(session, resolved)
    folder = bag_dir(session, resolved)
    with holding_cache(session.cache_dir, "the bag"):
        if not seal.is_sealed(folder):
            with _lock(folder):
                # Another process may have made it while this one waited.
                if not seal.is_sealed(folder):
                    _make(session, resolved, folder)
        return DatasetBag(BagCatalog(folder, bring))


def check_excluded(session: Session, resolved: Resolved) -> None:
    """Check that the tables which shall be left out exist, now or in the version that is asked for.

    Raises
    ------
    DerivaMLTableNotFound
        If there is none of a name.
    """
    unknown = set(resolved.spec.exclude_tables or ()) - {table.name for table in session.model.tables()}
    if not unknown:
        return
    known = {table.name for table in session.at(resolved.snapshot).model.tables()}
    for name in sorted(unknown - known):
        hint = did_you_mean(name, known)
        raise DerivaMLTableNotFound(
            name, f"exclude_tables names {name!r}, which is no table of this catalog.{hint}"
        )


def bag_dir(session: Session, resolved: Resolved) -> Path:
    """Where the bag of a version lies in the cache."""
    catalog = f"{session.connection.authority}/{session.connection.catalog_id}"
    asked = hashlib.sha256(f"{catalog}/{resolved.spec_hash}".encode()).hexdigest()[:16]
    return paths.cached_bag_dir(session.cache_dir, f"{asked}_{resolved.snapshot}", resolved.spec.rid)


def _lock(folder: Path) -> AbstractContextManager[None]:
    """Let one process at a time make or complete a bag; the others wait and then find it."""
    waiting = (
        f"Another process is downloading {folder.name.replace('_', ' ')} to {folder.parent}; waiting for it."
    )
    return exclusive(paths.bag_lock_file(folder.parent), waiting)


def _make(session: Session, resolved: Resolved, folder: Path) -> None:
    """Make a bag under a temporary name; what an interrupted attempt left is used or replaced."""
    target = folder.parent
    staging = paths.bag_staging_dir(target)
    root = staging / folder.name
    shutil.rmtree(staging, ignore_errors=True)
    root.mkdir(parents=True)
    connection = session.connection.at(resolved.snapshot)
    reader = session.at(resolved.snapshot).reader
    spec = resolved.spec
    anchors = [spec.rid, *children(reader, [spec.rid], recurse=True)]
    walk = DatasetWalk(reader, spec.exclude_tables)
    build(
        root,
        staging / state.DATABASE,
        reader,
        walk.policy,
        anchors,
        document=connection.schema_document(),
        watch=walk.note,
        extend=walk.extend,
        list_files=walk.list_files,
    )
    _write_provenance(session, resolved, root, anchors)
    seal.seal(
        root,
        fetch=fetch_entries(session.connection, LocalReader(staging / state.DATABASE, reader.model, root)),
        info={"External-Identifier": f"{spec.rid}@{resolved.snapshot}", "Contact-Name": "deriva-ml"},
    )
    state.note(root)
    let_last([path for path in staging.rglob("*") if path.is_file()], staging)
    # Whatever is in the way is no bag, or this would not have been called.
    shutil.rmtree(target, ignore_errors=True)
    staging.rename(target)
    storage.note_bag(session, folder)


def _write_provenance(session: Session, resolved: Resolved, root: Path, anchors: list[str]) -> None:
    document: dict[str, Any] = {
        "profile_identifier": layout.PROFILE,
        "producer": "deriva-ml",
        "built_at": datetime.now(UTC).isoformat(),
        "anchors": [
            {"schema": session.ml_schema, "table": MLTable.dataset.value, "rid": rid} for rid in anchors
        ],
        "policy": {"exclude_tables": sorted(resolved.spec.exclude_tables or ())},
        "extra": {
            "host": session.connection.authority,
            "catalog_id": session.connection.catalog_id,
            "snapshot": resolved.snapshot,
            "version": resolved.label,
            "ml_schema": session.ml_schema,
        },
    }
    path = root / layout.PROVENANCE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")


def fetch_entries(connection: Connection, reader: LocalReader) -> list[FetchEntry]:
    """What ``fetch.txt`` lists: all asset files, by addresses that other tools can use."""
    query = f"SELECT path, schema, name, rid, url, length, md5 FROM {FILES} ORDER BY path"
    files = [BagFile(*values) for values in reader.connection.execute(query)]
    reader.close()
    return [
        FetchEntry(
            connection.url(file.url) if file.url.startswith("/") else file.url,
            file.length,
            file.path,
            file.md5,
        )
        for file in files
    ]


def fetch_missing(connection: Connection, folder: Path, workers: int = 8) -> None:
    """Bring the files of a bag that are not here yet; may be called again after an interruption.

    Parameters
    ----------
    connection : Connection
        The catalog that the bag was made from.
    folder : Path
        Root of the bag.
    workers : int
        How many at a time.
    """

    def one(entry: FetchEntry, target: Path) -> None:
        objects.fetch(connection, entry.url, target, md5=entry.md5 or None, length=entry.length)

    # A server in this process does its work in our threads: more of them only get in each other's way.
    workers = 1 if connection.is_embedded else workers
    with holding_cache(folder.parent, "the bag"), _lock(folder):
        lacking = seal.missing(folder)
        fetch(folder, lacking, one, workers=workers, label=folder.name.replace("_", " "))
        let_last([folder / entry.path for entry in lacking], folder)
        state.note(folder, [entry.path for entry in lacking])


def version_label(version: DatasetVersion | str | None) -> DatasetVersion | None:
    """Read a version as users give it."""
    return None if version is None else DatasetVersion.coerce(version)
