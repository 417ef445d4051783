from itertools import chain

import pytest

from deriva_ml.model import tags
from deriva_ml.model.build import (
    Reference,
    asset_companions,
    association_table,
    element_association,
    feature_table,
    table_with_references,
)
from deriva_ml.model.define import AssetTableDef, ColumnDefinition, TableDefinition, VocabularyTableDef
from deriva_ml.model.document import DocumentModel
from deriva_ml.model.graph import CatalogModel
from deriva_ml.schema.exports import FRAGMENT, NESTED, TEMPLATE, bag_outputs, dataset_exports
from deriva_ml.schema.tables import ml_schema_document

ML, LAB = "deriva-ml", "lab"

# What there is of every dataset, in a catalog without tables of its own.
OWN = [
    "Dataset",
    "Dataset/Dataset_Dataset",
    "Dataset/Dataset_Dataset_Type",
    "Dataset/Dataset_Execution",
    "Dataset/Dataset_Execution/Execution",
    "Dataset/Dataset_Execution/Execution/Workflow",
    "Dataset/Dataset_File",
    "Dataset/Dataset_File/File",
    "Dataset/Dataset_File/File/File_Asset_Type",
    "Dataset/Dataset_File/File/File_Execution",
    "Dataset/Dataset_Version",
    "Dataset/Dataset_Version/Execution",
    "Dataset/Dataset_Version/Execution/Workflow",
    "Dataset/Directory_Dataset",
]
BELOW = "Dataset/Dataset_Dataset/"


def model_of(*definitions, elements=()):
    """A catalog with tables of a project, some of whose rows can be members of datasets."""
    tables = {}
    for definition in chain(definitions, (element_association(ML, LAB, name) for name in elements)):
        document = definition.to_dict()
        tables[document["table_name"]] = document
    return CatalogModel(
        DocumentModel({"schemas": {ML: ml_schema_document(ML, "demo"), LAB: {"tables": tables}}})
    )


def asset(name, *references):
    columns = [reference.column_definition() for reference in references]
    keys = [reference.foreign_key() for reference in references]
    return [
        AssetTableDef(name=name, schema_name=LAB, columns=columns, foreign_keys=keys),
        *asset_companions(LAB, name, ML),
    ]


def files(model, kind="csv"):
    """Destination to path of the outputs of a kind."""
    found = [output for output in bag_outputs(model) if output["destination"]["type"] == kind]
    return {output["destination"]["name"]: output["source"].get("path") for output in found}


def of_the_dataset(model):
    """Files of rows of a dataset itself that not every catalog has."""
    ours = [name for name in files(model) if not name.startswith((BELOW, "vocabularies/"))]
    assert set(OWN) <= set(ours)
    return sorted(set(ours) - set(OWN))


@pytest.fixture(scope="module")
def images():
    """Images of subjects with a mask for each, and terms for how good they are."""
    return model_of(
        TableDefinition("Subject", [ColumnDefinition("Name")]),
        VocabularyTableDef(name="Quality", curie_template="demo:{RID}"),
        VocabularyTableDef(name="Unused", curie_template="demo:{RID}"),
        *asset("Image", Reference(LAB, "Subject")),
        *asset("Mask"),
        feature_table(
            Reference(LAB, "Image"),
            "Good",
            [Reference(LAB, "Mask"), Reference(LAB, "Quality", "Name")],
            ML,
        ),
        elements=["Image"],
    )


def test_a_new_catalog_has_them():
    annotations = ml_schema_document(ML, "demo")["tables"]["Dataset"]["annotations"]
    assert annotations[tags.EXPORT] == TEMPLATE
    (template,) = TEMPLATE["detailed"]["templates"]
    assert template["outputs"] == [{"fragment_key": FRAGMENT}]
    assert annotations[tags.EXPORT_FRAGMENTS] == {FRAGMENT: bag_outputs(model_of())}
    assert of_the_dataset(model_of()) == []
    assert annotations[tags.VISIBLE_COLUMNS]


def test_members_with_what_is_said_of_them(images):
    image = "Dataset/Dataset_Image/Image"
    assert of_the_dataset(images) == [
        "Dataset/Dataset_Image",
        image,
        f"{image}/Execution_Image_Good",
        f"{image}/Execution_Image_Good/Mask",
        f"{image}/Image_Asset_Type",
        f"{image}/Image_Execution",
        f"{image}/Subject",
    ]
    assert files(images)[f"{image}/Execution_Image_Good/Mask"] == (
        "(RID)=(lab:Dataset_Image:Dataset)/(Image)=(lab:Image:RID)/(RID)=(lab:Execution_Image_Good:Image)"
        "/(Mask)=(lab:Mask:RID)"
    )


def test_nested_datasets_have_the_same(images):
    found = files(images)
    own = [name for name in found if not name.startswith((BELOW, "vocabularies/"))]
    levels = [
        [f"{BELOW * level}{name}" for name in own if name != "Dataset" or level]
        for level in range(NESTED + 1)
    ]
    assert set(chain(*levels)) | {"Dataset"} == {
        name for name in found if not name.startswith("vocabularies/")
    }
    step = "(RID)=(deriva-ml:Dataset_Dataset:Dataset)/(Nested_Dataset)=(deriva-ml:Dataset:RID)"
    assert found[f"{BELOW * 2}Dataset"] == f"{step}/{step}"
    assert found[f"{BELOW * 2}Dataset/Dataset_Image"] == f"{step}/{step}/(RID)=(lab:Dataset_Image:Dataset)"


def test_files_of_assets(images):
    tables = {name.split("/")[1] for name in files(images, "fetch")}
    assert tables == {"Image", "Mask", "File"}
    path = files(images, "fetch")["assets/File/{asset_rid}"]
    assert path.endswith(
        "(File)=(deriva-ml:File:RID)/!(URL::regexp::%5Etag%3A)"
        "/url:=URL,length:=Length,filename:=Filename,md5:=MD5,asset_rid:=RID"
    )


def test_vocabularies_that_rows_refer_to_are_there_as_a_whole(images):
    found = [output for output in bag_outputs(images) if output["source"].get("skip_root_path")]
    assert [output["source"]["path"] for output in found] == [
        *(f"deriva-ml:{name}" for name in ("Asset_Role", "Asset_Type", "Dataset_Type")),
        *(f"deriva-ml:{name}" for name in ("Execution_Status", "Feature_Name")),
        "lab:Quality",
    ]
    assert found[-1]["destination"] == {"type": "csv", "name": "vocabularies/lab/Quality"}


def test_two_references_to_one_table():
    eyes = [Reference(LAB, "Eye", name="Left"), Reference(LAB, "Eye", name="Right")]
    model = model_of(
        TableDefinition("Eye"), table_with_references("Person", eyes), elements=["Person", "Eye"]
    )
    person, eye = "Dataset/Dataset_Person/Person", "Dataset/Dataset_Eye/Eye"
    assert of_the_dataset(model) == sorted(
        [
            "Dataset/Dataset_Eye",
            eye,
            f"{eye}/Person.Left",
            f"{eye}/Person.Right",
            "Dataset/Dataset_Person",
            person,
            f"{person}/Left.Eye",
            f"{person}/Right.Eye",
        ]
    )
    assert files(model)[f"{person}/Right.Eye"].endswith("/(Right)=(lab:Eye:RID)")
    assert files(model)[f"{eye}/Person.Left"].endswith("/(RID)=(lab:Person:Left)")


def test_members_that_refer_to_datasets_themselves():
    study = table_with_references("Study", [Reference(ML, "Dataset", nullok=True)])
    found = of_the_dataset(model_of(study, elements=["Study"]))
    assert found == ["Dataset/Dataset_Study", "Dataset/Dataset_Study/Study", "Dataset/Study"]


def test_odd_names():
    model = model_of(TableDefinition("Ü {x}/y"), elements=["Ü {x}/y"])
    odd = "%C3%9C %7Bx%7D%2Fy"
    assert of_the_dataset(model) == [f"Dataset/Dataset_{odd}", f"Dataset/Dataset_{odd}/{odd}"]
    path = files(model)[f"Dataset/Dataset_{odd}/{odd}"]
    odd = odd.replace(" ", "%20")
    assert path == f"(RID)=(lab:Dataset_{odd}:Dataset)/({odd})=(lab:{odd}:RID)"


def test_tables_that_refer_to_each_other_a_lot():
    names = [f"T{number}" for number in range(9)]
    tables = [
        table_with_references(name, [Reference(LAB, other) for other in names if other != name])
        for name in names
    ]
    found = [name for name in files(model_of(*tables, elements=names)) if not name.startswith(BELOW)]
    assert {f"Dataset/Dataset_{name}/{name}" for name in names} <= set(found)
    assert {f"Dataset/Dataset_T1/T1/{name}" for name in names if name != "T1"} <= set(found)
    assert "Dataset/Dataset_Version/Execution" in found
    assert len(found) < 200


def test_a_catalog_without_nested_datasets():
    document = ml_schema_document(ML, "demo")
    del document["tables"]["Dataset_Dataset"]
    found = files(CatalogModel(DocumentModel({"schemas": {ML: document}})))
    assert {name for name in found if not name.startswith("vocabularies/")} == {
        name for name in OWN if name != "Dataset/Dataset_Dataset"
    }


def test_what_others_wrote_stays(images):
    theirs = {"compact": {"templates": []}}
    former = {tags.EXPORT: theirs, tags.EXPORT_FRAGMENTS: {"mine": [], FRAGMENT: ["old"]}, "other": 1}
    assert dataset_exports(images, former) == {
        tags.EXPORT: theirs,
        tags.EXPORT_FRAGMENTS: {"mine": [], FRAGMENT: bag_outputs(images)},
    }


def test_links_between_members_and_datasets_are_not_entered_from_members():
    pairs = association_table([Reference(ML, "Dataset"), Reference(LAB, "Subject")], name="Chosen")
    model = model_of(TableDefinition("Subject"), pairs, elements=["Subject"])
    assert of_the_dataset(model) == [
        "Dataset/Chosen",
        "Dataset/Chosen/Subject",
        "Dataset/Dataset_Subject",
        "Dataset/Dataset_Subject/Subject",
    ]
