import pytest

ACLS = ["owner", "create", "enumerate", "write", "insert", "update", "delete", "select"]


@pytest.mark.parametrize("path", ["", "/"])
def test_advertisement(ermrest, path):
    document = ermrest.as_client("anonymous").get(path)
    assert set(document) == {"version", "features"}
    assert document["features"]["trs"] is True


def test_create_and_read_a_catalog(ermrest):
    answer = ermrest("POST", "/catalog", {"name": "n", "description": "d"})
    assert (answer.status, answer.json, answer.headers["Location"]) == (
        201,
        {"id": "1"},
        "/ermrest/catalog/1",
    )
    assert answer.body.endswith(b"\n")
    for path in ("/catalog/1", "/catalog/1/"):
        document = ermrest.get(path)
        assert document["id"] == "1"
        assert (document["name"], document["description"]) == ("n", "d")
        assert document["rights"] == {"owner": True, "create": True}
        assert list(document["acls"]) == ACLS
        assert document["acls"]["owner"] == ["kim"]
        assert document["annotations"] == {
            "tag:isrd.isi.edu,2018:indexing-preferences": {"btree": True, "trgm": True, "gin_array": True}
        }


def test_create_with_a_body_that_is_no_object(ermrest):
    assert ermrest("POST", "/catalog", b"{").status == 400
    assert ermrest("POST", "/catalog", []).status == 400
    assert ermrest("POST", "/catalog").status == 201
    answer = ermrest("POST", "/catalog", {}, Accept="text/plain")
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.text.strip() == "2"


@pytest.mark.parametrize(("client", "status"), [("other", 403), ("anonymous", 401)])
def test_rights_of_others(ermrest, catalog, client, status):
    stranger = ermrest.as_client(client)
    assert stranger("POST", "/catalog").status == status
    for path in ("", "/schema", "/entity/public:ERMrest_Client", "/history/,"):
        assert stranger("GET", "/catalog/1" + path).status == status
    assert stranger("DELETE", "/catalog/1").status == status
    catalog("PUT", "/acl/enumerate", ["*"])
    document = stranger.get("/catalog/1")
    assert "acls" not in document
    assert document["rights"] == {"owner": False, "create": False}
    assert stranger.get("/catalog/1/schema")["schemas"].keys() == {"public"}
    assert stranger("PUT", "/catalog/1/annotation", {}).status == status
    assert stranger("GET", "/catalog/1/acl").status == status


def test_delete(ermrest, catalog):
    assert catalog("DELETE").status == 204
    for path in ("", "/", "/schema"):
        assert catalog("GET", path).status == 404
    assert catalog("DELETE").status == 404


def test_methods_that_do_not_exist(ermrest, catalog):
    assert ermrest("GET", "/catalog").status == 405
    assert catalog("PUT", "", {}).status == 405
    assert catalog("POST").status == 400
    assert catalog("POST", "?vacuum").status == 204
    assert catalog("PATCH", "/schema").status == 405
    assert catalog("DELETE", "/annotation").status == 405
    assert catalog("HEAD").status == 200


def test_aliases(ermrest, catalog):
    answer = ermrest("POST", "/alias", {"id": "study", "alias_target": "1"})
    assert (answer.status, answer.headers["Location"]) == (201, "/ermrest/catalog/study")
    assert ermrest.get("/alias/study") == {"id": "study", "owner": ["kim"], "alias_target": "1"}
    document = ermrest.get("/catalog/study")
    assert (document["id"], document["alias_target"]) == ("study", "1")
    assert ermrest.get("/catalog/study/schema")["alias_target"] == "1"
    assert "alias_target" not in catalog.get("/schema")
    answer = ermrest("PUT", "/alias/study", {})
    assert (answer.status, answer.json["alias_target"]) == (200, None)
    assert ermrest("GET", "/catalog/study").status == 404
    answer = ermrest("PUT", "/alias/second", {"id": "second", "alias_target": "1"})
    assert (answer.status, answer.headers["Location"]) == (201, "/ermrest/alias/second")
    assert ermrest("PUT", "/alias/second", {"id": "third"}).status == 400
    assert ermrest("PUT", "/alias/second", {"alias_target": "77"}).status == 409
    assert ermrest("GET", "/alias/1").status == 404
    assert ermrest("DELETE", "/alias/second").status == 204
    assert ermrest("DELETE", "/catalog/study").status == 204
    assert ermrest("GET", "/alias/study").status == 404
    assert catalog("GET").status == 200


def test_validators(ermrest, catalog):
    first = catalog("GET")
    tag = first.headers["ETag"]
    again = catalog("GET", If_None_Match=tag)
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    assert "cookie" in again.headers["Vary"]
    ermrest("POST", "/alias", {"id": "study", "alias_target": "1"})
    assert ermrest("GET", "/catalog/study").headers["ETag"] != tag
    model = catalog("GET", "/schema").headers["ETag"]
    catalog("POST", "/entity/public:ERMrest_RID_Lease", [{"ID": "a"}])
    assert catalog("GET").headers["ETag"] != tag
    assert catalog("GET", "/schema").headers["ETag"] == model
    change = catalog("PUT", "/annotation/x", 1, If_Match=model)
    assert change.status == 201
    assert catalog("GET", "/schema").headers["ETag"] == change.headers["ETag"] != model
    assert catalog("PUT", "/annotation/x", 2, If_Match=model).status == 412
    assert catalog("GET", "/schema", If_Match=model).status == 304
    catalog("PUT", "/acl/enumerate", ["*"])
    assert catalog("GET").headers["ETag"] != catalog.as_client("other")("GET").headers["ETag"]
