"""New asset tables, with the tables beside them that hold types and executions."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from deriva_ml.ermrest import schemas
from deriva_ml.errors import DerivaMLException, DerivaMLInvalidTerm, DerivaMLValidationError
from deriva_ml.model.build import Reference, asset_companions
from deriva_ml.model.define import AssetTableDef, ForeignKeyDefinition, document_of, element_name
from deriva_ml.names import MLTable, MLVocab, optional_list, require_list
from deriva_ml.schema.display import asset_annotations
from deriva_ml.vocabulary import add_term, delete_term

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table, TableName
    from deriva_ml.session import Session

_LINKED = frozenset({MLTable.execution, MLVocab.asset_type, MLVocab.asset_role})
"""Tables that the companions of an asset table refer to."""


def create_asset_table(
    session: Session,
    asset_name: str,
    additional_columns: Iterable[Any] = (),
    comment: str | None = None,
    schema: str | None = None,
    use_hatrac: bool = True,
    update_navbar: bool = True,
) -> Table:
    """Make an asset table; its name does not become an asset type, see `create_asset`.

    Parameters
    ----------
    session : Session
    asset_name : str
    additional_columns : iterable of ColumnDefinition, dict or Reference
        Metadata of the files.
    comment : str, optional
    schema : str, optional
        The default schema by default.
    use_hatrac : bool
        Whether the bytes go to the object store; False for files that are registered only.
    update_navbar : bool
        Whether the navigation bar of the catalog's pages is made again.

    Returns
    -------
    Table

    Raises
    ------
    DerivaMLConflictError
        If a table of that name exists already.
    """
    template = "/hatrac/metadata/{{MD5}}.{{Filename}}" if use_hatrac else False
    parts = require_list("additional_columns", additional_columns)
    definitions = _definitions(session, asset_name, parts, [], comment, schema, template)
    return session.create_tables(definitions, schema, update_navbar)[0]


def create_asset(
    session: Session,
    asset_name: str,
    column_defs: Iterable[Any] | None = None,
    fkey_defs: Iterable[Any] | None = None,
    referenced_tables: Iterable[TableName] | None = None,
    comment: str = "",
    schema: str | None = None,
    update_navbar: bool = True,
) -> Table:
    """Make an asset table, and an asset type of the same name.

    Parameters
    ----------
    session : Session
    asset_name : str
    column_defs : iterable of ColumnDefinition, optional
        Metadata of the files.
    fkey_defs : iterable of ForeignKeyDefinition, optional
    referenced_tables : iterable of Table or str, optional
        Tables that each file refers to; each gives a column of its name.
    comment : str
    schema : str, optional
        The default schema by default.
    update_navbar : bool
        Whether the navigation bar of the catalog's pages is made again.

    Returns
    -------
    Table

    Raises
    ------
    DerivaMLConflictError
        If a table of that name exists already.
    DerivaMLSchemaError
        If there is no such schema.

    Examples
    --------
    >>> ml.create_asset("Image", referenced_tables=["Subject"])  # doctest: +SKIP
    """
    parts = optional_list("column_defs", column_defs)
    parts += map(session.model.reference_to, optional_list("referenced_tables", referenced_tables))
    keys = optional_list("fkey_defs", fkey_defs)
    definitions = _definitions(session, asset_name, parts, keys, comment, schema, None)
    session.require_writable("create tables")
    home = session.target_schema(schema)
    schemas.require_new(session.connection, session.model.wrapped, home, [asset_name])
    # Before the table: an interruption in between must not leave one whose files can have no type.
    is_new = _add_type(session, asset_name)
    try:
        return session.create_tables(definitions, home, update_navbar)[0]
    except DerivaMLException:
        if is_new and asset_name not in session.model.schemas[home].tables:
            # Why there is no table matters more.
            with suppress(DerivaMLException):
                delete_term(session, MLVocab.asset_type, asset_name)
        raise


def _add_type(session: Session, name: str) -> bool:
    """Add an asset type; whether there was none."""
    try:
        add_term(session, MLVocab.asset_type, name, f"A {name} asset", exists_ok=False)
    except DerivaMLInvalidTerm:
        return False
    return True


def _definitions(
    session: Session,
    asset_name: str,
    parts: list[Any],
    foreign_keys: list[ForeignKeyDefinition | dict[str, Any]],
    comment: str | None,
    schema: str | None,
    template: str | bool | None,
) -> list[Any]:
    home = session.target_schema(schema)
    if asset_name in _LINKED:
        raise DerivaMLValidationError(
            f"An asset table cannot be called {asset_name!r}: each of its files refers to a row of the table {asset_name} "
            "of the library. Give it another name."
        )
    references = [part for part in parts if isinstance(part, Reference)]
    shown = shown_columns(home, asset_name, parts)
    definition = AssetTableDef(
        name=asset_name,
        schema_name=home,
        columns=[part.column_definition() if isinstance(part, Reference) else part for part in parts],
        foreign_keys=[*(part.foreign_key() for part in references), *foreign_keys],
        comment=comment,
        hatrac_template=template,
        annotations=asset_annotations(home, asset_name, shown),
    )
    return [definition, *asset_companions(home, asset_name, session.model.ml_schema)]


def shown_columns(schema: str, table: str, parts: Iterable[Any]) -> list[str | list[str]]:
    """How display annotations name new columns: a reference by its foreign key, others by their name."""
    return [
        [schema, element_name(table, part.column_name, "fkey")]
        if isinstance(part, Reference)
        else str(document_of(part)["name"])
        for part in parts
    ]
