"""What of a catalog is cloned: some rows with all that belongs to them, at a moment, as a bag."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from deriva_ml.bag import layout, seal, state
from deriva_ml.bag.build import build
from deriva_ml.bag.walk import Walk
from deriva_ml.bag.write import write_document
from deriva_ml.catalog.orphans import OrphanStrategy, settle
from deriva_ml.dataset.download import fetch_entries
from deriva_ml.dataset.export import DatasetWalk
from deriva_ml.dataset.view import children
from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.rids import resolve_rids
from deriva_ml.errors import DerivaMLTableNotFound
from deriva_ml.model.graph import CatalogModel
from deriva_ml.model.ways import OUTSIDE, TableName, name_of
from deriva_ml.names import ML_SCHEMA, MLTable
from deriva_ml.rows.live import LiveReader
from deriva_ml.rows.local import LocalReader
from deriva_ml.schema import terms

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table
    from deriva_ml.rows.reader import Reader

_ORPHANS = "orphans.json"


@dataclass(frozen=True)
class Slice:
    """What is taken.

    Parameters
    ----------
    anchors : mapping
        Table to RIDs of the rows that all else hangs on; empty for the whole catalog.
    included : tuple of str
        Names of tables that are taken with all their rows.
    excluded : tuple of str
        Names of tables that are left out.
    orphans : OrphanStrategy
    """

    anchors: Mapping[TableName, tuple[str, ...]] = field(default_factory=dict)
    included: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    orphans: OrphanStrategy = OrphanStrategy.FAIL

    @property
    def document(self) -> dict[str, list[str]]:
        """The anchors as they are noted: ``schema:Table`` to RIDs."""
        return {":".join(name): sorted(rids) for name, rids in sorted(self.anchors.items())}

    @property
    def digest(self) -> str:
        """Stands for what is taken, in names of folders."""
        asked = [self.document, sorted(self.included), sorted(self.excluded), self.orphans.value]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Extract:
    """A slice at a moment, on this disk.

    Parameters
    ----------
    folder : Path
        Root of the bag.
    model : CatalogModel
        Of the source at that moment.
    snapshot : str
    orphans : dict
        How many rows of each table were left out or lost a reference.
    """

    folder: Path
    model: CatalogModel
    snapshot: str
    orphans: Mapping[TableName, int]

    @property
    def database(self) -> Path:
        """SQLite file with the rows."""
        return self.folder.parent / state.DATABASE

    def reader(self) -> LocalReader:
        """Reader of the rows; to be closed."""
        return LocalReader(self.database, self.model, self.folder)

    def discard(self) -> None:
        """Free its space."""
        seal.discard(self.folder)
        shutil.rmtree(self.folder.parent, ignore_errors=True)


class _SliceWalk(DatasetWalk):
    """Everything that hangs on the anchors, all vocabularies, and the rows that stand for what is unknown."""

    def __init__(self, reader: Reader, wanted: Slice, anchors: Mapping[TableName, Collection[str]]) -> None:
        super().__init__(reader, wanted.excluded)
        self._wanted, self._anchors = wanted, anchors

    def extend(self, walk: Walk) -> None:
        """Take what is not reached from datasets."""
        if not self._wanted.anchors:
            for table in copied_tables(self.model):
                if table.name not in self._wanted.excluded:
                    walk.sink(table, self.reader.rows(table))
            return
        for name, rids in self._anchors.items():
            if name != self.policy.start and name in walk.graph.tables:
                walk.run(rids, name)
        for table in self.model.find_vocabularies():
            if name_of(table) in walk.graph.tables:
                walk.add_all(table)
        for included in self._wanted.included:
            for schema in self.model.schemas.values():
                if schema.name not in OUTSIDE and included in schema.tables:
                    walk.add_all(schema.tables[included])
        self._take_unknown(walk)
        super().extend(walk)

    def _take_unknown(self, walk: Walk) -> None:
        for table, column, value in terms.SENTINELS:
            place = self.model.ml_table(table)
            if name_of(place) not in self.policy.excluded:
                walk.add(place, {column: [value]})


def copied_tables(model: CatalogModel) -> Iterator[Table]:
    """All tables of a catalog but those of the service itself."""
    for schema in model.schemas.values():
        if schema.name != "public":
            yield from (table for table in schema.tables.values() if table.kind == "table")


def anchored(
    connection: Connection, model: CatalogModel, anchors: Iterable[str] | Mapping[str, Iterable[str]] | None
) -> dict[TableName, tuple[str, ...]]:
    """Tables of the rows with some RIDs.

    Parameters
    ----------
    connection : Connection
    model : CatalogModel
    anchors : iterable of str, or mapping of table name to RIDs

    Raises
    ------
    DerivaMLRidsNotFound
        If there are none of some of the RIDs.
    """
    if not anchors:
        return {}
    named = anchors if isinstance(anchors, Mapping) else {"": anchors}
    found: dict[TableName, tuple[str, ...]] = {}
    for table, rids in named.items():
        candidates = [model.name_to_table(table)] if table else None
        for rid, resolved in resolve_rids(connection, model, rids, candidates).items():
            name = name_of(resolved.table)
            found[name] = (*found.get(name, ()), rid)
    return found


def check_tables(model: CatalogModel, names: Iterable[str], option: str) -> None:
    """Check that tables of some names exist.

    Raises
    ------
    DerivaMLTableNotFound
        If there is none of a name.
    """
    known = {table.name for table in copied_tables(model)}
    for name in names:
        if name not in known:
            raise DerivaMLTableNotFound(name, f"{option} names {name!r}, which is no table of the source.")


def tree_of(source: Connection, wanted: Slice) -> list[str]:
    """RIDs of the datasets that a slice hangs on, with those nested in them.

    Parameters
    ----------
    source : Connection
        At a snapshot.
    wanted : Slice
    """
    model = CatalogModel(source.model(), ML_SCHEMA)
    first = wanted.anchors.get(name_of(model.ml_table(MLTable.dataset)), ())
    if not first:
        return []
    found = children(LiveReader(source, lambda: model), first, recurse=True)
    return list(dict.fromkeys([*first, *found]))


def extract(source: Connection, wanted: Slice, place: Path, datasets: Collection[str] = ()) -> Extract:
    """Bring a slice to this disk; one that is there already is used.

    Parameters
    ----------
    source : Connection
        At a snapshot.
    wanted : Slice
    place : Path
        Folder for extracts; this one gets a folder of its own in it.
    datasets : collection of str
        RIDs of datasets to take, where they are there at that moment; as of `tree_of`.

    Raises
    ------
    DerivaMLConflictError
        If rows refer to rows outside of the slice, and shall not.
    """
    snapshot = str(source.snapshot)
    document = source.schema_document()
    model = CatalogModel(source.model(document), ML_SCHEMA)
    told = hashlib.sha256(json.dumps(sorted(datasets)).encode()).hexdigest()[:8]
    target = place / f"{snapshot}_{told}"
    root = target / f"Catalog_{source.catalog_id}"
    if not seal.is_sealed(root):
        staging = place / f"{snapshot}_{told}.part"
        shutil.rmtree(staging, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
        (staging / root.name).mkdir(parents=True)
        try:
            _fill(source, wanted, staging / root.name, model, document, datasets)
            staging.rename(target)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    counted = json.loads((target / _ORPHANS).read_text(encoding="utf-8"))
    orphans = {(schema, table): number for schema, table, number in counted}
    return Extract(root, model, snapshot, orphans)


def _fill(
    source: Connection,
    wanted: Slice,
    root: Path,
    model: CatalogModel,
    document: dict[str, object],
    datasets: Collection[str],
) -> None:
    reader = LiveReader(source, lambda: model)
    tree = list(dict.fromkeys([*datasets, *children(reader, datasets, recurse=True)])) if datasets else []
    walk = _SliceWalk(reader, wanted, wanted.anchors)
    database = root.parent / state.DATABASE
    build(
        root,
        database,
        reader,
        walk.policy,
        tree,
        document=document,
        watch=walk.note,
        extend=walk.extend,
        list_files=walk.list_files,
    )
    orphans = settle(database, model, wanted.orphans)
    write_document(root, layout.PROVENANCE, _provenance(source, wanted, tree))
    local = LocalReader(database, model, root)
    seal.seal(
        root,
        fetch=fetch_entries(source, local),
        info={"External-Identifier": f"{source.catalog_id}@{source.snapshot}", "Contact-Name": "deriva-ml"},
    )
    counted = [[*name, number] for name, number in sorted(orphans.items())]
    (root.parent / _ORPHANS).write_text(json.dumps(counted), encoding="utf-8")


def _provenance(source: Connection, wanted: Slice, tree: list[str]) -> dict[str, object]:
    anchors = {**wanted.anchors, **({(ML_SCHEMA, MLTable.dataset.value): tuple(tree)} if tree else {})}
    return {
        "profile_identifier": layout.PROFILE,
        "producer": "deriva-ml",
        "anchors": [
            {"schema": schema, "table": table, "rid": rid}
            for (schema, table), rids in anchors.items()
            for rid in rids
        ],
        "policy": {
            "include_tables": sorted(wanted.included),
            "exclude_tables": sorted(wanted.excluded),
            "orphans": wanted.orphans.value,
        },
        "extra": {
            "host": source.authority,
            "catalog_id": source.catalog_id,
            "snapshot": source.snapshot,
            "ml_schema": ML_SCHEMA,
        },
    }


def releases(found: Extract) -> Iterator[tuple[str, str]]:
    """Datasets of an extract, and the snapshots of their releases."""
    reader = found.reader()
    try:
        for row in reader.rows(found.model.ml_table(MLTable.dataset_version)):
            if row["Snapshot"]:
                yield row["Dataset"], row["Snapshot"]
    finally:
        reader.close()
