"""Tables as such: make new ones, read whole ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from deriva_ml.ermrest import rows
from deriva_ml.errors import DerivaMLException, DerivaMLValidationError
from deriva_ml.model.build import Reference, association_table
from deriva_ml.model.define import ColumnDefinition, document_of
from deriva_ml.names import optional_list, require_list
from deriva_ml.rows import frames
from deriva_ml.schema.display import catalog_annotations

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table, TableName
    from deriva_ml.session import Session


def create_table(
    session: Session, table: Any, schema: str | None = None, update_navbar: bool = True
) -> Table:
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
    document = document_of(table)
    home = session.target_schema(schema)
    if home in session.model.schemas and document["table_name"] in session.model.schemas[home].tables:
        raise DerivaMLException(f"Table {document['table_name']!r} already exists in schema {home!r}.")
    return session.create_tables([document], home, update_navbar)[0]


def define_association(
    session: Session,
    /,
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
    ends = [_reference(session, part) for part in require_list("associates", associates)]
    columns = [
        part if isinstance(part, ColumnDefinition | dict) else _reference(session, part)
        for part in optional_list("metadata", metadata)
    ]
    return association_table(ends, columns, table_name, comment, **fields).to_dict()


def _reference(session: Session, part: Any) -> Reference:
    if not isinstance(part, tuple):
        return session.model.reference_to(part)
    if len(part) == 2:
        return session.model.reference_to(part[1], name=part[0])
    if len(part) == 3:
        return session.model.reference_to(part[2], name=part[0], nullok=bool(part[1]))
    raise DerivaMLValidationError(
        f"{part!r} is no reference; give a table, (name, table) or (name, nullable, table)."
    )


def get_table_as_dict(session: Session, table: TableName) -> Iterator[dict[str, Any]]:
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
    return session.reader.rows(session.table(table))


def get_table_as_dataframe(session: Session, table: TableName) -> Any:
    """All rows of a table as a pandas DataFrame; raises as `get_table_as_dict`."""
    found = session.table(table)
    return frames.frame(get_table_as_dict(session, found), [column.name for column in found.columns])


def user_list(session: Session) -> list[dict[str, Any]]:
    """People that the catalog knows: dicts with ``ID`` and ``Full_Name``."""
    columns = ("RID", "ID", "Full_Name")
    found = rows.read(session.connection, ("public", "ERMrest_Client"), columns=columns)
    return [{"ID": row["ID"], "Full_Name": row["Full_Name"]} for row in found]


def apply_catalog_annotations(
    session: Session, navbar_brand_text: str = "ML Data Browser", head_title: str = "Catalog ML"
) -> None:
    """Bring what the catalog's pages show up to date with its tables.

    Parameters
    ----------
    session : Session
    navbar_brand_text : str
        Title in the navigation bar.
    head_title : str
        Title of the browser's window.
    """
    session.require_writable("change the annotations of the catalog")
    model = session.model
    catalog_id = session.connection.catalog_id
    wanted = {**model.annotations, **catalog_annotations(model, catalog_id, navbar_brand_text, head_title)}
    session.connection.put("/annotation", json=wanted, doing=f"Annotating {session.connection.name}")
    model.annotations.update(wanted)
