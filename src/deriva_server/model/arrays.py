"""PostgreSQL's text form of arrays: ``{a,"b c",NULL}``."""

from __future__ import annotations

from collections.abc import Callable

from deriva_server.errors import BadRequest
from deriva_server.model.elements import Json

_PLAIN_BREAKS = frozenset('{},"\\')


def parse_array(text: str, member: Callable[[str], Json]) -> list[Json]:
    """Read an array, nested ones included.

    Parameters
    ----------
    text : str
        The text form.
    member : callable
        Converts the text of one member; an unquoted NULL is None without it.

    Raises
    ------
    BadRequest
        If `text` is no array.

    Examples
    --------
    >>> parse_array('{a,"b c",NULL,{}}', str)
    ['a', 'b c', None, []]
    """
    text = text.strip()
    members, end = _read(text, 0, member, 0)
    if end != len(text):
        raise _malformed(text)
    return members


def format_array(members: list[Json], write: Callable[[Json], str]) -> str:
    """Write an array whose members `write` turns into text.

    >>> format_array(["a", "b c", None, ""], str)
    '{a,"b c",NULL,""}'
    """
    return "{" + ",".join(_written(member, write) for member in members) + "}"


def _written(member: Json, write: Callable[[Json], str]) -> str:
    if member is None:
        return "NULL"
    if isinstance(member, list):
        return format_array(member, write)
    text = write(member)
    if text and text.upper() != "NULL" and not any(sign in _PLAIN_BREAKS or sign.isspace() for sign in text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _read(text: str, at: int, member: Callable[[str], Json], depth: int) -> tuple[list[Json], int]:
    if at >= len(text) or text[at] != "{" or depth > 6:
        raise _malformed(text)
    members: list[Json] = []
    at = _skip(text, at + 1)
    if at < len(text) and text[at] == "}":
        return members, at + 1
    while True:
        at = _skip(text, at)
        if at < len(text) and text[at] == "{":
            inner, at = _read(text, at, member, depth + 1)
            members.append(inner)
        elif at < len(text) and text[at] == '"':
            part, at = _quoted(text, at)
            members.append(member(part))
        else:
            end = at
            while end < len(text) and text[end] not in _PLAIN_BREAKS:
                end += 1
            part = text[at:end].strip()
            if not part:
                raise _malformed(text)
            members.append(None if part.upper() == "NULL" else member(part))
            at = end
        at = _skip(text, at)
        if at >= len(text) or text[at] not in ",}":
            raise _malformed(text)
        at += 1
        if text[at - 1] == "}":
            return members, at


def _quoted(text: str, at: int) -> tuple[str, int]:
    signs: list[str] = []
    at += 1
    while at < len(text) and text[at] != '"':
        at += text[at] == "\\"
        if at < len(text):
            signs.append(text[at])
        at += 1
    if at >= len(text):
        raise _malformed(text)
    return "".join(signs), at + 1


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _malformed(text: str) -> BadRequest:
    return BadRequest(f'malformed array literal: "{text[:80]}"')
