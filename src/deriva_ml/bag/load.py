"""Rows and files of a bag into a catalog, in foreign-key order; loading a bag again adds only what is missing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from deriva_ml import settings
from deriva_ml.bag import layout, seal
from deriva_ml.bag.write import FetchEntry, json_tables, read_json_rows
from deriva_ml.ermrest import objects, rows
from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.leases import lease
from deriva_ml.ermrest.objects import Taken, Upload
from deriva_ml.ermrest.together import batches, put_batch
from deriva_ml.errors import (
    DerivaMLAuthenticationError,
    DerivaMLConflictError,
    DerivaMLConnectionError,
    DerivaMLDataError,
)
from deriva_ml.model.graph import CatalogModel, Table
from deriva_ml.parallel import run_all
from deriva_ml.records import UploadCallback, UploadProgress
from deriva_ml.rows.reader import Row

TableName = tuple[str, str]

_WHOLE_TABLE_FROM = 500
_FILTER_VALUES = 150


@dataclass
class LoadReport:
    """What a load did.

    Parameters
    ----------
    inserted, existing : dict
        Number of rows by (schema, table).
    rids : dict
        RID in the bag to RID in the catalog, for asset rows that the catalog had already under another RID.
    existing_assets : dict
        RID in the bag to the row that the catalog had already.
    failures : dict
        (asset table, RID in the bag) to the reason why its file was not stored; nothing was inserted then.
    """

    inserted: dict[TableName, int] = field(default_factory=dict)
    existing: dict[TableName, int] = field(default_factory=dict)
    rids: dict[str, str] = field(default_factory=dict)
    existing_assets: dict[str, Row] = field(default_factory=dict)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)


class BagCatalogLoader:
    """Loads a sealed bag whose rows are JSON lines.

    Files are stored first, then the rows of all tables, each table after those it refers to. Asset rows carry leased
    RIDs; when the catalog has an asset of the same URL already, that one is meant, in all rows that refer to it. Rows
    of other tables are known by their keys, so that nothing is inserted twice.

    Parameters
    ----------
    connection : Connection
    model : CatalogModel
    folder : Path
        The bag.
    resumed : bool
        Whether a former load may have inserted some of the rows.
    progress : callable, optional
        Called with `UploadProgress` for pieces of files and for tables, from any thread, one call at a time.
    workers : int, optional
        Files stored at a time.
    held : mapping, optional
        Bytes that the store has taken in already, by place in the bag.

    Examples
    --------
    >>> report = BagCatalogLoader(connection, model, folder).load()  # doctest: +SKIP
    """

    def __init__(
        self,
        connection: Connection,
        model: CatalogModel,
        folder: Path,
        *,
        resumed: bool = False,
        progress: UploadCallback | None = None,
        workers: int | None = None,
        held: Mapping[str, Taken] | None = None,
    ) -> None:
        self._connection = connection
        self._held = held or {}
        self._model = model
        self._folder = folder
        self._resumed = resumed
        self._progress = progress
        self._workers = workers or settings.upload_workers() or None
        self._report = LoadReport()

    def load(self) -> LoadReport:
        """Store the files and insert the rows.

        Returns
        -------
        LoadReport
            With `failures` when some files could not be stored; then no row was inserted.

        Raises
        ------
        DerivaMLException
            If the catalog refuses rows. What was inserted stays, and is skipped by the next load.
        """
        tables = {name: self._model.name_to_table(name) for name in json_tables(self._folder)}
        assets = {name for name, table in tables.items() if self._model.is_asset(table)}
        self._store_files({name: self._read(name) for name in assets})
        if not self._report.failures:
            for name in in_reference_order(tables):
                load = self._load_assets if name in assets else self._load_rows
                load(tables[name], self._read(name))
        return self._report

    def _read(self, name: TableName) -> list[Row]:
        return list(read_json_rows(self._folder, *name))

    # Files ---------------------------------------------------------------------------------------------------------

    def _store_files(self, asset_rows: Mapping[TableName, Sequence[Row]]) -> None:
        places = {entry.path: entry for entry in seal.read_fetch(self._folder)}
        jobs = []
        for name, members in asset_rows.items():
            for row in members:
                place = layout.asset_file(name[1], row["RID"], row["Filename"])
                path = self._local(place, places.get(place))
                if path is not None:
                    held = self._held.get(place)
                    upload = Upload(path, row["URL"], row["MD5"], filename=row["Filename"], taken=held)
                    jobs.append(_Job(name[1], row["RID"], upload, row["Length"]))
        watch = _Watch(self._progress, jobs)
        # Once the service is away or refuses us it will do so for the rest as well.
        given_up = threading.Event()

        def store(batch: Sequence[_Job]) -> list[str | None]:
            failures: list[str | None] = []
            progress = {id(job.upload): watch.of(job) for job in batch}
            if not given_up.is_set():
                uploads = [job.upload for job in batch]
                for failure in put_batch(self._connection, uploads, lambda upload: progress[id(upload)]):
                    failures.append(None if failure is None else str(failure))
                    if isinstance(failure, DerivaMLConnectionError | DerivaMLAuthenticationError):
                        given_up.set()
                        break
            return failures + ["not tried, because others failed"] * (len(batch) - len(failures))

        found: dict[_Job, str | None] = {}
        run_all(
            store,
            batches(self._connection, jobs, lambda job: job.upload.path),
            self._workers,
            lambda batch, failures: found.update(zip(batch, failures, strict=True)),
        )
        failed = [(job, failure) for job in jobs if (failure := found[job]) is not None]
        self._report.failures.update({(job.table, job.rid): failure for job, failure in failed})

    def _local(self, place: str, entry: FetchEntry | None) -> Path | None:
        inside = self._folder / place
        if inside.exists():
            return inside
        return seal.source_of(entry) if entry is not None else None

    # Rows ----------------------------------------------------------------------------------------------------------

    def _load_assets(self, table: Table, members: list[Row]) -> None:
        todo = self._not_there_yet(table, members) if self._resumed else members
        made = rows.insert(self._connection, table, todo, with_rids=True, skip_conflicts=True)
        known = {row["RID"] for row in made}
        left = [row for row in todo if row["RID"] not in known]
        if left:
            self._adopt(table, left)
        self._count(table, len(made), len(members) - len(made))
        self._tell(table, len(members))

    def _not_there_yet(self, table: Table, members: list[Row]) -> list[Row]:
        """Rows that a former load has not inserted; a RID that it used for other content is replaced."""
        columns = ("RID", "URL")
        there = {
            row["RID"]: row["URL"]
            for row in matching_rows(self._connection, table, "RID", [row["RID"] for row in members], columns)
        }
        taken = [row for row in members if row["RID"] in there and there[row["RID"]] != row["URL"]]
        for row, fresh in zip(taken, lease(self._connection, len(taken)), strict=True):
            self._report.rids[row["RID"]] = fresh
            row["RID"] = fresh
        return [row for row in members if row["RID"] not in there]

    def _adopt(self, table: Table, left: list[Row]) -> None:
        """Refer to the assets that the catalog has already, instead of rows that it did not take."""
        wanted = {row["URL"]: row for row in left}
        found = matching_rows(self._connection, table, "MD5", {row["MD5"] for row in left})
        by_url = {row["URL"]: row for row in found}
        refused = [url for url in wanted if url not in by_url]
        if refused:
            raise DerivaMLConflictError(
                f"{len(refused)} files were refused by table {table.name!r}, for example"
                f" {wanted[refused[0]]['Filename']!r}: another row has the same value in a key column."
            )
        back = {fresh: staged for staged, fresh in self._report.rids.items()}
        for url, row in wanted.items():
            staged = back.get(row["RID"]) or str(row["RID"])
            self._report.rids[staged] = by_url[url]["RID"]
            self._report.existing_assets[staged] = by_url[url]

    def _load_rows(self, table: Table, members: list[Row]) -> None:
        self._refer_to_existing(table, members)
        leased = [row for row in members if row.get("RID")]
        plain = [row for row in members if not row.get("RID")]
        if leased and self._resumed:
            wanted = [row["RID"] for row in leased]
            there = {row["RID"] for row in matching_rows(self._connection, table, "RID", wanted, ("RID",))}
            leased = [row for row in leased if row["RID"] not in there]
        made = rows.insert(self._connection, table, leased, with_rids=True, skip_conflicts=True)
        made += rows.insert(self._connection, table, plain, skip_conflicts=True)
        self._count(table, len(made), len(members) - len(made))

    def _refer_to_existing(self, table: Table, members: Iterable[Row]) -> None:
        renamed = self._report.rids
        if not renamed:
            return
        for key in table.foreign_keys:
            if len(key.foreign_key_columns) == 1 and self._model.is_asset(key.pk_table):
                column = next(iter(key.foreign_key_columns)).name
                for row in members:
                    if row.get(column) in renamed:
                        row[column] = renamed[row[column]]

    def _count(self, table: Table, inserted: int, existing: int) -> None:
        name = (table.schema.name, table.name)
        self._report.inserted[name] = inserted
        self._report.existing[name] = existing

    def _tell(self, table: Table, count: int) -> None:
        if self._progress is not None:
            message = f"{table.name}: {count} upload(s) attempted"
            self._progress(
                UploadProgress(
                    file_name=table.name, percent_complete=100.0, phase="Uploaded", message=message
                )
            )


@dataclass(frozen=True)
class _Job:
    """One file to store."""

    table: str
    rid: str
    upload: Upload
    length: int


class _Watch:
    """Counts bytes of all files and reports them, one call at a time."""

    def __init__(self, callback: UploadCallback | None, jobs: Sequence[_Job]) -> None:
        self._callback = callback
        self._lock = threading.Lock()
        self._order = {(job.table, job.rid): place for place, job in enumerate(jobs, 1)}
        self._total = sum(job.length for job in jobs) or 1
        self._done = 0

    def of(self, job: _Job) -> objects.Progress | None:
        """What to call with numbers of bytes of a file."""
        callback = self._callback
        if callback is None:
            return None
        completed, name = 0, job.upload.filename or ""

        def advance(count: int) -> None:
            nonlocal completed
            with self._lock:
                completed += count
                self._done += count
                number = self._order[job.table, job.rid]
                callback(
                    UploadProgress(
                        file_path=str(job.upload.path),
                        file_name=name,
                        bytes_completed=completed,
                        bytes_total=job.length,
                        percent_complete=min(100.0, 100.0 * self._done / self._total),
                        phase="Uploading",
                        message=f"Uploading file {number} of {len(self._order)}: {name}",
                    )
                )

        return advance


def in_reference_order(
    tables: Mapping[TableName, Table], leave_out: Callable[[Any], bool] = lambda _key: False
) -> Iterator[TableName]:
    """Tables, each after those it refers to.

    Parameters
    ----------
    tables : mapping
        By schema and name.
    leave_out : callable, optional
        Whether a foreign key does not count.

    Raises
    ------
    DerivaMLDataError
        If they refer to each other in a circle; the cause of the error has it.
    """
    sorter: TopologicalSorter[TableName] = TopologicalSorter(dict.fromkeys(tables, ()))
    for name, table in tables.items():
        for key in table.foreign_keys:
            referred = (key.pk_table.schema.name, key.pk_table.name)
            if referred in tables and referred != name and not leave_out(key):
                sorter.add(name, referred)
    try:
        yield from sorter.static_order()
    except CycleError as error:
        names = " -> ".join(":".join(name) for name in error.args[1])
        raise DerivaMLDataError(
            f"The tables of this bag refer to each other in a circle: {names}."
        ) from error


def matching_rows(
    connection: Connection,
    table: Table,
    column: str,
    values: Collection[str],
    columns: Sequence[str] | None = None,
) -> Iterator[Row]:
    """Rows whose column has one of many values, with as few requests as the size of the table allows.

    Parameters
    ----------
    connection : Connection
    table : Table
    column : str
    values : collection of str
    columns : sequence of str, optional
        Columns to return, all by default.
    """
    wanted = set(values)
    if len(wanted) > _WHOLE_TABLE_FROM:
        pages = rows.count(connection, table) / rows.PAGE
        if pages < len(wanted) / _FILTER_VALUES:
            needed = columns if columns is None or column in columns else [*columns, column]
            yield from (row for row in rows.read(connection, table, columns=needed) if row[column] in wanted)
            return
    yield from rows.read(connection, table, where={column: wanted}, columns=columns)
