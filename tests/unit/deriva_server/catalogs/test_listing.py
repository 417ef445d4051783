"""Catalog ``0``: the registry, read like any other catalog."""

import pytest
from tests.deployments import Direct

from deriva_server.catalogs import clients
from deriva_server.embed import LocalServer
from deriva_server.errors import Forbidden
from deriva_server.identity import Client

ROWS = "/ermrest/catalog/0/entity/ermrest:registry"


@pytest.fixture
def caller(tmp_path, address):
    with LocalServer.open(tmp_path / "lab", create=True, database=address) as server:
        yield Direct(server)


def rows(caller, query=""):
    answer = caller.send("GET", ROWS + query)
    assert answer.status == 200, answer.body
    return answer.json


def test_rows_are_what_is_registered(caller):
    assert rows(caller) == []
    caller.send("POST", "/ermrest/catalog", {"name": "é", "description": "d", "owner": ["local/x", "*"]})
    caller.send("POST", "/ermrest/catalog", {"id": "b/c", "is_persistent": True, "clone_source": "1"})
    caller.send("POST", "/ermrest/alias", {"id": "main", "alias_target": "1"})
    first, second, alias = rows(caller, "@sort(RCT,RID)")
    assert {
        name: first[name] for name in ("id", "is_catalog", "name", "description", "owner", "deleted_on")
    } == {
        "id": "1",
        "is_catalog": True,
        "name": "é",
        "description": "d",
        "owner": ["local/x", "*"],
        "deleted_on": None,
    }
    assert (second["id"], second["is_persistent"], second["clone_source"]) == ("b/c", True, "1")
    assert (alias["id"], alias["is_catalog"], alias["alias_target"]) == ("main", False, "1")
    created = caller.send("GET", "/ermrest/catalog/1/history/,").json["snaprange"][0]
    assert first["RCT"] < second["RCT"] < alias["RCT"] and created


def test_rows_follow_the_registry_and_keep_their_rids(caller):
    caller.send("POST", "/ermrest/catalog", {})
    caller.send("POST", "/ermrest/alias", {"id": "main"})
    before = {row["id"]: row for row in rows(caller)}
    then = caller.send("GET", "/ermrest/catalog/0").json["snaptime"]
    tag = caller.send("GET", ROWS).headers["ETag"]
    assert caller.send("GET", ROWS, If_None_Match=tag).status == 304
    caller.send("DELETE", "/ermrest/catalog/1")
    caller.send("DELETE", "/ermrest/alias/main")
    caller.send("POST", "/ermrest/alias", {"id": "new"})
    assert caller.send("GET", ROWS, If_None_Match=tag).status == 200
    after = {row["id"]: row for row in rows(caller)}
    assert after.keys() == {"1", "new"}
    assert after["1"]["RID"] == before["1"]["RID"] and after["1"]["deleted_on"] > before["1"]["RCT"]
    past = caller.send("GET", ROWS.replace("/0/", f"/0@{then}/")).json
    assert {row["id"]: row for row in past} == before
    assert caller.send("GET", "/ermrest/catalog/0").json["snaptime"] != then
    unchanged = caller.send("GET", "/ermrest/catalog/0").json["snaptime"]
    assert rows(caller) and caller.send("GET", "/ermrest/catalog/0").json["snaptime"] == unchanged


def test_nobody_writes_to_it(caller):
    rows(caller)
    for method, path, body in [
        ("POST", "/entity/ermrest:registry", [{"id": "9"}]),
        ("PUT", "/attributegroup/ermrest:registry/id;name", [{"id": "1", "name": "x"}]),
        ("DELETE", "/entity/ermrest:registry", None),
        ("POST", "/schema/new", None),
        ("PUT", "/acl", {}),
        ("DELETE", "", None),
    ]:
        assert caller.send(method, f"/ermrest/catalog/0{path}", body).status == 403, (method, path)
    assert caller.send("POST", "/ermrest/catalog", {"id": "0"}).status == 409
    assert caller.send("POST", "/ermrest/alias", {"id": "0"}).status == 409


def test_it_is_not_among_the_catalogs(caller):
    rows(caller)
    assert caller.server.registry.entries() == []
    assert caller.send("POST", "/ermrest/catalog").json == {"id": "1"}


def test_only_those_who_may_create_catalogs_read_it(caller):
    catalog = caller.server.registry.catalog("0")
    somebody = Client("kim")
    clients.register(catalog, somebody)
    with pytest.raises(Forbidden), catalog.read(somebody):
        pass


def test_it_outlives_the_server(caller):
    caller.send("POST", "/ermrest/catalog", {"name": "kept"})
    before = rows(caller)
    folder = caller.server.folder
    address = caller.server.database
    caller.server.close()
    with LocalServer.open(folder, database=address) as server:
        assert rows(Direct(server)) == before
