"""Definitions of the tables whose shape the library fixes: associations, features, companions of asset tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deriva_ml.model.types import BuiltinTypes
from deriva_ml.reexport import room

if TYPE_CHECKING:
    from deriva_ml.model import define
else:
    define = room("deriva_ml.model.define")

CASCADE = "CASCADE"


@dataclass(frozen=True)
class Reference:
    """A column that refers to a table.

    Parameters
    ----------
    schema, table : str
        What is referred to.
    column : str
        ``Name`` for a vocabulary, ``RID`` for anything else.
    name : str, optional
        Name of the new column, by default that of the table.
    nullok : bool
    default : str, optional
    comment : str, optional
    """

    schema: str
    table: str
    column: str = "RID"
    name: str | None = None
    nullok: bool = False
    default: str | None = None
    comment: str | None = None

    @property
    def column_name(self) -> str:
        """Name of the new column."""
        return self.name or self.table

    def column_definition(self) -> define.ColumnDefinition:
        """The new column."""
        return define.ColumnDefinition(
            self.column_name, BuiltinTypes.text, self.nullok, self.default, self.comment
        )

    def foreign_key(self) -> define.ForeignKeyDefinition:
        """The foreign key of the new column."""
        return define.ForeignKeyDefinition(
            [self.column_name], self.schema, self.table, [self.column], CASCADE, CASCADE
        )


def table_with_references(
    name: str, parts: Iterable[Reference | define.ColumnDefinition | dict[str, Any]], **fields: Any
) -> define.TableDefinition:
    """A table whose columns are given in order, some of them as references.

    Parameters
    ----------
    name : str
    parts : iterable of Reference, ColumnDefinition or column documents
    fields
        Further fields of `TableDefinition`; `foreign_keys` come after those of the references.
    """
    parts = list(parts)
    references = [part for part in parts if isinstance(part, Reference)]
    columns = [part.column_definition() if isinstance(part, Reference) else part for part in parts]
    explicit = fields.pop("foreign_keys", ())
    keys = [*(part.foreign_key() for part in references), *explicit]
    return define.TableDefinition(name=name, columns=columns, foreign_keys=keys, **fields)


def association_table(
    associates: Sequence[Reference],
    metadata: Iterable[Reference | define.ColumnDefinition | dict[str, Any]] = (),
    name: str | None = None,
    comment: str | None = None,
    **fields: Any,
) -> define.TableDefinition:
    """A table of distinct combinations of rows of other tables.

    Parameters
    ----------
    associates : sequence of Reference
        At least two; together they are the key.
    metadata : iterable of Reference or ColumnDefinition
        Further columns outside the key.
    name : str, optional
        By default the tables' names joined with ``_``.
    comment : str, optional
    fields
        Further fields of `TableDefinition`.

    Raises
    ------
    ValueError
        If there are fewer than two associates, or two of the same column name.
    """
    names = [part.column_name for part in associates]
    if len(associates) < 2 or len(set(names)) < len(names):
        raise ValueError(f"An association needs two or more differently named references, not {names}.")
    name = name or define.element_name(*(part.table for part in associates))
    key = define.KeyDefinition(names, define.element_name(name, "assoc", "key"))
    return table_with_references(name, [*associates, *metadata], keys=[key], comment=comment, **fields)


def asset_companions(schema: str, asset_table: str, ml_schema: str) -> list[define.TableDefinition]:
    """The two tables beside an asset table: its types, and the executions it is input or output of."""
    asset = Reference(schema, asset_table)
    types = association_table(
        [asset, Reference(ml_schema, "Asset_Type", "Name")],
        comment=f"Types of the files in {asset_table}.",
    )
    executions = association_table(
        [asset, Reference(ml_schema, "Execution")],
        [Reference(ml_schema, "Asset_Role", "Name", comment="Whether the execution read or wrote the file.")],
        comment=f"Executions that read or wrote the files in {asset_table}.",
    )
    return [types, executions]


def feature_table(
    target: Reference,
    feature_name: str,
    payload: Iterable[Reference | define.ColumnDefinition | dict[str, Any]],
    ml_schema: str,
    comment: str | None = None,
    **fields: Any,
) -> define.TableDefinition:
    """The table of values of a feature: one per target row and execution.

    Parameters
    ----------
    target : Reference
        The table that is described.
    feature_name : str
    payload : iterable of Reference or ColumnDefinition
        What a value consists of: assets, then terms, then plain columns.
    ml_schema : str
        Schema of Execution and Feature_Name.
    comment : str, optional
    """
    return association_table(
        [
            Reference(ml_schema, "Execution"),
            target,
            Reference(ml_schema, "Feature_Name", "Name", default=feature_name),
        ],
        payload,
        name=define.element_name("Execution", target.table, feature_name),
        comment=comment,
        **fields,
    )


def element_association(
    dataset_schema: str, element_schema: str, element_table: str, column: str = "RID"
) -> define.TableDefinition:
    """The table that makes rows of a table members of datasets."""
    return association_table(
        [Reference(dataset_schema, "Dataset"), Reference(element_schema, element_table, column)],
        comment=f"Datasets and their members of {element_table}.",
    )
