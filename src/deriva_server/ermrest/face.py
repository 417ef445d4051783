"""The REST face of catalogs: from a request to the handler of the resource that its target names."""

from __future__ import annotations

from deriva_server.catalogs import clients
from deriva_server.catalogs.history import snapshot_time
from deriva_server.catalogs.registry import MIRROR, Registry
from deriva_server.ermrest import catalogs, mirror
from deriva_server.ermrest.call import Call
from deriva_server.ermrest.data import handle_data
from deriva_server.ermrest.details import detail
from deriva_server.ermrest.history import handle_history
from deriva_server.ermrest.modeling import change_model
from deriva_server.ermrest.rids import handle_rid, handle_text_facet
from deriva_server.ermrest.schema import ModelReader
from deriva_server.ermrest.walk import handle_walk
from deriva_server.errors import Forbidden
from deriva_server.grammar.nodes import DataPath
from deriva_server.grammar.options import Options
from deriva_server.grammar.routes import (
    AliasesRoute,
    AliasRoute,
    CatalogDocument,
    CatalogRoute,
    CatalogsRoute,
    DataRoute,
    DetailRoute,
    HistoryRoute,
    RidRoute,
    ServiceRoute,
    TextFacetRoute,
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
        match target.route:
            case ServiceRoute():
                return catalogs.advertisement(request)
            case CatalogsRoute():
                return catalogs.create_catalog(self._registry, request)
            case AliasesRoute():
                return catalogs.create_alias(self._registry, request)
            case AliasRoute(id):
                return catalogs.alias(self._registry, request, id)
            case CatalogRoute() as route:
                return self._in_catalog(request, route, target.options)

    def _in_catalog(self, request: Request, route: CatalogRoute, options: Options) -> Response:
        is_catalog = isinstance(route.resource, CatalogDocument) and route.snapshot is None
        if is_catalog and request.method == "DELETE" and self._registry.is_alias(route.catalog):
            self._registry.delete_alias(request.client, route.catalog)
            return Response(204)
        as_of = None if route.snapshot is None else snapshot_time(route.snapshot)
        if route.catalog == MIRROR:
            mirror.refresh(self._registry)
        call = Call(request, self._registry.resolve(route.catalog), as_of)
        clients.register(call.resolved.catalog, request.client)
        # A walk is sent, because what to ask is too long for a URL, but only reads.
        reads = request.method in READS or isinstance(route.resource, WalkRoute)
        if as_of is not None and not reads and not isinstance(route.resource, HistoryRoute):
            raise Forbidden("modification to catalog at previous revision")
        match route.resource:
            case CatalogDocument():
                return catalogs.catalog(call, self._registry, options)
            case DataPath() as path:
                response = handle_data(DataRoute(path, options), call)
                if route.catalog == MIRROR and not reads:
                    mirror.take_over(self._registry)
                return response
            case RidRoute() as rid:
                return handle_rid(rid, call)
            case TextFacetRoute() as facet:
                return handle_text_facet(facet, call)
            case WalkRoute():
                return handle_walk(call)
            case DetailRoute() as found:
                return detail(call, found)
            case HistoryRoute() as found:
                return handle_history(call, found)
            case model:
                return self._models.read(call, model) if reads else change_model(call, model)
