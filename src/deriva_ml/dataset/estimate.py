"""How big a version of a dataset is, before it is downloaded, and what of it is here already."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from deriva_ml.bag.database import csv_line
from deriva_ml.bag.walk import Walk
from deriva_ml.dataset.download import bag_dir, check_excluded, resolve
from deriva_ml.dataset.export import DatasetWalk, is_stored
from deriva_ml.dataset.view import children
from deriva_ml.ermrest.rows import count, stored_bytes
from deriva_ml.model.ways import name_of
from deriva_ml.names import CacheStatus
from deriva_ml.rows.wide_plan import Planner
from deriva_ml.specs import DatasetSpec
from deriva_ml.storage import bag_status, list_cached_bags

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table
    from deriva_ml.rows.reader import Reader, Row
    from deriva_ml.session import Session


def estimate_bag_size(session: Session, spec: DatasetSpec | str) -> dict[str, Any]:
    """Count rows and bytes that a bag would hold, without writing anything.

    Parameters
    ----------
    session : Session
    spec : DatasetSpec or str
        RID, version (the last release by default) and tables to leave out.

    Returns
    -------
    dict
        ``tables`` (name to ``row_count``, ``is_asset``, ``asset_bytes``, ``csv_bytes``, ``incomplete``), their totals
        as numbers (``total_rows``, ``total_asset_bytes``, ``total_csv_bytes``, ``total_estimated_bytes``) and as text
        (``total_asset_size``, ``total_csv_size``, ``total_estimated_size``), ``incomplete``, ``incomplete_tables``.
    """
    spec = spec if isinstance(spec, DatasetSpec) else DatasetSpec.model_validate(spec)
    resolved = resolve(session, spec)
    check_excluded(session, resolved)
    return _estimate(session.at(resolved.snapshot).reader, spec)


def _estimate(reader: Reader, spec: DatasetSpec) -> dict[str, Any]:
    tally = _Tally(reader.model.find_assets())
    plan = DatasetWalk(reader, spec.exclude_tables)
    walk = Walk(reader, plan.policy, lambda table, rows: tally.add(table, plan.note(table, rows)))
    walk.run([spec.rid, *children(reader, [spec.rid], recurse=True)])
    plan.extend(walk)
    walk.close()
    return tally.report()


def estimate_denormalized_size(session: Session, include_tables: Sequence[str | Table]) -> dict[str, Any]:
    """Count rows and bytes of the tables that a wide table of the whole catalog would join.

    Parameters
    ----------
    session : Session
    include_tables : sequence of str
        Tables or features whose columns are shown.

    Returns
    -------
    dict
        ``columns`` (labels and ERMrest types), ``join_path`` (names of tables), ``tables`` (name to ``row_count``,
        ``is_asset``, ``asset_bytes``), ``total_rows``, ``total_asset_bytes`` and, as text, ``total_asset_size``.

    Raises
    ------
    DerivaMLTableNotFound
        If there is no such table.
    DerivaMLDenormalizeError
        If no single table gives the rows, or paths are not unique.
    """
    plan = Planner(session.model).plan(include_tables)
    assets = {name_of(table) for table in session.model.find_assets()}
    tables = {}
    for table in plan.joined:
        is_asset = name_of(table) in assets
        tables[table.name] = {
            "row_count": count(session.connection, table),
            "is_asset": is_asset,
            "asset_bytes": stored_bytes(session.connection, table) if is_asset else 0,
        }
    size = sum(entry["asset_bytes"] for entry in tables.values())
    return {
        "columns": [(each.label, each.column.type.typename) for each in plan.columns],
        "join_path": [table.name for table in plan.joined],
        "tables": tables,
        "total_rows": sum(entry["row_count"] for entry in tables.values()),
        "total_asset_bytes": size,
        "total_asset_size": size_text(size),
    }


class _Tally:
    """Rows and bytes by table; rows that come twice count once."""

    def __init__(self, assets: Collection[Table]) -> None:
        self._assets = {name_of(table) for table in assets}
        self._seen: dict[tuple[str, str], set[str]] = {}
        self._tables: dict[str, dict[str, Any]] = {}

    def add(self, table: Table, rows: Iterable[Row]) -> None:
        key = name_of(table)
        columns = list(table.columns)
        seen = self._seen.setdefault(key, set())
        header = sum(len(column.name.encode()) + 1 for column in columns)
        empty = {
            "row_count": 0,
            "is_asset": key in self._assets,
            "asset_bytes": 0,
            "csv_bytes": header,
            "incomplete": False,
        }
        entry = self._tables.setdefault(table.name, empty)
        for row in rows:
            if row["RID"] in seen:
                continue
            seen.add(row["RID"])
            entry["row_count"] += 1
            entry["csv_bytes"] += len(csv_line(columns, row).encode()) + 1
            if key in self._assets and is_stored(row["URL"]):
                entry["asset_bytes"] += row["Length"] or 0

    def report(self) -> dict[str, Any]:
        tables = dict(sorted(self._tables.items()))
        rows, assets, texts = (
            sum(entry[name] for entry in tables.values())
            for name in ("row_count", "asset_bytes", "csv_bytes")
        )
        return {
            "tables": tables,
            "total_rows": rows,
            "total_asset_bytes": assets,
            "total_asset_size": size_text(assets),
            "total_csv_bytes": texts,
            "total_csv_size": size_text(texts),
            "total_estimated_bytes": assets + texts,
            "total_estimated_size": size_text(assets + texts),
            "incomplete": False,
            "incomplete_tables": [],
        }


def bag_info(session: Session, spec: DatasetSpec | str, reader: Reader | None = None) -> dict[str, Any]:
    """Say how big a version of a dataset is, and whether it is in the cache.

    Parameters
    ----------
    session : Session
    spec : DatasetSpec or str
    reader : Reader, optional
        Of the rows of that version, where they are at hand already; the catalog by default.

    Returns
    -------
    dict
        That of `estimate_bag_size`, with ``status`` (``not_cached``, ``cached_metadata_only``, ``cached_holey`` or
        ``cached_materialized``), ``cache_path`` and ``versions_cached``.
    """
    spec = spec if isinstance(spec, DatasetSpec) else DatasetSpec.model_validate(spec)
    resolved = resolve(session, spec)
    check_excluded(session, resolved)
    folder = bag_dir(session, resolved)
    status = bag_status(folder)
    kept = [bag for bag in list_cached_bags(session) if bag.dataset_rid == spec.rid]
    return {
        **_estimate(reader or session.at(resolved.snapshot).reader, spec),
        "status": status.value,
        "cache_path": None if status is CacheStatus.not_cached else str(folder),
        "versions_cached": sorted({str(bag.version) for bag in kept}),
    }


def size_text(size: float) -> str:
    """Write a number of bytes for people.

    Examples
    --------
    >>> size_text(0), size_text(12_897_485)
    ('0 B', '12.3 MB')
    """
    unit = "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
