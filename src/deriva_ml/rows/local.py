"""Reader over an SQLite file that holds rows of a catalog."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from deriva_ml.errors import DerivaMLTableNotFound
from deriva_ml.rows.reader import Row, as_float, is_float

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel, Column, Table

FILES = "_files"
"""Table of the SQLite file that says which file holds the bytes of which row: path, schema, name, rid, url, length, md5."""

_PIECE = 2_000


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def table_name(schema: str, table: str) -> str:
    """Identifier of a catalog table in the SQLite file."""
    return quoted(f"{schema}:{table}")


def is_json(column: Column) -> bool:
    """Whether values of a column are kept as JSON text: arrays and JSON documents."""
    name = column.type.typename
    return name in ("json", "jsonb") or name.endswith("[]")


def is_boolean(column: Column) -> bool:
    """Whether values of a column are booleans, which SQLite does not know."""
    return bool(column.type.typename == "boolean")


def encode(column: Column, value: Any) -> Any:
    """Turn a JSON value of a column into what SQLite stores."""
    if value is None:
        return None
    if is_json(column):
        return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return int(value) if isinstance(value, bool) else value


def decode(column: Column, value: Any) -> Any:
    """Turn what SQLite stores back into the JSON value of a column."""
    if value is None:
        return None
    if is_json(column):
        value = json.loads(value)
    if is_float(column):
        return as_float(value)
    return bool(value) if is_boolean(column) else value


def is_special(column: Column) -> bool:
    """Whether values of a column are not what the SQLite file has."""
    return is_json(column) or is_boolean(column) or is_float(column)


class Watch(Protocol):
    """Looks after the files that a reader reads."""

    def ready(self) -> bool:
        """Let the SQLite file be as it should; whether it is another one than before."""
        ...

    def file(self, place: str) -> None:
        """Refuse a file that is not as it should be."""
        ...


class LocalReader:
    """Reader over an SQLite file; safe to share between threads and to use after a fork.

    Parameters
    ----------
    database : Path
        SQLite file with one table ``schema:Table`` per catalog table; it must not change any more.
    model : CatalogModel
        Model of the catalog at the moment the rows were taken.
    root : Path
        Folder that the paths of files are relative to.
    watch : Watch, optional
        Asked before the SQLite file is read, and before a file is handed out.

    Attributes
    ----------
    excluded : frozenset of str
        Names of tables that were left out on purpose.
    """

    def __init__(self, database: Path, model: CatalogModel, root: Path, watch: Watch | None = None) -> None:
        self.database = database
        self.excluded: frozenset[str] = frozenset()
        self._watch = watch
        self._former: list[sqlite3.Connection] = []
        self.root = root
        self._model = model
        self._connections: dict[tuple[int, int], sqlite3.Connection] = {}
        self._present: frozenset[str] | None = None

    def __repr__(self) -> str:
        return f"<LocalReader of {self.root}>"

    @property
    def model(self) -> CatalogModel:
        """Model of the catalog at the moment the rows were taken."""
        return self._model

    @property
    def connection(self) -> sqlite3.Connection:
        """Read-only connection of the calling thread."""
        if self._watch is not None and self._watch.ready():
            # What is being read from the former file is read to its end.
            self._former += self._connections.values()
            self._connections.clear()
            self._present = None
        key = (os.getpid(), threading.get_ident())
        if key not in self._connections:
            address = f"{self.database.absolute().as_uri()}?mode=ro&immutable=1"
            # A generator may be finished by another thread than the one that began it.
            self._connections[key] = sqlite3.connect(address, uri=True, check_same_thread=False)
        return self._connections[key]

    def close(self) -> None:
        """Close the connections of this process."""
        for key in [key for key in self._connections if key[0] == os.getpid()]:
            self._connections.pop(key).close()
        while self._former:
            self._former.pop().close()

    def __del__(self) -> None:
        self.close()

    def has(self, table: Table) -> bool:
        """Whether the file has this table, be it empty."""
        if self._present is None:
            found = self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            self._present = frozenset(name for (name,) in found)
        return f"{table.schema.name}:{table.name}" in self._present

    def require(self, table: Table) -> Table:
        """Return a table, unless its rows were left out on purpose.

        Raises
        ------
        DerivaMLTableNotFound
            If they were.
        """
        if table.name in self.excluded:
            raise DerivaMLTableNotFound(
                table.name,
                f"The rows of {table.name} were left out of the bag {self.root} (exclude_tables); download it without that.",
            )
        return table

    def rows(
        self,
        table: Table,
        *,
        where: Mapping[str, Collection[Any]] | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[Row]:
        """Rows in RID order, streamed; see `Reader.rows`."""
        if not self.has(table):
            return
        by_name = {column.name: column for column in table.columns}
        names = list(by_name) if columns is None else list(columns)
        condition, parameters = self._condition(by_name, where)
        wanted = ", ".join(quoted(name) for name in names)
        source = table_name(table.schema.name, table.name)
        special = [name for name in names if is_special(by_name[name])]
        query = f"SELECT {wanted} FROM {source}{condition} ORDER BY RID"
        with closing(self.connection.execute(query, parameters)) as cursor:
            while piece := cursor.fetchmany(_PIECE):
                for values in piece:
                    row = dict(zip(names, values, strict=True))
                    for name in special:
                        row[name] = decode(by_name[name], row[name])
                    yield row

    def count(self, table: Table, *, where: Mapping[str, Collection[Any]] | None = None) -> int:
        """Count the rows that `rows` would give."""
        if not self.has(table):
            return 0
        condition, parameters = self._condition({column.name: column for column in table.columns}, where)
        source = table_name(table.schema.name, table.name)
        return int(
            self.connection.execute(f"SELECT count(*) FROM {source}{condition}", parameters).fetchone()[0]
        )

    def file(self, table: Table, row: Row) -> Path | None:
        """Local path of the bytes of an asset row, None where they are not on this disk."""
        query = f"SELECT path FROM {FILES} WHERE rid = ? AND name = ? AND schema = ? ORDER BY path"
        for (path,) in self.connection.execute(query, (row["RID"], table.name, table.schema.name)):
            found = self.root / str(path)
            if found.is_file():
                if self._watch is not None:
                    self._watch.file(path)
                return found
        return None

    @staticmethod
    def _condition(
        columns: Mapping[str, Column], where: Mapping[str, Collection[Any]] | None
    ) -> tuple[str, list[str]]:
        if not where:
            return "", []
        clauses, parameters = [], []
        for name, values in where.items():
            # json_each takes any number of values, where bound parameters are limited.
            clauses.append(f"{quoted(name)} IN (SELECT value FROM json_each(?))")
            parameters.append(json.dumps([encode(columns[name], value) for value in values]))
        return " WHERE " + " AND ".join(clauses), parameters
