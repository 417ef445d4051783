"""Changes of the model: new schemas and tables, several in one request, and dropped ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.failures import translated
from deriva_ml.ermrest.library import Model, Schema
from deriva_ml.ermrest.library import Table as DerivaTable
from deriva_ml.ermrest.patience import repeated_when_lost
from deriva_ml.ermrest.rows import escaped
from deriva_ml.errors import DerivaMLConflictError, DerivaMLConnectionError, DerivaMLSchemaError
from deriva_ml.interrupts import held
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
    wanted = {name: list(document.get("tables", ())) for name, document in named.items()}
    doing = f"Creating schema {', '.join(named)} in {connection.name}"
    _make(connection, {"schemas": named}, wanted, doing)


@held(once=True)
def create_schema(connection: Connection, model: Model, name: str, comment: str | None = None) -> Schema:
    """Make an empty schema and add it to `model`."""
    _check_live(model)
    if name in model.schemas:
        raise DerivaMLConflictError(f"Schema {name!r} already exists in {connection.name}.")
    document: Document = {"schema_name": name, "comment": comment, "annotations": {}, "acls": {}}
    made = _make(connection, [document], {name: []}, f"Creating schema {name} in {connection.name}")
    model.schemas[name] = Schema(model, name, made[name])
    model.digest_fkeys()
    return model.schemas[name]


@held(once=True)
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
    documents = [{**document_of(definition), "schema_name": schema} for definition in definitions]
    names = [document["table_name"] for document in documents]
    require_new(connection, model, schema, names)
    for document in documents:
        complete_references(document)
    doing = f"Creating {', '.join(names)} in schema {schema} of {connection.name}"
    made = _make(connection, documents, {schema: names}, doing)[schema]["tables"]
    known = model.schemas[schema].tables
    for name in names:
        known[name] = DerivaTable(model.schemas[schema], name, made[name])
    model.digest_fkeys()
    return [cast(Table, known[name]) for name in names]


def require_new(connection: Connection, model: Model, schema: str, tables: Iterable[str]) -> None:
    """Check, without a request, that tables can be made; see `create_tables` for the errors."""
    if schema not in model.schemas:
        raise DerivaMLSchemaError(f"There is no schema {schema!r} in {connection.name}.")
    for name in tables:
        if name in model.schemas[schema].tables:
            raise DerivaMLConflictError(
                f"Table {name!r} already exists in schema {schema!r} of {connection.name}."
            )


def _make(connection: Connection, body: Any, wanted: Mapping[str, Iterable[str]], doing: str) -> Document:
    """Make schemas and tables that were not there, all or nothing: after a lost answer they are looked for first.

    Parameters
    ----------
    connection : Connection
    body : dict or list
        The request.
    wanted : mapping
        Names of schemas to names of tables that it makes.
    doing : str

    Returns
    -------
    dict
        Name to document of each schema, as it is on the service.
    """
    is_repeated = False

    def find() -> Document | None:
        there: Document = connection.schema_document()["schemas"]
        is_made = all(
            name in there and set(tables) <= set(there[name]["tables"]) for name, tables in wanted.items()
        )
        return there if is_made else None

    def make() -> Document:
        nonlocal is_repeated
        if is_repeated and (found := find()) is not None:
            return found
        try:
            answer = connection.post("/schema", json=body, doing=doing).json()
        except DerivaMLConnectionError:
            is_repeated = True
            raise
        except DerivaMLConflictError:
            # A lost request may be carried out after it was looked for.
            if not is_repeated or (found := find()) is None:
                raise
            return found
        return _by_name(answer)

    return repeated_when_lost(connection.authority, make)


def _by_name(answer: Any) -> Document:
    """The answer to a request that made something, in the form of a model document."""
    if isinstance(answer, dict):
        return dict(answer.get("schemas", {}))
    found: Document = {}
    for document in answer:
        schema = found.setdefault(document["schema_name"], {"tables": {}})
        if "table_name" in document:
            schema["tables"][document["table_name"]] = document
        else:
            schema |= document
    return found


def complete_references(document: Document) -> None:
    """Say in every foreign key whose columns refer, as bulk documents have no URL to tell it."""
    here = {"schema_name": document["schema_name"], "table_name": document["table_name"]}
    document["foreign_keys"] = [
        {**key, "foreign_key_columns": [{**here, **column} for column in key["foreign_key_columns"]]}
        for key in document.get("foreign_keys") or ()
    ]


@held(once=True)
def drop_table(connection: Connection, model: Model, table: Table) -> None:
    """Drop a table with its rows, and take it out of `model`."""
    _check_live(model)
    with translated(f"Dropping {table.schema.name}:{table.name} of {connection.name}"):
        model.schemas[table.schema.name].tables[table.name].drop()


@held(once=True)
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
