import os
import subprocess
import sys

import pytest
import requests
from deriva.core import ErmrestCatalog

from deriva_ml.ermrest import rows
from deriva_ml.ermrest.connect import connect, create_catalog
from deriva_ml.ermrest.embedded import LocalTransport
from deriva_ml.ermrest.listing import list_catalogs
from deriva_ml.errors import (
    DerivaMLCatalogNotFound,
    DerivaMLConflictError,
    DerivaMLConnectionError,
    DerivaMLException,
    DerivaMLSchemaError,
    DerivaMLValidationError,
)
from deriva_ml.model import tags
from deriva_ml.model.define import TableDefinition
from deriva_ml.model.graph import CatalogModel
from deriva_ml.schema import (
    Policy,
    apply_policy,
    create_ml_catalog,
    create_ml_schema,
    create_or_retarget_ml_catalog,
    initialize_ml_schema,
    terms,
)
from deriva_ml.schema.tables import ml_schema_document
from deriva_server import LocalServer


def names(connection, table):
    return [row["Name"] for row in rows.read(connection, ("deriva-ml", table))]


def test_new_catalog(tmp_path, monkeypatch):
    sent = []
    send = LocalTransport.send
    monkeypatch.setattr(
        LocalTransport, "send", lambda *args, **more: sent.append(args[1].url) or send(*args, **more)
    )
    catalog = create_ml_catalog(str(tmp_path / "a" / "lab"), "lab", catalog_alias="main")
    assert len(sent) < 20
    assert isinstance(catalog, ErmrestCatalog)
    connection = connect(tmp_path / "a" / "lab", "main")
    assert connection.catalog.alias_target == catalog.catalog_id
    model = CatalogModel(connection.model())
    assert set(model.schemas["deriva-ml"].tables) == set(ml_schema_document("deriva-ml", "lab")["tables"])
    assert "Page" in model.schemas["WWW"].tables
    assert model.annotations[tags.CHAISE_CONFIG]["defaultTable"] == {
        "schema": "deriva-ml",
        "table": "Dataset",
    }
    assert model.schemas["public"].tables["ERMrest_Client"].annotations[tags.DISPLAY] == {"name": "Users"}
    for table, known in terms.TERMS.items():
        assert names(connection, table) == list(known)
    (execution,) = rows.read(connection, ("deriva-ml", "Execution"))
    assert (execution["Description"], execution["Status"]) == (terms.UNKNOWN_EXECUTION, "Aborted")
    (workflow,) = rows.read(connection, ("deriva-ml", "Workflow"))
    assert (execution["Workflow"], workflow["Checksum"]) == (workflow["RID"], "0" * 40)
    assert [row["Length"] for row in rows.read(connection, ("deriva-ml", "File"))] == [0]


def test_second_catalog_and_retargeted_alias(tmp_path):
    first = create_ml_catalog(tmp_path / "lab", "lab", "main")
    with pytest.raises(DerivaMLConflictError):
        create_ml_catalog(tmp_path / "lab", "lab", "main")
    assert connect(tmp_path / "lab", "main").catalog.alias_target == first.catalog_id
    second = create_or_retarget_ml_catalog(tmp_path / "lab", "lab", alias="main")
    assert second.catalog_id != first.catalog_id
    assert connect(tmp_path / "lab", "main").catalog.alias_target == second.catalog_id


@pytest.mark.parametrize("project", ["", "my project", "1st", "ü", None])
def test_project_names(tmp_path, project):
    with pytest.raises(DerivaMLValidationError, match="project_name"):
        create_ml_catalog(tmp_path / "lab", project)
    assert not (tmp_path / "lab").exists()


def test_unusable_folders(tmp_path):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path):
        with pytest.raises(DerivaMLConnectionError):
            create_ml_catalog(place, "lab")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("fails", ["/entity/deriva-ml:Workflow_Type", "/schema", "/annotation"])
@pytest.mark.parametrize("error", [requests.ConnectionError("lost"), KeyboardInterrupt()])
def test_nothing_half_made_remains(tmp_path, monkeypatch, fails, error):
    send = LocalTransport.send

    def failing(self, request, **more):
        if fails in request.url and request.method in ("POST", "PUT"):
            raise error
        return send(self, request, **more)

    with monkeypatch.context() as patch:
        patch.setattr(LocalTransport, "send", failing)
        with pytest.raises((DerivaMLException, KeyboardInterrupt)):
            create_ml_catalog(tmp_path / "lab", "lab")
    with pytest.raises(DerivaMLCatalogNotFound):
        connect(tmp_path / "lab", "1")


def test_schema_in_a_catalog_that_is_there(tmp_path):
    plain = create_catalog(tmp_path / "lab")
    create_ml_schema(plain.catalog)
    with pytest.raises(DerivaMLSchemaError, match="replace=True"):
        create_ml_schema(plain.catalog)
    create_ml_schema(plain.catalog.getCatalogModel(), "other-ml", "lab")
    model = plain.model()
    assert "Dataset" in model.schemas["other-ml"].tables
    create_ml_schema(plain, "other-ml", "lab2", replace=True)
    assert plain.model().table("other-ml", "Asset_Type").columns["ID"].default == "lab2:{RID}"


def test_initialize_adds_only_what_is_missing(ml_catalog):
    rows.delete(ml_catalog, ("deriva-ml", "Asset_Type"), {"Name": ["Input_File"]})
    before = {row["Name"]: row["RID"] for row in rows.read(ml_catalog, ("deriva-ml", "Asset_Type"))}
    for _ in range(2):
        initialize_ml_schema(ml_catalog.catalog)
    after = {row["Name"]: row["RID"] for row in rows.read(ml_catalog, ("deriva-ml", "Asset_Type"))}
    assert set(after) - set(before) == {"Input_File"} and before.items() <= after.items()
    assert rows.count(ml_catalog, ("deriva-ml", "Execution"), {"Description": [terms.UNKNOWN_EXECUTION]}) == 1


@pytest.fixture
def served(tmp_path):
    """Address of a served deployment."""
    with LocalServer.open(tmp_path / "lab", create=True) as server, server.serve(port=0) as running:
        yield running.url


def test_policy(served):
    policy = Policy(owners=["admin"], writers=["w"], readers=["r"])
    catalog = create_ml_catalog(served, "lab", policy=policy)
    model = catalog.getCatalogModel()
    assert model.acls["insert"] == ["admin", "w"] and model.acls["enumerate"] == ["*"]
    guard = model.table("deriva-ml", "Dataset").acl_bindings["row_owner_guard"]
    assert (guard["types"], guard["projection"], guard["scope_acl"]) == (
        ["update", "delete"],
        ["RCB"],
        ["admin", "w"],
    )
    model.schemas["deriva-ml"].create_table(TableDefinition("Later").to_dict())
    model = catalog.getCatalogModel()
    apply_policy(model, policy)
    model.apply()
    assert "row_owner_guard" in catalog.getCatalogModel().table("deriva-ml", "Later").acl_bindings


def test_a_policy_that_cannot_be_leaves_no_catalog(served, tmp_path):
    with pytest.raises(DerivaMLException, match="Granting rights on catalog 1"):
        create_ml_catalog(served, "lab", policy=Policy(owners=["somebody else"]))
    assert list_catalogs(served) == []
    with pytest.raises(DerivaMLValidationError, match="is a folder, which has no accounts"):
        create_ml_catalog(tmp_path / "new", "lab", policy=Policy(owners=["admin"]))
    assert not (tmp_path / "new").exists()
    with pytest.raises(DerivaMLValidationError, match="policy cannot be {'owners'"):
        create_ml_catalog(served, "lab", policy={"owners": ["admin"]})
    with pytest.raises(DerivaMLValidationError, match="needs owners"):
        Policy(owners=[])
    with pytest.raises(DerivaMLValidationError, match="writers must be a list of ids"):
        Policy(owners=["me"], writers="w")


def test_a_folder_is_open_to_whoever_can_read_it(tmp_path):
    """It may be copied, or mounted by a container that runs under another name."""
    catalog = create_ml_catalog(tmp_path / "lab", "lab")
    me = catalog.get_authn_session().json()["client"]["id"]
    assert catalog.getCatalogModel().acls["owner"] == [me, "admin"]
    program = (
        "import sys; from deriva_ml import DerivaML; ml = DerivaML(sys.argv[1], 1, working_dir=sys.argv[2]);"
        "ml.add_term('Dataset_Type', 'Theirs', 'of another user');"
        "print(ml.catalog.get_authn_session().json()['client']['id'])"
    )
    places = [str(tmp_path / name) for name in ("lab", "work")]
    done = subprocess.run(
        [sys.executable, "-c", program, *places],
        env={**os.environ, "LOGNAME": "anna"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "local/anna", done.stderr
