"""Tables as such: make new ones, read whole ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from deriva_ml.ermrest import rows
from deriva_ml.ermrest import tables as remote
from deriva_ml.errors import DerivaMLException, DerivaMLValidationError
from deriva_ml.model.build import Reference, association_table
from deriva_ml.model.define import ColumnDefinition, document_of
from deriva_ml.rows import frames

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table
    from deriva_ml.session import Session


def home_schema(session: Session, schema: str | None = None) -> str:
    """Schema that new tables go to: the one named, else the default schema.

    Raises
    ------
    DerivaMLException
        If the schema does not exist, or none is named and the catalog has not exactly one domain schema.
    """
    name = schema or session.default_schema
    if name is None:
        known = ", ".join(sorted(session.domain_schemas)) or "none"
        raise DerivaMLException(f"In which schema? Domain schemas: {known}. Pass schema=, or default_schema= to DerivaML.")
    if name not in session.model.schemas:
        raise DerivaMLException(f"There is no schema {name!r} in this catalog.")
    return name


def create_tables(
    session: Session, definitions: Sequence[Any], schema: str | None = None, update_navbar: bool = True
) -> list[Table]:
    """Make tables that belong together, all of them or none.

    Parameters
    ----------
    session : Session
    definitions : sequence of TableDefinition or dict
    schema : str, optional
        The default schema by default.
    update_navbar : bool
        Whether the navigation bar of the catalog's pages is made again.

    Returns
    -------
    list of Table

    Raises
    ------
    DerivaMLException
        If one of them exists already.
    """
    home = home_schema(session, schema)
    documents = [document_of(definition) for definition in definitions]
    for document in documents:
        if document["table_name"] in session.model.schemas[home].tables:
            raise DerivaMLException(f"Table {document['table_name']!r} already exists in schema {home!r}.")
    made = remote.create(session.connection, session.model.wrapped, home, documents)
    if update_navbar:
        session.update_navbar()
    return made


def create_table(session: Session, table: Any, schema: str | None = None, update_navbar: bool = True) -> Table:
    """Make a table.

    Parameters
    ----------
    session : Session
    table : TableDefinition or dict
        What it looks like; a dict is an ERMrest table document.
    schema : str, optional
        The default schema by default.
    update_navbar : bool
        Whether the navigation bar of the catalog's pages is made again.

    Returns
    -------
    Table
        deriva-py's object of the new table.

    Raises
    ------
    DerivaMLException
        If there is a table of that name already, or no schema to put it in.

    Examples
    --------
    >>> ml.create_table(TableDefinition("Subject", [ColumnDefinition("Name")]))  # doctest: +SKIP
    """
    return create_tables(session, [table], schema, update_navbar)[0]


def drop_table(session: Session, table: Table | str) -> None:
    """Drop a table that nothing refers to, with all its rows."""
    remote.drop(session.connection, session.model.wrapped, session.table(table))


def define_association(
    session: Session,
    associates: Iterable[Any],
    metadata: Iterable[Any] | None = None,
    table_name: str | None = None,
    comment: str | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Describe an association table, to be made with `create_table`.

    Parameters
    ----------
    session : Session
    associates : iterable of Table, str or (column name, Table)
        What it joins: to ``Name`` of a vocabulary, to ``RID`` of any other table.
    metadata : iterable of ColumnDefinition, dict, Table, str or (column name, nullable, Table), optional
        Further columns.
    table_name : str, optional
        By default the joined tables' names.
    comment : str, optional
    fields
        Further fields of `TableDefinition`.

    Returns
    -------
    dict
        ERMrest table document.
    """
    ends = [_reference(session, part) for part in associates]
    columns = [
        part if isinstance(part, ColumnDefinition | dict) else _reference(session, part) for part in metadata or ()
    ]
    return association_table(ends, columns, table_name, comment, **fields).to_dict()


def _reference(session: Session, part: Any) -> Reference:
    if not isinstance(part, tuple):
        return session.model.reference_to(part)
    if len(part) == 2:
        return session.model.reference_to(part[1], name=part[0])
    if len(part) == 3:
        return session.model.reference_to(part[2], name=part[0], nullok=bool(part[1]))
    raise DerivaMLValidationError(f"{part!r} is no reference; give a table, (name, table) or (name, nullable, table).")


def get_table_as_dict(session: Session, table: Table | str) -> Iterator[dict[str, Any]]:
    """Rows of a table, streamed.

    Parameters
    ----------
    session : Session
    table : Table or str

    Yields
    ------
    dict
        Column name to value.

    Raises
    ------
    DerivaMLTableNotFound
        If there is no such table.
    """
    return rows.read(session.connection, session.table(table))


def get_table_as_dataframe(session: Session, table: Table | str) -> Any:
    """All rows of a table as a pandas DataFrame; raises as `get_table_as_dict`."""
    found = session.table(table)
    return frames.to_frame(get_table_as_dict(session, found), [column.name for column in found.columns])


def user_list(session: Session) -> list[dict[str, Any]]:
    """People that the catalog knows: dicts with ``ID`` and ``Full_Name``."""
    columns = ("RID", "ID", "Full_Name")
    found = rows.read(session.connection, ("public", "ERMrest_Client"), columns=columns)
    return [{"ID": row["ID"], "Full_Name": row["Full_Name"]} for row in found]
