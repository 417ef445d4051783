"""What a catalog model must offer so that questions can be asked of it; deriva-py's model objects do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeVar

Part = TypeVar("Part", covariant=True)


class Named(Protocol[Part]):
    """A list whose items can also be looked up by name."""

    @property
    def elements(self) -> Mapping[Any, Part]: ...

    def __iter__(self) -> Iterator[Part]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, place: Any) -> Part: ...


class Type(Protocol):
    """Type of a column."""

    typename: str


class Column(Protocol):
    """A column of a table."""

    name: str
    type: Type
    nullok: bool
    default: Any
    comment: str | None
    annotations: dict[str, Any]

    @property
    def table(self) -> Table: ...


class Key(Protocol):
    """Columns whose values together are unique."""

    constraint_name: str

    @property
    def table(self) -> Table: ...

    @property
    def unique_columns(self) -> Named[Column]: ...


class ForeignKey(Protocol):
    """Columns that refer to a key of another table."""

    constraint_name: str

    @property
    def table(self) -> Table: ...

    @property
    def pk_table(self) -> Table: ...

    @property
    def foreign_key_columns(self) -> Named[Column]: ...

    @property
    def referenced_columns(self) -> Named[Column]: ...


class Table(Protocol):
    """A table."""

    name: str
    kind: str
    comment: str | None
    annotations: dict[str, Any]

    @property
    def schema(self) -> Schema: ...

    @property
    def columns(self) -> Named[Column]: ...

    @property
    def keys(self) -> Named[Key]: ...

    @property
    def foreign_keys(self) -> Named[ForeignKey]: ...

    @property
    def referenced_by(self) -> Named[ForeignKey]: ...


class Schema(Protocol):
    """A named group of tables."""

    name: str
    annotations: dict[str, Any]

    @property
    def tables(self) -> Mapping[str, Table]: ...


class Model(Protocol):
    """All schemas of a catalog."""

    annotations: dict[str, Any]

    @property
    def schemas(self) -> Mapping[str, Schema]: ...
