"""``/entity_rid`` and ``/textfacet``."""

from __future__ import annotations

from typing import Any

from deriva_server.catalogs.rids import Found, lookup, shown_time
from deriva_server.ermrest.call import Call, json_reply
from deriva_server.errors import MethodNotAllowed, NotFound
from deriva_server.grammar.routes import RidRoute, TextFacetRoute
from deriva_server.http.message import Response
from deriva_server.names import encode_id


def handle_rid(route: RidRoute, call: Call) -> Response:
    """Tell which table holds, or held, the row with a RID.

    Raises
    ------
    NotFound
        If there never was such a row.
    """
    if call.request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(f"{call.request.method} is not supported by /entity_rid.")
    with call.read() as reading:
        fresh = call.fresh(reading.version)
        if fresh is not None:
            return fresh
        found = lookup(reading, route.rid)
        if found is None:
            raise NotFound(f"entity with RID={route.rid}")
        return json_reply(rid_document(found), headers=call.validators(reading.version))


def rid_document(found: Found) -> dict[str, Any]:
    """Where a row is, or was."""
    document: dict[str, Any] = {"RID": found.rid, "schema_name": found.schema, "table_name": found.table}
    if found.deleted is not None and found.last_visible is not None:
        document["deleted_at"] = shown_time(found.deleted)
        document["last_visible_at"] = shown_time(found.last_visible)
        document["last_visible_snaptime"] = encode_id(found.last_visible)
    return document


def handle_text_facet(_route: TextFacetRoute, call: Call) -> Response:
    """No column is enabled for text facets by the service's policy, so none is ever found."""
    if call.request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(f"{call.request.method} is not supported by /textfacet.")
    with call.read() as reading:
        fresh = call.fresh(reading.version)
        return fresh or json_reply([], headers=call.validators(reading.version))
