"""A catalog model made from a schema document alone, without a catalog: for bags and offline work."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from deriva_ml.errors import DerivaMLReadOnlyError
from deriva_ml.model.protocols import Column, Table

Part = TypeVar("Part")
Document = dict[str, Any]


class NamedList(list[Part]):
    """A list whose items can also be looked up by name.

    Parameters
    ----------
    items : iterable
    name : callable
        Gives the name of an item.
    """

    def __init__(self, items: Iterable[Part], name: Callable[[Part], Any]) -> None:
        super().__init__(items)
        self._name = name

    @property
    def elements(self) -> dict[Any, Part]:
        """Name to item."""
        return {self._name(item): item for item in self}

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, int | slice):
            return super().__getitem__(place)
        return self.elements[place]


def _named(items: Iterable[Part]) -> NamedList[Part]:
    return NamedList(items, lambda item: item.name)  # type: ignore[attr-defined]


class DocumentType:
    """Type of a column."""

    def __init__(self, document: Document) -> None:
        self.typename: str = document["typename"]
        self.is_array = bool(document.get("is_array"))
        self.is_domain = bool(document.get("is_domain"))
        base = document.get("base_type")
        self.base_type = DocumentType(base) if base else None


class DocumentColumn:
    """A column of a table."""

    def __init__(self, table: DocumentTable, document: Document) -> None:
        self.table = table
        self.name: str = document["name"]
        self.type = DocumentType(document["type"])
        self.nullok = bool(document.get("nullok", True))
        self.default = document.get("default")
        self.comment: str | None = document.get("comment")
        self.annotations: Document = dict(document.get("annotations") or {})

    def __repr__(self) -> str:
        return f"<column {self.table.schema.name}:{self.table.name}:{self.name}>"


def _constraint_name(document: Document, fallback: str) -> str:
    names = document.get("names") or []
    return str(names[0][1]) if names else fallback


class DocumentKey:
    """Columns whose values together are unique."""

    def __init__(self, table: DocumentTable, document: Document) -> None:
        self.table = table
        columns = document["unique_columns"]
        self.constraint_name = _constraint_name(document, "_".join([table.name, *columns, "key"]))
        self.name = (table.schema, self.constraint_name)
        self.unique_columns: NamedList[DocumentColumn] = _named(table.columns[column] for column in columns)


class DocumentForeignKey:
    """Columns that refer to a key of another table."""

    pk_table: DocumentTable
    referenced_columns: NamedList[DocumentColumn]

    def __init__(self, table: DocumentTable, document: Document) -> None:
        self.table = table
        columns = [column["column_name"] for column in document["foreign_key_columns"]]
        self.constraint_name = _constraint_name(document, "_".join([table.name, *columns, "fkey"]))
        self.name = (table.schema, self.constraint_name)
        self.on_delete: str | None = document.get("on_delete")
        self.on_update: str | None = document.get("on_update")
        self.foreign_key_columns: NamedList[DocumentColumn] = _named(
            table.columns[column] for column in columns
        )
        self._there: list[Document] = document["referenced_columns"]

    @property
    def column_map(self) -> dict[DocumentColumn, DocumentColumn]:
        """Referring column to referenced column."""
        return dict(zip(self.foreign_key_columns, self.referenced_columns, strict=True))

    def link(self, model: DocumentModel) -> bool:
        """Find the referenced columns; False when they are not in the document."""
        first = self._there[0]
        try:
            self.pk_table = model.schemas[first["schema_name"]].tables[first["table_name"]]
            self.referenced_columns = _named(
                self.pk_table.columns[column["column_name"]] for column in self._there
            )
        except KeyError:
            return False
        self.pk_table.referenced_by.append(self)
        return True


class DocumentTable:
    """A table."""

    def __init__(self, schema: DocumentSchema, name: str, document: Document) -> None:
        self.schema = schema
        self.name = name
        self.kind: str = document.get("kind") or "table"
        self.comment: str | None = document.get("comment")
        self.annotations: Document = dict(document.get("annotations") or {})
        self.columns: NamedList[DocumentColumn] = _named(
            DocumentColumn(self, column) for column in document.get("column_definitions") or ()
        )
        self.keys: NamedList[DocumentKey] = _named(
            DocumentKey(self, key) for key in document.get("keys") or ()
        )
        self.foreign_keys: NamedList[DocumentForeignKey] = _named(
            DocumentForeignKey(self, key) for key in document.get("foreign_keys") or ()
        )
        self.referenced_by: NamedList[DocumentForeignKey] = _named(())

    @property
    def column_definitions(self) -> NamedList[DocumentColumn]:
        """The columns, under the name that the document uses."""
        return self.columns

    def __repr__(self) -> str:
        return f"<table {self.schema.name}:{self.name}>"


class DocumentSchema:
    """A named group of tables."""

    def __init__(self, model: DocumentModel, name: str, document: Document) -> None:
        self.model = model
        self.name = name
        self.comment: str | None = document.get("comment")
        self.annotations: Document = dict(document.get("annotations") or {})
        self.tables = {
            table: DocumentTable(self, table, body) for table, body in (document.get("tables") or {}).items()
        }


class DocumentModel:
    """All schemas of a schema document, as ``GET /schema`` gives it.

    A foreign key to a table that the document lacks is left out, as deriva-py does.

    Parameters
    ----------
    document : dict
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.annotations: Document = dict(document.get("annotations") or {})
        self.schemas = {
            name: DocumentSchema(self, name, body) for name, body in (document.get("schemas") or {}).items()
        }
        for schema in self.schemas.values():
            for table in schema.tables.values():
                table.foreign_keys[:] = [key for key in table.foreign_keys if key.link(self)]

    @classmethod
    def from_file(cls, path: Path) -> DocumentModel:
        """Read a schema document from a JSON file."""
        return cls(json.loads(path.read_text(encoding="utf-8")))


def tables_document(tables: Iterable[Table]) -> Document:
    """Schema document of some tables of any model, and of no others: what `DocumentModel` reads, less comments.

    Returns
    -------
    dict
        Equal for tables that are defined equally, whichever model they are from.
    """
    tables = list(tables)
    known = {(table.schema.name, table.name) for table in tables}
    schemas: dict[str, Document] = {}
    for table in tables:
        schemas.setdefault(table.schema.name, {"tables": {}})["tables"][table.name] = {
            "column_definitions": [_column_document(column) for column in table.columns],
            "keys": [
                {
                    "names": [[table.schema.name, key.constraint_name]],
                    "unique_columns": [column.name for column in key.unique_columns],
                }
                for key in table.keys
            ],
            "foreign_keys": [
                {
                    "names": [[table.schema.name, key.constraint_name]],
                    "foreign_key_columns": [
                        {"column_name": column.name} for column in key.foreign_key_columns
                    ],
                    "referenced_columns": [
                        {
                            "schema_name": key.pk_table.schema.name,
                            "table_name": key.pk_table.name,
                            "column_name": column.name,
                        }
                        for column in key.referenced_columns
                    ],
                }
                for key in table.foreign_keys
                if (key.pk_table.schema.name, key.pk_table.name) in known
            ],
        }
    return {"schemas": schemas}


def _column_document(column: Column) -> Document:
    return {
        "name": column.name,
        "type": {"typename": column.type.typename},
        "nullok": column.nullok,
        "default": column.default,
        "annotations": dict(column.annotations),
    }


class Unasked:
    """Stands for the binding of a catalog that is worked with offline."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__") or attribute == "_name":
            raise AttributeError(attribute)
        raise DerivaMLReadOnlyError(
            f"{self._name} is open offline, so {attribute!r} of its catalog cannot be used; connect with mode='online'."
        )

    def __repr__(self) -> str:
        return f"<{self._name}, offline>"
