"""Bring a catalog from the rows of one extract to those of the next; what was done before can be done again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from graphlib import CycleError
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from deriva_ml.bag.load import in_reference_order
from deriva_ml.catalog.report import CloneReport
from deriva_ml.catalog.slice import Extract, copied_tables
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.connect import Connection
from deriva_ml.errors import DerivaMLConflictError, DerivaMLDataError
from deriva_ml.model.ways import TableName, name_of
from deriva_ml.names import SYSTEM_COLUMNS
from deriva_ml.rows.local import decode, quoted, table_name
from deriva_ml.rows.reader import Row

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel, Table

_PIECE = 5_000
_OWN = frozenset({"RMT", "RMB"})
"""What a catalog notes by itself of the last change of a row."""

_MADE = ("RCT", "RCB")
"""When a row was made, and by whom: as in the source."""

Change = Callable[["Table", Row], Row]
"""Makes of a row of the source what it is in the clone."""


class Difference:
    """What one extract has that a former one has not, and the reverse; to be closed.

    Parameters
    ----------
    former : Extract, optional
        None for nothing at all.
    latter : Extract
    """

    def __init__(self, former: Extract | None, latter: Extract) -> None:
        self._former, self._latter = former, latter
        self._connection = sqlite3.connect(f"{latter.database.absolute().as_uri()}?mode=ro", uri=True)
        address = ":memory:" if former is None else f"{former.database.absolute().as_uri()}?mode=ro"
        self._connection.execute("ATTACH ? AS former", (address,))

    def close(self) -> None:
        """Let go of the files."""
        self._connection.close()

    def tables(self) -> Iterator[Table]:
        """Tables of either extract."""
        seen = set()
        for found, where in ((self._latter, "main"), (self._former, "former")):
            for table in copied_tables(found.model) if found is not None else ():
                if name_of(table) not in seen and self._columns(where, table):
                    seen.add(name_of(table))
                    yield table

    def _columns(self, where: str, table: Table) -> list[str]:
        label = f"{table.schema.name}:{table.name}"
        query = "SELECT name FROM pragma_table_info(?, ?)"
        return [name for (name,) in self._connection.execute(query, (label, where))]

    def inserted(self, table: Table) -> Iterator[Row]:
        """Rows that only the latter has."""
        if self._columns("main", table):
            there = f" WHERE RID NOT IN (SELECT RID FROM former.{_sql(table)})"
            yield from self._rows(table, there if self._columns("former", table) else "")

    def number(self, table: Table) -> int:
        """How many rows the latter has."""
        if not self._columns("main", table):
            return 0
        return int(self._connection.execute(f"SELECT count(*) FROM main.{_sql(table)}").fetchone()[0])

    def changed(self, table: Table) -> Iterator[Row]:
        """Rows that both have, but with other values; as the latter has them."""
        here, before = self._columns("main", table), set(self._columns("former", table))
        own = [name for name in here if name not in SYSTEM_COLUMNS]
        if not own or not before:
            return
        differs = " OR ".join(
            f"l.{quoted(name)} IS NOT {f'f.{quoted(name)}' if name in before else 'NULL'}" for name in own
        )
        chosen = (
            f"SELECT l.RID FROM main.{_sql(table)} l JOIN former.{_sql(table)} f USING (RID) WHERE {differs}"
        )
        yield from self._rows(table, f" WHERE RID IN ({chosen})")

    def removed(self, table: Table) -> list[str]:
        """RIDs that only the former has."""
        if not self._columns("former", table):
            return []
        there = (
            f" WHERE RID NOT IN (SELECT RID FROM main.{_sql(table)})" if self._columns("main", table) else ""
        )
        return [rid for (rid,) in self._connection.execute(f"SELECT RID FROM former.{_sql(table)}{there}")]

    def released(self, table: Table) -> Iterator[tuple[list[str], list[str]]]:
        """Columns by which kept rows referred to removed ones, and the RIDs of these rows."""
        if self._former is None or not (self._columns("former", table) and self._columns("main", table)):
            return
        for key in self._former.model.schemas[table.schema.name].tables[table.name].foreign_keys:
            gone = self.removed(key.pk_table)
            if len(key.foreign_key_columns) != 1 or not gone:
                continue
            (own,), (there,) = (
                [column.name for column in each] for each in (key.foreign_key_columns, key.referenced_columns)
            )
            target, kept = f"former.{_sql(key.pk_table)}", f"SELECT RID FROM main.{_sql(table)}"
            stays = (
                f"SELECT RID FROM main.{_sql(key.pk_table)}"
                if self._columns("main", key.pk_table)
                else "NULL"
            )
            query = (
                f"SELECT RID FROM former.{_sql(table)} WHERE RID IN ({kept}) AND {quoted(own)} IN"
                f" (SELECT {quoted(there)} FROM {target} WHERE RID NOT IN ({stays}))"
            )
            yield [own], [rid for (rid,) in self._connection.execute(query)]

    def values(self, table: Table, column: str) -> set[Any]:
        """What a column of the latter has."""
        if column not in self._columns("main", table):
            return set()
        query = f"SELECT DISTINCT {quoted(column)} FROM main.{_sql(table)} WHERE {quoted(column)} IS NOT NULL"
        return {value for (value,) in self._connection.execute(query)}

    def _rows(self, table: Table, condition: str) -> Iterator[Row]:
        columns = list(self._latter.model.schemas[table.schema.name].tables[table.name].columns)
        wanted = ", ".join(quoted(column.name) for column in columns)
        for values in self._connection.execute(
            f"SELECT {wanted} FROM main.{_sql(table)}{condition} ORDER BY RID"
        ):
            yield {column.name: decode(column, value) for column, value in zip(columns, values, strict=True)}


def _sql(table: Table) -> str:
    return table_name(*name_of(table))


class Replay:
    """Makes the rows of a catalog those of an extract.

    Each step can be repeated after an interruption: rows keep their RIDs, so that what is there is skipped.

    Parameters
    ----------
    connection : Connection
        The destination.
    model : CatalogModel
        Its model.
    change : callable
        Makes of a row of the source what it is here.
    report : CloneReport
        Receives what was done.
    """

    def __init__(
        self, connection: Connection, model: CatalogModel, change: Change, report: CloneReport
    ) -> None:
        self._connection, self._model = connection, model
        self._change, self._report = change, report

    def run(self, difference: Difference, advance: Callable[[int], object] = lambda _rows: None) -> None:
        """Remove, insert and update rows.

        Parameters
        ----------
        difference : Difference
        advance : callable, optional
            Called with numbers of rows that are done.

        Raises
        ------
        DerivaMLException
            If the catalog refuses something.
        """
        tables = {}
        for table in difference.tables():
            own = self._own(table)
            if own is not None:
                tables[name_of(own)] = own
        order, late = loading_order(tables)
        self._remove(difference, [tables[name] for name in order])
        for name in order:
            self._bring(difference, tables[name], late.get(name, ()), advance)
        for name, columns in late.items():
            self._complete(difference, tables[name], columns)

    def _own(self, table: Table) -> Table | None:
        schema = self._model.schemas.get(table.schema.name)
        found: Table | None = schema.tables.get(table.name) if schema is not None else None
        if found is None:
            self._leave_out(f"{table.schema.name}:{table.name}")
        return found

    def _leave_out(self, name: str) -> None:
        if name not in self._report.left_out:
            self._report.left_out.append(name)

    def _remove(self, difference: Difference, ordered: Sequence[Table]) -> None:
        for table in ordered:
            for columns, rids in difference.released(table):
                if rids and all(table.columns[name].nullok for name in columns):
                    emptied = [{"RID": rid, **dict.fromkeys(columns)} for rid in rids]
                    rows.update(self._connection, table, emptied, columns=columns)
        for table in reversed(ordered):
            gone = difference.removed(table)
            if gone:
                self._count(self._report.removed, table, rows.delete(self._connection, table, {"RID": gone}))

    def _bring(
        self, difference: Difference, table: Table, late: Collection[str], advance: Callable[[int], object]
    ) -> None:
        for piece in _pieces(self._fitting(table, difference.inserted(table), late)):
            self._insert(table, piece)
            advance(len(piece))
        for piece in _pieces(self._fitting(table, difference.changed(table), late)):
            columns = sorted(set(piece[0]) - set(SYSTEM_COLUMNS))
            done = rows.update(self._connection, table, piece, columns=columns)
            self._count(self._report.updated, table, len(done))
            # A removed row may have taken along what referred to it.
            known = {row["RID"] for row in done}
            self._insert(table, [row for row in piece if row["RID"] not in known])

    def _fitting(self, table: Table, found: Iterable[Row], late: Collection[str]) -> Iterator[Row]:
        there = {column.name for column in table.columns}
        known = there - _OWN - set(late)
        for row in found:
            changed = self._change(table, row)
            for name in changed.keys() - there:
                self._leave_out(f"{table.schema.name}:{table.name}:{name}")
            yield {name: value for name, value in changed.items() if name in known}

    def _insert(self, table: Table, piece: list[Row]) -> None:
        if not piece:
            return
        made = rows.insert(self._connection, table, piece, with_rids=True, keep=_MADE, skip_conflicts=True)
        self._count(self._report.inserted, table, len(made))
        known = {row["RID"] for row in made}
        rest = [row["RID"] for row in piece if row["RID"] not in known]
        if not rest:
            return
        there = rows.present(self._connection, table, "RID", rest)
        self._count(self._report.existing, table, len(there))
        refused = sorted(set(rest) - there)
        if refused:
            raise DerivaMLConflictError(
                f"{len(refused)} rows of {table.schema.name}:{table.name} (first {refused[0]}) were refused by "
                f"{self._connection.name}: other rows have the same values in a key. Clone into a new catalog."
            )

    def _complete(self, difference: Difference, table: Table, columns: Collection[str]) -> None:
        """Set the references that lead to tables which came later."""
        fresh = (
            row for row in difference.inserted(table) if any(row.get(name) is not None for name in columns)
        )
        for found in (fresh, difference.changed(table)):
            changed = (self._change(table, row) for row in found)
            for piece in _pieces(
                {"RID": row["RID"], **{name: row.get(name) for name in columns}} for row in changed
            ):
                rows.update(self._connection, table, piece, columns=sorted(columns))

    @staticmethod
    def _count(counts: dict[TableName, int], table: Table, number: int) -> None:
        if number:
            counts[name_of(table)] = counts.get(name_of(table), 0) + number


def _pieces(found: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(found)
    while piece := list(islice(iterator, _PIECE)):
        yield piece


def loading_order(
    tables: dict[TableName, Table],
) -> tuple[list[TableName], dict[TableName, set[str]]]:
    """Tables, each after those it refers to, and columns that are filled once all are there.

    Raises
    ------
    DerivaMLDataError
        If tables refer to each other in a circle in which no reference may be empty.
    """
    late: dict[TableName, set[str]] = {}
    ignored = set()
    for name, table in tables.items():
        for key in table.foreign_keys:
            if name_of(key.pk_table) == name and (columns := _empty(key)):
                late.setdefault(name, set()).update(columns)
    while True:
        try:
            return list(in_reference_order(tables, lambda key: id(key) in ignored)), late
        except DerivaMLDataError as error:
            if not isinstance(error.__cause__, CycleError):
                raise
            broken = _breakable(tables, error.__cause__.args[1])
            if not broken:
                raise
            for key in broken:
                ignored.add(id(key))
                late.setdefault(name_of(key.table), set()).update(_empty(key))


def _breakable(tables: dict[TableName, Table], circle: list[TableName]) -> list[Any]:
    """Foreign keys of one link of a circle that may be empty; of the table with the fewest other keys first."""
    found = []
    for referred, referring in pairwise(circle):
        keys = [key for key in tables[referring].foreign_keys if name_of(key.pk_table) == referred]
        if keys and all(_empty(key) for key in keys):
            found.append((len(tables[referring].keys), referring, keys))
    return min(found, key=lambda link: link[:2])[2] if found else []


def _empty(key: Any) -> list[str]:
    """Columns of a foreign key that may be empty, and are no part of another one."""
    return [column.name for column in key.foreign_key_columns if column.nullok]
