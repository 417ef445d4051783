"""The bag of a dataset that Chaise asks for: the template of a catalog, carried out by deriva-py, which exports for Chaise."""

import copy
import csv
import gc

import pytest
from bdbag import bdbag_api
from deriva.core import tag
from deriva.core.annotation import validate
from deriva.transfer.download.deriva_download import GenericDownloader

from deriva_ml import DerivaML, FileSpec
from deriva_ml.bag import layout
from deriva_ml.dataset.export import reach
from deriva_ml.demo_catalog import create_demo_catalog, png
from deriva_ml.model.ways import name_of

BRACES = "a {b} ü.png"


@pytest.fixture(scope="module")
def lab(http, tmp_path_factory):
    """A catalog of the demonstration, opened over HTTP."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
        catalog = create_demo_catalog(http)
        yield DerivaML(http, catalog.catalog_id, working_dir=tmp_path_factory.mktemp("work"))
        catalog.delete_ermrest_catalog(really=True)


def filled(annotation, fragments):
    """An annotation with fragments in the place of their names; what is a list becomes part of the list around it."""
    if isinstance(annotation, dict):
        if "fragment_key" in annotation:
            return filled(fragments[annotation["fragment_key"]], fragments)
        return {key: filled(value, fragments) for key, value in annotation.items()}
    if not isinstance(annotation, list):
        return annotation
    found = []
    for item in annotation:
        made = filled(item, fragments)
        found += made if isinstance(made, list) else [made]
    return found


def annotated(ml):
    """The table of datasets with its export annotation, fragments filled in."""
    dataset = ml.catalog.getCatalogModel().schemas["deriva-ml"].tables["Dataset"]
    fragments = dataset.annotations[tag.export_fragment_definitions]
    dataset.annotations[tag.export_2019] = filled(dataset.annotations[tag.export_2019], fragments)
    return dataset


def as_asked(dataset, rid):
    """What Chaise sends to the export service from the page of a row."""
    (template,) = dataset.annotations[tag.export_2019]["detailed"]["templates"]
    root = f"M:=deriva-ml:Dataset/RID={rid}"
    processors = []
    for output in template["outputs"]:
        source, destination = output["source"], output["destination"]
        parts = [source["api"], "" if source.get("skip_root_path") else root, source.get("path", "")]
        processors.append(
            {
                "processor": destination["type"],
                "processor_params": {
                    "query_path": f"/{'/'.join(part for part in parts if part)}?limit=none",
                    "output_path": destination["name"],
                    **destination.get("params", {}),
                },
            }
        )
    return {
        "bag": {"bag_name": f"Dataset_{rid}", "bag_algorithms": ["md5"], "bag_metadata": {}},
        "catalog": {"query_processors": processors},
    }


def downloaded(ml, http, rid, folder):
    server = {"host": http.removeprefix("http://"), "protocol": "http", "catalog_id": ml.catalog_id}
    made = GenericDownloader(
        server, output_dir=str(folder), config=as_asked(annotated(ml), rid), token="x"
    ).download()
    gc.collect()
    return folder / f"Dataset_{rid}", made


def csv_rows(bag, way):
    path = bag / "data" / f"{way}.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def rids(bag, way):
    return {row["RID"] for row in csv_rows(bag, way)}


def test_the_form(lab):
    dataset = annotated(lab)
    before = copy.deepcopy(dataset.annotations)
    for output in dataset.annotations[tag.export_2019]["detailed"]["templates"][0]["outputs"]:
        # ermrestjs documents it, the schema of deriva-py does not know it.
        output["source"].pop("skip_root_path", None)
    assert dataset.annotations[tag.export_2019] != before[tag.export_2019]
    assert validate(dataset, tag.export_2019) == []


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_a_bag(lab, http, tmp_path):
    subject, *_ = [row["RID"] for row in lab.get_table_as_dict("Subject")]
    images = [image.asset_rid for image in lab.list_assets("Image")]
    (tmp_path / "source.txt").write_text("elsewhere")
    with lab.create_execution(
        workflow=lab.create_workflow("Demonstration ingest", "Ingest"), description="Sets in sets"
    ) as exe:
        exe.asset_file_path("Image", BRACES, metadata={"Subject": subject}).write_bytes(png(7))
        deep = exe.create_dataset(["Complete"], description="Deep")
        deep.add_dataset_members({"Image": images[:2]})
        inner = exe.create_dataset(["Training"], description="Inner")
        inner.add_dataset_members({"Image": images[2:4], "Dataset": [deep.dataset_rid]})
        outer = exe.create_dataset(["Split"], description="Outer")
        files = exe.add_files(FileSpec.create_filespecs(tmp_path / "source.txt", "A file"))
    exe.commit_output_assets()
    (odd,) = (asset.asset_rid for asset in exe.uploaded_assets["demo/Image"])
    outer.add_dataset_members(
        {"Image": [odd], "Subject": [subject], "Dataset": [inner.dataset_rid, files.dataset_rid]}
    )

    bag, _ = downloaded(lab, http, outer.dataset_rid, tmp_path / "out")

    down = "Dataset/Dataset_Dataset/Dataset"
    ways = ("Dataset", down, f"{down}/Dataset_Dataset/Dataset")
    inside = ({odd}, set(images[2:4]), set(images[:2]))
    assert [rids(bag, way) for way in ways] == [
        {outer.dataset_rid},
        {inner.dataset_rid, files.dataset_rid},
        {deep.dataset_rid},
    ]
    for way, wanted in zip(ways, inside, strict=True):
        member = f"{way}/Dataset_Image/Image"
        assert rids(bag, member) == wanted, way
        assert {row["Image"] for row in csv_rows(bag, f"{member}/Image_Execution")} == wanted
        quality = csv_rows(bag, f"{member}/Execution_Image_Quality")
        assert {row["Image"]: row["Quality"] for row in quality}.keys() == wanted - {odd}
        assert rids(bag, f"{way}/Dataset_Version")
    assert rids(bag, "Dataset/Dataset_Subject/Subject") == {subject}
    assert odd in rids(bag, "Dataset/Dataset_Subject/Subject/Image")
    assert rids(bag, "Dataset/Dataset_Version/Execution") == {exe.execution_rid}
    assert rids(bag, "Dataset/Dataset_Version/Execution/Workflow") == {
        lab.lookup_execution(exe.execution_rid).workflow_rid
    }
    assert {row["Name"] for row in csv_rows(bag, "vocabularies/demo/Quality")} == {"Good", "Bad"}
    everything = {row["Name"] for row in lab.get_table_as_dict("Asset_Type")}
    assert {row["Name"] for row in csv_rows(bag, "vocabularies/deriva-ml/Asset_Type")} == everything
    no_more_than_bags_of_the_library(lab, bag, outer.dataset_rid)

    # Files come when they are asked for; what is only registered stays where it is.
    shown = rids(bag, "Dataset/Dataset_Subject/Subject/Image").union(*inside)
    stored = {row["RID"]: row for row in lab.get_table_as_dict("Image") if row["RID"] in shown}
    listed = [line.split("\t") for line in (bag / layout.FETCH).read_text().splitlines()]
    assert sorted(line[1:] for line in listed) == sorted(
        [str(row["Length"]), layout.asset_file("Image", rid, row["Filename"])] for rid, row in stored.items()
    )
    assert bdbag_api.materialize(str(bag))
    bdbag_api.validate_bag(str(bag), fast=False)
    assert (bag / layout.asset_file("Image", odd, BRACES)).read_bytes() == png(7)


def no_more_than_bags_of_the_library(ml, bag, rid):
    """Whatever way a file of rows is named after, the bag of the library has them too."""
    belongs = reach(ml._session.reader, rid)
    known = {table.name: name_of(table) for table in ml.model.tables()}
    found = 0
    for path in (bag / "data" / "Dataset").rglob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            here = {row["RID"] for row in csv.DictReader(file)}
        assert here <= belongs[known[path.stem]], path
        found += len(here)
    assert found > 50


def test_every_path_is_one(lab):
    """Also of tables without rows, whose files a bag does not hold."""
    for processor in as_asked(annotated(lab), "1-0000")["catalog"]["query_processors"]:
        found = lab.catalog.get(processor["processor_params"]["query_path"]).json()
        assert found == [] or "vocabularies" in processor["processor_params"]["output_path"]
