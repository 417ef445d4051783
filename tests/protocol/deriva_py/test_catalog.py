import json

import pytest
from deriva.core import ErmrestCatalogMutationError, ErmrestSnapshot
from deriva.core.ermrest_model import Column, ForeignKey, Key, Schema, Table, builtin_types
from requests import HTTPError


@pytest.fixture
def filled(catalog):
    model = catalog.getCatalogModel()
    schema = model.create_schema(Schema.define("lab"))
    schema.create_table(
        Table.define(
            "Person",
            [
                Column.define("Name", builtin_types.text, nullok=False),
                Column.define("Age", builtin_types.int4),
            ],
            key_defs=[Key.define(["Name"])],
        )
    )
    schema.create_table(
        Table.define(
            "Visit",
            [Column.define("Person", builtin_types.text), Column.define("Seen", builtin_types.timestamptz)],
            fkey_defs=[ForeignKey.define(["Person"], "lab", "Person", ["Name"])],
        )
    )
    people = catalog.getPathBuilder().schemas["lab"].tables["Person"]
    people.insert(
        [
            {"Name": "Ada", "Age": 36},
            {"Name": "Grace", "Age": 85},
            {"Name": "Émilie / du Châtelet", "Age": None},
        ]
    )
    return catalog


def table(catalog, name):
    return catalog.getPathBuilder().schemas["lab"].tables[name]


def test_catalog_document(catalog):
    document = catalog.get("/").json()
    assert document["id"] == catalog.catalog_id
    assert document["snaptime"]
    assert catalog.exists()
    assert catalog.alias_target is None


def test_who_made_it(filled):
    me = filled.get_authn_session().json()["client"]["id"]
    rows = filled.get("/entity/lab:Person").json()
    assert {row["RCB"] for row in rows} == {me}
    clients = filled.get("/entity/public:ERMrest_Client").json()
    assert me in {row["ID"] for row in clients}


def test_model_round_trip(filled):
    model = filled.getCatalogModel()
    assert set(model.schemas) >= {"public", "lab"}
    visit = model.table("lab", "Visit")
    (key,) = [key for key in visit.foreign_keys if key.pk_table.name == "Person"]
    assert key.constraint_name == "Visit_Person_fkey"
    visit.comment = "Who came"
    visit.columns["Seen"].annotations["tag:example.org,2024:x"] = {"a": 1}
    model.apply()
    again = filled.getCatalogModel().table("lab", "Visit")
    assert again.comment == "Who came"
    assert again.columns["Seen"].annotations == {"tag:example.org,2024:x": {"a": 1}}


def test_model_changes(filled):
    model = filled.getCatalogModel()
    person = model.table("lab", "Person")
    person.create_column(Column.define("Notes", builtin_types.markdown, default="none"))
    person.columns["Notes"].alter(name="Remarks")
    person.alter(table_name="Human")
    assert [row["Remarks"] for row in filled.get("/entity/lab:Human").json()] == ["none"] * 3
    visit = model.table("lab", "Visit")
    visit.drop()
    with pytest.raises(HTTPError):
        filled.get("/entity/lab:Visit")


def test_path_builder_reads(filled):
    person = table(filled, "Person")
    assert [row["Name"] for row in person.path.filter(person.Age > 40).entities()] == ["Grace"]
    assert [
        row["Age"] for row in person.path.filter(person.Name == "Émilie / du Châtelet").attributes(person.Age)
    ] == [None]
    rows = person.path.attributes(person.Name, person.Age).sort(person.Age.desc).fetch(limit=2)
    assert len(rows) == 2
    assert len(person.path.entities().fetch()) == 3


def test_path_builder_links(filled):
    tables = filled.getPathBuilder().schemas["lab"].tables
    person, visit = tables["Person"], tables["Visit"]
    visit.insert([{"Person": "Ada", "Seen": "2024-01-02T03:04:05+00:00"}, {"Person": "Ada", "Seen": None}])
    path = person.path.link(visit)
    found = list(path.attributes(path.Person.Name, path.Visit.Seen))
    assert {row["Name"] for row in found} == {"Ada"} and len(found) == 2
    assert {row["Seen"] for row in found} == {"2024-01-02T03:04:05+00:00", None}


def test_path_builder_writes(filled):
    person = table(filled, "Person")
    ada = next(iter(person.path.filter(person.Name == "Ada").entities()))
    person.update([{"RID": ada["RID"], "Age": 37}])
    after = next(iter(person.path.filter(ada["RID"] == person.RID).entities()))
    assert after["Age"] == 37 and after["RMT"] > ada["RMT"] and after["RCT"] == ada["RCT"]
    person.path.filter(person.Name == "Grace").delete()
    assert len(person.path.entities().fetch()) == 2
    again = person.insert([{"Name": "Ada", "Age": 1}, {"Name": "Lise", "Age": 2}], on_conflict_skip=True)
    assert [row["Name"] for row in again] == ["Lise"]


def test_conflicts_say_why(filled):
    with pytest.raises(HTTPError, match="duplicate key") as caught:
        filled.post("/entity/lab:Person", json=[{"Name": "Ada"}])
    assert caught.value.response.status_code == 409


def test_snapshots_do_not_change(filled):
    then = filled.latest_snapshot()
    assert isinstance(then, ErmrestSnapshot)
    person = table(filled, "Person")
    person.path.delete()
    assert len(then.get("/entity/lab:Person").json()) == 3
    assert filled.get("/entity/lab:Person").json() == []
    named = filled.deriva_server.connect_ermrest(f"{filled.catalog_id}@{then.snaptime}")
    assert len(named.getPathBuilder().schemas["lab"].tables["Person"].path.entities().fetch()) == 3
    with pytest.raises(ErmrestCatalogMutationError):
        then.post("/entity/lab:Person", json=[])
    assert set(then.getCatalogModel().schemas) >= {"lab"}


def test_resolve_rid(filled):
    (ada,) = filled.get("/entity/lab:Person/Name=Ada").json()
    found = filled.resolve_rid(ada["RID"])
    assert (found.table.name, found.rid) == ("Person", ada["RID"])
    with pytest.raises(KeyError):
        filled.resolve_rid("9-ZZZZ")


def test_paged_files(filled, tmp_path):
    person = table(filled, "Person")
    person.insert([{"Name": f"P{number}", "Age": number} for number in range(25)])
    for accept, read in (("application/x-json-stream", json.loads), ("text/csv", str)):
        target = tmp_path / accept.rpartition("/")[2]
        filled.get_as_file(
            "/entity/lab:Person", str(target), headers={"accept": accept}, paged=True, page_size=10
        )
        lines = target.read_text().splitlines()
        assert len([read(line) for line in lines]) == 28 + (accept == "text/csv")


def test_leases(filled):
    (lease,) = filled.post("/entity/public:ERMrest_RID_Lease", json=[{"ID": "a"}]).json()
    (made,) = filled.post(
        "/entity/lab:Person?nondefaults=RID", json=[{"RID": lease["RID"], "Name": "Leased"}]
    ).json()
    assert made["RID"] == lease["RID"]


def test_clone(filled):
    copy = filled.clone_catalog()
    try:
        theirs = {row["RID"]: row["Name"] for row in copy.get("/entity/lab:Person").json()}
        assert theirs == {row["RID"]: row["Name"] for row in filled.get("/entity/lab:Person").json()}
        keys = copy.getCatalogModel().table("lab", "Visit").foreign_keys
        assert "Person" in {key.pk_table.name for key in keys}
    finally:
        copy.delete_ermrest_catalog(really=True)


def test_aliases(catalog, server):
    alias = server.create_ermrest_alias(id=f"name-{catalog.catalog_id}", alias_target=catalog.catalog_id)
    try:
        assert alias.retrieve()["alias_target"] == catalog.catalog_id
        named = server.connect_ermrest(alias.alias_id)
        assert named.alias_target == catalog.catalog_id
        assert server.connect_ermrest_alias(alias.alias_id).retrieve()["id"] == alias.alias_id
    finally:
        alias.delete_ermrest_alias(really=True)


def test_unknown_catalog(server):
    assert not server.connect_ermrest("987654").exists()
