"""Tables as such: make new ones, read whole ones, work with them as they were when they were pinned."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from deriva_ml.copies import holding_cache
from deriva_ml.ermrest import rows
from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLValidationError
from deriva_ml.model.build import Reference, association_table
from deriva_ml.model.define import ColumnDefinition, document_of
from deriva_ml.names import ConnectionMode, optional_list, require_list
from deriva_ml.records import PinStatus, SchemaDiff
from deriva_ml.rows import frames
from deriva_ml.rows.kept import keep, kept
from deriva_ml.schema.display import catalog_annotations
from deriva_ml.schema.renew import renew_exports
from deriva_ml.workspace import paths

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel, Table, TableName
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)


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
    DerivaMLConflictError
        If there is a table of that name already.
    DerivaMLValidationError
        If it is not clear in which schema it goes.

    Examples
    --------
    >>> ml.create_table(TableDefinition("Subject", [ColumnDefinition("Name")]))  # doctest: +SKIP
    """
    return session.create_tables([document_of(table)], schema, update_navbar)[0]


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


def cache_table(session: Session, name: TableName, force: bool = False) -> Any:
    """All rows of a table as a pandas DataFrame, kept in the cache until anything in the catalog changes.

    Whether the catalog changed costs one short request. Offline, where that cannot be asked, what is kept is given with a
    warning that tells its age.

    Parameters
    ----------
    session : Session
    name : Table or str
    force : bool
        Whether the rows are read again though they are kept.

    Returns
    -------
    pandas.DataFrame
        As of `get_table_as_dataframe`.

    Raises
    ------
    DerivaMLTableNotFound
        If there is no such table.
    DerivaMLOfflineError
        When working offline, if nothing is kept or `force` is given.

    Examples
    --------
    >>> ml.cache_table("Image")  # doctest: +SKIP
    """
    found, place = session.table(name), session.connection
    labels = [column.name for column in found.columns]
    key = [place.authority, place.catalog_id, found.schema.name, found.name]
    if force:
        session.require_online(f"read table {found.name} again")
    # The catalog as it is now needs one file, which the next replaces; what a snapshot holds never changes.
    path = paths.cached_table_dir(session.cache_dir, *key) / f"{place.snapshot or 'now'}.json"
    document: list[Any] | None = None if force else kept(path)
    if document is not None and document[:2] != [key, labels]:
        document = None
    if session.mode is ConnectionMode.offline:
        if document is None:
            session.require_online(f"read table {found.name}, of which nothing is kept that could be used,")
        else:
            logger.warning(
                "%s is given as it was at %s: offline, nobody knows newer rows.", found.name, document[2]
            )
            return _frame_kept(document)
    # Asked for before the rows: a change while they are read makes them younger than their label, never older.
    snapshot = place.snapshot or place.snaptime()
    if document is None or document[2] != snapshot:
        read = list(get_table_as_dict(session, found))
        document = [key, labels, snapshot, [[row[label] for row in read] for label in labels]]
        with holding_cache(session.cache_dir, f"the rows of {found.name}"):
            keep(path, document)
    return _frame_kept(document)


def _frame_kept(document: Sequence[Any]) -> Any:
    return frames.frame_of_columns(dict(zip(document[1], document[3], strict=True)))


def user_list(session: Session) -> list[dict[str, Any]]:
    """People that the catalog knows: dicts with ``ID`` and ``Full_Name``."""
    columns = ("RID", "ID", "Full_Name")
    found = rows.read(session.connection, ("public", "ERMrest_Client"), columns=columns)
    return [{"ID": row["ID"], "Full_Name": row["Full_Name"]} for row in found]


def apply_catalog_annotations(
    session: Session, navbar_brand_text: str = "ML Data Browser", head_title: str = "Catalog ML"
) -> None:
    """Bring what the catalog's pages show, and what they export of a dataset, up to date with its tables.

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
    renew_exports(session.connection, model)


def shape_of(model: CatalogModel) -> dict[tuple[str, str], tuple[str, ...]]:
    """Names of the columns and foreign keys of every table, which differ after tables were changed."""
    return {
        (schema.name, table.name): (
            *(column.name for column in table.columns),
            *(str(key.constraint_name) for key in table.foreign_keys),
        )
        for schema in model.schemas.values()
        for table in schema.tables.values()
    }


def pin_schema(session: Session, reason: str | None = None) -> SchemaDiff | None:
    """Work with the model that is kept in the working directory from now on, whatever becomes of the catalog's.

    It has what this session has made itself.

    Parameters
    ----------
    session : Session
    reason : str, optional
        Told to those who ask for the status of the pin.

    Returns
    -------
    SchemaDiff or None
        What the catalog has differently already; None when nothing, or when working offline.

    Raises
    ------
    DerivaMLConfigurationError
        If no model is kept there.
    """
    session.keep_changes()
    differs = None if session.mode is ConnectionMode.offline else diff_schema(session)
    session.workspace.pinned_model.pin(reason)
    return differs or None


def unpin_schema(session: Session) -> None:
    """Let ``ml.refresh_schema()``, and whoever opens the catalog next, read the catalog's model again."""
    session.workspace.pinned_model.unpin()


def pin_status(session: Session) -> PinStatus:
    """Whether the kept model is pinned, since when and why."""
    kept = session.workspace.pinned_model.load()
    if kept is None or kept.pin is None:
        return PinStatus(False, snapshot_id=None if kept is None else kept.snapshot_id)
    return PinStatus(True, kept.pin.at, kept.pin.reason, kept.snapshot_id)


def diff_schema(session: Session) -> SchemaDiff:
    """Compare the model of the catalog as it is now with the one that is kept in the working directory.

    Raises
    ------
    DerivaMLOfflineError
        When working offline.
    DerivaMLConfigurationError
        If no model is kept there.
    """
    session.require_online("compare the schema")
    kept = session.workspace.pinned_model.load()
    if kept is None:
        raise DerivaMLConfigurationError(
            f"No schema is kept in {session.working_dir}; open the catalog there once to keep it."
        )
    former, present = _parts(kept.schema), _parts(session.connection.schema_document())
    return SchemaDiff(
        added=tuple(sorted(present.keys() - former.keys())),
        removed=tuple(sorted(former.keys() - present.keys())),
        changed=tuple(
            sorted(name for name in present.keys() & former.keys() if present[name] != former[name])
        ),
    )


def _parts(document: dict[str, Any]) -> dict[str, Any]:
    """What a model has, by name, with that which matters to rows."""
    found: dict[str, Any] = {}
    for schema_name, schema in document["schemas"].items():
        found[schema_name] = None
        for table_name, table in schema["tables"].items():
            place = f"{schema_name}.{table_name}"
            found[place] = table["kind"]
            for column in table["column_definitions"]:
                facts = column["type"]["typename"], column["nullok"], column["default"]
                found[f"{place}.{column['name']}"] = facts
            for key in table["keys"]:
                found[f"{place} ({key['names'][0][1]})"] = sorted(key["unique_columns"])
            for key in table["foreign_keys"]:
                ends = key["foreign_key_columns"], key["referenced_columns"]
                found[f"{place} ({key['names'][0][1]})"] = ends
    return found
