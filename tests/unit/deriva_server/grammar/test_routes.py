"""Which resource a URL names."""

import pytest

from deriva_server.errors import BadRequest, NotFound
from deriva_server.grammar.nodes import QName
from deriva_server.grammar.options import parse_options
from deriva_server.grammar.routes import (
    AliasesRoute,
    AliasRoute,
    CatalogDocument,
    CatalogRoute,
    CatalogsRoute,
    ColumnRoute,
    ColumnsRoute,
    DetailRoute,
    ForeignKeyRoute,
    ForeignKeysRoute,
    HistoryRoute,
    KeyRoute,
    KeysRoute,
    RidRoute,
    SchemaRoute,
    SchemasRoute,
    ServiceRoute,
    TableRoute,
    TablesRoute,
    TextFacetRoute,
    parse_target,
)

FKEY = ForeignKeyRoute("S", "T", ("a", "b"), QName(("S2", "T2")), ("x", "y"))


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("", CatalogDocument()),
        ("schema", SchemasRoute()),
        ("schema/S", SchemaRoute("S")),
        ("schema/S%2FT", SchemaRoute("S/T")),
        ("schema/S/table", TablesRoute("S")),
        ("schema/S/table/T", TableRoute("S", "T")),
        ("schema/S/table/T/column", ColumnsRoute("S", "T")),
        ("schema/S/table/T/column/C", ColumnRoute("S", "T", "C")),
        ("schema/S/table/T/key", KeysRoute("S", "T")),
        ("schema/S/table/T/key/a,b", KeyRoute("S", "T", ("a", "b"))),
        ("schema/S/table/T/foreignkey", ForeignKeysRoute("S", "T")),
        ("schema/S/table/T/foreignkey/a,b/reference", ForeignKeyRoute("S", "T", ("a", "b"))),
        ("schema/S/table/T/foreignkey/a,b/reference/S2:T2/x,y", FKEY),
        ("acl", DetailRoute(CatalogDocument(), "acl")),
        ("annotation/tag%3Ax%2C2018%3Ay", DetailRoute(CatalogDocument(), "annotation", "tag:x,2018:y")),
        ("schema/S/table/T/acl_binding/b", DetailRoute(TableRoute("S", "T"), "acl_binding", "b")),
        ("schema/S/table/T/foreignkey/a,b/reference/S2:T2/x,y/acl", DetailRoute(FKEY, "acl")),
        ("history/,", HistoryRoute(None, None)),
        ("history/,2-3", HistoryRoute(None, "2-3")),
    ],
)
def test_model_routes_end_with_or_without_a_slash(path, resource):
    base = "/ermrest/catalog/7@2-4"
    target = f"{base}/{path}" if path else base
    assert parse_target(target).route == CatalogRoute("7", "2-4", resource)
    assert parse_target(target + "/").route == CatalogRoute("7", "2-4", resource)


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("schema/S/comment", DetailRoute(SchemaRoute("S"), "comment")),
        ("schema/S/table/T/foreignkey/a,b", ForeignKeyRoute("S", "T", ("a", "b"))),
    ],
)
def test_some_end_without_a_slash_only(path, resource):
    assert parse_target(f"/ermrest/catalog/1/{path}").route == CatalogRoute("1", None, resource)
    with pytest.raises(BadRequest):
        parse_target(f"/ermrest/catalog/1/{path}/")


@pytest.mark.parametrize(
    ("target", "route"),
    [
        ("/ermrest", ServiceRoute()),
        ("/ermrest/", ServiceRoute()),
        ("/ermrest/catalog", CatalogsRoute()),
        ("/ermrest/alias/", AliasesRoute()),
        ("/ermrest/alias/demo", AliasRoute("demo")),
        ("/ermrest/catalog/1/entity_rid/1-0000", CatalogRoute("1", None, RidRoute("1-0000"))),
        ("/ermrest/catalog/1/textfacet/x%7Cy", CatalogRoute("1", None, TextFacetRoute("x|y"))),
    ],
)
def test_other_routes(target, route):
    assert parse_target(target).route == route


def test_amendments():
    route = parse_target("/ermrest/catalog/1/history/2,3/attribute/1-000A/1-000C=%22x%22").route
    assert route.resource == HistoryRoute("2", "3", "attribute", "1-000A", ("1-000C", '"x"'))
    assert parse_target("/ermrest/catalog/1/history/2,3/acl/1-0").route.resource == HistoryRoute(
        "2", "3", "acl", "1-0"
    )


@pytest.mark.parametrize(
    "target",
    [
        "/other",
        "/ermrestful",
        "/ermrest/client_action",
        "/ermrest/catalog/1/foo/bar",
        "/ermrest/catalog/1/Q:T",
    ],
)
def test_unknown_resources_are_not_found(target):
    with pytest.raises(NotFound):
        parse_target(target)


@pytest.mark.parametrize(
    "path", ["entity", "attribute/T", "schema/S/nothing", "schema/A:B", "history/1", "entity/T/"]
)
def test_malformed_resources_are_bad_requests(path):
    with pytest.raises(BadRequest):
        parse_target(f"/ermrest/catalog/1/{path}")


def test_options():
    options = parse_options("defaults=a,b%2Cc&defaults=d;limit=5&bare&accept=text/csv&cid=")
    assert options.set("defaults") == {"a", "b,c", "d"}
    assert options.one("limit") == "5"
    assert options.one("accept") == "text/csv"
    assert "bare" in options and options.one("bare") is None
    assert options.one("cid") == ""
    assert str(parse_options(str(options))) == str(options)
    with pytest.raises(BadRequest):
        parse_options("a=b+c")
