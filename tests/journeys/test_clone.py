"""A catalog of one's own to work on a dataset of another one: from and to folders and servers."""

from __future__ import annotations

import csv
import itertools
import shutil
from collections import namedtuple

import pytest

from deriva_ml import DerivaML, DerivaMLException, ExecutionConfiguration
from deriva_ml.catalog import (
    ClonePolicy,
    OrphanStrategy,
    clone_via_bag,
    create_ml_workspace,
    get_catalog_provenance,
    localize_assets,
    set_catalog_provenance,
)
from deriva_ml.cli.main import main
from deriva_ml.demo_catalog import create_demo_catalog, png
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.connect import connect
from deriva_ml.ermrest.listing import list_catalogs
from deriva_ml.schema import create_ml_catalog
from deriva_server.embed import LocalServer

_numbers = itertools.count()

Lab = namedtuple("Lab", "folder id ml dataset folder_of")


@pytest.fixture(scope="module", autouse=True)
def _quiet():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
        patch.setenv("DERIVA_ML_RETRY_BACKOFF", "0")
        yield


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A dataset with two releases, between and after which rows were added, changed and removed."""
    base = tmp_path_factory.mktemp("clone")
    catalog = create_demo_catalog(base / "lab")
    ml = DerivaML(base / "lab", catalog.catalog_id, working_dir=base / "work")
    (dataset,) = ml.find_datasets()
    change(ml, dataset)
    dataset.release("minor", "Fewer images")
    connection = ml._session.connection
    rows.update(connection, ("demo", "Subject"), [{"RID": subjects(ml)[0], "Age": 99}], columns=["Age"])
    return Lab(base / "lab", catalog.catalog_id, ml, dataset, lambda: base / f"folder{next(_numbers)}")


def subjects(ml):
    return sorted(row["RID"] for row in ml.get_table_as_dict("Subject"))


def change(ml, dataset):
    connection = ml._session.connection
    members = sorted(row["RID"] for row in dataset.list_dataset_members()["Image"])
    dataset.delete_dataset_members(members[:3])
    rows.delete(connection, ("demo", "Execution_Image_Brightness"), {"Image": members[4:5]})
    rows.update(connection, ("demo", "Subject"), [{"RID": subjects(ml)[0], "Age": 77}], columns=["Age"])
    # The same member again, by another row with the same key.
    dataset.add_dataset_members({"Image": members[:1]})


def members(dataset):
    """RIDs of the members of a dataset by table."""
    return {table: {row["RID"] for row in found} for table, found in dataset.list_dataset_members().items()}


def content(bag):
    """Rows and files of a bag, without what each catalog notes by itself."""
    found = {}
    for path in bag.path.glob("data/*/*.csv"):
        with path.open(newline="") as file:
            table = list(csv.DictReader(file))
        for row in table:
            for name in ("RMT", "RMB", *(("Snapshot",) if path.stem == "Dataset_Version" else ()), "URL"):
                row.pop(name, None)
        found[path.parent.name, path.stem] = table
    files = {path.relative_to(bag.path): path.read_bytes() for path in bag.path.glob("data/assets/*/*/*")}
    return found, files


def check_releases(lab, host, id, chosen=("0.2.0", "0.3.0")):
    """Releases read the same in the clone."""
    ml = DerivaML(host, id, working_dir=lab.folder_of())
    clone = ml.lookup_dataset(lab.dataset.dataset_rid)
    labels = [str(entry.dataset_version) for entry in lab.dataset.dataset_history()]
    assert [str(entry.dataset_version) for entry in clone.dataset_history()] == labels
    assert {"0.2.0", "0.3.0"} <= set(labels)
    seen = []
    for label in chosen:
        seen.append(content(clone.download_dataset_bag(label)))
        assert seen[-1] == content(lab.dataset.download_dataset_bag(label)), label
    assert seen[0] != seen[-1]
    return ml


def run_in(ml, dataset_rid):
    """An execution that reads the dataset and writes a file and features."""
    workflow = ml.create_workflow("Work in the clone", "Analysis")
    config = ExecutionConfiguration(workflow=workflow, datasets=[f"{dataset_rid}@0.3.0"], description="Work")
    with ml.create_execution(config) as exe:
        images = exe.datasets[0].list_dataset_members()["Image"]
        exe.asset_file_path("Execution_Asset", "count.txt").write_text(str(len(images)))
        quality = ml.feature_record_class("Image", "Quality")
        exe.add_features([quality(Image=row["RID"], Quality="Good") for row in images])
    exe.commit_output_assets()
    return exe


def test_folder_to_folder(lab):
    host, before = lab.folder_of(), lab.ml._session.connection.snaptime()
    made = create_ml_workspace(
        lab.folder,
        lab.id,
        lab.dataset.dataset_rid,
        dest_hostname=host,
        alias="mine",
        output_dir=lab.folder_of(),
    )
    assert lab.ml._session.connection.snaptime() == before
    assert made.load_report.files >= 12 and not made.load_report.failures and made.bag_path.is_dir()
    assert "demo:Image" in str(made) and "DerivaML(" in str(made)
    ml = check_releases(lab, host, "mine")
    assert {feature.feature_name for feature in ml.find_features("Image")} == {"Quality", "Brightness"}
    assert ml.list_vocabulary_terms("Workflow_Type") and not list(lab.folder_of().parent.glob("*/files/*"))
    origin = ml.catalog_provenance
    assert (
        origin.is_clone
        and origin.clone_details.complete
        and origin.clone_details.source_hostname == str(lab.folder)
    )
    named = set_catalog_provenance(ml.catalog, name="Mine", description="To try things")
    assert get_catalog_provenance(ml) == named and named.clone_details == origin.clone_details
    clone = ml.lookup_dataset(lab.dataset.dataset_rid)
    assert clone.is_dirty() == lab.dataset.is_dirty()
    run_in(ml, lab.dataset.dataset_rid)
    # What the source has not changed since is not touched, though there is work in the clone.
    again = create_ml_workspace(lab.folder, lab.id, lab.dataset.dataset_rid, dest_hostname=host, alias="mine")
    assert again.dest_catalog_id == made.dest_catalog_id and again.load_report.total == 0
    assert [entry.id for entry in list_catalogs(host)] == [made.dest_catalog_id]


@pytest.mark.parametrize("served", ["source", "target", "both"])
def test_over_http(lab, served):
    target = lab.folder_of()
    with (
        LocalServer.open(lab.folder).serve() as ours,
        LocalServer.open(target, create=True).serve() as theirs,
    ):
        source = ours.url if served != "target" else lab.folder
        host = theirs.url if served != "source" else target
        made = create_ml_workspace(
            source,
            lab.id,
            lab.dataset.dataset_rid,
            dest_hostname=host,
            output_dir=lab.folder_of(),
            copy_assets=True if served == "both" else None,
            policy=ClonePolicy(versions=False),
        )
        ml = DerivaML(host, made.dest_catalog_id, working_dir=lab.folder_of())
        assert members(ml.lookup_dataset(lab.dataset.dataset_rid)) == members(lab.dataset)
        urls = {row["URL"] for row in ml.get_table_as_dict("Image")}
        refers = served == "source"
        assert all(url.startswith(f"{ours.url}/hatrac/" if refers else "/hatrac/") for url in urls)
        if refers:
            bring_files(ml, ours.url)


def bring_files(ml, url):
    """Files that are elsewhere are brought here; one that is not to be had keeps nobody back."""
    images = sorted(ml.get_table_as_dict("Image"), key=lambda row: row["RID"])
    lost = images[0]
    connection = ml._session.connection
    gone = {"RID": lost["RID"], "URL": lost["URL"] + "x"}
    rows.update(connection, ("demo", "Image"), [gone], columns=["URL"])
    planned = localize_assets(ml, "Image", dry_run=True)
    assert (planned.assets_processed, planned.source_hostnames) == (8, [url])
    first = localize_assets(
        ml.catalog, "Image", [row["RID"] for row in images[:3]] + ["9-XXXX"], schema_name="demo"
    )
    assert (first.assets_processed, first.assets_failed) == (2, 2)
    assert lost["RID"] in str(first) and "9-XXXX" in str(first)
    rest = localize_assets(ml, "Image", hatrac_namespace="/hatrac/brought/here", chunk_size=10)
    assert (rest.assets_processed, rest.assets_skipped, rest.assets_failed) == (5, 2, 1)
    (found,) = (row for row in ml.get_table_as_dict("Image") if row["RID"] == images[3]["RID"])
    assert found["URL"].startswith("/hatrac/brought/here/")
    assert connection.store.get_obj(found["URL"]).content == png(3 * 32)


def test_whole_catalog_and_what_is_new(lab):
    """Everything goes into an empty catalog; later calls bring what is new, unless it was worked in meanwhile."""
    source = lab.folder_of()
    shutil.copytree(lab.folder, source)
    into = {"source_hostname": source, "source_catalog_id": lab.id, "output_dir": lab.folder_of()}
    into["dest_hostname"] = lab.folder_of()
    id = create_ml_catalog(into["dest_hostname"], "empty", "begun").catalog_id
    made = clone_via_bag(**into, dest_catalog_id="begun")
    assert made.dest_catalog_id == id and made.load_report.failures == {}
    theirs, ours = (connect(host, number) for host, number in ((source, lab.id), (into["dest_hostname"], id)))
    for table in lab.ml.model.tables():
        assert rows.count(theirs, table) == rows.count(ours, table), table.name
    rows.insert(theirs, ("demo", "Subject"), [{"Name": "New"}])
    more = clone_via_bag(**into, dest_catalog_id=id)
    assert more.load_report.inserted == {("demo", "Subject"): 1}
    (new,) = rows.insert(theirs, ("demo", "Subject"), [{"Name": "Theirs"}])
    rows.insert(ours, ("deriva-ml", "Workflow"), [{"RID": new["RID"], "Name": "Ours"}], with_rids=True)
    before = ours.snaptime()
    with pytest.raises(DerivaMLException, match=r"worked in.*new catalog"):
        clone_via_bag(**into, dest_catalog_id=id)
    assert ours.snaptime() == before


def test_wrong_inputs(lab, tmp_path):
    """Everything wrong is said before anything is written."""
    connection = lab.ml._session.connection
    host = tmp_path / "there"
    other = create_ml_catalog(host, "other")
    stranger = connect(host, other.catalog_id)
    plain = stranger.site.server().create_ermrest_catalog().catalog_id
    odd = stranger.site.server().create_ermrest_catalog()
    odd.getCatalogModel().create_schema({"schema_name": "demo"})
    used = create_ml_catalog(host, "used").catalog_id
    rows.insert(
        connect(host, used),
        ("deriva-ml", "Dataset_Type"),
        [{"Name": "Own", "Description": ""}],
        defaults=("ID", "URI"),
    )
    clone = clone_via_bag(
        source_hostname=lab.folder, source_catalog_id=lab.id, dest_hostname=host, root_rid=subjects(lab.ml)[0],
        output_dir=tmp_path / "out",
    ).dest_catalog_id  # fmt: skip
    (tmp_path / "file").touch()
    now = connection.snaptime()
    image = next(lab.ml.get_table_as_dict("Image"))
    wrong = [
        ("no folder", {"source_hostname": tmp_path / "nowhere"}),
        ("no catalog 99", {"source_catalog_id": 99}),
        ("no catalog 99", {"dest_catalog_id": 99}),
        ("clone_catalog", {"source_hostname": host, "source_catalog_id": plain}),
        ("9-XXXX", {"root_rid": "9-XXXX"}),
        ("9-XXXX", {"anchors": {"Image": ["9-XXXX"]}}),
        ("Invalid RID", {"root_rid": "no rid"}),
        ("give a list", {"anchors": "1-ABC"}),
        ("is empty", {"anchors": []}),
        ("'burn' is no policy", {"policy": "burn"}),
        ("'Nope'", {"policy": ClonePolicy(include_tables=["Nope"])}),
        ("'Nope'", {"policy": ClonePolicy(exclude_tables=["Nope"])}),
        ("source itself", {"dest_hostname": lab.folder, "dest_catalog_id": lab.id}),
        ("snapshot", {"dest_hostname": lab.folder, "dest_catalog_id": f"{lab.id}@{now}"}),
        ("has no table demo:", {"dest_catalog_id": odd.catalog_id}),
        ("rows of its own", {"dest_catalog_id": used}),
        ("clone of something else", {"dest_catalog_id": clone}),
        ("is taken", {"alias": used}),
        ("copy_assets", {"policy": ClonePolicy(copy_assets=False)}),
        ("outside of it.*Image by Subject", {"policy": ClonePolicy(exclude_tables=["Subject"])}),
        ("cannot hold", {"output_dir": tmp_path / "file" / "x"}),
    ]  # fmt: skip
    before = [(entry.id, entry.changed) for entry in list_catalogs(host)]
    right = {"source_hostname": lab.folder, "source_catalog_id": lab.id, "dest_hostname": host}
    for message, given in wrong:
        with pytest.raises(DerivaMLException, match=message):
            clone_via_bag(**right | {"output_dir": tmp_path / "out2"} | given)
            pytest.fail(f"{given} was taken")
    with pytest.raises(DerivaMLException, match="not a dataset"):
        create_ml_workspace(lab.folder, lab.id, image["RID"], dest_hostname=host)
    with pytest.raises(DerivaMLException, match="is a snapshot"):
        localize_assets(connection.at(now), "Image")
    with pytest.raises(DerivaMLException, match="not an asset table"):
        localize_assets(lab.ml, "Subject")
    assert [(entry.id, entry.changed) for entry in list_catalogs(host)] == before
    assert connection.snaptime() == now


def test_no_room(lab, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 1000))
    with pytest.raises(DerivaMLException, match="has room for 1000"):
        clone_via_bag(
            source_hostname=lab.folder,
            source_catalog_id=lab.id,
            dest_hostname=tmp_path / "new",
            output_dir=tmp_path / "out",
        )
    assert not (tmp_path / "new").exists()


def test_within_one_deployment(lab, capsys):
    """Files stay where they are, and rows that refer to what is left out are settled."""
    made = clone_via_bag(
        source_hostname=lab.folder,
        source_catalog_id=lab.id,
        dest_hostname=None,
        root_rid=lab.dataset.dataset_rid,
        output_dir=lab.folder_of(),
        policy=ClonePolicy(OrphanStrategy.NULLIFY, exclude_tables=["Workflow"], versions=False),
    )
    assert made.load_report.files == 0 and len(made.snapshots) == 1
    counts, found = made.load_report.orphans, made.load_report.inserted
    assert counts["deriva-ml", "Execution"] and found["demo", "Image"] == 8
    assert "ORPHANS" in str(made.load_report)
    where = [str(lab.folder), made.dest_catalog_id, "Image"]
    assert main(["catalog", "localize", *where, "--dry-run"]) == 0
    assert capsys.readouterr().out == "0 assets to be brought here, 8 here already, 0 failed\n"
    assert main(["catalog", "localize", *where, "9-XXXX"]) == 1
    assert "Image 9-XXXX: there is no such row" in capsys.readouterr().out


@pytest.mark.soak
def test_from_and_to_postgresql(lab, new_address, tmp_path):
    """What a team keeps on PostgreSQL can be cloned from and to."""
    with LocalServer.open(tmp_path / "team", create=True, database=new_address()).serve() as team:
        there = create_ml_workspace(
            lab.folder, lab.id, lab.dataset.dataset_rid, dest_hostname=team.url, output_dir=tmp_path / "out"
        )
        check_releases(lab, team.url, there.dest_catalog_id, ("0.1.0", "0.2.0", "0.3.0"))
        back = clone_via_bag(
            source_hostname=team.url,
            source_catalog_id=there.dest_catalog_id,
            dest_hostname=tmp_path / "back",
            policy=ClonePolicy(copy_assets=True),
            output_dir=tmp_path / "out",
        )
    check_releases(lab, tmp_path / "back", back.dest_catalog_id, ("0.1.0", "0.2.0", "0.3.0"))
