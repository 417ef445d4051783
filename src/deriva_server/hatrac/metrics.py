"""``/hatrac;metrics``: what many files of metrics come to, in one request.

This goes beyond the protocol; the feature ``object_metrics`` of the catalog service tells that it is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from werkzeug.datastructures import Headers

from deriva_server.blobs.located import Location
from deriva_server.blobs.metrics import Found
from deriva_server.blobs.store import ObjectStore
from deriva_server.errors import BadRequest, MethodNotAllowed, NotFound, ServiceError
from deriva_server.hatrac.formats import read_json
from deriva_server.hatrac.target import Target, parse_target
from deriva_server.http.message import Request, Response
from deriva_server.metrics.records import kind_of
from deriva_server.metrics.summary import dump

MOST_FILES = 5000
"""Files of one request."""

_LATER = {"status": 202, "problem": "there was no time to read it; ask again"}


class MetricsHandler:
    """Answers ``POST /hatrac;metrics``.

    The body is a JSON object: ``objects`` has the URLs of the files, ``names`` (optional) their file names, whose
    endings can tell the format, ``records`` whether all records are wanted. The answer has for each of them an object
    in ``found``: ``names`` of metrics and for each of these ``last``, ``min``, ``max`` (and the list of all ``values``),
    or the ``status`` with which a GET would fail; and in ``md5`` what the file's MD5 is.

    Parameters
    ----------
    store : ObjectStore
        The service.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    def handle(self, request: Request, target: Target) -> Response:
        """Answer one request."""
        if target.path != "/" or target.version is not None:
            raise NotFound(f"{target.url};metrics; the resource is /hatrac;metrics")
        if request.method != "POST":
            raise MethodNotAllowed(f"{request.method} on metrics")
        wish = read_json(request)
        if not isinstance(wish, dict):
            raise BadRequest("files of metrics are asked for by a JSON object")
        wanted = _wanted(_texts(wish, "objects"), _texts(wish, "names"))
        ask = self.store.metrics.records if wish.get("records") else self.store.metrics.summaries
        found = ask(request.client, wanted)
        md5 = dump([each.md5 if isinstance(each, Found) else None for each in found])
        body = f'{{"md5":{md5},"found":[{",".join(map(_text, found))}]}}\n'
        return Response(200, Headers({"Content-Type": "application/json"}), body.encode())


def _texts(wish: dict[str, Any], name: str) -> list[str]:
    found = wish.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise BadRequest(f"{name} must be a list of texts")
    return found


def _wanted(urls: Sequence[str], names: Sequence[str]) -> list[tuple[Location, str]]:
    if len(urls) > MOST_FILES:
        raise BadRequest(f"one request is for at most {MOST_FILES:,} files, not {len(urls):,}")
    if names and len(names) != len(urls):
        raise BadRequest(f"there are {len(names):,} names of {len(urls):,} objects")
    found = []
    for place, url in enumerate(urls):
        target = parse_target(url)
        if target.sub is not None:
            raise BadRequest(f"{url} is no object")
        name = names[place] if names else unquote(target.path.rpartition("/")[2])
        found.append(((target.path, target.version), kind_of(name)))
    return found


def _text(found: Found | ServiceError) -> str:
    if isinstance(found, ServiceError):
        return dump({"status": found.status, "problem": found.text().strip()})
    return dump(_LATER) if found.text is None else found.text
