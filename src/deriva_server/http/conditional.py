"""Entity tags and preconditions: the service's rules for ETag, If-Match and If-None-Match (pure).

A reader whose precondition fails is answered 304, whichever header failed; a writer 412.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

from werkzeug.datastructures import Headers

from deriva_server.errors import PreconditionFailed
from deriva_server.http.message import Request, Response

READS = frozenset({"GET", "HEAD"})
_LISTED = re.compile(r'(?:W/)?"([^"]*)"|(\*)')


def etag(roles: Iterable[str], accept: str | None, version: str) -> str:
    """The quoted tag of a resource as one caller sees it.

    Parameters
    ----------
    roles : iterable of str
        Roles of the caller: two callers with different rights never share a tag.
    accept : str or None
        Raw ``Accept`` header where the representation depends on it, else None.
    version : str
        What changes whenever the resource may have changed, e.g. a snapshot id.

    Examples
    --------
    >>> etag(["*"], None, "361-VRG5-7TSR")
    '"M4na42GvebBMnI5wV/YMxg;*;361-VRG5-7TSR"'
    """
    joined = "\0".join(sorted(roles))
    digest = hashlib.md5(joined.encode(), usedforsecurity=False).digest()
    seen_as = re.sub(r"[^ !#-~]", "_", accept) if accept else "*"
    return f'"{base64.b64encode(digest).decode().rstrip("=")};{seen_as};{version}"'


def listed_tags(header: str) -> tuple[frozenset[str], bool]:
    """Tags of a precondition header without quotes, weakness or ``-gzip``, and whether it holds a ``*``."""
    tags: set[str] = set()
    anything = False
    for match in _LISTED.finditer(header):
        if match.group(2):
            anything = True
        else:
            tags.add(match.group(1).removesuffix("-gzip"))
    return frozenset(tags), anything


def holds(request: Request, tag: str | None, *, exists: bool = True) -> bool:
    """Whether both preconditions of the request hold for a resource whose quoted tag is `tag`."""
    current = None if tag is None else tag.strip('"')
    match, none_match = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    if match is not None:
        tags, anything = listed_tags(match)
        if not exists or not (anything or current in tags):
            return False
    if none_match is not None and exists:
        tags, anything = listed_tags(none_match)
        if anything or current in tags:
            return False
    return True


def check(request: Request, tag: str | None, *, exists: bool = True, vary: str = "cookie") -> Response | None:
    """Answer a failed precondition.

    Parameters
    ----------
    request : Request
        Its ``If-Match`` and ``If-None-Match`` headers are looked at.
    tag : str or None
        Quoted tag of the resource before the request takes effect; None when it has none.
    exists : bool
        Whether the resource exists at all.
    vary : str
        Value of the ``Vary`` header that goes with the tag.

    Returns
    -------
    Response or None
        The 304 answer for a read whose precondition fails; None when the request may go on.

    Raises
    ------
    PreconditionFailed
        If the precondition of a write fails.
    """
    if holds(request, tag, exists=exists):
        return None
    validators = (("ETag", tag), ("Vary", vary)) if tag is not None else (("Vary", vary),)
    if request.method in READS:
        return Response(304, Headers(validators))
    raise PreconditionFailed("the resource is not in the state the request asks for", validators)
