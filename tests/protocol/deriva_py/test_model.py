"""deriva-py's model management: create, alter, rename, move and drop, with annotations and access lists."""

import pytest
from deriva.core import DerivaServer, ErmrestCatalog, urlquote
from deriva.core.deriva_binding import ConcurrentUpdate
from deriva.core.ermrest_model import (
    Column,
    ForeignKey,
    Key,
    Model,
    Schema,
    Table,
    UpdateMappings,
    builtin_types,
    tag,
)
from requests import HTTPError
from tests.protocol.deriva_py.rich import EGG, HEN, LAB, PAIR, STRANGE, documents

TEXT = builtin_types.text


@pytest.fixture
def model(rich):
    return rich.getCatalogModel()


def agree(model):
    """What the client thinks of the model is what the service says."""
    asked = model.catalog.getCatalogModel()
    assert model.prejson() == asked.prejson()
    assert {name: set(schema.tables) for name, schema in model.schemas.items()} == {
        name: set(schema.tables) for name, schema in asked.schemas.items()
    }
    for schema in asked.schemas.values():
        for table in schema.tables.values():
            ours = model.table(schema.name, table.name)
            for what in ("keys", "foreign_keys"):
                names = [
                    {(part.constraint_schema.name, part.constraint_name) for part in getattr(each, what)}
                    for each in (ours, table)
                ]
                assert names[0] == names[1]


def test_documents_can_be_sent_again(rich, model, server):
    """All that a model document holds can be posted as it was read."""
    copy = server.create_ermrest_catalog()
    try:
        schemas = [schema for name, schema in model.prejson()["schemas"].items() if name != "public"]
        copy.post("/schema", json=schemas)
        wanted = {path: value for path, value in documents(rich).items() if path.startswith("/schemas/")}
        assert {
            path: value for path, value in documents(copy).items() if path.startswith("/schemas/")
        } == wanted
    finally:
        copy.delete_ermrest_catalog(really=True)


def test_a_model_from_a_file(rich, tmp_path):
    place = tmp_path / "schema.json"
    rich.get_as_file("/schema", str(place))
    stub = ErmrestCatalog("file", str(place), "1")
    assert Model.fromfile(stub, str(place)).prejson() == rich.getCatalogModel().prejson()


def test_schemas(model):
    made = model.create_schema(Schema.define("new / one", "New", annotations={"tag:a,1:b": {}}))
    made.create_table(Table.define("T", [Column.define("a", TEXT)]))
    made.alter(
        schema_name="renamed & so", comment=None, annotations={"tag:a,1:c": [1]}, acls={"select": ["*"]}
    )
    assert made.tables["T"].catalog.get(f"/entity/{urlquote('renamed & so')}:T").json() == []
    agree(model)
    with pytest.raises(HTTPError, match="409"):
        made.drop()
    made.drop(cascade=True)
    agree(model)
    with pytest.raises(HTTPError, match="404"):
        model.catalog.get(f"/schema/{urlquote('renamed & so')}")


def test_renames_are_followed_in_annotations(model):
    egg = model.table(LAB, EGG)
    fkey = next(iter(egg.foreign_keys))
    egg.annotations[tag.visible_columns] = {"*": ["Code", "Weight", [LAB, fkey.constraint_name]]}
    model.apply()
    egg.columns["Weight"].alter(name="Mass / g", update_mappings=UpdateMappings.immediate)
    fkey.alter(constraint_name="laid by", update_mappings=UpdateMappings.immediate)
    found = model.catalog.getCatalogModel().table(LAB, EGG)
    assert found.annotations[tag.visible_columns] == {"*": ["Code", "Mass / g", [LAB, "laid by"]]}
    # the objects of a renamed constraint cannot drop it, newly read ones can
    model = model.catalog.getCatalogModel()
    egg = model.table(LAB, EGG)
    egg.columns["Mass / g"].drop(update_mappings=UpdateMappings.immediate)
    model.fkey([LAB, "laid by"]).drop(update_mappings=UpdateMappings.immediate)
    assert model.catalog.getCatalogModel().table(LAB, EGG).annotations[tag.visible_columns] == {"*": ["Code"]}
    agree(model)


def test_tables_move_with_their_keys(model):
    """Rows, references in both directions and constraint names go with the table."""
    egg = model.table(LAB, EGG)
    egg.alter(schema_name=STRANGE, table_name="Ei")
    agree(model)
    asked = model.catalog.getCatalogModel().table(STRANGE, "Ei")
    assert {key.constraint_schema.name for key in [*asked.keys, *asked.foreign_keys]} == {STRANGE}
    assert {fkey.table.name for fkey in asked.referenced_by} == {HEN, PAIR}
    path = f"{urlquote(STRANGE)}:Ei"
    assert len(model.catalog.get(f"/entity/{path}").json()) == 30
    assert len(model.catalog.get(f"/entity/{path}/{urlquote(STRANGE)}:{urlquote(HEN)}").json()) == 2
    with pytest.raises(HTTPError, match="404"):
        model.catalog.get(f"/schema/{LAB}/table/{EGG}")


def test_columns(model):
    hen = model.table(STRANGE, HEN)
    column = hen.create_column(
        Column.define(
            "Age", builtin_types.int4, nullok=False, default=3, comment="Years", acls={"select": ["*"]}
        )
    )
    path = f"/entity/{urlquote(STRANGE)}:{urlquote(HEN)}"
    assert {row["Age"] for row in model.catalog.get(path).json()} == {3}
    column.alter(
        type=builtin_types.text, default="old", nullok=True, comment="Words", annotations={"tag:a,1:b": 1}
    )
    assert {row["Age"] for row in model.catalog.get(path).json()} == {"3"}
    agree(model)
    column.alter(name="Âge", acls={}, acl_bindings={})
    column.alter(default=None)
    agree(model)
    with pytest.raises(HTTPError, match="409"):
        hen.columns["Of egg"].alter(nullok=False)
    with pytest.raises(HTTPError, match="409"):
        hen.columns["Näme"].alter(type=builtin_types.int4)
    column.drop()
    agree(model)


def test_keys_and_foreign_keys(model):
    egg, hen = model.table(LAB, EGG), model.table(STRANGE, HEN)
    key = hen.create_key(Key.define(["RID", "Näme"], comment="Two", constraint_name="two of them"))
    key.alter(constraint_name="renamed", comment=None, annotations={"tag:a,1:b": 1})
    agree(model)
    egg.create_column(Column.define("Hen_RID", TEXT))
    with pytest.raises(HTTPError, match="409"):
        egg.create_key(Key.define(["Hen"]))
    fkey = egg.create_fkey(
        ForeignKey.define(["Hen_RID", "Hen"], STRANGE, HEN, ["RID", "Näme"], acls={"insert": ["*"]})
    )
    assert fkey.acls == {"insert": ["*"], "update": ["*"]}
    fkey.alter(on_delete="SET NULL", on_update="CASCADE", acls={}, comment="c", constraint_name="k")
    agree(model)
    model = model.catalog.getCatalogModel()
    key = model.table(STRANGE, HEN).key_by_columns(["RID", "Näme"])
    with pytest.raises(HTTPError, match="409"):
        key.drop()
    key.drop(cascade=True)
    agree(model)
    assert "k" not in {fkey.constraint_name for fkey in model.table(LAB, EGG).foreign_keys}


def test_references_are_made_with_their_columns(model):
    egg, hen = model.table(LAB, EGG), model.table(STRANGE, HEN)
    (column,), fkey = egg.create_reference(("Mother", True, hen))
    assert (column.name, fkey.pk_table, column.nullok) == ("Mother", hen, True)
    words = model.schemas[LAB].create_table(Table.define_vocabulary("Word", "x:{RID}"))
    link = model.schemas[LAB].create_table(Table.define_association([egg, words]))
    assert link.is_association()
    assert [found.table.name for found in egg.find_associations()] == [link.name]
    (term,) = (
        model.catalog.getPathBuilder()
        .schemas[LAB]
        .tables["Word"]
        .insert([{"Name": "w", "Description": "d"}], defaults={"ID", "URI"})
    )
    assert (term["ID"], term["URI"]) == (f"x:{term['RID']}", f"/id/{term['RID']}")
    model.schemas[LAB].create_table(Table.define_asset(LAB, "Picture"))
    agree(model)


def test_drops_reach_what_depends(model):
    with pytest.raises(HTTPError, match="409"):
        model.table(LAB, EGG).drop()
    model.table(LAB, EGG).columns["Code"].drop(cascade=True)
    agree(model)
    model.table(STRANGE, HEN).drop(cascade=True)
    agree(model)
    assert all(fkey.pk_table.name == "ERMrest_Client" for fkey in model.table(LAB, EGG).foreign_keys)


def test_a_new_client_sees_the_baseline(model):
    model.configure_baseline_catalog(headTitle="Eggs", publicSchemaDisplayName=True)
    agree(model)
    asked = model.catalog.getCatalogModel()
    assert asked.chaise_config["headTitle"] == "Eggs"
    assert set(asked.schemas["WWW"].tables) == {"Page", "File"}


def test_clear_and_apply(model):
    owner = [*model.acls.owner]
    model.clear(clear_comment=True)
    with pytest.raises(HTTPError, match="403"):
        model.apply()  # nobody can lock themselves out
    model.acls["owner"] = owner
    model.apply()
    asked = model.catalog.getCatalogModel()
    assert model.prejson()["schemas"] == asked.prejson()["schemas"]
    assert asked.annotations == {}
    assert asked.acls["owner"]
    egg = asked.table(LAB, EGG)
    assert (egg.comment, dict(egg.annotations), dict(egg.acls), dict(egg.acl_bindings)) == (None, {}, {}, {})


def test_apply_sends_only_what_changed(model):
    before = model.catalog.get("/").json()["snaptime"]
    model.apply()
    assert model.catalog.get("/").json()["snaptime"] == before
    egg = model.table(LAB, EGG)
    egg.acl_bindings["guard"]["types"] = ["update"]
    egg.columns["Weight"].acls["enumerate"] = ["*"]
    model.schemas[LAB].comment = "Other"
    model.apply()
    agree(model)
    assert model.catalog.getCatalogModel().table(LAB, EGG).acl_bindings["guard"]["types"] == ["update"]


def test_writers_that_did_not_see_the_latest_are_refused(catalog):
    seen = catalog.get("/annotation")
    catalog.put("/annotation", json={"tag:a,1:b": 1}, guard_response=seen)
    with pytest.raises(ConcurrentUpdate):
        catalog.put("/annotation", json={"tag:a,1:b": 2}, guard_response=seen)
    catalog.post("/schema/new")
    seen = catalog.get("/schema/new")
    catalog.post("/schema/other")
    with pytest.raises(ConcurrentUpdate):
        catalog.delete("/schema/new", guard_response=seen)
    catalog.delete("/schema/new", guard_response=catalog.get("/schema/new"))


@pytest.mark.parametrize("host", ["http"], indirect=True)
def test_cached_answers_are_never_old(catalog, http):
    """The client keeps answers, and asks whether they still hold."""
    kept = DerivaServer("http", http.removeprefix("http://"), caching=True).connect_ermrest(
        catalog.catalog_id
    )
    for number in range(3):
        catalog.put("/annotation", json={"tag:a,1:b": number})
        assert kept.get("/annotation").json() == {"tag:a,1:b": number}
        first = kept.get("/schema")
        assert kept.get("/schema") is first
