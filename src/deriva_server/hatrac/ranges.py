"""Which bytes a Range header asks for (pure)."""

from __future__ import annotations

import re

from deriva_server.errors import NotSupported, RangeNotSatisfiable

_SPEC = re.compile("([0-9]{1,99})-([0-9]{0,99})|-([0-9]{1,99})")


def wanted_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Start and length of the wanted bytes, None for all of them.

    Parameters
    ----------
    header : str or None
        The ``Range`` header; one that is not well formed asks for everything.
    size : int
        Of the content.

    Raises
    ------
    RangeNotSatisfiable
        If it begins past the end.
    NotSupported
        If several ranges are asked for, or another unit than bytes.

    Examples
    --------
    >>> wanted_range("bytes=2-5", 10), wanted_range("bytes=-3", 10), wanted_range("bytes=0-", 10)
    ((2, 4), (7, 3), None)
    """
    if header is None:
        return None
    unit, equals, text = header.partition("=")
    if not equals:
        return None
    if unit.strip().lower() != "bytes":
        raise NotSupported(f"ranges in {unit.strip()!r}")
    bounds: list[tuple[int, int]] = []
    for part in text.split(","):
        match = _SPEC.fullmatch(part.strip())
        if match is None:
            return None
        first, last, suffix = match.groups()
        if suffix is not None:
            if int(suffix) == 0:
                return None
            bounds.append((max(0, size - int(suffix)), size))
        else:
            if last and int(last) < int(first):
                return None
            bounds.append((int(first), min(int(last) + 1, size) if last else size))
    # Nothing has no first byte, but who asks for all of it from its beginning shall have that.
    inside = [(start, end) for start, end in bounds if start < end or start == size == 0]
    if not inside:
        raise RangeNotSatisfiable(f"the content has {size} bytes", (("Content-Range", f"bytes */{size}"),))
    if len(inside) > 1:
        raise NotSupported("several ranges at once")
    start, end = inside[0]
    return None if (start, end) == (0, size) else (start, end - start)
