"""What the statements of this package ask of a database, so that differences live in one file per database."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from deriva_server.errors import ServiceError
from deriva_server.model.elements import Type

INTERNAL = "_ermrest_"
"""Prefix of every table, index and trigger that is not a table of the catalog model."""


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


class Dialect(Protocol):
    """One kind of database."""

    name: str

    def engine(self, path: Path) -> sa.Engine:
        """An engine whose connections are ready for use and begin no transaction by themselves."""

    def begin(self, connection: sa.Connection, *, write: bool) -> None:
        """Begin a transaction with a stable view; a writing one holds the only write lock from its start."""

    def suspend_references(self, connection: sa.Connection) -> None:
        """Stop enforcing foreign keys on this connection; called outside a transaction."""

    def resume_references(self, connection: sa.Connection) -> None:
        """Enforce foreign keys again; called outside a transaction."""

    def limit_time(self, connection: sa.Connection, seconds: float | None) -> None:
        """Interrupt statements that run past `seconds` from now; None lifts the limit."""

    def translate(self, error: sa.exc.DBAPIError) -> ServiceError | None:
        """The error of the service that a database error stands for, None when it is unexpected."""

    def column_type(self, type_: Type) -> str:
        """Declared type of a column, possibly empty."""

    def table_storage(self, name: str, rid: str, taken: Collection[str]) -> str:
        """A name for a table that the database can tell from the `taken` ones (in folded form)."""

    def column_storage(self, name: str, rid: str, taken: Collection[str]) -> str:
        """A name for a column that the database can tell from the `taken` ones (in folded form)."""

    def fold(self, name: str) -> str:
        """The form under which the database compares names."""
