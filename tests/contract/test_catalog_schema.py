"""A catalog as `create_ml_catalog` makes it, as other tools read it: by its schema document, not by our own classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from deriva_ml import BuiltinTypes, ColumnDefinition, DerivaML, TableDefinition
from deriva_ml.errors import DerivaMLException
from deriva_ml.schema import create_ml_catalog

ML = "deriva-ml"
PROJECT = "retina"

# Column, type, "!" where a value is needed; ">" table.column it refers to, "*" where changes there are passed on.
TABLES = """
Workflow: Name text | Description markdown | URL ermrest_uri | Checksum text | Version text
Workflow_Workflow_Type: Workflow text! >Workflow.RID* | Workflow_Type text! >Workflow_Type.Name*
Execution: Workflow text >Workflow.RID | Description markdown | Execution_Duration text | Download_Duration text
  | Upload_Duration text | Status text >Execution_Status.Name | Status_Detail text
Execution_Execution: Execution text! >Execution.RID* | Nested_Execution text! >Execution.RID* | Sequence int4
Dataset: Description markdown | Deleted boolean | Version text >Dataset_Version.RID*
Dataset_Dataset_Type: Dataset text! >Dataset.RID* | Dataset_Type text! >Dataset_Type.Name*
Dataset_Version: Version text | Description markdown | Dataset text >Dataset.RID | Execution text >Execution.RID
  | Minid text | Minid_Spec_Hash text | Snapshot text
Dataset_Dataset: Dataset text! >Dataset.RID* | Nested_Dataset text! >Dataset.RID*
Dataset_Execution: Dataset text! >Dataset.RID* | Execution text! >Execution.RID* | Dataset_Version text >Dataset_Version.RID
Directory_Dataset: Dataset text >Dataset.RID | Path text
Dataset_File: Dataset text! >Dataset.RID* | File text! >File.RID*
"""
VOCABULARIES = (
    "Feature_Name",
    "Asset_Type",
    "Asset_Role",
    "Execution_Status",
    "Workflow_Type",
    "Dataset_Type",
)
ASSETS = ("Execution_Metadata", "Execution_Asset", "File")
VOCABULARY = "ID ermrest_curie! | URI ermrest_uri! | Name text! | Description markdown! | Synonyms text[]"
ASSET = "URL text! | Filename text | Description markdown | Length int8! | MD5 text!"
TYPES = "{0} text! >{0}.RID* | Asset_Type text! >Asset_Type.Name*"
ROLES = "{0} text! >{0}.RID* | Execution text! >Execution.RID* | Asset_Role text! >Asset_Role.Name*"
SYSTEM = {
    "RID": "ermrest_rid",
    "RCT": "ermrest_rct",
    "RMT": "ermrest_rmt",
    "RCB": "ermrest_rcb",
    "RMB": "ermrest_rmb",
}
KEYS = {
    "Directory_Dataset": {("Dataset",)},
    "Dataset_Version": {("Dataset", "Version")},
    "Workflow_Workflow_Type": {("Workflow", "Workflow_Type")},
    "Execution_Execution": {("Execution", "Nested_Execution")},
    "Dataset_Dataset_Type": {("Dataset", "Dataset_Type")},
    "Dataset_Dataset": {("Dataset", "Nested_Dataset")},
    "Dataset_Execution": {("Dataset", "Execution")},
    "Dataset_File": {("Dataset", "File")},
    **{name: {("ID",), ("URI",), ("Name",)} for name in VOCABULARIES},
    **{name: {("URL",)} for name in ASSETS},
    **{f"{name}_Asset_Type": {(name, "Asset_Type")} for name in ASSETS},
    **{f"{name}_Execution": {(name, "Execution")} for name in ASSETS},
}
TERMS = {
    "Asset_Type": "Execution_Config Runtime_Env Hydra_Config Deriva_Config Metrics_File Execution_Metadata Execution_Asset "
    "File Input_File Output_File Model_File Notebook_Output",
    "Asset_Role": "Input Output",
    "Dataset_Type": "Complete File Directory Training Testing Validation Split Labeled Unlabeled",
    "Workflow_Type": "Training Testing Prediction Feature_Creation Visualization Analysis Ingest Data_Cleaning "
    "Dataset_Management",
    "Execution_Status": "Created Running Stopped Failed Pending_Upload Uploaded Aborted",
    "Feature_Name": "",
}
SHOWN = "tag:isrd.isi.edu,2016:visible-columns"
RELATED = "tag:isrd.isi.edu,2016:visible-foreign-keys"
TABLE = "tag:isrd.isi.edu,2016:table-display"
DISPLAY = "tag:misd.isi.edu,2015:display"
FILE = "tag:isrd.isi.edu,2017:asset"
CONFIG = "tag:isrd.isi.edu,2019:chaise-config"
EXPORT = "tag:isrd.isi.edu,2019:export"
FRAGMENTS = "tag:isrd.isi.edu,2021:export-fragment-definitions"


def _expected() -> dict[str, dict[str, tuple[str, bool, str | None]]]:
    lines = TABLES.replace("\n  |", " |").strip().splitlines()
    texts = dict(line.split(": ", 1) for line in lines)
    texts |= dict.fromkeys(VOCABULARIES, VOCABULARY) | dict.fromkeys(ASSETS, ASSET)
    for name in ASSETS:
        texts[f"{name}_Asset_Type"], texts[f"{name}_Execution"] = TYPES.format(name), ROLES.format(name)
    tables: dict[str, dict[str, tuple[str, bool, str | None]]] = {}
    for table, text in texts.items():
        columns = tables[table] = {}
        for part in text.split("|"):
            name, kind, *target = part.split()
            columns[name] = (kind.rstrip("!"), not kind.endswith("!"), target[0][1:] if target else None)
    return tables


EXPECTED = _expected()


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return create_ml_catalog(str(tmp_path_factory.mktemp("schema") / "lab"), PROJECT)


@pytest.fixture(scope="module")
def schema(catalog: Any) -> dict[str, Any]:
    return catalog.get("/schema").json()["schemas"][ML]


@pytest.fixture(scope="module")
def ml(tmp_path_factory: pytest.TempPathFactory) -> DerivaML:
    folder = tmp_path_factory.mktemp("domain")
    catalog = create_ml_catalog(str(folder / "lab"), PROJECT)
    catalog.getCatalogModel().create_schema({"schema_name": "retina"})
    ml = DerivaML(str(folder / "lab"), catalog.catalog_id, working_dir=folder / "work")
    ml.create_table(TableDefinition(name="Subject", columns=[ColumnDefinition("Name", BuiltinTypes.text)]))
    ml.create_vocabulary("Grade", "How bad")
    ml.create_asset(
        "Image", column_defs=[ColumnDefinition("Note", BuiltinTypes.text)], referenced_tables=["Subject"]
    )
    ml.create_asset_table("Mask", [])
    ml.create_feature("Image", "Quality", terms=["Grade"], comment="How good it is")
    ml.add_dataset_element_type("Image")
    return ml


def columns_of(table: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {column["name"]: column for column in table["column_definitions"]}


def references_of(table: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Foreign keys by their one column."""
    found = {}
    for key in table["foreign_keys"]:
        (column,) = key["foreign_key_columns"]
        found[column["column_name"]] = key
    return found


def keys_of(table: dict[str, Any]) -> set[tuple[str, ...]]:
    return {tuple(key["unique_columns"]) for key in table["keys"]}


def names(shown: list[dict[str, Any]]) -> list[str]:
    return [item["markdown_name"] for item in shown if isinstance(item, dict)]


def test_tables(schema: dict[str, Any]) -> None:
    assert set(schema["tables"]) == set(EXPECTED)
    assert schema["annotations"][DISPLAY] == {"name_style": {"underline_space": True}}


@pytest.mark.parametrize("name", EXPECTED)
def test_columns_and_references(schema: dict[str, Any], name: str) -> None:
    table = schema["tables"][name]
    columns, references = columns_of(table), references_of(table)
    assert set(columns) == set(EXPECTED[name]) | set(SYSTEM)
    for column, kind in SYSTEM.items():
        assert columns[column]["type"]["typename"] == kind
    assert columns["RID"]["nullok"] is False
    for column, (kind, nullok, target) in EXPECTED[name].items():
        assert (columns[column]["type"]["typename"], columns[column]["nullok"]) == (kind, nullok), column
        if target is None:
            assert column not in references
            continue
        key = references[column]
        (there,) = key["referenced_columns"]
        assert there["schema_name"] == ML
        assert f"{there['table_name']}.{there['column_name']}" == target.rstrip("*")
        passed_on = "CASCADE" if target.endswith("*") else "NO ACTION"
        assert (key["on_update"], key["on_delete"]) == (passed_on, passed_on), column
        assert key["names"] == [[ML, f"{name}_{column}_fkey"]]
    for column in ("RCB", "RMB"):
        (there,) = references[column]["referenced_columns"]
        assert (there["schema_name"], there["table_name"], there["column_name"]) == (
            "public",
            "ERMrest_Client",
            "ID",
        )
        assert references[column]["names"] == [[ML, f"{name}_{column}_fkey"]]


@pytest.mark.parametrize("name", EXPECTED)
def test_keys(schema: dict[str, Any], name: str) -> None:
    table = schema["tables"][name]
    assert {tuple(sorted(key)) for key in keys_of(table)} == {
        tuple(sorted(key)) for key in KEYS.get(name, set()) | {("RID",)}
    }
    called = {tuple(key["unique_columns"]): key["names"][0][1] for key in table["keys"]}
    assert called["RID",] == f"{name}_RIDkey1"
    for key, constraint in called.items():
        if len(key) > 1 and name != "Dataset_Version":
            assert constraint == f"{name}_assoc_key"


def test_defaults(schema: dict[str, Any]) -> None:
    tables = schema["tables"]
    for name in VOCABULARIES:
        columns = columns_of(tables[name])
        prefix = ML if name == "Workflow_Type" else PROJECT
        assert columns["ID"]["default"] == f"{prefix}:{{RID}}"
        assert columns["URI"]["default"] == "/id/{RID}"
    assert columns_of(tables["Dataset_Version"])["Version"]["default"] == "0.1.0"


def test_terms(catalog: Any) -> None:
    for vocabulary, terms in TERMS.items():
        found = catalog.get(f"/entity/{ML}:{vocabulary}@sort(RID)").json()
        known = [row["Name"] for row in found]
        assert known[: len(terms.split())] == terms.split()
        # Defaults of run_notebook and of the split command; a catalog without them could run neither.
        extra = ["Analysis Notebook", "Dataset_Split"] if vocabulary == "Workflow_Type" else []
        assert known[len(terms.split()) :] == extra
        for row in found:
            prefix = ML if vocabulary == "Workflow_Type" else PROJECT
            assert (row["ID"], row["URI"]) == (f"{prefix}:{row['RID']}", f"/id/{row['RID']}")
            assert row["Description"]


def test_rows_of_unknown_provenance(catalog: Any, ml: DerivaML) -> None:
    (workflow,) = catalog.get(f"/entity/{ML}:Workflow").json()
    assert (workflow["Name"], workflow["URL"], workflow["Checksum"]) == (
        "Unknown Provenance",
        "tag:deriva-ml,unknown-provenance:workflow",
        "0" * 40,
    )
    (file,) = catalog.get(f"/entity/{ML}:File").json()
    assert (file["URL"], file["MD5"], file["Length"], file["Filename"]) == (
        "tag:deriva-ml,unknown-provenance:file",
        "0" * 32,
        0,
        None,
    )
    (execution,) = catalog.get(f"/entity/{ML}:Execution").json()
    assert execution["Description"] == "deriva-ml unknown-provenance sentinel execution"
    assert (execution["Workflow"], execution["Status"]) == (workflow["RID"], "Aborted")
    assert execution["Status_Detail"]
    found = ml.catalog.get(f"/entity/{ML}:Execution/RID={ml.unknown_provenance_execution_rid()}").json()
    assert found[0]["Description"] == execution["Description"]
    found = ml.catalog.get(f"/entity/{ML}:File/RID={ml.unknown_provenance_file_rid()}").json()
    assert found[0]["URL"] == file["URL"]


def test_missing_rows_of_unknown_provenance_are_an_error(tmp_path: Any) -> None:
    catalog = create_ml_catalog(str(tmp_path / "lab"), PROJECT)
    catalog.delete(f"/entity/{ML}:File")
    catalog.delete(f"/entity/{ML}:Execution")
    ml = DerivaML(str(tmp_path / "lab"), catalog.catalog_id, working_dir=tmp_path / "work")
    for lookup in (ml.unknown_provenance_execution_rid, ml.unknown_provenance_file_rid):
        with pytest.raises(DerivaMLException, match="initialize_ml_schema"):
            lookup()


def test_annotations_of_the_catalog(catalog: Any) -> None:
    document = catalog.get("/schema").json()
    annotations = document["annotations"]
    assert annotations[DISPLAY] == {"name_style": {"underline_space": True}}
    config = annotations[CONFIG]
    assert set(config) >= {"headTitle", "navbarBrandText", "navbarMenu"}
    assert config["systemColumnsDisplayEntry"] == config["systemColumnsDisplayCompact"] == ["RID"]
    assert config["defaultTable"] == {"schema": ML, "table": "Dataset"}
    for name in ("deleteRecord", "showFaceting", "shareCiteAcls"):
        assert config[name] is True
    for name in ("resolverImplicitCatalog", "showWriterEmptyRelatedOnLoad"):
        assert config[name] is False
    assert "exportConfigsSubmenu" in config
    menus = {menu["name"]: menu for menu in config["navbarMenu"]["children"]}
    own = [entry["url"].rpartition(":")[2] for entry in menus["Deriva-ML"]["children"]]
    assert own == [
        "Workflow",
        "Execution",
        "Execution_Metadata",
        "Execution_Asset",
        "Dataset",
        "Dataset_Version",
        "File",
    ]
    people = [entry["url"].rpartition(":")[2] for entry in menus["User Info"]["children"]]
    assert people == ["ERMrest_Client", "ERMrest_Group", "ERMrest_RID_Lease"]
    assert "asset_mappings" in annotations["tag:isrd.isi.edu,2017:bulk-upload"]
    client = document["schemas"]["public"]["tables"]["ERMrest_Client"]["annotations"]
    assert client[DISPLAY] == {"name": "Users"}
    assert "Full_Name" in client[TABLE]["row_name"]["row_markdown_pattern"]
    assert client[SHOWN]["compact"]


def test_annotations_of_tables(schema: dict[str, Any]) -> None:
    tables = {name: table["annotations"] for name, table in schema["tables"].items()}
    for name in ("Workflow", "Execution", "Dataset"):
        assert tables[name][TABLE]["*"]["row_order"] == [{"column": "RCT", "descending": True}]
    for name in ("Workflow", "Execution", "Dataset", "Dataset_Version"):
        assert tables[name][SHOWN]["*"]
    assert {
        name: names(tables[name][RELATED]["detailed"]) for name in ("Workflow", "Execution", "Dataset")
    } == {
        "Workflow": ["Executions"],
        "Execution": [
            "Input Datasets",
            "Input Dataset Versions",
            "Input Files",
            "Output Datasets",
            "Execution Assets",
            "Execution Metadata",
            "Parent Executions",
            "Child Executions",
        ],
        "Dataset": ["Member Datasets", "Parent Collections", "Versions", "Consumed By Executions"],
    }
    assert names(tables["Dataset_Version"][RELATED]["detailed"]) == ["Consumed By Executions"]
    version = next(item for item in tables["Dataset_Version"][SHOWN]["*"] if isinstance(item, dict))
    assert "/id/" in version["display"]["markdown_pattern"]
    assert "@{{{Snapshot}}}" in version["display"]["markdown_pattern"]
    (template,) = tables["Dataset"][EXPORT]["detailed"]["templates"]
    assert template["type"] == "BAG"
    assert {part["fragment_key"] for part in template["outputs"]} == set(tables["Dataset"][FRAGMENTS])


@pytest.mark.parametrize("name", ASSETS)
def test_annotations_of_asset_tables(schema: dict[str, Any], name: str) -> None:
    table = schema["tables"][name]
    annotations = table["annotations"]
    assert annotations[TABLE]["row_name"] == {"row_markdown_pattern": "{{{Filename}}}"}
    assert {"Asset Types", "Produced By"} <= set(names(annotations[SHOWN]["*"]))
    assert {"*", "detailed", "filter"} <= set(annotations[SHOWN])
    assert names(annotations[RELATED]["detailed"]) == ["Consumed By"]
    asset = columns_of(table)["URL"]["annotations"][FILE]
    assert (asset["filename_column"], asset["byte_count_column"], asset["md5"]) == (
        "Filename",
        "Length",
        "MD5",
    )
    assert asset["display"]["*"]["file_preview"]
    if name != "File":
        assert asset["url_pattern"] == "/hatrac/metadata/{{MD5}}.{{Filename}}"


def test_tables_of_a_project(ml: DerivaML) -> None:
    document = ml.catalog.get("/schema").json()
    tables = document["schemas"]["retina"]["tables"]
    assert set(tables) == {
        "Subject",
        "Grade",
        "Image",
        "Image_Asset_Type",
        "Image_Execution",
        "Mask",
        "Mask_Asset_Type",
        "Mask_Execution",
        "Execution_Image_Quality",
        "Dataset_Image",
    }
    assert keys_of(tables["Image"]) == {("RID",), ("URL",)}
    assert set(columns_of(tables["Image"])) == {
        *SYSTEM,
        "URL",
        "Filename",
        "Description",
        "Length",
        "MD5",
        "Note",
        "Subject",
    }
    url = columns_of(tables["Image"])["URL"]["annotations"][FILE]["url_pattern"]
    assert url == "/hatrac/{{$catalog.id}}/retina/Image/{{{MD5}}}.{{#encode}}{{{Filename}}}{{/encode}}"
    url = columns_of(tables["Mask"])["URL"]["annotations"][FILE]["url_pattern"]
    assert url == "/hatrac/metadata/{{MD5}}.{{Filename}}"
    (image,) = ml.catalog.get(f"/entity/{ML}:Asset_Type/Name=Image").json()
    assert image["Description"] == "A Image asset"
    assert ml.catalog.get(f"/entity/{ML}:Asset_Type/Name=Mask").json() == []
    roles = references_of(tables["Image_Execution"])
    assert set(roles) - {"RCB", "RMB"} == {"Image", "Execution", "Asset_Role"}
    assert columns_of(tables["Image_Execution"])["Asset_Role"]["nullok"] is False
    assert {tuple(sorted(key)) for key in keys_of(tables["Image_Execution"])} == {
        ("RID",),
        ("Execution", "Image"),
    }
    members = references_of(tables["Dataset_Image"])
    assert (members["Image"]["on_delete"], members["Dataset"]["on_delete"]) == ("CASCADE", "CASCADE")
    assert columns_of(tables["Grade"])["ID"]["default"] == "retina:{RID}"
    menus = {
        menu["name"]: menu.get("children", [])
        for menu in document["annotations"][CONFIG]["navbarMenu"]["children"]
    }
    assert "Image:Quality" in [entry["name"] for entry in menus["Features"]]
    assert {"Image", "Mask"} <= {entry["url"].rpartition(":")[2] for entry in menus["Assets"]}
    assert "Grade" in {entry["url"].rpartition(":")[2] for entry in menus["Vocabulary"]}
    targets = [
        mapping.get("target_table")
        for mapping in document["annotations"]["tag:isrd.isi.edu,2017:bulk-upload"]["asset_mappings"]
    ]
    assert ["retina", "Image"] in targets


def test_the_table_of_a_feature(ml: DerivaML) -> None:
    table = ml.catalog.get("/schema").json()["schemas"]["retina"]["tables"]["Execution_Image_Quality"]
    columns, references = columns_of(table), references_of(table)
    assert set(columns) == {*SYSTEM, "Execution", "Image", "Feature_Name", "Grade"}
    assert {
        name: columns[name]["nullok"] for name in ("Execution", "Image", "Feature_Name", "Grade")
    } == dict.fromkeys(("Execution", "Image", "Feature_Name", "Grade"), False)
    assert columns["Feature_Name"]["default"] == "Quality"
    there = {
        name: (key["referenced_columns"][0]["table_name"], key["referenced_columns"][0]["column_name"])
        for name, key in references.items()
        if name not in SYSTEM
    }
    assert there == {
        "Execution": ("Execution", "RID"),
        "Image": ("Image", "RID"),
        "Feature_Name": ("Feature_Name", "Name"),
        "Grade": ("Grade", "Name"),
    }
    assert {tuple(sorted(key)) for key in keys_of(table)} == {
        ("RID",),
        ("Execution", "Feature_Name", "Image"),
    }
    assert (
        table["annotations"][TABLE]["row_name"]["row_markdown_pattern"] == "{{{Image}}}: {{{Feature_Name}}}"
    )
    assert "Produced By" in names(table["annotations"][SHOWN]["*"])
    (term,) = ml.catalog.get(f"/entity/{ML}:Feature_Name/Name=Quality").json()
    assert term["Description"] == "How good it is"


def exported(ml: DerivaML) -> set[str]:
    """Tables of the project whose rows the web interface exports of a dataset itself."""
    annotations = ml.catalog.get("/schema").json()["schemas"][ML]["tables"]["Dataset"]["annotations"]
    outputs = [output for part in annotations[FRAGMENTS].values() for output in part]
    names = [output["destination"]["name"].split("/") for output in outputs]
    tables = {name[-1] for name in names if name[:2] != ["Dataset", "Dataset_Dataset"]}
    return tables & set(ml.model.schemas["field"].tables)


def test_exports_follow_the_tables(tmp_path: Path) -> None:
    catalog = create_ml_catalog(str(tmp_path / "lab"), PROJECT)
    ml = DerivaML(str(tmp_path / "lab"), catalog.catalog_id, working_dir=tmp_path / "work")
    ml.create_schema("field")
    ml.create_table(TableDefinition(name="Plant", columns=[ColumnDefinition("Name")]))
    assert exported(ml) == set()
    ml.add_dataset_element_type("Plant")
    assert exported(ml) == {"Dataset_Plant", "Plant"}
    ml.create_feature("Plant", "Height", metadata=[ColumnDefinition("Metres", BuiltinTypes.float8)])
    assert exported(ml) == {"Dataset_Plant", "Plant", "Execution_Plant_Height"}
    ml.delete_feature("Plant", "Height")
    assert exported(ml) == {"Dataset_Plant", "Plant"}


def test_exports_of_a_catalog_that_had_none(tmp_path: Path) -> None:
    catalog = create_ml_catalog(str(tmp_path / "lab"), PROJECT)
    place = f"/schema/{ML}/table/Dataset/annotation"
    made = catalog.get(f"{place}/{quote(FRAGMENTS)}").json()
    for tag in (EXPORT, FRAGMENTS):
        catalog.delete(f"{place}/{quote(tag)}")
    own = {"detailed": {"templates": [{"displayname": "Mine", "type": "BAG", "outputs": []}]}}
    catalog.put(f"{place}/{quote(EXPORT)}", json=own)
    ml = DerivaML(str(tmp_path / "lab"), catalog.catalog_id, working_dir=tmp_path / "work")
    ml.apply_catalog_annotations()
    assert catalog.get(f"{place}/{quote(FRAGMENTS)}").json() == made
    assert catalog.get(f"{place}/{quote(EXPORT)}").json() == own
