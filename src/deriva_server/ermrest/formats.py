"""Rows in the bodies of responses: JSON, JSON lines and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from deriva_server.catalogs.rows import Row
from deriva_server.http.negotiate import CSV, JSON
from deriva_server.model.shown import csv_field, csv_texts, filling, joining, json_key, json_texts
from deriva_server.plan.writes import Field


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
    at_hand, types = list(rows), [field.column.type for field in fields]
    if media_type == CSV:
        return joining([csv_texts(type_) for type_ in types])(at_hand)
    befores = [f"{',' if at else '{'}{json_key(field.name)}" for at, field in enumerate(fields)]
    return filling(befores, [json_texts(type_) for type_ in types], "}")(at_hand)
