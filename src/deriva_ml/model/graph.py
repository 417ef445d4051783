"""Questions about a catalog model: what kind of table is this, what joins two tables, which features are there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from deriva_ml.errors import (
    AmbiguousAssociationException,
    DerivaMLTableNotFound,
    DerivaMLTableTypeError,
    DerivaMLValidationError,
    NoAssociationException,
)
from deriva_ml.model import tags
from deriva_ml.model.build import Reference
from deriva_ml.model.protocols import Column, ForeignKey, Model, Schema, Table
from deriva_ml.names import (
    ML_SCHEMA,
    NOT_DOMAIN_SCHEMAS,
    NOT_METADATA,
    SYSTEM_COLUMNS,
    MLAsset,
    MLTable,
    MLVocab,
    did_you_mean,
)

__all__ = [
    "Association",
    "CatalogModel",
    "Column",
    "Element",
    "FeatureTable",
    "ForeignKey",
    "Schema",
    "Table",
]

TableName = str | tuple[str, str] | Table

_VOCABULARY = {
    "ID": "ermrest_curie",
    "URI": "ermrest_uri",
    "Name": "text",
    "Description": "markdown",
    "Synonyms": "text[]",
}


@dataclass(frozen=True)
class Association:
    """An association table seen from one of the tables it joins.

    Parameters
    ----------
    table : Table
        The association table.
    here : ForeignKey
        From `table` to the table it is seen from.
    others : tuple of ForeignKey
        To the other tables, in column order.
    """

    table: Table
    here: ForeignKey
    others: tuple[ForeignKey, ...]


@dataclass(frozen=True)
class Element:
    """A table whose rows can be members of datasets.

    Parameters
    ----------
    table : Table
        What is a member.
    association : Table
        One row per membership, with the two columns that are named next.
    dataset_column, element_column : str
    element_key : str
        The column of `table` that `element_column` refers to.
    """

    table: Table
    association: Table
    dataset_column: str
    element_column: str
    element_key: str


@dataclass(frozen=True)
class FeatureTable:
    """A table that holds the values of one feature.

    Parameters
    ----------
    name : str
        Name of the feature.
    target : Table
        What is described.
    table : Table
        One row per value.
    target_column : str
        Column of `table` that refers to `target`.
    qualifiers : tuple of str
        Further columns of the key, besides target, feature name and execution.
    """

    name: str
    target: Table
    table: Table
    target_column: str
    qualifiers: tuple[str, ...] = ()


class CatalogModel:
    """A catalog model that answers questions; everything else is that of the model it wraps.

    Parameters
    ----------
    model : Model
        deriva-py's, or one made from a schema document.
    ml_schema : str
    domain_schemas : collection of str, optional
        By default every schema that is neither the library's nor the service's own.
    default_schema : str, optional
        By default the domain schema when there is exactly one.
    renewal : str
        How to read it again, for messages; empty for that of a bag or a snapshot, which stays as it is.
    """

    def __init__(
        self,
        model: Model,
        ml_schema: str = ML_SCHEMA,
        domain_schemas: Collection[str] | None = None,
        default_schema: str | None = None,
        *,
        renewal: str = "",
    ) -> None:
        self.wrapped = model
        self.renewal = renewal
        self.ml_schema = ml_schema
        if domain_schemas is None:
            domain_schemas = [name for name in model.schemas if name not in NOT_DOMAIN_SCHEMAS | {ml_schema}]
        self.domain_schemas = frozenset(domain_schemas)
        if default_schema is None and len(self.domain_schemas) == 1:
            (default_schema,) = self.domain_schemas
        self.default_schema = default_schema

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "wrapped":
            raise AttributeError(name)
        return getattr(self.wrapped, name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of schemas {', '.join(self.search_order())}>"

    @property
    def schemas(self) -> dict[str, Schema]:
        """Schemas by name."""
        return dict(self.wrapped.schemas)

    # Finding tables -----------------------------------------------------------------------------------------------

    def search_order(self) -> list[str]:
        """Names of the schemas in the order in which a bare table name is looked for."""
        first = [self.default_schema] if self.default_schema else []
        known = [*first, *sorted(self.domain_schemas), self.ml_schema]
        rest = sorted(name for name in self.wrapped.schemas if name not in known)
        return [name for name in dict.fromkeys(known + rest) if name in self.wrapped.schemas]

    def name_to_table(self, table: TableName) -> Table:
        """Find a table.

        Parameters
        ----------
        table : str, (schema, name) or Table
            A bare name is looked for in the default schema, the other domain schemas, the ML schema, then the rest;
            ``schema:name`` names one, a member of `MLTable`, `MLVocab` or `MLAsset` one of the ML schema.

        Raises
        ------
        DerivaMLTableNotFound
            If there is none.
        DerivaMLValidationError
            If a bare name is in several domain schemas and not in the default one.
        """
        if not isinstance(table, str | tuple) and not hasattr(table, "schema"):
            raise DerivaMLValidationError(f"{table!r} is no table; give its name, (schema, name) or a Table.")
        if not isinstance(table, str | tuple):
            return self._by_name(table.schema.name, table.name)
        if isinstance(table, tuple):
            return self._by_name(*table)
        if isinstance(table, MLTable | MLVocab | MLAsset):
            return self.ml_table(table)
        found = [name for name in self.search_order() if table in self.wrapped.schemas[name].tables]
        if not found:
            schema, colon, name = table.partition(":")
            return self._by_name(schema, name) if colon else self._by_name("", table)
        rivals = [name for name in found if name in self.domain_schemas]
        if len(rivals) > 1 and self.default_schema not in rivals:
            raise DerivaMLValidationError(
                f"Table {table!r} is in several schemas ({', '.join(rivals)}); name one as 'schema:{table}'."
            )
        return self.wrapped.schemas[found[0]].tables[table]

    def _by_name(self, schema: str, name: str) -> Table:
        try:
            return self.wrapped.schemas[schema].tables[name]
        except KeyError:
            where = f" in schema {schema!r}" if schema else ""
            said = f"There is no table {name!r}{where} {'in this catalog' if self.renewal else 'here'}.{self._similar(name)}"
            raise DerivaMLTableNotFound(name, f"{said} {self.renewal}".rstrip()) from None

    def _similar(self, name: str) -> str:
        return did_you_mean(name, {table.name for table in self.tables()})

    def tables(self) -> Iterator[Table]:
        """All tables of the domain schemas and the ML schema."""
        for schema in self.search_order():
            if schema in self.domain_schemas or schema == self.ml_schema:
                yield from self.wrapped.schemas[schema].tables.values()

    def ml_table(self, name: str) -> Table:
        """A table of the ML schema."""
        return self._by_name(self.ml_schema, str(name))

    # What kind of table ------------------------------------------------------------------------------------------

    def is_vocabulary(self, table: TableName) -> bool:
        """Whether a table is a vocabulary: it has ID, URI, Name, Description and Synonyms of the usual types."""
        columns = self.name_to_table(table).columns.elements
        return all(
            name in columns and columns[name].type.typename == kind for name, kind in _VOCABULARY.items()
        )

    def is_asset(self, table: TableName) -> bool:
        """Whether a table is an asset table: URL, Filename, Length and MD5, and URL is marked as an asset."""
        columns = self.name_to_table(table).columns.elements
        return (
            {"URL", "Filename", "Length", "MD5"} <= set(columns)
            and tags.ASSET in columns["URL"].annotations
            and not any(columns[name].nullok for name in ("URL", "Length", "MD5"))
        )

    def is_domain(self, table: TableName) -> bool:
        """Whether a table belongs to a domain schema."""
        return self.name_to_table(table).schema.name in self.domain_schemas

    def find_vocabularies(self) -> list[Table]:
        """All vocabularies."""
        return [table for table in self.tables() if self.is_vocabulary(table)]

    def find_assets(self) -> list[Table]:
        """All asset tables."""
        return [table for table in self.tables() if self.is_asset(table)]

    def linked_assets(self) -> Iterator[tuple[Table, Table, str, str]]:
        """Asset tables with what `asset_executions` gives; a catalog of others may have some without links."""
        for table in self.find_assets():
            with suppress(NoAssociationException):
                yield table, *self.asset_executions(table)

    def asset_metadata(self, table: TableName) -> set[str]:
        """Columns of an asset table that are not part of every asset table.

        Raises
        ------
        DerivaMLTableTypeError
            If it is not an asset table.
        """
        found = self.require_asset(table)
        return {column.name for column in found.columns} - NOT_METADATA

    def require_asset(self, table: TableName) -> Table:
        """The table, if it is an asset table.

        Raises
        ------
        DerivaMLTableTypeError
            If it is not.
        """
        found = self.name_to_table(table)
        if not self.is_asset(found):
            raise DerivaMLTableTypeError(
                "asset", found.name, f"{found.name!r} is not an asset table; see ml.list_asset_tables()."
            )
        return found

    def require_vocabulary(self, table: TableName) -> Table:
        """The table, if it is a vocabulary.

        Raises
        ------
        DerivaMLTableTypeError
            If it is not.
        """
        found = self.name_to_table(table)
        if not self.is_vocabulary(found):
            known = ", ".join(sorted(table.name for table in self.find_vocabularies()))
            raise DerivaMLTableTypeError(
                "vocabulary", found.name, f"{found.name!r} is not a vocabulary; there are: {known}."
            )
        return found

    def reference_to(self, table: TableName, name: str | None = None, nullok: bool = False) -> Reference:
        """A new column that refers to a table: to ``Name`` of a vocabulary, to ``RID`` of any other table."""
        found = self.name_to_table(table)
        column = "Name" if self.is_vocabulary(found) else "RID"
        return Reference(found.schema.name, found.name, column, name, nullok)

    # Associations ------------------------------------------------------------------------------------------------

    def associated(self, table: TableName) -> tuple[ForeignKey, ...]:
        """Foreign keys that an association table combines, in column order; empty when it is no association.

        An association has a key of several columns, all of which belong to foreign keys (or qualify them), and at
        least two foreign keys within that key. Columns outside the key do not matter here; see `is_association`.
        """
        found = self.name_to_table(table)
        longest: set[str] = set()
        for key in found.keys:
            names = {column.name for column in key.unique_columns}
            if len(names) > max(1, len(longest)) and not names & set(SYSTEM_COLUMNS):
                longest = names
        order = {column.name: place for place, column in enumerate(found.columns)}
        inside = [key for key in found.foreign_keys if _names(key.foreign_key_columns) <= longest]
        inside.sort(key=lambda key: min(order[column.name] for column in key.foreign_key_columns))
        return tuple(inside) if len(inside) >= 2 else ()

    def association_key(self, table: TableName) -> set[str]:
        """Names of the columns that make a row of an association unique."""
        found = self.name_to_table(table)
        candidates = [_names(key.unique_columns) for key in found.keys]
        return max((names for names in candidates if not names & set(SYSTEM_COLUMNS)), key=len, default=set())

    def is_association(
        self,
        table: TableName,
        min_arity: int = 2,
        max_arity: int | None = 2,
        unqualified: bool = True,
        pure: bool = True,
    ) -> int:
        """How many tables an association joins, 0 if the table is no association of that kind.

        Parameters
        ----------
        table : str or Table
        min_arity, max_arity : int
            How many it may join; None for any number.
        unqualified : bool
            Whether its key must consist of references only.
        pure : bool
            Whether it must have no column outside the key.
        """
        keys = self.associated(table)
        if len(keys) < min_arity or (max_arity is not None and len(keys) > max_arity):
            return 0
        inside = self.association_key(table)
        referring: set[str] = set().union(*(_names(key.foreign_key_columns) for key in keys))
        everything = _names(self.name_to_table(table).columns) - set(SYSTEM_COLUMNS)
        if (unqualified and inside - referring) or (pure and everything - inside):
            return 0
        return len(keys)

    def find_associations(
        self,
        table: TableName,
        min_arity: int = 2,
        max_arity: int | None = 2,
        unqualified: bool = True,
        pure: bool = True,
    ) -> Iterator[Association]:
        """Association tables that join a table with others, once each; parameters as for `is_association`."""
        found = self.name_to_table(table)
        for other in _unique(key.table for key in found.referenced_by):
            if other.schema.name not in self.wrapped.schemas:
                continue
            if not self.is_association(other, min_arity, max_arity, unqualified, pure):
                continue
            keys = self.associated(other)
            here = next((key for key in keys if key.pk_table is found), None)
            if here is not None:
                yield Association(other, here, tuple(key for key in keys if key is not here))

    def find_association(self, table1: TableName, table2: TableName) -> tuple[Table, str, str]:
        """The association table between two tables, and its columns that refer to the first and the second.

        Raises
        ------
        NoAssociationException
            If none joins them.
        AmbiguousAssociationException
            If several do.
        """
        first, second = self.name_to_table(table1), self.name_to_table(table2)
        found = list(self._joining(first, second, 2)) or list(self._joining(first, second, None))
        if not found:
            raise NoAssociationException(first.name, second.name)
        if len(found) > 1:
            raise AmbiguousAssociationException(first.name, second.name, len(found))
        return found[0]

    def _joining(self, first: Table, second: Table, most: int | None) -> Iterator[tuple[Table, str, str]]:
        for association in self.find_associations(first, pure=False, max_arity=most):
            for other in association.others:
                if other.pk_table is second:
                    yield association.table, _column(association.here), _column(other)

    # Tables of the library ---------------------------------------------------------------------------------------

    def find_features(self, table: TableName | None = None) -> list[FeatureTable]:
        """Features of a table, or all features of the catalog."""
        targets = list(self.tables()) if table is None else [self.name_to_table(table)]
        found: dict[tuple[str, str], FeatureTable] = {}
        for target in targets:
            for association in self.find_associations(target, 3, None, unqualified=False, pure=False):
                feature = self._as_feature(target, association)
                if feature is not None:
                    found.setdefault((feature.table.schema.name, feature.table.name), feature)
        return list(found.values())

    def _as_feature(self, target: Table, association: Association) -> FeatureTable | None:
        fixed = {"Feature_Name", "Execution"}
        columns = association.table.columns.elements
        name = columns["Feature_Name"].default if "Feature_Name" in columns else None
        column = _column(association.here)
        if not fixed <= set(columns) or not name or column in fixed or self.is_vocabulary(target):
            return None
        # Of several references in the key, the one that gave the table its name is the target, the rest qualify it.
        wanted = association.table.name.removeprefix("Execution_")
        others = [key for key in association.others if _column(key) not in fixed]
        if (
            any(wanted == f"{key.pk_table.name}_{name}" for key in others)
            and wanted != f"{target.name}_{name}"
        ):
            return None
        qualifiers = self.association_key(association.table) - fixed - {column}
        return FeatureTable(str(name), target, association.table, column, tuple(sorted(qualifiers)))

    def dataset_elements(self) -> list[Element]:
        """Tables whose rows can be members of datasets, datasets themselves included."""
        dataset = self.ml_table(MLTable.dataset)
        found = []
        for association in self.find_associations(dataset):
            other = association.others[0]
            member = other.pk_table
            known = member.schema.name in self.domain_schemas or member.name in (
                MLTable.dataset,
                MLTable.file,
            )
            if known and not self.is_vocabulary(member):
                here, there = _column(association.here), _column(other)
                key = next(iter(other.referenced_columns)).name
                found.append(Element(member, association.table, here, there, key))
        return found

    def asset_executions(self, table: TableName) -> tuple[Table, str, str]:
        """Table that links the assets of a table to executions, with its asset and its execution column.

        Raises
        ------
        DerivaMLTableTypeError
            If it is not an asset table.
        NoAssociationException
            If it is one that was not made for the library and has no such table.
        """
        return self._companion(table, MLTable.execution)

    def asset_types(self, table: TableName) -> tuple[Table, str, str]:
        """Table that holds the types of the assets of a table, with its asset and its type column; errors as above."""
        return self._companion(table, MLVocab.asset_type)

    def _companion(self, table: TableName, other: str) -> tuple[Table, str, str]:
        found = self.require_asset(table)
        # A feature of the files, or an association that a user made, may join them with executions too.
        for links in self._joining(found, self.ml_table(other), 2):
            if other != MLTable.execution or "Asset_Role" in links[0].columns.elements:
                return links
        said = f"Nothing links the files of {found.name!r} with {other}: only asset tables that ml.create_asset() made have that."
        raise NoAssociationException(found.name, other, said)


def _names(columns: Iterable[Column]) -> set[str]:
    return {column.name for column in columns}


def _column(key: ForeignKey) -> str:
    return next(iter(key.foreign_key_columns)).name


def _unique(tables: Iterable[Table]) -> list[Table]:
    return list({id(table): table for table in tables}.values())
