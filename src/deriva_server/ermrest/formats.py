"""Rows in the bodies of responses: JSON, JSON lines and CSV."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from deriva_server.catalogs.rows import Row
from deriva_server.http.negotiate import CSV, JSON
from deriva_server.model.arrays import format_array
from deriva_server.model.elements import Json, Type
from deriva_server.model.values import json_from_stored
from deriva_server.plan.writes import Field

_DOCUMENTS = frozenset(("json", "jsonb"))
_CSV_SPECIAL = re.compile('[",\n\r]')


def encoded(pieces: Iterable[list[str]], names: Sequence[str], media_type: str) -> Iterator[bytes]:
    """Bytes of a response, from pieces of row texts as the database made them."""
    if media_type == CSV:
        yield (",".join(map(csv_field, names)) + "\n").encode()
    if media_type != JSON:
        for piece in pieces:
            if piece:
                yield ("\n".join(piece) + "\n").encode()
        return
    before = "["
    for piece in pieces:
        if piece:
            yield (before + ",\n".join(piece)).encode()
            before = ",\n"
    yield b"[]\n" if before == "[" else b"]\n"


def row_texts(rows: Iterable[Row], fields: Sequence[Field], media_type: str) -> list[str]:
    """Texts of rows that are at hand as stored values."""
    types = [field.column.type for field in fields]
    names = [field.name for field in fields]
    texts = []
    for row in rows:
        values = [json_from_stored(type_, value) for type_, value in zip(types, row, strict=True)]
        if media_type == CSV:
            texts.append(",".join(_csv_value(*pair) for pair in zip(types, values, strict=True)))
        else:
            entry = dict(zip(names, values, strict=True))
            texts.append(json.dumps(entry, separators=(",", ":"), ensure_ascii=False))
    return texts


def csv_field(text: str) -> str:
    """One field of a CSV line, in quotes where needed."""
    if text and _CSV_SPECIAL.search(text) is None:
        return text
    return '"' + text.replace('"', '""') + '"'


def _csv_value(type_: Type, value: Json) -> str:
    if value is None:
        return ""
    if type_.is_array:
        return csv_field(format_array(value, lambda member: _plain(type_, member)))
    return csv_field(_plain(type_, value))


def _plain(type_: Type, value: Json) -> str:
    scalar = type_.scalar
    if scalar in _DOCUMENTS:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if isinstance(value, bool):
        return "t" if value else "f"
    if scalar == "timestamptz":
        return str(value).replace("T", " ").replace("+00:00", "+00")
    return str(value).replace("T", " ") if scalar == "timestamp" else str(value)
