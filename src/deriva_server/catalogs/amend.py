"""Amend the past of a catalog: redact values, or replace the access rules and annotations of a whole period."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from deriva_server.catalogs import modelstore as models
from deriva_server.catalogs.catalog import Reading, Writing
from deriva_server.errors import BadRequest, Conflict, NotFound
from deriva_server.model import parse
from deriva_server.model.changes import HISTORY_CAPTURE
from deriva_server.model.elements import Column, Json
from deriva_server.model.values import Stored, load, stored_from_json
from deriva_server.sql import history, modelstore

Kind = Literal["acl", "acl_binding", "annotation"]

_FIELDS: Mapping[Kind, str] = {"acl": "acls", "acl_binding": "acl_bindings", "annotation": "annotations"}
_PARTS = {"columns": "column", "keys": "key", "foreign_keys": "foreign_key"}


def redact(
    writing: Writing, period: tuple[int, int], column_rid: str, condition: tuple[str, str] | None = None
) -> None:
    """Set a column to NULL in all superseded row versions that lie wholly inside a period.

    Parameters
    ----------
    writing : Writing
        A write transaction of an owner.
    period : tuple of int
        Begin and end, snapshots of the catalog.
    column_rid : str
        The column.
    condition : tuple of (str, str), optional
        RID of another column of the table and a JSON text that its value must equal.

    Raises
    ------
    NotFound
        If there never was such a column.
    Conflict
        If it must not be redacted, or the columns are of different tables.
    BadRequest
        If the value is not JSON.
    """
    table_rid, column = _column(writing, period, column_rid)
    if column.name in history.NEVER_REDACTED:
        raise Conflict(f'Column "{column.name}" cannot be redacted.')
    stored: tuple[Column, Stored] | None = None
    if condition is not None:
        value = load(condition[1])
        other_rid, other = _column(writing, period, condition[0])
        if other_rid != table_rid:
            raise Conflict("The columns belong to different tables.")
        stored = (other, None if value is None else stored_from_json(other.type, value))
    history.redact(writing.connection, table_rid, column_rid, period, stored)
    writing.past_changed(*period)


def require(
    reading: Reading, period: tuple[int, int], kind: Kind | Literal["attribute"], rid: str | None
) -> None:
    """See that a column or model element existed in a period and can be amended in that way.

    Parameters
    ----------
    reading : Reading
        A transaction of an owner.
    period : tuple of int
        Begin and end, snapshots of the catalog.
    kind : {"attribute", "acl", "acl_binding", "annotation"}
        What would be amended.
    rid : str or None
        A column or model element; None for the catalog.

    Raises
    ------
    NotFound
        If there was no such element.
    Conflict
        If elements of its kind have no such configuration, or the table keeps no history.
    """
    if kind == "attribute":
        _column(reading, period, rid or "")
        return
    documents = modelstore.read_documents_between(reading.connection, period[0], period[1] + 1)
    for group, _, text in documents:
        for element, (element_kind, _) in _elements(group, json.loads(text)):
            if element == (rid or models.CATALOG):
                _checked(kind, element_kind, {})
                return
    raise NotFound(f"model element with RID {rid}")


def _column(reading: Reading, period: tuple[int, int], rid: str) -> tuple[str, Column]:
    """A column as it last was in or before the period, and the RID of its table."""
    for model in (reading.model, *(models.load(reading.connection, moment) for moment in reversed(period))):
        for table in model.tables():
            column = next((column for column in table.columns if column.rid == rid), None)
            if column is not None:
                if table.annotations.get(HISTORY_CAPTURE) is False:
                    raise Conflict(f'Table "{table.schema}:{table.name}" keeps no history.')
                return table.rid, column
    raise NotFound(f"column with RID {rid}")


def configure(writing: Writing, period: tuple[int, int], kind: Kind, rid: str | None, body: Json) -> None:
    """Replace the access lists, access bindings or annotations of an element for a whole period.

    Parameters
    ----------
    writing : Writing
        A write transaction of an owner.
    period : tuple of int
        Begin and end, snapshots of the catalog.
    kind : {"acl", "acl_binding", "annotation"}
        What is replaced.
    rid : str or None
        A model element; None for the catalog.
    body : JSON
        Object of names and values.

    Raises
    ------
    NotFound
        If the element did not exist in the period.
    Conflict
        If elements of its kind have no such configuration.
    BadRequest
        If the body is malformed.
    """
    if not isinstance(body, Mapping):
        raise BadRequest("The new configuration must be a JSON object.")
    owners = {
        group
        for group, _, text in modelstore.read_documents_between(writing.connection, *period)
        for element, _ in _elements(group, json.loads(text))
        if element == (rid or models.CATALOG)
    }
    if not owners:
        raise NotFound(f"model element with RID {rid}")
    group = owners.pop()
    for moment in period:
        modelstore.split_documents(writing.connection, group, moment)
    for owner, since, text in modelstore.read_documents_between(writing.connection, *period):
        if owner != group:
            continue
        stored = json.loads(text)
        for element, (element_kind, document) in _elements(group, stored):
            if element == (rid or models.CATALOG):
                document[_FIELDS[kind]] = _checked(kind, element_kind, body)
        modelstore.replace_past_document(writing.connection, group, since, models.text(stored))
    writing.past_changed(*period)


def _elements(group: str, stored: dict[str, Any]) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """RID, kind and stored form of every element in a stored group."""
    is_table = "columns" in stored
    yield group, ("catalog" if group == models.CATALOG else "table" if is_table else "schema", stored)
    for part, kind in _PARTS.items() if is_table else ():
        for member in stored[part]:
            yield member["rid"], (kind, member)


def _checked(kind: Kind, element: str, body: Mapping[str, Json]) -> dict[str, Json]:
    if kind == "annotation":
        if HISTORY_CAPTURE in body:
            raise BadRequest(f"{HISTORY_CAPTURE} cannot be amended.")
        return dict(body)
    if kind == "acl":
        if element not in parse.ACL_NAMES:
            raise Conflict(f"A {element} has no access lists.")
        given = {name: members for name, members in body.items() if members is not None}
        return {name: parse.acl(members, element, name) for name, members in given.items()}
    if element not in ("table", "column", "foreign_key"):
        raise Conflict(f"A {element} has no access bindings.")
    if not all(binding is False or isinstance(binding, Mapping) for binding in body.values()):
        raise BadRequest("An ACL binding must be a JSON object or false.")
    return dict(body)
