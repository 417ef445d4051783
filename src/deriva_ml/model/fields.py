"""The Python field that stands for a column in a record class."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator

if TYPE_CHECKING:
    from deriva_ml.model.protocols import Column


def _as_text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime | time) else value


Text = Annotated[str, BeforeValidator(_as_text)]
"""Text; dates and times are accepted and written in ISO 8601."""


def _iso_date(value: str) -> str:
    try:
        date.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a date in ISO 8601, as in 2026-01-15") from None
    return value


def _iso_time(value: str) -> str:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a time in ISO 8601, as in 2026-01-15T14:30:00") from None
    return value


_TIMES = {
    "date": Annotated[Text, AfterValidator(_iso_date)],
    "timestamp": Annotated[Text, AfterValidator(_iso_time)],
    "timestamptz": Annotated[Text, AfterValidator(_iso_time)],
}


def python_type(typename: str) -> Any:
    """Python type of the values of a column type.

    >>> python_type("int4"), python_type("boolean"), python_type("float8[]")
    (<class 'int'>, <class 'bool'>, list[float])
    """
    if typename.endswith("[]"):
        return list[python_type(typename[:-2])]  # type: ignore[misc]
    if typename.startswith(("int", "serial")):
        return int
    if typename.startswith("float"):
        return float
    if typename in ("json", "jsonb"):
        return Any
    return bool if typename == "boolean" else _TIMES.get(typename, Text)


def field_of(column: Column, kind: Any = None) -> tuple[Any, Any]:
    """Type and default of the field of a column.

    Parameters
    ----------
    column : Column
    kind : type, optional
        Type of its values where it is not that of the column type.

    Returns
    -------
    tuple
        (type, default); the default is ``...`` where a value is required.
    """
    kind = python_type(column.type.typename) if kind is None else kind
    required = not column.nullok and column.default is None
    return (kind, ...) if required else (kind | None if column.nullok else kind, column.default)


def field_name(column: str, reserved: Collection[str]) -> str:
    """Name of the field of a column: the column's own, unless a class could not have a field of that name.

    >>> field_name("Confidence", {"copy"}), field_name("copy", {"copy"}), field_name("_odd", ())
    ('Confidence', 'copy_', 'odd_')
    """
    name = column.lstrip("_") or "column"
    return f"{name}_" if name in reserved or name != column else name
