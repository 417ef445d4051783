"""The REST face of catalogs: from a request to the handler of the resource that its target names."""

from __future__ import annotations

from deriva_server.catalogs import clients
from deriva_server.catalogs.history import snapshot_time
from deriva_server.catalogs.registry import MIRROR, Registry
from deriva_server.ermrest.call import Call
from deriva_server.ermrest.data import handle_data
from deriva_server.ermrest.schema import ModelReader
from deriva_server.errors import Forbidden
from deriva_server.grammar.nodes import DataPath
from deriva_server.grammar.options import Options
from deriva_server.grammar.routes import (
    CatalogDocument,
    CatalogRoute,
    DataRoute,
    HistoryRoute,
    ModelRoute,
    WalkRoute,
    parse_target,
)
from deriva_server.http.conditional import READS
from deriva_server.http.message import Request, Response


class ErmrestFace:
    """Answers every request below ``/ermrest``.

    Parameters
    ----------
    registry : Registry
        The catalogs that are served.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._models = ModelReader()

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        target = parse_target(request.target)
        if isinstance(target.route, CatalogRoute):
            return self._in_catalog(request, target.route, target.options)
        # Here and below, so that programs that read and write rows do not wait for the rest.
        from deriva_server.ermrest import seldom

        return seldom.of_service(self._registry, request, target.route)

    def _in_catalog(self, request: Request, route: CatalogRoute, options: Options) -> Response:
        is_catalog = isinstance(route.resource, CatalogDocument) and route.snapshot is None
        if is_catalog and request.method == "DELETE" and self._registry.is_alias(route.catalog):
            self._registry.delete_alias(request.client, route.catalog)
            return Response(204)
        as_of = None if route.snapshot is None else snapshot_time(route.snapshot)
        if route.catalog == MIRROR:
            from deriva_server.ermrest import mirror

            mirror.refresh(self._registry)
        call = Call(request, self._registry.resolve(route.catalog), as_of)
        clients.register(call.resolved.catalog, request.client)
        # A walk is sent, because what to ask is too long for a URL, but only reads.
        reads = request.method in READS or isinstance(route.resource, WalkRoute)
        if as_of is not None and not reads and not isinstance(route.resource, HistoryRoute):
            raise Forbidden("modification to catalog at previous revision")
        return self._answer(call, route, options, reads=reads)

    def _answer(self, call: Call, route: CatalogRoute, options: Options, *, reads: bool) -> Response:
        resource = route.resource
        if isinstance(resource, DataPath):
            response = handle_data(DataRoute(resource, options), call)
            if route.catalog == MIRROR and not reads:
                from deriva_server.ermrest import mirror

                mirror.take_over(self._registry)
            return response
        if reads and isinstance(resource, ModelRoute):
            return self._models.read(call, resource)
        from deriva_server.ermrest import seldom

        return seldom.in_catalog(self._registry, call, options, resource)
