"""JSON documents as clients send them (pure)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from deriva_server.errors import BadRequest

_DEEPEST = 200


def parse_document(raw: bytes) -> Any:
    """The value of a JSON text that can be stored and written again.

    Parameters
    ----------
    raw : bytes
        UTF-8.

    Raises
    ------
    BadRequest
        If it is no JSON, nested too deeply, or holds infinite numbers or halves of surrogate pairs.

    Examples
    --------
    >>> parse_document(b'{"a": [1]}')
    {'a': [1]}
    """
    try:
        document = json.loads(raw)
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"Could not deserialize the body as JSON: {error}.") from error
    level, depth = [document], 0
    while level:
        if depth > _DEEPEST:
            raise BadRequest(f"The JSON document is nested more than {_DEEPEST} times.")
        level, depth = [inner for outer in level for inner in _members(outer)], depth + 1
    return document


def _members(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
