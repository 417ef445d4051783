"""The column types of a catalog."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from deriva_ml.errors import DerivaMLValidationError


class BuiltinTypes(StrEnum):
    """Column types by name; the value is ERMrest's spelling."""

    text = "text"
    int2 = "int2"
    int4 = "int4"
    int8 = "int8"
    float4 = "float4"
    float8 = "float8"
    boolean = "boolean"
    date = "date"
    timestamp = "timestamp"
    timestamptz = "timestamptz"
    json = "json"
    jsonb = "jsonb"
    markdown = "markdown"
    longtext = "longtext"
    ermrest_curie = "ermrest_curie"
    ermrest_uri = "ermrest_uri"
    color_rgb_hex = "color_rgb_hex"
    ermrest_rid = "ermrest_rid"
    ermrest_rcb = "ermrest_rcb"
    ermrest_rmb = "ermrest_rmb"
    ermrest_rct = "ermrest_rct"
    ermrest_rmt = "ermrest_rmt"
    serial2 = "serial2"
    serial4 = "serial4"
    serial8 = "serial8"
    text_array = "text[]"
    int2_array = "int2[]"
    int4_array = "int4[]"
    int8_array = "int8[]"
    float4_array = "float4[]"
    float8_array = "float8[]"
    boolean_array = "boolean[]"
    date_array = "date[]"
    timestamp_array = "timestamp[]"
    timestamptz_array = "timestamptz[]"
    json_array = "json[]"
    jsonb_array = "jsonb[]"

    @property
    def typename(self) -> str:
        """ERMrest's spelling, as on the type objects of a model."""
        return self.value


_DOMAINS = {
    "markdown": "text",
    "longtext": "text",
    "ermrest_curie": "text",
    "ermrest_uri": "text",
    "color_rgb_hex": "text",
    "ermrest_rid": "text",
    "ermrest_rcb": "text",
    "ermrest_rmb": "text",
    "ermrest_rct": "timestamptz",
    "ermrest_rmt": "timestamptz",
}


_OF_PYTHON = {
    str: BuiltinTypes.text,
    int: BuiltinTypes.int8,
    float: BuiltinTypes.float8,
    bool: BuiltinTypes.boolean,
    dict: BuiltinTypes.jsonb,
}


def type_name(kind: Any) -> str:
    """Spelling of a type given by name, as a `BuiltinTypes`, a type document, or an object with ``typename``."""
    if isinstance(kind, dict):
        return str(kind["typename"])
    if isinstance(kind, type):
        like = _OF_PYTHON.get(kind, BuiltinTypes.text)
        raise DerivaMLValidationError(
            f"{kind.__name__} of Python is no type of a column; give one of BuiltinTypes, such as BuiltinTypes.{like.name}."
        )
    return str(getattr(kind, "typename", kind))


def type_document(kind: Any) -> dict[str, Any]:
    """Type document of a type, as ERMrest reads it.

    Parameters
    ----------
    kind : str, BuiltinTypes, dict or object with ``typename``

    Examples
    --------
    >>> type_document("text[]")
    {'typename': 'text[]', 'is_array': True, 'base_type': {'typename': 'text'}}
    """
    if isinstance(kind, dict):
        return kind
    name = type_name(kind)
    if name.endswith("[]"):
        return {"typename": name, "is_array": True, "base_type": type_document(name[:-2])}
    if name in _DOMAINS:
        return {"typename": name, "is_domain": True, "base_type": {"typename": _DOMAINS[name]}}
    return {"typename": name}
