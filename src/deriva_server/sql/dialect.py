"""What the statements of this package ask of a database, so that differences live in one folder per database.

A `Dialect` is one database: how to connect and to run a transaction. Its `expressions` say in SQL what a read
computes, its `tables` make and fill the tables of a catalog.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import sqlalchemy as sa

from deriva_server.errors import Conflict, ServiceError
from deriva_server.model.elements import Column, Model, Table, Type
from deriva_server.model.shown import RowTexts
from deriva_server.model.values import Stored
from deriva_server.plan import relation as r
from deriva_server.values import Frozen

INTERNAL = "_ermrest_"
"""Prefix of every table, index and trigger that is not a table of the catalog model."""

HISTORY = f"{INTERNAL}history_"
"""Prefix of history tables; the RID of their table follows."""

STATEMENT_SECONDS = 15.0
"""How long a statement, or one piece of a long result, may take."""

BUSY_SECONDS = 60
"""How long a transaction waits for others before it gives up."""

Expression = sa.ColumnElement[Any]


def quote(name: str) -> str:
    """Write `name` as an SQL identifier.

    >>> print(quote("a b"))
    "a b"
    """
    return '"' + name.replace('"', '""') + '"'


def quoted_list(names: Collection[str]) -> str:
    """Identifiers separated by commas."""
    return ", ".join(quote(name) for name in names)


def text_literal(text: str) -> str:
    """Write `text` as an SQL string.

    >>> text_literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def storages(table: Table) -> list[str]:
    """Names under which the columns of a table are stored."""
    return [column.storage for column in table.columns]


def history_name(table_rid: str) -> str:
    """Name of the history table of a table."""
    return HISTORY + table_rid


class Connection:
    """One connection inside a transaction.

    Parameters
    ----------
    raw : sqlalchemy.Connection
        Only modules of this package use it.
    dialect : Dialect
        The database.
    first : sequence, optional
        The row that was asked for when the transaction began.
    beside : callable, optional
        For `beside`.
    """

    __slots__ = ("_beside", "dialect", "first", "raw")

    def __init__(
        self,
        raw: sa.Connection,
        dialect: Dialect,
        first: Sequence[Any] | None = None,
        beside: Callable[[], AbstractContextManager[Connection | None]] = nullcontext,
    ) -> None:
        self.raw = raw
        self.dialect = dialect
        self.first = first
        self._beside = beside

    def beside(self) -> AbstractContextManager[Connection | None]:
        """Another reading transaction, which sees the same rows as this one; None where there is none to be had."""
        return self._beside()

    def run(
        self, statement: str, parameters: tuple[Any, ...] | Sequence[tuple[Any, ...]] = ()
    ) -> sa.CursorResult[*tuple[Any, ...]]:
        """Run a statement written with ``?`` for its parameters; a list of tuples runs it once for each."""
        return self.raw.exec_driver_sql(self.dialect.statement(statement), parameters)

    def limit_time(self, seconds: float | None) -> None:
        """Interrupt statements of this transaction that run past `seconds` from now; None lifts the limit."""
        self.dialect.limit_time(self.raw, seconds)


class RowParts(Frozen, frozen=True):
    """How rows become texts.

    Parameters
    ----------
    columns : tuple of str
        What to select, as SQL.
    assemble : callable
        Makes texts of it.
    """

    columns: tuple[str, ...]
    assemble: RowTexts


def first_column(rows: Sequence[Sequence[Any]]) -> list[str]:
    """The texts of rows that were selected as texts."""
    return [row[0] for row in rows]


class Parts(Frozen, frozen=True):
    """How a read may be made of parts of its table.

    Parameters
    ----------
    table : Table
        What is read.
    rows : sa.Select
        Partial results, from the rows of some positions.
    statement : sa.Select
        Makes the result of all of them.
    """

    table: Table
    rows: sa.Select[Any]
    statement: sa.Select[Any]


class Dialect(Protocol):
    """One database."""

    name: str
    place: str
    """Where it is, for messages."""
    idle: int
    """How many connections to this database may wait for their next use."""
    idle_together: int | None
    """How many connections of this process to all databases of this kind may wait; None for no limit."""
    types: Mapping[str, str]
    """Types in the service's own tables by what they hold: ``number`` of 64 bits, ``moment``."""
    expressions: Expressions
    tables: Tables

    def engine(self) -> sa.Engine:
        """An engine whose connections are ready for use and begin no transaction by themselves."""

    def connect(self, engine: sa.Engine) -> sa.Connection:
        """A new connection."""

    def begin(
        self, connection: sa.Connection, *, write: bool, first: str | None = None
    ) -> Sequence[Any] | None:
        """Begin a transaction with a stable view; a writing one holds the only write lock from its start.

        Returns the row of the query `first`, if there is one.
        """

    def statement(self, text: str) -> str:
        """A statement with ``?`` for its parameters, as the driver takes it."""

    def suspend_references(self, connection: sa.Connection) -> None:
        """Stop enforcing foreign keys on this connection where tables cannot change otherwise.

        Called outside a transaction.
        """

    def resume_references(self, connection: sa.Connection) -> None:
        """Enforce foreign keys again; called outside a transaction."""

    def limit_time(self, connection: sa.Connection, seconds: float | None) -> None:
        """Interrupt statements that run past `seconds` from now; None lifts the limit."""

    def is_lost(self, connection: sa.Connection) -> bool:
        """Whether an idle connection was ended by the other side; cheap, for it is asked before every use."""

    def alone(self) -> AbstractContextManager[bool]:
        """Have to oneself what is kept beside the database, until the end of the transactions inside is certain.

        Gives whether the commit of a process that died may count some day although nobody sees it now, until `settle`
        ends that.

        Raises
        ------
        Busy
            If others had it for longer than the generous limit.
        """

    def settle(self, connection: Connection) -> None:
        """Change something; once that is committed, no commit that nobody saw counts any more."""

    def translate(self, error: sa.exc.DBAPIError) -> ServiceError | None:
        """The error of the service that a database error stands for, None when it is unexpected."""

    def list_tables(self, connection: Connection, prefix: str) -> list[str]:
        """Names of the service's own tables that begin with `prefix`."""

    def microseconds(self, value: Any) -> int:
        """A timestamp as this database returns it, in microseconds since 1970."""


class Expressions(Hashable, Protocol):
    """What a read computes, as SQL. Texts are SQL; values are bound."""

    def source(self, table: Table) -> sa.TableClause:
        """The live rows of a table; its columns bear the storage names."""

    def superseded(self, connection: Connection, table: Table, moment: str) -> sa.Select[Any]:
        """Versions of rows, superseded since, that were valid at a moment, under the storage names of `table`."""

    def merged(self, column: Column) -> Expression:
        """A live column in a union with the history, which must not keep the database from merging by index."""

    def moment(self, text: str) -> Expression:
        """A time in stored form."""

    def position(self, alias: str, rid: Expression, *, is_live: bool) -> Expression:
        """What orders the rows of an instance by their insertion."""

    def listed(self, values: Sequence[str]) -> sa.FromClause:
        """Rows with columns ``value`` and ``key``, one for each text in order."""

    def growing(
        self, first: sa.Select[Any], steps: Callable[[sa.FromClause], Sequence[sa.Select[Any]]]
    ) -> sa.FromClause:
        """Rows to which steps from each of them add others until there are no new ones."""

    def row_parts(
        self, names: tuple[str, ...], types: tuple[Type, ...], values: tuple[str, ...], form: r.Format
    ) -> RowParts:
        """The text of a whole row: a JSON object or a CSV line."""

    def row_object(self, names: tuple[str, ...], types: tuple[Type, ...], values: tuple[str, ...]) -> str:
        """The JSON object of a whole row as one value."""

    def json_text(self, type_: Type, value: str) -> str:
        """The JSON text of a value, ``null`` for NULL."""

    def plain_text(self, type_: Type, value: str) -> str:
        """The text that patterns are matched against; NULL for NULL."""

    def order_value(self, type_: Type, value: Expression) -> Expression:
        """What values of a type are compared and sorted by."""

    def bound_order(self, type_: Type, value: Stored) -> Expression:
        """A stored value to compare an `order_value` with."""

    def among(self, type_: Type, value: Expression, values: Sequence[Stored]) -> Expression:
        """Whether a value is one of many."""

    def checked(self, condition: Expression) -> Expression:
        """A condition that rows are checked by which were found by another one."""

    def among_given(self, value: Expression, name: str) -> Expression:
        """Whether a text is one of those in the parameter `name`, as of `given`."""

    def among_shared(self, name: str) -> Callable[[Expression], Expression]:
        """The same of texts in many parts of one statement, which reads the parameter once."""

    def given(self, values: Sequence[str]) -> Any:
        """Texts as a parameter of `among_given` and `among_shared`."""

    def linked(self, left: tuple[Type, Expression], right: tuple[Type, Expression]) -> Expression:
        """Whether two columns of any types are equal."""

    def contains(self, type_: Type, value: Expression, operator: str, bound: Stored) -> Expression:
        """Whether any element of an array satisfies a comparison; unknown for a NULL array."""

    def found(self, text: Expression, pattern: str, ignore_case: bool) -> Expression:
        """Whether a regular expression matches somewhere in a text."""

    def binned(self, expression: r.Binned, value: Expression) -> Expression:
        """JSON text of the bin of a value."""

    def bin_number(self, value: Expression) -> Expression:
        """The number in a bin's JSON text."""

    def some(self, type_: Type, value: Expression) -> Expression:
        """Aggregate: any one of the values that are not NULL."""

    def extreme(self, function: str, type_: Type, value: Expression) -> Expression:
        """Aggregate: ``min`` or ``max`` in the order of the type."""

    def numeric(self, function: str, type_: Type, value: Expression) -> Expression:
        """Aggregate: exact ``sum`` or ``avg``."""

    def distinct_count(self, type_: Type, value: Expression) -> Expression:
        """Aggregate: how many values differ."""

    def array(self, text: str, position: Expression) -> Expression:
        """Aggregate: JSON array of JSON texts, in the order of `position`; NULL without rows."""

    def distinct_array(self, text: str, type_: Type | None, value: Expression | None) -> Expression:
        """Aggregate: JSON array of the distinct JSON texts of values, sorted by value; NULL without rows.

        Texts that are of no value, but of whole rows, are sorted as texts.
        """

    def parts(
        self, query: r.Query, rows: sa.FromClause, conditions: Sequence[Expression]
    ) -> tuple[sa.Select[Any], sa.FromClause] | None:
        """Partial aggregates over one live table, and the outputs ``o0``, ``o1`` … made of them all.

        None where reading a table in parts brings nothing.
        """

    def execute(
        self,
        connection: Connection,
        statement: sa.Select[Any],
        *,
        whole: bool,
        parts: Parts | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> sa.CursorResult[Any]:
        """Run a read; a result that is not taken `whole` comes in pieces, at the cost of more exchanges."""

    def failure(self, connection: Connection) -> ServiceError | None:
        """Why the last statement failed, where the database itself forgets the reason."""


class Tables(Protocol):
    """How the tables of a catalog are made, changed and filled."""

    def key(self, schema: str, storage: str) -> str:
        """What must differ between tables."""

    def table_storage(self, table: Table, taken: Collection[str]) -> str:
        """A name for a table that the database can tell from the `taken` keys."""

    def fold(self, name: str) -> str:
        """The form under which the names of columns are compared."""

    def column_storage(self, column: Column, taken: Collection[str]) -> str:
        """A name for a column that the database can tell from the `taken` ones (in folded form)."""

    def named(self, table: Table) -> str:
        """A table in SQL."""

    def history_column(self, column: Column) -> str:
        """Name of a column of a history table."""

    def history_type(self, column: Column) -> str:
        """Declared type of a column of a history table, possibly empty."""

    def index_versions(self, connection: Connection, name: str) -> None:
        """Make the index of a history table by RID and begin."""

    def history_columns(self, connection: Connection, table_rid: str, column_rid: str) -> list[str]:
        """Names of all columns of a history table that hold values of a column."""

    def parameter(self, type_: Type, value: Stored) -> tuple[str, Any]:
        """A stored value as SQL with a ``?`` and what to bind to it."""

    def listed(self, values: Sequence[str]) -> tuple[str, Any]:
        """The right side of a test whether a text is one of `values`, and what to bind to its ``?``."""

    def last_position(self, connection: Connection, table: Table) -> int | None:
        """The greatest position of a row as `Expressions.position` gives it; None where rows have none."""

    def change(self, connection: Connection, old: Model, new: Model, now: int) -> Model:
        """Bring all tables from one model to the next; see `ddl.apply`."""

    def insert(
        self,
        connection: Connection,
        table: Table,
        rows: Sequence[Sequence[Stored]],
        *,
        skip: bool,
        cyclic: bool,
    ) -> None:
        """Insert complete rows; `skip` drops rows that violate a key, `cyclic` rows may refer to each other."""

    def matching(
        self,
        connection: Connection,
        table: Table,
        columns: Sequence[Column],
        keys: Sequence[Sequence[Stored]],
    ) -> list[tuple[int, str]]:
        """Index of each key tuple and RID of each row that has these values, by index; NULL matches NULL."""

    def update(
        self,
        connection: Connection,
        table: Table,
        columns: Sequence[Column],
        rows: Sequence[tuple[str, Sequence[Stored]]],
    ) -> None:
        """Set columns of rows given by RID."""

    def explain_write(
        self,
        connection: Connection,
        model: Model,
        table: Table,
        columns: Sequence[str],
        rows: Sequence[Sequence[Stored]],
        error: sa.exc.IntegrityError,
    ) -> Conflict:
        """The conflict behind an integrity error of an insert or update of `columns`."""

    def missing_reference(
        self,
        connection: Connection,
        model: Model,
        table: Table,
        columns: Sequence[str],
        rows: Sequence[Sequence[Stored]],
    ) -> Conflict | None:
        """The first reference of cyclic rows that leads nowhere, None if all of them are good."""

    def explain_delete(
        self,
        connection: Connection,
        model: Model,
        table: Table,
        rids: Sequence[str],
        error: sa.exc.IntegrityError,
    ) -> Conflict:
        """The conflict behind a delete, or a change of key values, that other rows forbid."""
