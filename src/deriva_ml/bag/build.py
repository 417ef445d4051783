"""A bag from a reader and a walk: rows into CSV files and one SQLite file, and the list of files that belong to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from deriva_ml.bag import layout, seal
from deriva_ml.bag.database import BagDatabase, BagFile, from_csv, read_csv
from deriva_ml.bag.walk import Walk
from deriva_ml.errors import DerivaMLDataError
from deriva_ml.model.document import DocumentModel
from deriva_ml.model.graph import CatalogModel
from deriva_ml.model.ways import Policy
from deriva_ml.rows.reader import Reader, Row

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table

FileName = Callable[[Row], str]
Extend = Callable[[Walk], None]
ListFiles = Callable[[BagDatabase], Iterable[BagFile]]
Watch = Callable[["Table", Iterable[Row]], Iterable[Row]]


def build(
    folder: Path,
    database: Path,
    reader: Reader,
    policy: Policy,
    rids: Iterable[str],
    *,
    document: Mapping[str, Any],
    watch: Watch = lambda _table, rows: rows,
    extend: Extend = lambda _walk: None,
    list_files: ListFiles,
) -> None:
    """Write the rows of a walk to a bag folder and an SQLite file.

    Parameters
    ----------
    folder : Path
        Root of the bag; its ``data`` folder is made here.
    database : Path
        SQLite file to be made beside it.
    reader : Reader
        Where the rows come from.
    policy : Policy
        Which rows belong to the bag.
    rids : iterable of str
        Where the walk starts.
    document : mapping
        Schema document of the catalog.
    watch : callable, optional
        Sees the rows that pass.
    extend : callable, optional
        Takes further rows into the walk.
    list_files : callable
        Gives the files that belong to the rows that were taken.
    """
    database.unlink(missing_ok=True)
    target = BagDatabase(database)
    try:
        with _progress(folder) as shown:
            walk = Walk(
                reader, policy, lambda table, rows: target.add(table, shown(table, watch(table, rows)))
            )
            walk.run(rids)
            extend(walk)
            walk.close()
        data = folder / layout.DATA
        data.mkdir(parents=True, exist_ok=True)
        (folder / layout.SCHEMA_DOCUMENT).write_text(json.dumps(document, sort_keys=True), encoding="utf-8")
        for schema, name in sorted(target.tables):
            path = folder / layout.rows_csv(schema, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            target.write_csv(target.tables[schema, name], path)
        target.add_files(list_files(target))
        target.close()
    except BaseException:
        target.abandon()
        database.unlink(missing_ok=True)
        raise


@contextmanager
def _progress(folder: Path) -> Iterator[Watch]:
    """Show how many rows of a bag were read; how many there will be is not known before."""
    label = f"Reading {folder.name.replace('_', ' ')}"
    with tqdm(desc=label, unit="row", unit_scale=True, disable=None, leave=False) as bar:

        def shown(table: Table, rows: Iterable[Row]) -> Iterable[Row]:
            if bar.disable:
                return rows
            bar.set_description_str(f"{label}, {table.name}")
            return counted(rows)

        def counted(rows: Iterable[Row]) -> Iterator[Row]:
            for row in rows:
                yield row
                bar.update()

        yield shown


def asset_files(
    database: BagDatabase,
    table: Table,
    file_name: FileName,
    *,
    url_of: Callable[[str], str] = lambda url: url,
) -> Iterator[BagFile]:
    """Files of the rows of an asset table, each in the folder of its RID."""
    for row in database.rows(table):
        yield bag_file(
            table, row, layout.asset_file(table.name, row["RID"], file_name(row)), url_of(row["URL"])
        )


def bag_file(table: Table, row: Row, path: str, url: str) -> BagFile:
    """Describe the file of an asset row."""
    return BagFile(
        path=path,
        schema=table.schema.name,
        name=table.name,
        rid=row["RID"],
        url=url,
        length=int(row["Length"] or 0),
        md5=str(row["MD5"] or ""),
    )


def read_model(folder: Path, ml_schema: str) -> CatalogModel:
    """Model of a bag.

    Raises
    ------
    DerivaMLDataError
        If the folder is no bag with a model.
    DerivaMLChecksumError
        If the model is not the one that the bag was made with.
    """
    path = folder / layout.SCHEMA_DOCUMENT
    try:
        seal.check(folder, [layout.SCHEMA_DOCUMENT])
        document: Any = DocumentModel.from_file(path)
        return CatalogModel(document, ml_schema)
    except (OSError, ValueError, KeyError) as error:
        raise DerivaMLDataError(
            f"{folder} is not a bag of catalog rows: cannot read {path.name}: {error}."
        ) from error


def rebuild(folder: Path, database: Path, model: CatalogModel) -> None:
    """Make the SQLite file of a bag again, from its CSV files and its list of asset files.

    Raises
    ------
    DerivaMLChecksumError
        If a CSV file is not as it was written.
    """
    tables = [
        path.relative_to(folder).as_posix()
        for path in sorted((folder / layout.DATA).glob("*/*.csv"))
        if path.is_file()
    ]
    seal.check(folder, tables)
    from_csv(database, model, folder / layout.DATA, _files_by_manifest(folder, model))


def _files_by_manifest(folder: Path, model: CatalogModel) -> Iterator[BagFile]:
    """Which rows the files under ``data/assets`` belong to, be they here or still elsewhere."""
    by_table: dict[str, list[tuple[layout.AssetFile, str, str]]] = {}
    for place, md5 in seal.read_manifest(folder).items():
        file = layout.parse_asset(place)
        if file is not None:
            by_table.setdefault(file.table, []).append((file, place, md5))
    for table in model.find_assets():
        files = by_table.get(table.name)
        source = folder / layout.rows_csv(table.schema.name, table.name)
        if files and source.is_file():
            yield from _files_of(table, list(read_csv(source, table)), files)


def _files_of(
    table: Table, rows: list[Row], files: list[tuple[layout.AssetFile, str, str]]
) -> Iterator[BagFile]:
    by_rid = {row["RID"]: row for row in rows}
    # Files about an execution lie in the folder of that execution, so only name and bytes tell of which row they are.
    by_name = {(row["MD5"], row["Filename"]): row for row in rows}
    for file, place, md5 in files:
        row = by_rid.get(file.rid) or by_name.get((md5, file.file_name))
        if row is not None:
            yield bag_file(table, row, place, row["URL"])
