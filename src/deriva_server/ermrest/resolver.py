"""``/id``: from the citation of a row to the row."""

from __future__ import annotations

import json
import re
from urllib.parse import quote, unquote

from werkzeug.datastructures import Headers

from deriva_server.ermrest.face import ErmrestFace
from deriva_server.errors import BadRequest, MethodNotAllowed, NotFound
from deriva_server.http.message import Request, Response

_CITED = re.compile(r"(?P<rid>[A-Za-z0-9-]+)(?:@(?P<snapshot>[A-Za-z0-9-]+))?")


class ResolverFace:
    """Sends ``/id/CATALOG/RID`` and ``/id/CATALOG/RID@SNAPSHOT`` on to the row.

    Parameters
    ----------
    ermrest : ErmrestFace
        Knows the rows; who may not ask it for one is not told where it is.
    """

    def __init__(self, ermrest: ErmrestFace) -> None:
        self._ermrest = ermrest

    def handle(self, request: Request) -> Response:
        """Answer one request below ``/id``.

        Raises
        ------
        BadRequest
            If the end of the path does not look like a RID, with or without a snapshot.
        NotFound
            If no catalog is named, or there is no such row (any more).
        """
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{request.method} {request.path}")
        catalog, _, cited = request.path.removeprefix("/id").strip("/").rpartition("/")
        parts = _CITED.fullmatch(unquote(cited))
        if parts is None:
            raise BadRequest(f"{request.path} does not end with the RID of a row")
        if not catalog or "/" in catalog:
            raise NotFound(f"{request.path}: rows are cited as /id/CATALOG/RID")
        at = f"@{parts['snapshot']}" if parts["snapshot"] else ""
        root = f"/ermrest/catalog/{catalog}{at}"
        asked = Request("GET", f"{root}/entity_rid/{parts['rid']}", client=request.client)
        answer = self._ermrest.handle(asked).body
        assert isinstance(answer, bytes)
        found = json.loads(answer)
        if "deleted_at" in found:
            raise NotFound(f"{parts['rid']} was deleted at {found['deleted_at']}")
        table = ":".join(quote(found[name], safe="") for name in ("schema_name", "table_name"))
        place = f"{root}/entity/{table}/RID={quote(found['RID'], safe='')}"
        headers = Headers({"Location": place, "Content-Type": "text/uri-list"})
        return Response(303, headers, f"{place}\n".encode())
