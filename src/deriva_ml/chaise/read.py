"""What the annotations of tables and columns are, and what their templates can use."""

from __future__ import annotations

import copy
from typing import Any

from deriva_ml.chaise.stage import column_of
from deriva_ml.model import tags
from deriva_ml.model.graph import TableName
from deriva_ml.session import Session


def get_table_annotations(session: Session, table: TableName) -> dict[str, Any]:
    """Annotations of a table, those that are only staged included.

    Parameters
    ----------
    session : Session
    table : Table or str

    Returns
    -------
    dict
        Tag to value; a copy.

    Raises
    ------
    DerivaMLTableNotFound
        If there is no such table.
    """
    return copy.deepcopy(dict(session.table(table).annotations))


def get_column_annotations(session: Session, table: TableName, column_name: str) -> dict[str, Any]:
    """Annotations of a column, those that are only staged included; as `get_table_annotations`.

    Raises
    ------
    DerivaMLTableNotFound, DerivaMLValidationError
        If there is no such table or column.
    """
    return copy.deepcopy(dict(column_of(session.table(table), column_name).annotations))


def get_handlebars_template_variables(session: Session, table: TableName) -> dict[str, Any]:
    """What a template (``row_markdown_pattern``, ``markdown_pattern``) of a table can use.

    Parameters
    ----------
    session : Session
    table : Table or str

    Returns
    -------
    dict
        ``table``, ``schema``; ``columns``: for each its ``name``, ``type``, ``template`` (the value as it is shown) and
        ``raw`` (as it is stored); ``foreign_keys``: for each its ``constraint``, the ``table`` it refers to, and the
        templates ``row_name``, ``link`` and ``values`` of that table's row; ``special``: what every template has.

    Raises
    ------
    DerivaMLTableNotFound
        If there is no such table.
    """
    found = session.table(table)
    return {
        "schema": found.schema.name,
        "table": found.name,
        "columns": [
            {
                "name": column.name,
                "type": column.type.typename,
                "template": f"{{{{{{{column.name}}}}}}}",
                "raw": f"{{{{{{_{column.name}}}}}}}",
            }
            for column in found.columns
        ],
        "foreign_keys": [_template_variables(key) for key in found.foreign_keys],
        "special": {
            "$catalog.id": "{{{$catalog.id}}}",
            "$catalog.snapshot": "{{{$catalog.snapshot}}}",
            "$moment": "{{{$moment.year}}}",
            "encode": "{{#encode}}{{{RID}}}{{/encode}}",
        },
    }


def _template_variables(key: Any) -> dict[str, Any]:
    schema = key.table.schema.name
    stem = f"$fkeys.{schema}.{key.constraint_name}"
    return {
        "constraint": [schema, key.constraint_name],
        "table": key.pk_table.name,
        "columns": [column.name for column in key.foreign_key_columns],
        "row_name": f"{{{{{{{stem}.rowName}}}}}}",
        "link": f"{{{{{{{stem}.uri.detailed}}}}}}",
        "values": {
            column.name: f"{{{{{{{stem}.values.{column.name}}}}}}}" for column in key.pk_table.columns
        },
    }


def is_strict_preallocated_rid(session: Session, table: TableName) -> bool:
    """Whether rows must be inserted into a table under RIDs that were leased before, staged or applied."""
    return tags.is_strict(session.table(table).annotations)
