import copy
import os
import pickle

import pytest

from deriva_ml.ermrest import rows
from deriva_ml.ermrest.connect import create_catalog
from deriva_ml.errors import (
    DerivaMLCatalogNotFound,
    DerivaMLConfigurationError,
    DerivaMLConflictError,
    DerivaMLConnectionError,
    DerivaMLOfflineError,
    DerivaMLReadOnlyError,
    DerivaMLSchemaError,
    DerivaMLSchemaPinned,
    DerivaMLValidationError,
)
from deriva_ml.model import tags
from deriva_ml.model.define import ColumnDefinition, TableDefinition
from deriva_ml.names import ConnectionMode
from deriva_ml.session import Session


def opened(ml_catalog, tmp_path, **options):
    return Session.open(ml_catalog.host, ml_catalog.catalog_id, working_dir=tmp_path / "work", **options)


def test_what_a_session_knows(ml_session):
    assert (ml_session.default_schema, ml_session.domain_schemas, ml_session.project_name) == (
        "lab",
        {"lab"},
        "lab",
    )
    assert ml_session.table("Dataset") is ml_session.ml_table("Dataset")
    assert ml_session.cache_dir == ml_session.working_dir / "cache"
    assert (ml_session.working_dir / "schema-cache.json").is_file()
    assert ml_session.reader.count(ml_session.table("Execution_Status")) == 7


def test_default_place(ml_catalog, tmp_path, monkeypatch):
    monkeypatch.setenv("DERIVA_ML_HOME", str(tmp_path / "home"))
    session = Session.open(ml_catalog.host, ml_catalog.catalog_id)
    assert session.working_dir == tmp_path / "home" / ml_catalog.authority / ml_catalog.catalog_id


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_folder(ml_catalog, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DerivaMLConfigurationError, match="cannot be written"):
        opened(ml_catalog, tmp_path)


@pytest.mark.parametrize(
    "home, said", [("file", r"/file/lab.* cannot be written"), ("~nobody-here", "Nobody's home")]
)
def test_a_home_that_cannot_be_used_is_named(ml_catalog, tmp_path, monkeypatch, home, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DERIVA_ML_HOME", home)
    with pytest.raises(
        DerivaMLConfigurationError, match=f"{said}.*set DERIVA_ML_HOME to a folder that you can"
    ):
        Session.open(ml_catalog.host, ml_catalog.catalog_id)


def test_file_in_the_way(ml_catalog, tmp_path):
    (tmp_path / "work").write_text("x")
    with pytest.raises(DerivaMLConfigurationError, match="cannot be written"):
        opened(ml_catalog, tmp_path)


def test_catalog_of_another_kind(tmp_path):
    made = create_catalog(tmp_path / "lab")
    with pytest.raises(DerivaMLSchemaError, match="was not made for DerivaML"):
        opened(made, tmp_path)
    assert not (tmp_path / "work").exists()


def test_what_cannot_be_opened_leaves_nothing(ml_catalog, tmp_path):
    with pytest.raises(DerivaMLCatalogNotFound):
        Session.open(ml_catalog.host, "99", working_dir=tmp_path / "work")
    with pytest.raises(DerivaMLConnectionError):
        Session.open(tmp_path / "nowhere", "1", working_dir=tmp_path / "work")
    with pytest.raises(DerivaMLConnectionError, match="no-such-host"):
        Session.open("no-such-host.invalid", "1", working_dir=tmp_path / "work")
    assert list(tmp_path.iterdir()) == []


def test_unknown_schemas(ml_catalog, tmp_path):
    with pytest.raises(DerivaMLSchemaError, match="'nowhere'"):
        opened(ml_catalog, tmp_path, domain_schemas=["nowhere"])
    with pytest.raises(DerivaMLSchemaError, match="'nowhere'"):
        opened(ml_catalog, tmp_path, given_default_schema="nowhere")


def test_snapshots(ml_session, fresh):
    name = fresh("Later")
    then = ml_session.at(ml_session.connection.snaptime())
    ml_session.create_tables([TableDefinition(name=name)], navbar=False)
    assert name in ml_session.model.schemas["lab"].tables
    assert name not in then.model.schemas["lab"].tables
    assert ml_session.at(f"1@{then.connection.snapshot}") is then
    assert then.workspace is ml_session.workspace
    with pytest.raises(DerivaMLReadOnlyError):
        then.create_tables([TableDefinition(name=name)])


def test_new_tables_are_in_the_model_and_the_menus(ml_session, fresh):
    name, other = fresh("Here"), fresh("There")
    pair = [
        TableDefinition(name=name, columns=[ColumnDefinition("A")]),
        TableDefinition(name=other, columns=[ColumnDefinition(name)]),
    ]
    here, _ = ml_session.create_tables(pair)
    rows.insert(ml_session.connection, here, [{"A": "x"}])
    menus = ml_session.connection.get("/annotation").json()[tags.CHAISE_CONFIG]["navbarMenu"]["children"]
    shown = [entry["name"] for menu in menus if menu["name"] == "lab" for entry in menu["children"]]
    assert {name.replace("_", " "), other.replace("_", " ")} <= set(shown)
    ml_session.drop_table(name)
    assert name not in ml_session.refresh().schemas["lab"].tables


def test_tables_are_made_together_or_not_at_all(ml_session, fresh):
    name = fresh("Both")
    broken = TableDefinition(name=fresh("Broken"), columns=[ColumnDefinition("A", "no_such_type")])
    with pytest.raises(DerivaMLConflictError):
        ml_session.create_tables([TableDefinition(name=name), broken], navbar=False)
    assert name not in ml_session.refresh().schemas["lab"].tables
    with pytest.raises(DerivaMLSchemaError, match="no schema"):
        ml_session.create_tables([TableDefinition(name=name)], "nowhere")


def test_schemas(tmp_path):
    from deriva_ml.schema.create import create_connected

    made = create_connected(tmp_path / "lab", "lab")
    session = opened(made, tmp_path)
    assert session.default_schema is None
    with pytest.raises(DerivaMLValidationError, match="create_schema"):
        session.create_tables([TableDefinition(name="T")])
    session.create_schema("own")
    assert session.create_tables([TableDefinition(name="T")])[0].schema.name == "own"
    session.create_schema("second")
    assert session.default_schema is None
    with pytest.raises(DerivaMLConflictError):
        session.create_schema("own")


def test_offline_and_pinned(ml_catalog, tmp_path, fresh):
    with pytest.raises(DerivaMLConfigurationError, match="offline"):
        opened(ml_catalog, tmp_path, mode=ConnectionMode.offline)
    online = opened(ml_catalog, tmp_path)
    offline = opened(ml_catalog, tmp_path, mode="offline")
    assert offline.model.is_vocabulary("Asset_Type")
    for use in (lambda: offline.catalog.get("/"), lambda: offline.catalog.catalog_id):
        with pytest.raises(DerivaMLReadOnlyError, match="mode='online'"):
            use()
    assert "offline" in repr(copy.copy(offline.catalog))
    with pytest.raises(DerivaMLOfflineError):
        offline.create_tables([TableDefinition(name="T")])
    with pytest.raises(DerivaMLOfflineError):
        offline.refresh()
    online.workspace.pinned_model.pin("paper")
    name = fresh("After")
    online.create_tables([TableDefinition(name=name)], navbar=False)
    pinned = opened(ml_catalog, tmp_path)
    assert name not in pinned.model.schemas["lab"].tables
    with pytest.raises(DerivaMLSchemaPinned):
        pinned.refresh()
    pinned.workspace.pinned_model.unpin()
    assert name in pinned.refresh().schemas["lab"].tables


def test_pickle(ml_session):
    copy = pickle.loads(pickle.dumps(ml_session))
    assert copy.model.schemas.keys() == ml_session.model.schemas.keys()
    assert copy.working_dir == ml_session.working_dir
