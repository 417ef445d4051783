"""Rows of a bag in an SQLite file, which is what a downloaded bag is read from, and its CSV files.

CSV tells an empty text (``""``) from no value (nothing), booleans are ``true`` and ``false``, arrays and documents are JSON.
So the SQLite file can be made again from the CSV files alone.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml.bag import layout
from deriva_ml.errors import DerivaMLDataError
from deriva_ml.rows.local import FILES, decode, encode, is_boolean, is_json, quoted, table_name
from deriva_ml.rows.reader import Row

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel, Column, Table

_FIELD = re.compile(r'("(?:[^"]|"")*"|[^,\r\n]*)(,|\r?\n|$)')
_INTEGERS = frozenset({"int2", "int4", "int8", "serial2", "serial4", "serial8"})
_FLOATS = frozenset({"float4", "float8", "numeric"})
_PIECE = 5_000


@dataclass(frozen=True)
class BagFile:
    """A file of a bag that holds the bytes of a row.

    Parameters
    ----------
    path : str
        Relative to the root of the bag, with ``/``.
    schema, name, rid : str
        The row.
    url : str
        Where the bytes come from, as the row says.
    length : int
    md5 : str
        In hex; empty if not recorded.
    """

    path: str
    schema: str
    name: str
    rid: str
    url: str
    length: int
    md5: str


class BagDatabase:
    """The SQLite file of a bag while it is written.

    Parameters
    ----------
    path : Path
        The file; must not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tables: dict[tuple[str, str], Table] = {}
        self._connection = sqlite3.connect(path, isolation_level=None)
        # The file is thrown away when its making is interrupted, so nothing needs to be durable before `close`.
        self._connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;")
        self._connection.execute(
            f"CREATE TABLE {FILES} (path TEXT PRIMARY KEY, schema TEXT, name TEXT, rid TEXT, url TEXT,"
            " length INTEGER, md5 TEXT) WITHOUT ROWID"
        )

    def add(self, table: Table, rows: Iterable[Row]) -> None:
        """Add rows of a table; rows whose RID is there already are ignored."""
        columns = list(table.columns)
        self._create(table, columns)
        names = [column.name for column in columns]
        special = [
            (place, column) for place, column in enumerate(columns) if is_json(column) or is_boolean(column)
        ]

        def values() -> Iterator[list[Any]]:
            for row in rows:
                found = [row.get(name) for name in names]
                for place, column in special:
                    found[place] = encode(column, found[place])
                yield found

        marks = ", ".join("?" * len(names))
        target = table_name(table.schema.name, table.name)
        self._connection.executemany(f"INSERT OR IGNORE INTO {target} VALUES ({marks})", values())

    def _create(self, table: Table, columns: Sequence[Column]) -> None:
        key = (table.schema.name, table.name)
        if key in self.tables:
            return
        self.tables[key] = table
        # No declared types: values keep the type they have in JSON.
        declared = ", ".join(
            f"{quoted(column.name)}{' PRIMARY KEY' * (column.name == 'RID')}" for column in columns
        )
        self._connection.execute(f"CREATE TABLE {table_name(*key)} ({declared}) WITHOUT ROWID")

    def add_files(self, files: Iterable[BagFile]) -> None:
        """Note which files hold the bytes of which rows."""
        self._connection.executemany(
            f"INSERT OR IGNORE INTO {FILES} VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (file.path, file.schema, file.name, file.rid, file.url, file.length, file.md5)
                for file in files
            ),
        )

    def rows(self, table: Table) -> Iterator[Row]:
        """Rows added so far, in RID order."""
        columns = list(table.columns)
        names = [column.name for column in columns]
        query = f"SELECT * FROM {table_name(table.schema.name, table.name)} ORDER BY RID"
        for values in self._connection.execute(query):
            yield {
                name: decode(column, value)
                for name, column, value in zip(names, columns, values, strict=True)
            }

    def write_csv(self, table: Table, path: Path) -> int:
        """Write the rows of a table in RID order; the number of rows."""
        columns = list(table.columns)
        query = f"SELECT * FROM {table_name(table.schema.name, table.name)} ORDER BY RID"
        formats = [_boolean_text if is_boolean(column) else _text for column in columns]
        number = 0
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(",".join(_text(column.name) for column in columns) + "\n")
            cursor = self._connection.execute(query)
            while piece := cursor.fetchmany(_PIECE):
                number += len(piece)
                file.writelines(
                    ",".join([show(value) for show, value in zip(formats, values, strict=True)]) + "\n"
                    for values in piece
                )
        return number

    def close(self) -> None:
        """Make indexes on foreign keys and finish the file."""
        self._connection.execute(f'CREATE INDEX "{FILES}_rid" ON {FILES} (rid)')
        for (schema, name), table in self.tables.items():
            keys = {tuple(column.name for column in key.foreign_key_columns) for key in table.foreign_keys}
            for number, key in enumerate(sorted(keys - {("RCB",), ("RMB",), ("RID",)})):
                columns = ", ".join(quoted(column) for column in key)
                self._connection.execute(
                    f"CREATE INDEX {quoted(f'{schema}:{name}:{number}')} ON {table_name(schema, name)} ({columns})"
                )
        self._connection.execute("COMMIT")
        self._connection.close()

    def abandon(self) -> None:
        """Close without finishing; the file is of no use afterwards."""
        self._connection.close()


def from_csv(path: Path, model: CatalogModel, data: Path, files: Iterable[BagFile]) -> None:
    """Make the SQLite file of a bag from its CSV files.

    Parameters
    ----------
    path : Path
        File to be made.
    model : CatalogModel
        Read from the bag's ``data/schema.json``.
    data : Path
        Folder with ``<schema>/<Table>.csv``.
    files : iterable of BagFile

    Raises
    ------
    DerivaMLDataError
        If a CSV file does not fit the model.
    """
    database = BagDatabase(path)
    try:
        for schema in model.schemas.values():
            for table in schema.tables.values():
                source = data.parent / layout.rows_csv(schema.name, table.name)
                if source.is_file():
                    database.add(table, read_csv(source, table))
        database.add_files(files)
        database.close()
    except BaseException:
        database.abandon()
        path.unlink(missing_ok=True)
        raise


def read_csv(path: Path, table: Table) -> Iterator[Row]:
    """Rows of a CSV file, typed by the columns of the table.

    Raises
    ------
    DerivaMLDataError
        If a value or the number of fields does not fit.
    """
    columns = {column.name: column for column in table.columns}
    with path.open(encoding="utf-8", newline="") as file:
        records = _records(file)
        header = [str(name) for name in next(records, [])]
        readers = [_parser(columns[name]) if name in columns else None for name in header]
        for number, record in enumerate(records, 2):
            try:
                yield {
                    name: None if value is None else parse(value)
                    for name, parse, value in zip(header, readers, record, strict=True)
                    if parse is not None
                }
            except ValueError as error:
                raise DerivaMLDataError(f"{path}, record {number}: {error}") from error


def _records(lines: Iterable[str]) -> Iterator[list[str | None]]:
    pending = ""
    for line in lines:
        pending += line
        if pending.count('"') % 2:
            continue
        yield _fields(pending)
        pending = ""
    if pending:
        yield _fields(pending)


def _fields(record: str) -> list[str | None]:
    fields: list[str | None] = []
    for match in _FIELD.finditer(record):
        text, end = match.groups()
        if text.startswith('"'):
            fields.append(text[1:-1].replace('""', '"'))
        else:
            fields.append(text or None)
        if end != ",":
            break
    return fields


def _parser(column: Column) -> Callable[[str], Any]:
    kind = column.type.typename
    if is_json(column):
        return lambda text: decode(column, text)
    if is_boolean(column):
        return _boolean
    if kind in _INTEGERS:
        return int
    return _number if kind in _FLOATS else str


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _boolean(text: str) -> bool:
    if text.lower() not in ("t", "f", "true", "false", "1", "0"):
        raise ValueError(f"{text!r} is no boolean")
    return text.lower() in ("t", "true", "1")


def _boolean_text(value: Any) -> str:
    return "" if value is None else "true" if value else "false"


def csv_line(columns: Sequence[Column], row: Row) -> str:
    """Return a row as a line of a CSV file, without its end."""
    encoded = ((column, encode(column, row.get(column.name))) for column in columns)
    return ",".join(_boolean_text(value) if is_boolean(column) else _text(value) for column, value in encoded)


_SPECIAL = re.compile(r'[",\r\n]')


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value)
    if not value or _SPECIAL.search(value):
        return '"' + value.replace('"', '""') + '"'
    return value
