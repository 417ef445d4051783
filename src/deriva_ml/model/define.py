"""Definitions of new tables, as values that become ERMrest documents."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.model import tags
from deriva_ml.model.types import BuiltinTypes, type_document

Document = dict[str, Any]

_SYSTEM_COLUMNS = (
    ("RID", BuiltinTypes.ermrest_rid, False, "Record ID"),
    ("RCT", BuiltinTypes.ermrest_rct, False, "Creation Time"),
    ("RMT", BuiltinTypes.ermrest_rmt, False, "Modified Time"),
    ("RCB", BuiltinTypes.ermrest_rcb, True, "Created By"),
    ("RMB", BuiltinTypes.ermrest_rmb, True, "Modified By"),
)
_LONGEST = 63


def element_name(*parts: str) -> str:
    """Join parts to a name the service accepts; a name that gets too long is cut and ends in a hash.

    >>> element_name("Image", "Subject", "fkey")
    'Image_Subject_fkey'
    """
    name = "_".join(parts)
    if len(name.encode()) <= _LONGEST:
        return name
    digest = hashlib.md5(name.encode(), usedforsecurity=False).digest()
    mark = "_" + base64.urlsafe_b64encode(digest).decode()[:5]
    return name.encode()[: _LONGEST - len(mark)].decode(errors="ignore") + mark


def document_of(definition: Any) -> Document:
    """ERMrest document of a definition; documents pass through."""
    if not hasattr(definition, "to_dict") and not isinstance(definition, Mapping):
        raise DerivaMLValidationError(
            f"{definition!r} defines nothing; give a TableDefinition, ColumnDefinition or the like, or its document."
        )
    made: Document = definition.to_dict() if hasattr(definition, "to_dict") else dict(definition)
    return made


@dataclass(frozen=True)
class ColumnDefinition:
    """A new column.

    Parameters
    ----------
    name : str
    type : BuiltinTypes or str
    nullok : bool
        Whether rows may leave it empty.
    default : JSON value, optional
    comment : str, optional
    acls, acl_bindings, annotations : dict

    Examples
    --------
    >>> ColumnDefinition(name="Age", type=BuiltinTypes.int4).to_dict()["type"]
    {'typename': 'int4'}
    """

    name: str
    type: BuiltinTypes | str | Document = BuiltinTypes.text
    nullok: bool = True
    default: Any = None
    comment: str | None = None
    acls: Document = field(default_factory=dict)
    acl_bindings: Document = field(default_factory=dict)
    annotations: Document = field(default_factory=dict)

    def to_dict(self) -> Document:
        """The column as an ERMrest document."""
        return {
            "name": self.name,
            "type": type_document(self.type),
            "nullok": self.nullok,
            "default": self.default,
            "comment": self.comment,
            "acls": dict(self.acls),
            "acl_bindings": dict(self.acl_bindings),
            "annotations": dict(self.annotations),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read an ERMrest column document; fields that describe only existing columns are left out."""
        known = {part.name: document[part.name] for part in dataclasses.fields(cls) if part.name in document}
        return cls(**known)


@dataclass(frozen=True)
class KeyDefinition:
    """Columns whose values together are unique.

    Parameters
    ----------
    columns : sequence of str
    constraint_name : str, optional
        Chosen when the table is defined if not given.
    comment : str, optional
    annotations : dict
    """

    columns: Sequence[str]
    constraint_name: str | None = None
    comment: str | None = None
    annotations: Document = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.columns or isinstance(self.columns, str):
            raise ValueError(f"A key needs a list of columns, not {self.columns!r}.")

    def to_dict(self, table: str | None = None) -> Document:
        """The key as an ERMrest document; `table` gives an unnamed key its name."""
        name = self.constraint_name or (element_name(table, *self.columns, "key") if table else None)
        return {
            "unique_columns": list(self.columns),
            "names": [["placeholder", name]] if name else [],
            "comment": self.comment,
            "annotations": dict(self.annotations),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read an ERMrest key document."""
        return cls(
            columns=list(document["unique_columns"]),
            constraint_name=_name_in(document),
            comment=document.get("comment"),
            annotations=dict(document.get("annotations") or {}),
        )


@dataclass(frozen=True)
class ForeignKeyDefinition:
    """Columns whose values are those of a key of another table.

    Parameters
    ----------
    columns : sequence of str
    referenced_schema, referenced_table : str
    referenced_columns : sequence of str
        Corresponds to `columns` by position.
    on_update, on_delete : str
        ``NO ACTION``, ``RESTRICT``, ``CASCADE``, ``SET NULL`` or ``SET DEFAULT``.
    constraint_name : str, optional
    comment : str, optional
    acls, acl_bindings, annotations : dict

    Raises
    ------
    ValueError
        If the column lists are empty or of different lengths.
    """

    columns: Sequence[str]
    referenced_schema: str
    referenced_table: str
    referenced_columns: Sequence[str] = ("RID",)
    on_update: str = "NO ACTION"
    on_delete: str = "NO ACTION"
    constraint_name: str | None = None
    comment: str | None = None
    acls: Document = field(default_factory=dict)
    acl_bindings: Document = field(default_factory=dict)
    annotations: Document = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.columns or len(self.columns) != len(self.referenced_columns):
            raise ValueError(
                f"A foreign key needs as many columns as it references, "
                f"not {list(self.columns)} to {list(self.referenced_columns)}."
            )

    def to_dict(self, table: str | None = None) -> Document:
        """The foreign key as an ERMrest document; `table` gives an unnamed one its name."""
        name = self.constraint_name or (element_name(table, *self.columns, "fkey") if table else None)
        there = {"schema_name": self.referenced_schema, "table_name": self.referenced_table}
        document: Document = {
            "foreign_key_columns": [{"column_name": column} for column in self.columns],
            "referenced_columns": [{**there, "column_name": column} for column in self.referenced_columns],
            "names": [["placeholder", name]] if name else [],
            "on_update": self.on_update,
            "on_delete": self.on_delete,
            "comment": self.comment,
            "annotations": dict(self.annotations),
        }
        # The service has defaults of its own for these, which an empty value would replace.
        if self.acls:
            document["acls"] = dict(self.acls)
        if self.acl_bindings:
            document["acl_bindings"] = dict(self.acl_bindings)
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read an ERMrest foreign key document."""
        there = document["referenced_columns"]
        return cls(
            columns=[column["column_name"] for column in document["foreign_key_columns"]],
            referenced_schema=there[0]["schema_name"],
            referenced_table=there[0]["table_name"],
            referenced_columns=[column["column_name"] for column in there],
            on_update=document.get("on_update") or "NO ACTION",
            on_delete=document.get("on_delete") or "NO ACTION",
            constraint_name=_name_in(document),
            comment=document.get("comment"),
            acls=dict(document.get("acls") or {}),
            acl_bindings=dict(document.get("acl_bindings") or {}),
            annotations=dict(document.get("annotations") or {}),
        )


def _name_in(document: Mapping[str, Any]) -> str | None:
    names = document.get("names") or []
    return str(names[0][1]) if names else None


@dataclass(frozen=True)
class TableDefinition:
    """A new table; columns, keys and foreign keys may be definitions or ERMrest documents.

    Parameters
    ----------
    name : str
    columns : sequence of ColumnDefinition
    keys : sequence of KeyDefinition
    foreign_keys : sequence of ForeignKeyDefinition
    comment : str, optional
    acls, acl_bindings, annotations : dict
    provide_system : bool
        Whether the five system columns and the key on RID are added.
    provide_system_fkeys : bool
        Whether RCB and RMB refer to the table of known users.

    Examples
    --------
    >>> subject = TableDefinition(name="Subject", columns=[ColumnDefinition("Name")])
    >>> [column["name"] for column in subject.to_dict()["column_definitions"]]
    ['RID', 'RCT', 'RMT', 'RCB', 'RMB', 'Name']
    """

    name: str
    columns: Sequence[Any] = ()
    keys: Sequence[Any] = ()
    foreign_keys: Sequence[Any] = ()
    comment: str | None = None
    acls: Document = field(default_factory=dict)
    acl_bindings: Document = field(default_factory=dict)
    annotations: Document = field(default_factory=dict)
    provide_system: bool = True
    provide_system_fkeys: bool = True

    def to_dict(self) -> Document:
        """The whole table as an ERMrest document."""
        columns = [document_of(column) for column in self._all_columns()]
        keys = [_named(key, self.name) for key in self._all_keys()]
        references = [_named(key, self.name) for key in self.foreign_keys]
        if self.provide_system:
            given = {column["name"] for column in columns}
            columns = [system for system in _system_columns() if system["name"] not in given] + columns
            if ["RID"] not in [key["unique_columns"] for key in keys]:
                keys.insert(0, KeyDefinition(["RID"], element_name(self.name, "RIDkey1")).to_dict())
            if self.provide_system_fkeys:
                references += self._system_references(references)
        return {
            "table_name": self.name,
            "column_definitions": columns,
            "keys": keys,
            "foreign_keys": references,
            "comment": self.comment,
            "acls": dict(self.acls),
            "acl_bindings": dict(self.acl_bindings),
            "annotations": self._all_annotations(),
        }

    def _all_columns(self) -> list[Any]:
        return list(self.columns)

    def _all_keys(self) -> list[Any]:
        return list(self.keys)

    def _all_annotations(self) -> Document:
        return dict(self.annotations)

    def _system_references(self, given: list[Document]) -> list[Document]:
        taken = [[column["column_name"] for column in key["foreign_key_columns"]] for key in given]
        return [
            ForeignKeyDefinition([column], "public", "ERMrest_Client", ["ID"]).to_dict(self.name)
            for column in ("RCB", "RMB")
            if [column] not in taken
        ]

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> TableDefinition:
        """Read an ERMrest table document (new or of an existing table); nothing is added to it."""
        return TableDefinition(
            name=str(document["table_name"]),
            columns=[
                ColumnDefinition.from_dict(column) for column in document.get("column_definitions") or ()
            ],
            keys=[KeyDefinition.from_dict(key) for key in document.get("keys") or ()],
            foreign_keys=[ForeignKeyDefinition.from_dict(key) for key in document.get("foreign_keys") or ()],
            comment=document.get("comment"),
            acls=dict(document.get("acls") or {}),
            acl_bindings=dict(document.get("acl_bindings") or {}),
            annotations=dict(document.get("annotations") or {}),
            provide_system=False,
        )

    def with_columns(self, *columns: Any) -> Self:
        """A copy with more columns."""
        return dataclasses.replace(self, columns=[*self.columns, *columns])

    def with_keys(self, *keys: Any) -> Self:
        """A copy with more keys."""
        return dataclasses.replace(self, keys=[*self.keys, *keys])

    def with_foreign_keys(self, *foreign_keys: Any) -> Self:
        """A copy with more foreign keys."""
        return dataclasses.replace(self, foreign_keys=[*self.foreign_keys, *foreign_keys])

    def with_annotations(self, annotations: Mapping[str, Any]) -> Self:
        """A copy with more annotations; those of the same key are replaced."""
        return dataclasses.replace(self, annotations={**self.annotations, **annotations})

    def with_comment(self, comment: str | None) -> Self:
        """A copy with another comment."""
        return dataclasses.replace(self, comment=comment)


def _system_columns() -> list[Document]:
    return [
        ColumnDefinition(name, kind, nullok, annotations={tags.DISPLAY: {"name": shown}}).to_dict()
        for name, kind, nullok, shown in _SYSTEM_COLUMNS
    ]


def _named(definition: Any, table: str) -> Document:
    if isinstance(definition, KeyDefinition | ForeignKeyDefinition):
        return definition.to_dict(table)
    return document_of(definition)


def _merged(builtin: Iterable[ColumnDefinition], given: Iterable[Any]) -> list[Any]:
    """The builtin columns without those that the caller defines, then the caller's."""
    given = list(given)
    names = {document_of(column)["name"] for column in given}
    return [column for column in builtin if column.name not in names] + given


@dataclass(frozen=True)
class _OfVocabulary:
    # Fields of a later base come first: what callers give in order.
    name: str
    curie_template: str
    uri_template: str = "/id/{RID}"


@dataclass(frozen=True)
class VocabularyTableDef(TableDefinition, _OfVocabulary):
    """A new vocabulary: the columns ID, URI, Name, Description and Synonyms, then `columns`.

    Parameters
    ----------
    name : str
    curie_template : str
        Template of the short identifier of a term, e.g. ``PROJECT:{RID}``.
    uri_template : str
        Template of its URI.
    columns, keys, foreign_keys, comment, acls, acl_bindings, annotations, provide_system, provide_system_fkeys
        As of `TableDefinition`.
    """

    def __post_init__(self) -> None:
        if not self.curie_template.endswith(":{RID}"):
            raise ValueError(f"curie_template must look like 'PROJECT:{{RID}}', not {self.curie_template!r}.")

    def _all_columns(self) -> list[Any]:
        curie, uri = BuiltinTypes.ermrest_curie, BuiltinTypes.ermrest_uri
        return _merged(
            [
                ColumnDefinition("ID", curie, False, self.curie_template, "Short identifier of the term."),
                ColumnDefinition("URI", uri, False, self.uri_template, "Address of the term."),
                ColumnDefinition("Name", BuiltinTypes.text, False, comment="Preferred name of the term."),
                ColumnDefinition("Description", BuiltinTypes.markdown, False, comment="What the term means."),
                ColumnDefinition("Synonyms", BuiltinTypes.text_array, comment="Other names of the term."),
            ],
            self.columns,
        )

    def _all_keys(self) -> list[Any]:
        return [KeyDefinition([name]) for name in ("ID", "URI", "Name")] + list(self.keys)


_SHOWN_AS_TEXT = (".jsonl", ".log", ".lock", ".yaml", ".yml", ".py")
"""Endings of text files that the web interface would not show by itself."""


@dataclass(frozen=True)
class _OfAssets:
    schema_name: str
    name: str
    columns: Sequence[Any] = ()
    foreign_keys: Sequence[Any] = ()
    hatrac_template: str | bool | None = None


@dataclass(frozen=True)
class AssetTableDef(TableDefinition, _OfAssets):
    """A new asset table: the columns URL, Filename, Description, Length and MD5, then `columns`.

    `create_asset` makes such a table with those beside it that hold types and executions of its files.

    Parameters
    ----------
    schema_name : str
        Schema the table will be in; part of the default template.
    name : str
    columns, foreign_keys : sequence
        As of `TableDefinition`.
    hatrac_template : str or False, optional
        Where a browser upload puts the bytes; False for files that are registered only.
    keys, comment, acls, acl_bindings, annotations, provide_system, provide_system_fkeys
        As of `TableDefinition`.
    """

    def _url_annotation(self) -> Document:
        asset: Document = {
            "filename_column": "Filename",
            "byte_count_column": "Length",
            "md5": "MD5",
            "display": {
                "*": {"file_preview": {"filename_ext_mapping": dict.fromkeys(_SHOWN_AS_TEXT, "text")}}
            },
        }
        template = self.hatrac_template
        if template is None or template is True:
            template = (
                f"/hatrac/{{{{$catalog.id}}}}/{self.schema_name}/{self.name}/"
                "{{{MD5}}}.{{#encode}}{{{Filename}}}{{/encode}}"
            )
        if template:
            asset["url_pattern"] = template
        return {tags.ASSET: asset}

    def _all_columns(self) -> list[Any]:
        url = ColumnDefinition(
            "URL",
            BuiltinTypes.text,
            False,
            comment="Where the bytes are.",
            annotations=self._url_annotation(),
        )
        return _merged(
            [
                url,
                ColumnDefinition(
                    "Filename", BuiltinTypes.text, comment="Name of the file when it was recorded."
                ),
                ColumnDefinition("Description", BuiltinTypes.markdown, comment="What the file holds."),
                ColumnDefinition("Length", BuiltinTypes.int8, False, comment="Number of bytes."),
                ColumnDefinition("MD5", BuiltinTypes.text, False, comment="MD5 of the bytes, in hex."),
            ],
            self.columns,
        )

    def _all_keys(self) -> list[Any]:
        return [KeyDefinition(["URL"]), *self.keys]

    def _all_annotations(self) -> Document:
        shown = {tags.TABLE_DISPLAY: {"row_name": {"row_markdown_pattern": "{{{Filename}}}"}}}
        return {**shown, **self.annotations}
