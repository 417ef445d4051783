import pytest
from hypothesis import given
from hypothesis import strategies as st

from deriva_ml.model import tags
from deriva_ml.model.build import Reference, asset_companions, association_table, feature_table
from deriva_ml.model.define import (
    AssetTableDef,
    ColumnDefinition,
    ForeignKeyDefinition,
    KeyDefinition,
    TableDefinition,
    VocabularyTableDef,
    element_name,
)
from deriva_ml.model.types import BuiltinTypes, type_document

SYSTEM = ["RID", "RCT", "RMT", "RCB", "RMB"]


def columns(document):
    return [column["name"] for column in document["column_definitions"]]


def foreign_keys(document):
    return {
        key["names"][0][1]: (
            key["referenced_columns"][0]["table_name"],
            key["referenced_columns"][0]["column_name"],
            key["on_delete"],
        )
        for key in document["foreign_keys"]
    }


@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=5))
def test_element_names_fit_and_are_told_apart(parts):
    name = element_name(*parts)
    assert 0 < len(name.encode()) <= 63
    if len(name.encode()) == 63:
        assert element_name(*parts, "other") != name


def test_type_documents():
    assert type_document(BuiltinTypes.int4) == {"typename": "int4"}
    assert type_document("markdown")["base_type"] == {"typename": "text"}
    assert type_document(BuiltinTypes.ermrest_rct)["base_type"] == {"typename": "timestamptz"}
    assert type_document(BuiltinTypes.text_array)["is_array"]
    assert type_document({"typename": "odd"}) == {"typename": "odd"}


def test_table_gets_system_columns_key_and_references():
    document = TableDefinition(name="Subject", columns=[ColumnDefinition("Name", nullok=False)]).to_dict()
    assert columns(document) == [*SYSTEM, "Name"]
    assert document["keys"][0]["unique_columns"] == ["RID"]
    assert foreign_keys(document) == {
        "Subject_RCB_fkey": ("ERMrest_Client", "ID", "NO ACTION"),
        "Subject_RMB_fkey": ("ERMrest_Client", "ID", "NO ACTION"),
    }


def test_without_system_columns_nothing_is_added():
    document = TableDefinition(name="T", columns=[ColumnDefinition("A")], provide_system=False).to_dict()
    assert columns(document) == ["A"]
    assert document["keys"] == document["foreign_keys"] == []


def test_documents_and_definitions_mix():
    plain = ColumnDefinition("B", BuiltinTypes.int4).to_dict()
    key = ForeignKeyDefinition(["A"], "s", "Other").to_dict()
    document = TableDefinition(name="T", columns=[ColumnDefinition("A"), plain], foreign_keys=[key]).to_dict()
    assert columns(document) == [*SYSTEM, "A", "B"]
    assert document["foreign_keys"][0]["referenced_columns"][0]["table_name"] == "Other"


def test_what_is_read_is_what_was_written():
    table = TableDefinition(
        name="T",
        columns=[ColumnDefinition("A", BuiltinTypes.int8, False, 5, "five", annotations={"x": 1})],
        keys=[KeyDefinition(["A"], comment="one each")],
        foreign_keys=[
            ForeignKeyDefinition(["A"], "s", "U", ["B"], on_delete="CASCADE", acls={"insert": ["*"]})
        ],
        comment="c",
        annotations={"y": None},
    )
    document = table.to_dict()
    assert TableDefinition.from_dict(document).to_dict() == document


def test_copies():
    table = TableDefinition(name="T")
    more = table.with_columns(ColumnDefinition("A")).with_keys(KeyDefinition(["A"])).with_comment("c")
    more = more.with_annotations({"x": 1}).with_foreign_keys(ForeignKeyDefinition(["A"], "s", "U"))
    assert table == TableDefinition(name="T")
    assert (more.comment, more.annotations, len(more.keys), len(more.foreign_keys)) == ("c", {"x": 1}, 1, 1)


@pytest.mark.parametrize("here, there", [([], []), (["A"], []), (["A", "B"], ["RID"])])
def test_foreign_key_needs_matching_columns(here, there):
    with pytest.raises(ValueError, match="as many columns"):
        ForeignKeyDefinition(here, "s", "T", there)


def test_vocabulary():
    document = VocabularyTableDef(name="Color", curie_template="demo:{RID}").to_dict()
    assert columns(document) == [*SYSTEM, "ID", "URI", "Name", "Description", "Synonyms"]
    defaults = {column["name"]: column["default"] for column in document["column_definitions"]}
    assert (defaults["ID"], defaults["URI"]) == ("demo:{RID}", "/id/{RID}")
    assert [key["unique_columns"] for key in document["keys"]] == [["RID"], ["ID"], ["URI"], ["Name"]]
    with pytest.raises(ValueError, match="curie_template"):
        VocabularyTableDef(name="Color", curie_template="demo")
    width = ColumnDefinition("Width")
    uri = "/term/{RID}"
    given = VocabularyTableDef("Color", "demo:{RID}", uri, [width])
    assert given == VocabularyTableDef(
        name="Color", curie_template="demo:{RID}", uri_template=uri, columns=[width]
    )
    assert AssetTableDef("demo", "Image", [width]) == AssetTableDef(
        name="Image", schema_name="demo", columns=[width]
    )


def test_asset_table():
    document = AssetTableDef(name="Image", schema_name="demo", columns=[ColumnDefinition("Width")]).to_dict()
    assert columns(document) == [*SYSTEM, "URL", "Filename", "Description", "Length", "MD5", "Width"]
    url = next(column for column in document["column_definitions"] if column["name"] == "URL")
    assert url["annotations"][tags.ASSET]["url_pattern"].startswith(
        "/hatrac/{{$catalog.id}}/demo/Image/{{{MD5}}}"
    )
    registered = AssetTableDef(name="File", schema_name="demo", hatrac_template=False).to_dict()
    url = next(column for column in registered["column_definitions"] if column["name"] == "URL")
    assert "url_pattern" not in url["annotations"][tags.ASSET]


def test_own_columns_replace_builtin_ones():
    document = AssetTableDef(
        name="Image", schema_name="demo", columns=[ColumnDefinition("Description", BuiltinTypes.text)]
    ).to_dict()
    assert columns(document).count("Description") == 1


def test_association():
    table = association_table([Reference("s", "A"), Reference("s", "V", "Name")], [ColumnDefinition("Note")])
    document = table.to_dict()
    assert document["table_name"] == "A_V"
    assert columns(document) == [*SYSTEM, "A", "V", "Note"]
    assert document["keys"][1] == {
        "unique_columns": ["A", "V"],
        "names": [["placeholder", "A_V_assoc_key"]],
        "comment": None,
        "annotations": {},
    }
    keys = foreign_keys(document)
    assert keys["A_V_A_fkey"] == ("A", "RID", "CASCADE")
    assert keys["A_V_V_fkey"] == ("V", "Name", "CASCADE")
    with pytest.raises(ValueError, match="differently named"):
        association_table([Reference("s", "A"), Reference("s", "A")])


def test_asset_companions():
    types, executions = (table.to_dict() for table in asset_companions("demo", "Image", "deriva-ml"))
    assert types["table_name"] == "Image_Asset_Type"
    assert set(foreign_keys(types)) >= {"Image_Asset_Type_Image_fkey", "Image_Asset_Type_Asset_Type_fkey"}
    assert columns(executions) == [*SYSTEM, "Image", "Execution", "Asset_Role"]
    assert executions["keys"][1]["unique_columns"] == ["Image", "Execution"]
    assert foreign_keys(executions)["Image_Execution_Asset_Role_fkey"] == ("Asset_Role", "Name", "CASCADE")


def test_feature():
    payload = [Reference("demo", "Label", "Name"), ColumnDefinition("Confidence", BuiltinTypes.float8)]
    document = feature_table(Reference("demo", "Image"), "Quality", payload, "deriva-ml").to_dict()
    assert document["table_name"] == "Execution_Image_Quality"
    assert columns(document) == [*SYSTEM, "Execution", "Image", "Feature_Name", "Label", "Confidence"]
    defaults = {column["name"]: column["default"] for column in document["column_definitions"]}
    assert defaults["Feature_Name"] == "Quality"
    assert document["keys"][1]["unique_columns"] == ["Execution", "Image", "Feature_Name"]
