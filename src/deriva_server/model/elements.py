"""The catalog model as frozen values.

A model changes by making a new one (see `changes`), so a reader keeps a consistent model for as long as it likes.
Names are logical; `storage` is the name the element has in the database, equal to the logical name wherever
the database can hold it. Columns and tables keep their RID through renames, and history is kept by RID.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Generic, TypeVar

Json = Any
"""Any value that JSON can hold."""

_T = TypeVar("_T")


class Same(Generic[_T]):
    """A value that is compared by identity: models change by becoming other objects.

    >>> Same([]) == Same([])
    False
    """

    __slots__ = ("value",)

    def __init__(self, value: _T) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


EMPTY: Mapping[str, Any] = MappingProxyType({})


def _empty() -> Mapping[str, Any]:
    return EMPTY


SYSTEM_COLUMNS = ("RID", "RCT", "RMT", "RCB", "RMB")


@dataclass(frozen=True, slots=True)
class Type:
    """A column type as clients name it.

    Parameters
    ----------
    name : str
        ``typename`` of the type document, e.g. ``int4``, ``markdown``, ``text[]``.
    base : Type or None
        The type under a domain, or the element type of an array.
    is_array, is_domain : bool
        What `base` is for.
    """

    name: str
    base: Type | None = None
    is_array: bool = False
    is_domain: bool = False

    @property
    def scalar(self) -> str:
        """Name of the basic type behind domains; of the elements for an array."""
        return self.base.scalar if self.base is not None else self.name


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `default` is a JSON value of the column's type."""

    rid: str
    name: str
    type: Type
    nullok: bool = True
    default: Json = None
    comment: str | None = None
    annotations: Mapping[str, Json] = field(default_factory=_empty)
    acls: Mapping[str, list[str]] = field(default_factory=_empty)
    acl_bindings: Mapping[str, Json] = field(default_factory=_empty)
    storage: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """A uniqueness constraint over `columns` of its table."""

    rid: str
    name: str
    columns: tuple[str, ...]
    comment: str | None = None
    annotations: Mapping[str, Json] = field(default_factory=_empty)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference from `columns` of its table to a key of another; both lists correspond by position."""

    rid: str
    name: str
    columns: tuple[str, ...]
    referenced_schema: str
    referenced_table: str
    referenced_columns: tuple[str, ...]
    on_update: str = "NO ACTION"
    on_delete: str = "NO ACTION"
    comment: str | None = None
    annotations: Mapping[str, Json] = field(default_factory=_empty)
    acls: Mapping[str, list[str]] = field(default_factory=_empty)
    acl_bindings: Mapping[str, Json] = field(default_factory=_empty)


@dataclass(frozen=True)
class Table:
    """A table with its columns in order, keys and outgoing foreign keys."""

    rid: str
    schema: str
    name: str
    columns: tuple[Column, ...] = ()
    keys: tuple[Key, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    comment: str | None = None
    annotations: Mapping[str, Json] = field(default_factory=_empty)
    acls: Mapping[str, list[str]] = field(default_factory=_empty)
    acl_bindings: Mapping[str, Json] = field(default_factory=_empty)
    storage: str = ""
    kind: str = "table"
    live_since: int = 0
    """Microseconds since 1970 from which the live rows tell the past; before it only history does."""

    @cached_property
    def column_by_name(self) -> Mapping[str, Column]:
        """Columns by logical name."""
        return {column.name: column for column in self.columns}

    @property
    def qualified(self) -> tuple[str, str]:
        """Schema and table name."""
        return self.schema, self.name


@dataclass(frozen=True)
class Schema:
    """A named set of tables."""

    rid: str
    name: str
    tables: Mapping[str, Table] = field(default_factory=_empty)
    comment: str | None = None
    annotations: Mapping[str, Json] = field(default_factory=_empty)
    acls: Mapping[str, list[str]] = field(default_factory=_empty)


@dataclass(frozen=True)
class Model:
    """Everything a catalog declares."""

    schemas: Mapping[str, Schema] = field(default_factory=_empty)
    annotations: Mapping[str, Json] = field(default_factory=_empty)
    acls: Mapping[str, list[str]] = field(default_factory=dict)

    def tables(self) -> Iterator[Table]:
        """Every table of every schema."""
        for schema in self.schemas.values():
            yield from schema.tables.values()

    @cached_property
    def tables_by_name(self) -> Mapping[str, tuple[Table, ...]]:
        """Tables by bare name, over all schemas."""
        found: dict[str, list[Table]] = {}
        for table in self.tables():
            found.setdefault(table.name, []).append(table)
        return {name: tuple(tables) for name, tables in found.items()}

    @cached_property
    def referrers(self) -> Mapping[tuple[str, str], tuple[tuple[Table, ForeignKey], ...]]:
        """Foreign keys that point to a table, by its qualified name."""
        found: dict[tuple[str, str], list[tuple[Table, ForeignKey]]] = {}
        for table in self.tables():
            for fkey in table.foreign_keys:
                found.setdefault((fkey.referenced_schema, fkey.referenced_table), []).append((table, fkey))
        return {name: tuple(pairs) for name, pairs in found.items()}
