import pytest

from deriva_ml.errors import (
    AmbiguousAssociationException,
    DerivaMLTableNotFound,
    DerivaMLTableTypeError,
    DerivaMLValidationError,
    NoAssociationException,
)
from deriva_ml.model.build import (
    Reference,
    asset_companions,
    association_table,
    element_association,
    feature_table,
)
from deriva_ml.model.define import AssetTableDef, ColumnDefinition, TableDefinition, VocabularyTableDef
from deriva_ml.model.document import DocumentModel
from deriva_ml.model.elements import dataset_element
from deriva_ml.model.graph import CatalogModel
from deriva_ml.schema.tables import ml_schema_document

ML = "deriva-ml"


def schema(name, tables):
    return {"schema_name": name, "tables": {table.name: table.to_dict() for table in tables}}


def domain():
    image = AssetTableDef(name="Image", schema_name="demo", columns=[ColumnDefinition("Width")])
    label = VocabularyTableDef(name="Label", curie_template="demo:{RID}")
    eye = VocabularyTableDef(name="Side", curie_template="demo:{RID}")
    subject = TableDefinition(name="Subject", columns=[ColumnDefinition("Name")])
    grade = association_table(
        [
            Reference(ML, "Execution"),
            Reference("demo", "Subject"),
            Reference(ML, "Feature_Name", "Name", default="Grade"),
            Reference("demo", "Side", "Name"),
        ],
        [Reference("demo", "Label", "Name")],
        name="Execution_Subject_Grade",
    )
    return [
        image,
        label,
        eye,
        subject,
        TableDefinition(name="Visit", columns=[ColumnDefinition("Day")]),
        grade,
        *asset_companions("demo", "Image", ML),
        feature_table(Reference("demo", "Image"), "Quality", [Reference("demo", "Label", "Name")], ML),
        element_association(ML, "demo", "Image"),
        element_association(ML, "demo", "Subject"),
    ]


@pytest.fixture(scope="module")
def model():
    schemas = {
        ML: ml_schema_document(ML, "demo"),
        "demo": schema("demo", domain()),
        "public": schema("public", []),
    }
    return CatalogModel(DocumentModel({"schemas": schemas}))


def names(tables):
    return sorted(table.name for table in tables)


def test_kinds(model):
    assert model.default_schema == "demo" and model.domain_schemas == {"demo"}
    assert names(model.find_assets()) == ["Execution_Asset", "Execution_Metadata", "File", "Image"]
    assert {"Label", "Side", "Asset_Type"} <= set(names(model.find_vocabularies()))
    assert model.is_asset("Image") and not model.is_asset("Subject")
    assert model.is_vocabulary("Label") and not model.is_vocabulary("Image")
    assert model.asset_metadata("Image") == {"Width"}
    with pytest.raises(DerivaMLTableTypeError):
        model.asset_metadata("Subject")
    with pytest.raises(DerivaMLTableTypeError):
        model.require_vocabulary("Subject")


def test_names(model):
    table = model.name_to_table("Image")
    assert (
        model.name_to_table(("demo", "Image"))
        is model.name_to_table("demo:Image")
        is model.name_to_table(table)
        is table
    )
    assert model.name_to_table("Dataset").schema.name == ML
    with pytest.raises(DerivaMLTableNotFound, match=r"'Imagery'.*Did you mean 'Image") as caught:
        model.name_to_table("Imagery")
    assert caught.value.table_name == "Imagery"
    with pytest.raises(DerivaMLTableNotFound, match=r"no table 'Image' in schema 'nowhere' here\."):
        model.name_to_table(("nowhere", "Image"))


def test_names_in_several_domain_schemas():
    one, two = (schema(name, [TableDefinition(name="T")]) for name in ("one", "two"))
    document = {"schemas": {ML: ml_schema_document(ML, "x"), "one": one, "two": two}}
    with pytest.raises(DerivaMLValidationError, match="several schemas"):
        CatalogModel(DocumentModel(document)).name_to_table("T")
    chosen = CatalogModel(DocumentModel(document), default_schema="two")
    assert chosen.name_to_table("T").schema.name == "two"


def test_associations(model):
    assert model.is_association("Dataset_Image") == 2
    assert not model.is_association("Image_Execution")
    assert model.is_association("Image_Execution", pure=False) == 2
    assert model.is_association("Execution_Image_Quality", 3, None, pure=False) == 3
    assert not model.is_association("Image")
    table, here, there = model.find_association("Image", "Execution")
    assert (table.name, here, there) == ("Image_Execution", "Image", "Execution")
    assert model.asset_types("Image")[1:] == ("Image", "Asset_Type")
    with pytest.raises(NoAssociationException):
        model.find_association("Subject", "Image")


def test_ambiguous_association():
    pair = [Reference("demo", "A"), Reference("demo", "B")]
    tables = [TableDefinition(name="A"), TableDefinition(name="B")]
    links = [association_table(pair, name="First"), association_table(pair, name="Second")]
    document = {"schemas": {"demo": schema("demo", tables + links)}}
    with pytest.raises(AmbiguousAssociationException) as caught:
        CatalogModel(DocumentModel(document)).find_association("A", "B")
    assert caught.value.count == 2


def test_self_association(model):
    table, here, there = model.find_association("Dataset", "Dataset")
    assert (table.name, here, there) == ("Dataset_Dataset", "Dataset", "Nested_Dataset")


def test_features(model):
    found = {(feature.target.name, feature.name): feature for feature in model.find_features()}
    assert set(found) == {("Image", "Quality"), ("Subject", "Grade")}
    assert found["Subject", "Grade"].qualifiers == ("Side",)
    assert found["Image", "Quality"].target_column == "Image"
    assert [feature.name for feature in model.find_features("Image")] == ["Quality"]
    assert model.find_features("Label") == []


def test_dataset_elements(model):
    elements = {element.table.name: element for element in model.dataset_elements()}
    assert set(elements) == {"Dataset", "File", "Image", "Subject"}
    assert elements["Image"].association.name == "Dataset_Image"
    assert (elements["Dataset"].dataset_column, elements["Dataset"].element_column) == (
        "Dataset",
        "Nested_Dataset",
    )


@pytest.mark.parametrize(
    "table, said",
    [
        ("Label", "they are terms. What refers to a term can be a member"),
        ("Workflow", "only rows of tables of your own schemas, files and datasets can be."),
        ("Image_Asset_Type", "they only join Image and Asset_Type. Let rows of one"),
        ("Visit", r"allow it with ml\.add_dataset_element_type\('Visit'\)\.$"),
    ],
)
def test_rows_that_are_no_members_say_why(model, table, said):
    with pytest.raises(
        DerivaMLTableTypeError, match=f"Rows of '{table}' cannot be members of a dataset[:;] {said}"
    ):
        dataset_element(model, table)


def test_references(model):
    assert model.reference_to("Label").column == "Name"
    assert model.reference_to("Image", "Picture", nullok=True) == Reference(
        "demo", "Image", "RID", "Picture", True
    )
