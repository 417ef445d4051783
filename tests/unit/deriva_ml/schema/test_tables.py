from deriva_ml.model.document import DocumentModel
from deriva_ml.model.graph import CatalogModel
from deriva_ml.names import ExecutionStatus
from deriva_ml.schema.display import bulk_upload, chaise_config, ml_table_annotations
from deriva_ml.schema.tables import ml_schema_document, www_schema_document
from deriva_ml.schema.terms import TERMS

ML = "deriva-ml"
SYSTEM = {"RID", "RCT", "RMT", "RCB", "RMB"}


def document():
    return {"schemas": {ML: ml_schema_document(ML, "demo"), "WWW": www_schema_document()}}


def test_tables_have_the_columns_of_the_contract():
    tables = document()["schemas"][ML]["tables"]
    found = {
        name: {c["name"] for c in table["column_definitions"]} - SYSTEM for name, table in tables.items()
    }
    assert found["Workflow"] == {"Name", "Description", "URL", "Checksum", "Version"}
    assert found["Execution"] == {
        "Workflow",
        "Description",
        "Execution_Duration",
        "Download_Duration",
        "Upload_Duration",
        "Status",
        "Status_Detail",
    }
    assert found["Execution_Execution"] == {"Execution", "Nested_Execution", "Sequence"}
    assert found["Dataset"] == {"Description", "Deleted", "Version"}
    assert found["Dataset_Version"] == {
        "Version",
        "Description",
        "Dataset",
        "Execution",
        "Minid",
        "Minid_Spec_Hash",
        "Snapshot",
    }
    assert found["Dataset_Execution"] == {"Dataset", "Execution", "Dataset_Version"}
    assert found["Directory_Dataset"] == {"Dataset", "Path"}
    assert found["File_Execution"] == {"File", "Execution", "Asset_Role"}
    assert len(tables) == 6 + 4 + 7 + 9


def test_foreign_key_names_and_targets():
    tables = document()["schemas"][ML]["tables"]
    keys = {
        key["names"][0][1]: (
            key["referenced_columns"][0]["table_name"],
            key["referenced_columns"][0]["column_name"],
        )
        for table in tables.values()
        for key in table["foreign_keys"]
    }
    assert keys["Execution_Workflow_fkey"] == ("Workflow", "RID")
    assert keys["Execution_Status_fkey"] == ("Execution_Status", "Name")
    assert keys["Dataset_Version_fkey"] == ("Dataset_Version", "RID")
    assert keys["Dataset_Version_Dataset_fkey"] == ("Dataset", "RID")
    assert keys["Dataset_Execution_Dataset_Version_fkey"] == ("Dataset_Version", "RID")
    assert keys["Execution_Asset_Execution_Asset_Role_fkey"] == ("Asset_Role", "Name")
    assert all(
        name.startswith(("Execution", "Dataset", "Workflow", "File", "Directory", *TERMS)) for name in keys
    )


def test_curies():
    tables = document()["schemas"][ML]["tables"]
    default = {
        name: next(c["default"] for c in tables[name]["column_definitions"] if c["name"] == "ID")
        for name in TERMS
    }
    assert default.pop("Workflow_Type") == "deriva-ml:{RID}"
    assert set(default.values()) == {"demo:{RID}"}


def test_annotations_name_constraints_and_columns_that_exist():
    model = DocumentModel(document())
    constraints = {
        (name, key.constraint_name)
        for name, s in model.schemas.items()
        for t in s.tables.values()
        for key in t.foreign_keys
    }

    def check(value):
        if isinstance(value, dict):
            for part in ("inbound", "outbound"):
                if part in value:
                    assert tuple(value[part]) in constraints
            for item in value.values():
                check(item)
        elif isinstance(value, list):
            if len(value) == 2 and value[0] == ML:
                assert tuple(value) in constraints
            for item in value:
                check(item)

    check(ml_table_annotations(ML))
    for table in model.schemas[ML].tables.values():
        check(table.annotations)


def test_terms_of_statuses():
    assert list(TERMS["Execution_Status"]) == list(ExecutionStatus)
    assert {"Input_File", "Output_File", "Model_File"} <= set(TERMS["Asset_Type"])


def test_catalog_annotations():
    model = CatalogModel(DocumentModel(document()))
    config = chaise_config(model, "7")
    assert [menu["name"] for menu in config["navbarMenu"]["children"]] == [
        "User Info",
        "Deriva-ML",
        "WWW",
        "Vocabulary",
        "Assets",
        "Features",
        "Catalog Registry",
        "Documentation",
    ]
    assert (
        config["navbarMenu"]["children"][1]["children"][0]["url"] == "/chaise/recordset/#7/deriva-ml:Workflow"
    )
    mappings = bulk_upload(model)["asset_mappings"]
    assert [mapping.get("target_table") for mapping in mappings] == [
        [ML, "Execution_Metadata"],
        [ML, "Execution_Asset"],
        None,
    ]
