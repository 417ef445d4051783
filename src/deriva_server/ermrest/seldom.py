"""Resources that most programs never ask for; `face` loads them at the first request for one."""

from __future__ import annotations

from deriva_server.catalogs.registry import Registry
from deriva_server.ermrest import catalogs
from deriva_server.ermrest.call import Call
from deriva_server.ermrest.details import detail
from deriva_server.ermrest.history import handle_history
from deriva_server.ermrest.modeling import change_model
from deriva_server.ermrest.rids import handle_rid, handle_text_facet
from deriva_server.ermrest.walk import handle_walk
from deriva_server.grammar.options import Options
from deriva_server.grammar.routes import (
    AliasesRoute,
    AliasRoute,
    CatalogDocument,
    CatalogsRoute,
    DetailRoute,
    HistoryRoute,
    ModelRoute,
    RidRoute,
    ServiceRoute,
    TextFacetRoute,
    WalkRoute,
)
from deriva_server.http.message import Request, Response


def of_service(
    registry: Registry, request: Request, route: ServiceRoute | CatalogsRoute | AliasesRoute | AliasRoute
) -> Response:
    """Answer a request that is for no one catalog."""
    match route:
        case ServiceRoute():
            return catalogs.advertisement(request)
        case CatalogsRoute():
            return catalogs.create_catalog(registry, request)
        case AliasesRoute():
            return catalogs.create_alias(registry, request)
        case AliasRoute(id):
            return catalogs.alias(registry, request, id)


def in_catalog(
    registry: Registry,
    call: Call,
    options: Options,
    resource: CatalogDocument
    | RidRoute
    | TextFacetRoute
    | WalkRoute
    | DetailRoute
    | HistoryRoute
    | ModelRoute,
) -> Response:
    """Answer a request for anything in a catalog but its rows; elements of the model are changed."""
    match resource:
        case CatalogDocument():
            return catalogs.catalog(call, registry, options)
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
            return change_model(call, model)
