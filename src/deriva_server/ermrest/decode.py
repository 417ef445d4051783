"""Rows in the bodies of requests, some at a time."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, BinaryIO

from deriva_server.catalogs.rows import Row
from deriva_server.ermrest.split import Line, array_members, csv_lines, json_decoder, line_values
from deriva_server.errors import BadRequest, Conflict, UnsupportedMediaType
from deriva_server.http.negotiate import CSV, DATA_TYPES, JSON, JSON_STREAM
from deriva_server.model.columns import TextColumn, json_column, text_column
from deriva_server.model.values import Stored, json_reader
from deriva_server.plan.writes import Field

_PIECE = 1 << 19
_DOCUMENTS = frozenset(("json", "jsonb"))


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


def decode(
    body: BinaryIO,
    media_type: str,
    fields: Sequence[Field],
    ignored: Sequence[Field] = (),
    piece: int = _PIECE,
) -> Iterator[list[Row]]:
    """Read the rows of a request.

    Parameters
    ----------
    body : file object
        Read as far as rows are asked for.
    media_type : str
        What it is.
    fields : sequence of Field
        What to read, in this order.
    ignored : sequence of Field
        Fields whose values are checked but not used.
    piece : int, optional
        Bytes to read at a time.

    Yields
    ------
    list of tuples
        Stored values of some rows.

    Raises
    ------
    BadRequest
        If the body is malformed or a value cannot have the type of its column.
    Conflict
        If a CSV column does not exist.
    """
    pieces = _texts(body, piece)
    if media_type == CSV:
        yield from _from_csv(csv_lines(pieces), fields, ignored)
        return
    decoder = json_decoder(exact=any(field.column.type.scalar == "numeric" for field in fields))
    split = line_values if media_type == JSON_STREAM else array_members
    for objects in split(pieces, decoder):
        yield _from_objects(objects, fields, ignored)


def _texts(body: BinaryIO, size: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        while piece := body.read(size):
            yield decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise BadRequest("The body is not UTF-8.") from error


def _from_objects(objects: list[Any], fields: Sequence[Field], ignored: Sequence[Field]) -> list[Row]:
    if not {dict}.issuperset(map(type, objects)):
        raise BadRequest("Every row must be a JSON object.")
    columns = [
        _column(objects, field, values)
        for field, values in zip(fields, _members(objects, fields), strict=True)
    ]
    present: set[str] = set().union(*objects)
    for field in ignored:
        name = field.name
        if name not in present:
            continue
        given = [entry[name] for entry in objects if entry.get(name) is not None]
        if given:
            json_column(field.column.type)(given)
    return list(zip(*columns, strict=True)) if fields else [() for _ in objects]


def _members(objects: list[dict[str, Any]], fields: Sequence[Field]) -> Iterable[Sequence[Any]]:
    """The members that each field is given, None where it is not."""
    names = [field.name for field in fields]
    if objects and len(names) > 1:
        try:
            return zip(*map(itemgetter(*names), objects), strict=True)
        except KeyError:
            pass
    return [[entry.get(name) for entry in objects] for name in names]


def _column(objects: list[dict[str, Any]], field: Field, values: Sequence[Any]) -> Sequence[Stored]:
    name, type_ = field.name, field.column.type
    if not type_.is_array and type_.scalar not in _DOCUMENTS:
        return json_column(type_)(values)
    # Null is a value of these; only absence is NULL.
    read, absent = json_reader(type_), "[]" if type_.is_array else None
    return [read(entry[name]) if name in entry else absent for entry in objects]


def _from_csv(
    batches: Iterator[list[Line]], fields: Sequence[Field], ignored: Sequence[Field]
) -> Iterator[list[Row]]:
    first = next(batches, None)
    if first is None:
        raise BadRequest("A CSV body starts with a line of column names.")
    known = {field.name: field for field in (*fields, *ignored)}
    names = _checked_header(first.pop(0), known, fields)
    readers = [text_column(known[name].column.type) for name in names]
    order = [names.index(field.name) for field in fields]
    lines: list[Line] | None = first
    while lines is not None:
        if lines:
            yield _from_lines(lines, readers, order)
        lines = next(batches, None)


def _checked_header(header: Line, known: Mapping[str, Field], fields: Sequence[Field]) -> list[str]:
    names = [name or "" for name in header]
    for name in names:
        if name not in known:
            raise Conflict(f'Column "{name}" does not exist.')
    if len(set(names)) != len(names):
        raise BadRequest("A column appears twice in the CSV header.")
    missing = [field.name for field in fields if field.name not in names]
    if missing:
        raise BadRequest(f'Column "{missing[0]}" is missing in the CSV header.')
    return names


def _from_lines(lines: list[Line], readers: Sequence[TextColumn], order: Sequence[int]) -> list[Row]:
    for line in lines:
        if len(line) != len(readers):
            raise BadRequest(f"A CSV line has {len(line)} fields, the header has {len(readers)}.")
    columns = [read(column) for read, column in zip(readers, zip(*lines, strict=True), strict=True)]
    return list(zip(*(columns[at] for at in order), strict=True)) if order else [() for _ in lines]
