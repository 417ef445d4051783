"""Changes of the model: new schemas and tables, several in one request, and dropped ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.failures import translated
from deriva_ml.ermrest.library import Model, Schema
from deriva_ml.ermrest.library import Table as DerivaTable
from deriva_ml.ermrest.rows import escaped
from deriva_ml.errors import DerivaMLConflictError, DerivaMLSchemaError
from deriva_ml.model.define import Document, document_of
from deriva_ml.model.document import DocumentModel
from deriva_ml.model.protocols import Table


def create_schemas(connection: Connection, schemas: dict[str, Document]) -> None:
    """Make schemas with all their tables in one request, all or nothing; tables may refer to each other in circles.

    Parameters
    ----------
    connection : Connection
    schemas : dict
        Name to schema document, its tables under ``tables``.
    """
    named = {name: {**document, "schema_name": name} for name, document in schemas.items()}
    connection.post(
        "/schema", json={"schemas": named}, doing=f"Creating schema {', '.join(named)} in {connection.name}"
    )


def create_schema(connection: Connection, model: Model, name: str, comment: str | None = None) -> Schema:
    """Make an empty schema and add it to `model`."""
    _check_live(model)
    if name in model.schemas:
        raise DerivaMLConflictError(f"Schema {name!r} already exists in {connection.name}.")
    document: Document = {"schema_name": name, "comment": comment, "annotations": {}, "acls": {}}
    with translated(f"Creating schema {name} in {connection.name}"):
        return model.create_schema(document)


def create_tables(
    connection: Connection, model: Model, schema: str, definitions: Iterable[Any]
) -> list[Table]:
    """Make tables of one schema in one request, all or nothing, and add them to `model`.

    Parameters
    ----------
    connection : Connection
    model : Model
        deriva-py's, as `Connection.model` gives it.
    schema : str
    definitions : iterable of TableDefinition or table documents
        They may refer to each other.

    Returns
    -------
    list of Table
        The new tables, in order.

    Raises
    ------
    DerivaMLSchemaError
        If there is no such schema.
    DerivaMLConflictError
        If a table exists already, or refers to something that does not.
    """
    _check_live(model)
    if schema not in model.schemas:
        raise DerivaMLSchemaError(f"There is no schema {schema!r} in {connection.name}.")
    documents = [{**document_of(definition), "schema_name": schema} for definition in definitions]
    names = [document["table_name"] for document in documents]
    for name in names:
        if name in model.schemas[schema].tables:
            raise DerivaMLConflictError(
                f"Table {name!r} already exists in schema {schema!r} of {connection.name}."
            )
    for document in documents:
        complete_references(document)
    doing = f"Creating {', '.join(names)} in schema {schema} of {connection.name}"
    made: list[Document] = connection.post("/schema", json=documents, doing=doing).json()
    known = model.schemas[schema].tables
    for document in made:
        known[document["table_name"]] = DerivaTable(model.schemas[schema], document["table_name"], document)
    model.digest_fkeys()
    return [cast(Table, known[name]) for name in names]


def complete_references(document: Document) -> None:
    """Say in every foreign key whose columns refer, as bulk documents have no URL to tell it."""
    here = {"schema_name": document["schema_name"], "table_name": document["table_name"]}
    document["foreign_keys"] = [
        {**key, "foreign_key_columns": [{**here, **column} for column in key["foreign_key_columns"]]}
        for key in document.get("foreign_keys") or ()
    ]


def drop_table(connection: Connection, model: Model, table: Table) -> None:
    """Drop a table with its rows, and take it out of `model`."""
    _check_live(model)
    with translated(f"Dropping {table.schema.name}:{table.name} of {connection.name}"):
        model.schemas[table.schema.name].tables[table.name].drop()


def drop_schema(connection: Connection, model: Model, name: str) -> None:
    """Drop a schema with all its tables, foreign keys between them first."""
    with translated(f"Dropping schema {name} of {connection.name}"):
        doomed = model.schemas[name]
        for table in doomed.tables.values():
            for key in list(table.referenced_by):
                key.drop()
        for table in list(doomed.tables.values()):
            table.drop()
        doomed.drop()


def set_annotation(connection: Connection, element: Any, key: str, value: Any) -> None:
    """Set one annotation of a catalog model, schema, table or column, here and on the service."""
    if element.annotations.get(key) == value:
        return
    base = element.uri_path if hasattr(element, "name") else ""
    connection.put(f"{base}/annotation/{escaped(key)}", json=value)
    element.annotations[key] = value


def _check_live(model: Any) -> None:
    if isinstance(model, DocumentModel):
        raise DerivaMLSchemaError(
            "The model comes from a document, so it cannot be changed; connect to the catalog."
        )
