"""Which resource a URL names."""

import pytest

from deriva_server.errors import BadRequest, NotFound
from deriva_server.grammar.nodes import QName
from deriva_server.grammar.options import parse_options
from deriva_server.grammar.routes import (
    LONGEST_KEPT,
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
    WalkRoute,
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
        ("history/1-2,", HistoryRoute("1-2", None)),
        ("history/1,2/acl_binding", HistoryRoute("1", "2", "acl_binding")),
        ("history/1,2/annotation/1-0", HistoryRoute("1", "2", "annotation", "1-0")),
        ("history/1,2/attribute/1-0", HistoryRoute("1", "2", "attribute", "1-0")),
        ("history/1,2/attribute/1-0/1-1=", HistoryRoute("1", "2", "attribute", "1-0", ("1-1", ""))),
        ("walk", WalkRoute()),
        (
            "schema/S/table/T/foreignkey/a/reference/S2:T2",
            ForeignKeyRoute("S", "T", ("a",), QName(("S2", "T2"))),
        ),
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


@pytest.mark.parametrize(
    ("path", "element", "kinds"),
    [
        ("schema/S", SchemaRoute("S"), {"comment", "acl", "annotation"}),
        ("schema/S/table/T", TableRoute("S", "T"), {"comment", "acl", "annotation", "acl_binding"}),
        (
            "schema/S/table/T/column/C",
            ColumnRoute("S", "T", "C"),
            {"comment", "acl", "annotation", "acl_binding"},
        ),
        ("schema/S/table/T/key/a", KeyRoute("S", "T", ("a",)), {"comment", "annotation"}),
        (
            "schema/S/table/T/foreignkey/a,b/reference/S2:T2/x,y",
            FKEY,
            {"comment", "acl", "annotation", "acl_binding"},
        ),
    ],
)
def test_every_element_has_its_details_and_no_others(path, element, kinds):
    for kind in ("comment", "acl", "annotation", "acl_binding"):
        target = f"/ermrest/catalog/1/{path}/{kind}"
        if kind in kinds:
            assert parse_target(target).route.resource == DetailRoute(element, kind)
            assert parse_target(target.replace(kind, kind.upper())).route.resource == DetailRoute(
                element, kind
            )
        else:
            with pytest.raises(BadRequest, match=f"'{kind}' is not a resource of this element"):
                parse_target(target)


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
    with pytest.raises(NotFound, match="^(Nothing is served at '|A catalog has no resource 'catalog/1/)"):
        parse_target(target)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/entity", "'catalog/1/entity' names no table"),
        ("/attribute/T", "lacks a table or a list of outputs"),
        ("/entity/T/", "Expected a name at the end"),
        ("/schema/S/nothing", "'nothing' is not a resource of this element"),
        ("/schema/A:B", "Expected '/', found ':'"),
        ("/schema/:", "Expected a name, found ':'"),
        ("/schema/S/:", "Expected a resource of a schema, found"),
        ("/schema/S/table/T/:", "Expected a resource of a table, found"),
        ("/schema/S/table/T/key/,", "Expected a name, found"),
        ("/schema/S/table/T/key/a/:", "Expected a resource, found"),
        ("/schema/S/table/T/foreignkey/a/:", "Expected reference, found"),
        (
            "/schema/S/table/T/foreignkey/a/x",
            "^The columns of a foreign key may only be followed by /reference",
        ),
        ("/acl/:", "Expected a name, found"),
        ("/entity_rid/", "Expected a RID at"),
        ("/entity_rid/1-0/x", "Expected the end, found '/'"),
        ("/textfacet/:", "Expected a pattern, found"),
        ("/history/1", "Expected ',' at the end of 'catalog/1/history/1'"),
        ("/history/1,2/:", "Expected attribute, acl, acl_binding or annotation, found"),
        ("/history/1,2/comment", "history of 'comment' cannot be amended"),
        ("/history/1,2/acl/:", "Expected a RID, found"),
        ("/history/1,2/attribute/:", "Expected a column RID, found"),
        ("/history/1,2/attribute/1-0/:", "Expected a column RID, found"),
        ("@", "Expected a snapshot id at"),
    ],
)
def test_malformed_resources_are_bad_requests_that_say_what_should_stand_there(path, why):
    with pytest.raises(BadRequest, match=why):
        parse_target(f"/ermrest/catalog/1{path}")


@pytest.mark.parametrize(
    ("target", "wanted"),
    [(":", "catalog or alias"), ("catalog/:", "a catalog id"), ("alias/:", "an alias id")],
)
def test_what_stands_above_catalogs_is_named_too(target, wanted):
    with pytest.raises(BadRequest, match=f"Expected {wanted}, found"):
        parse_target(f"/ermrest/{target}")


def test_options():
    options = parse_options("defaults=a,b%2Cc&&defaults=d;limit=5&bare&accept=text/csv&cid=")
    assert options.set("defaults") == {"a", "b,c", "d"}
    assert options.one("limit") == "5"
    assert options.one("accept") == "text/csv"
    assert "bare" in options and options.one("bare") is None and "nothing" not in options
    assert options.one("cid") == ""
    assert str(options) == "defaults=a,b%2Cc&defaults=d&limit=5&bare&accept=text%2Fcsv&cid="
    assert parse_options(str(options)) == options
    for name in ("T", "T" * LONGEST_KEPT):
        assert parse_target(f"/ermrest/catalog/1/entity/{name}?{options}").options == options
    with pytest.raises(BadRequest, match=r"query option 'b\+c'; escape it"):
        parse_options("a=b+c")
