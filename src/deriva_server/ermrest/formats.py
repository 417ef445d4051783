"""Rows in the bodies of requests and responses: JSON, JSON lines and CSV."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from deriva_server.catalogs.rows import Row
from deriva_server.errors import BadRequest, Conflict, UnsupportedMediaType
from deriva_server.http.negotiate import CSV, DATA_TYPES, JSON, JSON_STREAM
from deriva_server.model.arrays import format_array
from deriva_server.model.elements import Json, Type
from deriva_server.model.values import Stored, json_from_stored, json_reader, text_reader
from deriva_server.plan.writes import Field

_DOCUMENTS = frozenset(("json", "jsonb"))
_CSV_SPECIAL = re.compile('[",\n\r]')
_CSV_FIELD = re.compile(r'"((?:[^"]|"")*)"|([^",\r\n]*)')


def body_type(content_type: str) -> str:
    """The media type that a body is read as.

    Raises
    ------
    UnsupportedMediaType
        If rows cannot be read from it.
    """
    media_type = content_type or JSON
    if media_type not in DATA_TYPES:
        raise UnsupportedMediaType(f"Rows can be sent as {', '.join(DATA_TYPES)}, not as {media_type!r}.")
    return media_type


def decode(body: bytes, media_type: str, fields: Sequence[Field], ignored: Sequence[Field] = ()) -> list[Row]:
    """Read the rows of a request.

    Parameters
    ----------
    body : bytes
        The whole body.
    media_type : str
        What it is.
    fields : sequence of Field
        What to read, in this order.
    ignored : sequence of Field
        Fields whose values are checked but not used.

    Returns
    -------
    list of tuples
        Stored values.

    Raises
    ------
    BadRequest
        If the body is malformed or a value cannot have the type of its column.
    Conflict
        If a CSV column does not exist.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest("The body is not UTF-8.") from error
    if media_type == CSV:
        return _from_csv(text, fields, ignored)
    exact = any(field.column.type.scalar == "numeric" for field in fields)
    objects = _lines(text, exact) if media_type == JSON_STREAM else _array(text, exact)
    return _from_objects(objects, fields, ignored)


def _array(text: str, exact: bool) -> list[Any]:
    document = _load(text, exact)
    if not isinstance(document, list):
        raise BadRequest("The body must be a JSON array of objects.")
    return document


def _lines(text: str, exact: bool) -> list[Any]:
    return [_load(line, exact) for line in text.split("\n") if line.strip()]


def _load(text: str, exact: bool) -> Json:
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=Decimal if exact else None)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}.") from error


def _refuse(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _from_objects(objects: list[Any], fields: Sequence[Field], ignored: Sequence[Field]) -> list[Row]:
    for entry in objects:
        if not isinstance(entry, dict):
            raise BadRequest("Every row must be a JSON object.")
    columns: list[list[Stored]] = []
    for field in fields:
        read, name, type_ = json_reader(field.column.type), field.name, field.column.type
        if type_.is_array or type_.scalar in _DOCUMENTS:
            absent = "[]" if type_.is_array else None
            columns.append([read(entry[name]) if name in entry else absent for entry in objects])
        else:
            columns.append([read(entry.get(name)) for entry in objects])
    for field in ignored:
        read, name = json_reader(field.column.type), field.name
        for entry in objects:
            if entry.get(name) is not None:
                read(entry[name])
    return list(zip(*columns, strict=True)) if fields else [() for _ in objects]


def _from_csv(text: str, fields: Sequence[Field], ignored: Sequence[Field]) -> list[Row]:
    lines = parse_csv(text)
    header = next(lines, None)
    if header is None:
        raise BadRequest("A CSV body starts with a line of column names.")
    known = {field.name: field for field in (*fields, *ignored)}
    names = [name or "" for name in header]
    for name in names:
        if name not in known:
            raise Conflict(f'Column "{name}" does not exist.')
    if len(set(names)) != len(names):
        raise BadRequest("A column appears twice in the CSV header.")
    missing = [field.name for field in fields if field.name not in names]
    if missing:
        raise BadRequest(f'Column "{missing[0]}" is missing in the CSV header.')
    readers = [text_reader(known[name].column.type) for name in names]
    order = [names.index(field.name) for field in fields]
    rows = []
    for line in lines:
        if len(line) != len(names):
            raise BadRequest(f"A CSV line has {len(line)} fields, the header has {len(names)}.")
        values = [None if raw is None else read(raw) for read, raw in zip(readers, line, strict=True)]
        rows.append(tuple(values[at] for at in order))
    return rows


def parse_csv(text: str) -> Iterator[list[str | None]]:
    """Lines of a CSV text; an empty field without quotes is None.

    Raises
    ------
    BadRequest
        If quotes do not match.

    Examples
    --------
    >>> list(parse_csv('a,"b, c",,'))
    [['a', 'b, c', None, None]]
    """
    at, end = 0, len(text)
    while at < end:
        line: list[str | None] = []
        while True:
            match = _CSV_FIELD.match(text, at)
            assert match is not None
            quoted, plain = match.groups()
            line.append(quoted.replace('""', '"') if quoted is not None else plain or None)
            at = match.end()
            if at >= end or text[at] != ",":
                break
            at += 1
        if at < end and text[at] not in "\r\n":
            raise BadRequest(f"A quote of the CSV body is out of place near {text[at : at + 20]!r}.")
        at += 2 if text.startswith("\r\n", at) else 1
        yield line


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
