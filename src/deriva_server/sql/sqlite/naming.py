"""Names and column types that SQLite can tell apart."""

from __future__ import annotations

import re
from collections.abc import Collection

from deriva_server.model.elements import Type
from deriva_server.sql.dialect import INTERNAL

_ROW_NAMES = frozenset(("rowid", "oid", "_rowid_"))


def column_type(type_: Type) -> str:
    """An affinity that changes no stored form: none at all for exact decimal numbers."""
    if type_.is_array:
        return "TEXT"
    scalar = type_.scalar
    if scalar == "boolean" or scalar.startswith(("int2", "int4", "int8", "serial", "oid")):
        return "INTEGER"
    if scalar.startswith("float"):
        return "REAL"
    return "" if scalar == "numeric" else "TEXT"


def fold(name: str) -> str:
    """SQLite ignores case of ASCII letters only."""
    return re.sub("[A-Z]+", lambda found: found.group().lower(), name)


def table_storage(name: str, rid: str, taken: Collection[str]) -> str:
    """The name itself where it is free, else one made unique by the RID."""
    return _free(name, rid, taken, name.lower().startswith(("sqlite_", INTERNAL)))


def column_storage(name: str, rid: str, taken: Collection[str]) -> str:
    """The name itself where it is free, else one made unique by the RID."""
    return _free(name, rid, taken, name.lower() in _ROW_NAMES)


def _free(name: str, rid: str, taken: Collection[str], reserved: bool) -> str:
    candidate, count = (f"t~{name}~{rid}" if reserved else name), 0
    while fold(candidate) in taken:
        candidate, count = f"{name}~{rid}" + (f"~{count}" if count else ""), count + 1
    return candidate
