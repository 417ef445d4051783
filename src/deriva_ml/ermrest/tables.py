"""New tables in a catalog; the model at hand follows, so that it need not be fetched again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deriva.core.ermrest_model import Model
from deriva.core.ermrest_model import Table as DerivaTable

from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.rows import escaped
from deriva_ml.model.protocols import Table


def create(connection: Connection, model: Model, schema: str, documents: Sequence[dict[str, Any]]) -> list[Table]:
    """Make tables of one schema: all of them, or none.

    Parameters
    ----------
    connection : Connection
    model : Model
        deriva-py's model, which gains the tables.
    schema : str
    documents : sequence of dict
        Table documents; they may refer to each other.

    Returns
    -------
    list of Table

    Raises
    ------
    DerivaMLConflictError
        If there is such a table already, or a foreign key refers to nothing.
    """
    names = ", ".join(document["table_name"] for document in documents)
    body = [{**document, "schema_name": schema, "kind": "table"} for document in documents]
    made = connection.post("/schema", json=body, doing=f"Creating {names} in schema {schema}").json()
    home = model.schemas[schema]
    for document in made:
        home.tables[document["table_name"]] = DerivaTable(home, document["table_name"], document)
    model.digest_fkeys()
    return [home.tables[document["table_name"]] for document in documents]


def drop(connection: Connection, model: Model, table: Table) -> None:
    """Drop a table that nothing refers to.

    Raises
    ------
    DerivaMLConflictError
        If other tables refer to it.
    """
    schema, name = table.schema.name, table.name
    connection.delete(f"/schema/{escaped(schema)}/table/{escaped(name)}", doing=f"Dropping {schema}:{name}")
    gone = model.schemas[schema].tables.pop(name)
    for fkey in list(gone.foreign_keys):
        fkey._cleanup()
