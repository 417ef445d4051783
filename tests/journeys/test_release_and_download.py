"""A dataset is made, released, changed and downloaded; what was released stays as it was."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bdbag import bdbag_api
from tests.interpreter import python

from deriva_ml import BuiltinTypes, ColumnDefinition, DatasetSpec, DerivaML, TableDefinition
from deriva_ml.bag import seal
from deriva_ml.dataset import Dataset, DatasetBag, VersionPart, split_dataset, subsample
from deriva_ml.dataset.dataset_bag import BagCatalog
from deriva_ml.ermrest import connect
from deriva_ml.errors import (
    DerivaMLChecksumError,
    DerivaMLConflictError,
    DerivaMLCycleError,
    DerivaMLDataError,
    DerivaMLDatasetNotFound,
    DerivaMLException,
    DerivaMLInvalidTerm,
    DerivaMLReadOnlyError,
    DerivaMLTableTypeError,
    DerivaMLValidationError,
)
from deriva_ml.feature import FeatureRecord
from deriva_ml.schema import create_ml_catalog

IMAGES = 24


def run(ml: DerivaML, name: str, work: Callable[[Any], Any]) -> tuple[str, Any]:
    """Run something as an execution of its own and commit it; its RID and what `work` returned."""
    workflow = ml.create_workflow(name, "Ingest", description=name)
    with ml.create_execution(workflow=workflow, description=name) as exe:
        result = work(exe)
    exe.commit_output_assets()
    return exe.execution_rid, result


def make_catalog(folder: Path) -> DerivaML:
    catalog = create_ml_catalog(str(folder / "lab"), "lab")
    catalog.getCatalogModel().create_schema({"schema_name": "lab"})
    ml = DerivaML(str(folder / "lab"), catalog.catalog_id, working_dir=folder / "work")
    ml.create_table(
        TableDefinition(name="Subject", columns=[ColumnDefinition(name="Name", type=BuiltinTypes.text)])
    )
    ml.create_vocabulary("Digit_Class", "Which digit")
    for digit in "01":
        ml.add_term("Digit_Class", digit, f"the digit {digit}")
    ml.create_asset("Image", referenced_tables=["Subject"])
    ml.create_feature("Image", "Digit", terms=["Digit_Class"])
    ml.add_dataset_element_type("Image")
    ml.add_dataset_element_type("Subject")
    return ml


@pytest.fixture(scope="module")
def ml(tmp_path_factory: pytest.TempPathFactory) -> DerivaML:
    folder = tmp_path_factory.mktemp("release")
    ml = make_catalog(folder)
    subjects = ml.pathBuilder().schemas["lab"].tables["Subject"].insert([{"Name": "Ada"}, {"Name": "Bob"}])
    rids = [row["RID"] for row in subjects]

    def ingest(exe: Any) -> None:
        for n in range(IMAGES):
            path = exe.asset_file_path("Image", f"{n:02}.txt", metadata={"Subject": rids[n % 2]})
            path.write_text(f"image {n}")
        exe.metrics_file().write_text('{"epoch": 1, "loss": 0.5}\n')

    def label(exe: Any) -> None:
        record = ml.feature_record_class("Image", "Digit")
        images = sorted(ml.get_table_as_dict("Image"), key=lambda row: row["Filename"])
        exe.add_features(
            [record(Image=row["RID"], Digit_Class="10"[n % 3 > 0]) for n, row in enumerate(images)]
        )

    run(ml, "Ingest", ingest)
    run(ml, "Label", label)
    return ml


@pytest.fixture
def images(ml: DerivaML) -> list[str]:
    return sorted(row["RID"] for row in ml.get_table_as_dict("Image") if row["Filename"] != "same.txt")


@pytest.fixture
def make(ml: DerivaML) -> Callable[..., Any]:
    def dataset(members: Any = None, **options: Any) -> Any:
        made = Dataset.create_dataset(ml, **options)
        if members:
            made.add_dataset_members(members)
            made.release(VersionPart.minor, "Members added")
        return made

    return dataset


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    sent: list[str] = []
    plain = connect.Connection._request

    def counted(self: Any, verb: str, path: str, *args: Any, **options: Any) -> Any:
        sent.append(f"{verb} {path}")
        return plain(self, verb, path, *args, **options)

    monkeypatch.setattr(connect.Connection, "_request", counted)
    yield sent


def values(source: Any, **options: Any) -> list[dict[str, Any]]:
    found = [record.to_row() for record in source.feature_values("Image", "Digit", **options)]
    return sorted(found, key=lambda row: row["Image"])


# --- versions ---------------------------------------------------------------------------------------------------------


def test_life_of_a_dataset(ml: DerivaML, images: list[str]) -> None:
    rid, dataset = run(
        ml, "Curate", lambda exe: exe.create_dataset(dataset_types=["Complete"], description="All")
    )
    assert str(dataset.current_version) == "0.1.0"
    assert dataset.execution_rid == rid
    dataset.add_dataset_members(images[:3])
    assert str(dataset.current_version) == "0.1.0.post1.dev1"
    dataset.add_dataset_members({"Image": images[3:5]}, description="two more")
    assert str(dataset.current_version) == "0.1.0.post1.dev2"
    assert str(dataset.release(VersionPart.minor, "Five images")) == "0.2.0"
    dataset.delete_dataset_members(images[:1])
    assert str(dataset.release(VersionPart.major, "Four images")) == "1.0.0"
    history = dataset.dataset_history()
    assert [str(entry.dataset_version) for entry in history] == ["0.1.0", "0.2.0", "1.0.0"]
    assert [entry.description for entry in history[1:]] == ["Five images", "Four images"]
    assert {entry.execution_rid for entry in history} == {rid}
    assert all(entry.snapshot for entry in history)
    counts = [
        len(dataset.list_dataset_members(version=each)["Image"]) for each in ("0.1.0", "0.2.0", "1.0.0")
    ]
    assert counts == [0, 5, 4]
    assert dataset.list_members("Image") == images[1:5]


def test_release_needs_a_change(make: Callable[..., Any]) -> None:
    dataset = make()
    with pytest.raises(DerivaMLValidationError, match="has not changed since release"):
        dataset.release(VersionPart.patch, "Nothing")
    dataset.mark_dev("About to")
    assert str(dataset.release(VersionPart.patch, "Again")) == "0.1.1"


def test_types_are_terms_and_a_change_of_them_is_a_change(make: Callable[..., Any]) -> None:
    dataset = make(dataset_types=["Complete"])
    dataset.add_dataset_types(["Complete"])
    assert str(dataset.current_version) == "0.1.0"
    dataset.add_dataset_type("Labeled")
    dataset.remove_dataset_type("Complete")
    assert dataset.dataset_types == ["Labeled"]
    assert str(dataset.current_version) == "0.1.0.post1.dev2"
    with pytest.raises(DerivaMLInvalidTerm):
        dataset.add_dataset_type("Nonsense")


def test_unknown_type_leaves_nothing_behind(ml: DerivaML, make: Callable[..., Any]) -> None:
    before = len(ml.find_datasets(deleted=True))
    with pytest.raises(DerivaMLInvalidTerm):
        make(dataset_types=["Nonsense"])
    assert len(ml.find_datasets(deleted=True)) == before


def test_members_that_do_not_fit(make: Callable[..., Any], images: list[str], ml: DerivaML) -> None:
    dataset = make([images[0]])
    version = dataset.current_version
    with pytest.raises(DerivaMLException, match=f"Already in dataset.*{images[0]}"):
        dataset.add_dataset_members(images[:2])
    with pytest.raises(DerivaMLException, match="Already in dataset"):
        dataset.add_dataset_members({"Image": images[:1]})
    workflow = next(iter(ml.get_table_as_dict("Workflow")))["RID"]
    with pytest.raises(DerivaMLException, match="cannot be members"):
        dataset.add_dataset_members([workflow])
    with pytest.raises(DerivaMLException, match="9-ZZZZ"):
        dataset.add_dataset_members(["9-ZZZZ"])
    assert dataset.current_version == version
    assert dataset.list_members("Image") == images[:1]


def test_datasets_nest_without_circles(make: Callable[..., Any], images: list[str]) -> None:
    inner, middle, outer = make(images[:2]), make(), make()
    middle.add_dataset_members([inner.dataset_rid])
    outer.add_dataset_members({"Dataset": [middle.dataset_rid]})
    assert outer.list_dataset_children() == [middle]
    assert outer.list_dataset_children(recurse=True) == [middle, inner]
    assert inner.list_dataset_parents(recurse=True) == [middle, outer]
    assert len(outer.list_dataset_members(recurse=True)["Image"]) == 2
    assert outer.list_dataset_members()["Image"] == []
    for members in ([outer.dataset_rid], {"Dataset": [outer.dataset_rid]}):
        with pytest.raises(DerivaMLCycleError):
            inner.add_dataset_members(members)
    with pytest.raises(DerivaMLCycleError):
        inner.add_dataset_members([inner.dataset_rid])


def test_delete_hides_but_keeps(ml: DerivaML, make: Callable[..., Any], images: list[str]) -> None:
    inner, outer = make(images[:1]), make()
    outer.add_dataset_members([inner.dataset_rid])
    with pytest.raises(DerivaMLException, match=f"is a member of {outer.dataset_rid}"):
        ml.delete_dataset(inner)
    ml.delete_dataset(outer, recurse=True)
    assert not {inner, outer} & set(ml.find_datasets())
    assert {inner, outer} <= set(ml.find_datasets(deleted=True))
    with pytest.raises(DerivaMLDatasetNotFound, match="is deleted"):
        ml.lookup_dataset(inner.dataset_rid)
    assert ml.lookup_dataset(inner.dataset_rid, deleted=True) == inner


def test_two_people_change_a_dataset_at_once(
    ml: DerivaML, make: Callable[..., Any], images: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make(images[:1])
    dataset.mark_dev("Mine")
    from deriva_ml.dataset import release as room

    stale = room.version_rows(ml._session, dataset.dataset_rid)
    dataset.mark_dev("Theirs")
    monkeypatch.setattr(room, "version_rows", lambda *_: stale)
    with pytest.raises(DerivaMLConflictError, match="changed by somebody else"):
        dataset.mark_dev("Mine again")
    with pytest.raises(DerivaMLConflictError, match="changed by somebody else"):
        dataset.release(VersionPart.minor, "Mine")


def test_differences_see_changes_and_deletions(
    ml: DerivaML, make: Callable[..., Any], images: list[str]
) -> None:
    dataset = make(images[:3])
    assert not dataset.is_dirty()
    ml.catalog.put(
        "/attributegroup/lab:Image/RID;Description", json=[{"RID": images[0], "Description": "blurred"}]
    )
    assert dataset.release_diff() == {"Image": 1}
    dataset.delete_dataset_members(images[1:2])
    dataset.release(VersionPart.minor, "One less")
    found = dataset.compare_versions("0.2.0", "0.3.0")
    assert (found["Dataset_Image"], found["Image"]) == (1, 2)
    with pytest.raises(DerivaMLException, match=r"Available versions: 0\.1\.0, 0\.2\.0, 0\.3\.0"):
        dataset.compare_versions("0.2.0", "9.0.0")


def test_unknown_things_are_named(ml: DerivaML, images: list[str], make: Callable[..., Any]) -> None:
    with pytest.raises(DerivaMLDatasetNotFound, match="9-ZZZZ"):
        ml.lookup_dataset("9-ZZZZ")
    for call in (ml.lookup_dataset, ml.download_dataset_bag):
        with pytest.raises(DerivaMLTableTypeError, match=f"{images[0]} is a row of Image"):
            call(images[0])
    dataset = make()
    with pytest.raises(DerivaMLException, match=r"has no version 7\.0\.0. Available versions: 0\.1\.0"):
        dataset.download_dataset_bag(version="7.0.0")
    with pytest.raises(DerivaMLTableTypeError):
        ml.add_dataset_element_type("Workflow")


def test_element_types_are_added_once(ml: DerivaML) -> None:
    known = [table.name for table in ml.list_dataset_element_types()]
    ml.add_dataset_element_type("Image")
    assert [table.name for table in ml.list_dataset_element_types()] == known
    assert {"Dataset", "File", "Image", "Subject"} <= set(known)


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, Callable[[], Any]], bool]]:
    """Run something, interrupted instead of its n-th request; whether it was."""
    plain = connect.Connection._request

    def attempt(number: int, work: Callable[[], Any]) -> bool:
        left = [number]

        def broken(self: Any, *args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return plain(self, *args, **options)

        monkeypatch.setattr(connect.Connection, "_request", broken)
        try:
            work()
        except KeyboardInterrupt:
            return True
        finally:
            monkeypatch.setattr(connect.Connection, "_request", plain)
        return False

    yield attempt


def test_interrupted_creation_shows_nothing_half_made(
    ml: DerivaML, interrupted: Callable[[int, Callable[[], Any]], bool]
) -> None:
    number = 0
    while interrupted(
        number, lambda: Dataset.create_dataset(ml, dataset_types=["Complete"], description="half")
    ):
        number += 1
        for dataset in ml.find_datasets():
            if dataset.description == "half":
                assert str(dataset.current_version) == "0.1.0"
                assert dataset.dataset_types == ["Complete"]
    assert number > 5


def test_interrupted_changes_are_healed_by_the_same_calls(
    make: Callable[..., Any], images: list[str], interrupted: Callable[[int, Callable[[], Any]], bool]
) -> None:
    number, again = 0, True
    while again:
        dataset = make()
        again = interrupted(
            number, lambda dataset=dataset: dataset.add_dataset_members({"Image": images[:2]})
        )
        if again:
            dataset.add_dataset_members({"Image": images[:2]})
        assert dataset.current_version.is_devrelease
        if interrupted(number, lambda dataset=dataset: dataset.release(VersionPart.minor, "Healed")):
            dataset.release(VersionPart.minor, "Healed")
        assert str(dataset.current_version) == "0.2.0"
        assert len(dataset.list_dataset_members(version="0.2.0")["Image"]) == 2
        assert dataset.list_dataset_members(version="0.1.0")["Image"] == []
        number += 1
    assert number > 4


# --- bags -------------------------------------------------------------------------------------------------------------


def test_a_bag_has_rows_files_features_and_metrics(
    ml: DerivaML, make: Callable[..., Any], images: list[str]
) -> None:
    dataset = make(images[:6])
    bag = dataset.download_dataset_bag(version="0.2.0")
    members = bag.list_dataset_members()["Image"]
    assert [row["RID"] for row in members] == images[:6]
    for row in members:
        path = bag.file("Image", row)
        assert path is not None
        assert path == bag.path / "data" / "assets" / "Image" / row["RID"] / row["Filename"]
        assert path.read_text() == f"image {int(row['Filename'][:2])}"
    values = list(bag.feature_values("Image", "Digit"))
    assert sorted(record.Image for record in values) == images[:6]
    assert all(isinstance(record, FeatureRecord) for record in values)
    assert {row["Name"] for row in bag.get_table_as_dict("Subject")} == {"Ada", "Bob"}
    assert [row["Name"] for row in bag.get_table_as_dict("Digit_Class")] == ["0", "1"]
    found = list((bag.path / "data" / "assets" / "Execution_Metadata").rglob("metrics.jsonl"))
    ingest = next(row["RID"] for row in ml.get_table_as_dict("Execution") if row["Description"] == "Ingest")
    assert [path.parent.name for path in found] == [ingest]
    assert str(bag.current_version) == "0.2.0"
    assert bag.list_workflow_executions("Ingest")
    bdbag_api.validate_bag(str(bag.path), fast=False)


def test_frames_and_wide_tables(make: Callable[..., Any], images: list[str]) -> None:
    pytest.importorskip("pandas")
    bag = make(images[:6]).download_dataset_bag()
    assert list(bag.get_table_as_dataframe("Image")["RID"]) == images[:6]
    rows = list(bag.get_denormalized_as_dict(["Image", "Subject", "Digit"]))
    assert sorted(row["Image.RID"] for row in rows) == images[:6]
    assert {row["Subject.Name"] for row in rows} == {"Ada", "Bob"}
    frame = bag.get_denormalized_as_dataframe(["Image", "Subject"])
    assert len(frame) == 6
    assert {"Image.Filename", "Subject.Name"} <= set(frame.columns)
    assert "Image.RCT" not in frame.columns


def test_a_cached_bag_needs_no_walk(make: Callable[..., Any], images: list[str], requests: list[str]) -> None:
    dataset = make(images[:4])
    first = dataset.download_dataset_bag(version="0.2.0")
    requests.clear()
    again = dataset.download_dataset_bag(version="0.2.0")
    assert len(requests) <= 3
    assert again.path == first.path
    without = dataset.download_dataset_bag(version="0.2.0", exclude_tables=["Subject"])
    assert without.path != first.path
    assert "Subject" not in without.list_tables()


def test_requests_do_not_grow_with_rows(
    make: Callable[..., Any], images: list[str], requests: list[str]
) -> None:
    counts = []
    for number in (2, 20):
        dataset = make(images[:number])
        requests.clear()
        dataset.download_dataset_bag(materialize=False)
        counts.append(len(requests))
    assert counts[0] == counts[1]


def test_what_was_released_stays(ml: DerivaML, make: Callable[..., Any], images: list[str]) -> None:
    dataset = make(images[10:14])
    first = dataset.download_dataset_bag(version="0.2.0")
    kept = {path.relative_to(first.path): path.read_bytes() for path in (first.path / "data").rglob("*.csv")}
    ml.catalog.put(
        "/attributegroup/lab:Image/RID;Description", json=[{"RID": images[10], "Description": "changed"}]
    )
    dataset.delete_dataset_members(images[11:12])
    dataset.release(VersionPart.minor, "Changed")
    shutil.rmtree(first.path.parent)
    again = dataset.download_dataset_bag(version="0.2.0")
    assert {
        path.relative_to(again.path): path.read_bytes() for path in (again.path / "data").rglob("*.csv")
    } == kept
    newer = dataset.download_dataset_bag(version="0.3.0")
    assert len(newer.list_dataset_members()["Image"]) == 3


def test_a_dev_version_is_read_as_it_is_now(make: Callable[..., Any], images: list[str], caplog: Any) -> None:
    dataset = make(images[:2])
    dataset.add_dataset_members(images[2:3])
    label = dataset.current_version
    assert len(dataset.download_dataset_bag(version=label).list_dataset_members()["Image"]) == 3
    assert len(dataset.download_dataset_bag().list_dataset_members()["Image"]) == 2
    assert "has changed since its release 0.2.0" in caplog.text


def test_bag_without_files_is_completed_later(make: Callable[..., Any], images: list[str]) -> None:
    dataset = make(images[:3])
    bag = dataset.download_dataset_bag(version="0.2.0", materialize=False)
    rows = bag.list_dataset_members()["Image"]
    assert [bag.file("Image", row) for row in rows] == [None] * 3
    assert bag.materialize() is bag
    assert all(bag.file("Image", row) for row in rows)


def test_interrupted_fetch_goes_on(
    make: Callable[..., Any], images: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from deriva_ml.dataset import download

    dataset = make(images[:5])
    fetched: list[str] = []
    plain = download.objects.fetch

    def broken(connection: Any, url: str, target: Path, **options: Any) -> Path:
        if len(fetched) == 3:
            raise KeyboardInterrupt
        fetched.append(url)
        return plain(connection, url, target, **options)

    monkeypatch.setattr(download.objects, "fetch", broken)
    with pytest.raises(KeyboardInterrupt):
        dataset.download_dataset_bag(fetch_concurrency=1)
    monkeypatch.setattr(download.objects, "fetch", plain)
    missing = {entry.url for entry in seal.missing(dataset.download_dataset_bag(materialize=False).path)}
    bag = dataset.download_dataset_bag()
    assert not seal.missing(bag.path)
    everything = {entry.url for entry in seal.read_fetch(bag.path)}
    assert len(everything - missing) == 3
    assert len(missing) > 1


@pytest.mark.parametrize("damage", ["changed", "truncated", "gone"])
def test_damage_is_named(make: Callable[..., Any], images: list[str], damage: str) -> None:
    dataset = make(images[:2])
    bag = dataset.download_dataset_bag()
    table = bag.path / "data" / "lab" / "Image.csv"
    if damage == "gone":
        table.unlink()
    else:
        table.write_text(table.read_text()[:-5] + ("XXXX\n" if damage == "changed" else ""))
    with pytest.raises(DerivaMLChecksumError, match=r"data/lab/Image\.csv"):
        dataset.download_dataset_bag()


def test_a_lost_file_is_fetched_again(make: Callable[..., Any], images: list[str]) -> None:
    dataset = make(images[:2])
    path = dataset.download_dataset_bag().file("Image", images[0])
    path.unlink()
    assert dataset.download_dataset_bag().file("Image", images[0]) == path


def test_bags_open_anywhere(make: Callable[..., Any], images: list[str], tmp_path: Path) -> None:
    bag = make(images[:3]).download_dataset_bag()
    moved = tmp_path / "elsewhere" / bag.path.name
    shutil.copytree(bag.path, moved)
    opened = DatasetBag(moved)
    assert opened.list_dataset_members() == bag.list_dataset_members()
    assert values(opened) == values(bag)
    assert (
        opened.file("Image", images[0])
        == moved / "data/assets/Image" / images[0] / bag.file("Image", images[0]).name
    )
    again = pickle.loads(pickle.dumps(bag))
    assert again.list_dataset_members() == bag.list_dataset_members()
    with pytest.raises(DerivaMLDataError, match="is not a bag"):
        DatasetBag(tmp_path)
    with pytest.raises(DerivaMLDatasetNotFound, match="9-ZZZZ"):
        BagCatalog(moved).lookup_dataset("9-ZZZZ")


def _count(bag: DatasetBag) -> int:
    return len(bag.list_dataset_members()["Image"])


def test_bags_work_after_a_fork(make: Callable[..., Any], images: list[str]) -> None:
    bag = make(images[:3]).download_dataset_bag()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_count, [bag, bag]) == [3, 3]


def test_nested_datasets_in_a_bag(ml: DerivaML, make: Callable[..., Any], images: list[str]) -> None:
    first, second, outer = make(images[:2]), make(images[2:5]), make()
    outer.add_dataset_members([first.dataset_rid, second.dataset_rid])
    outer.release(VersionPart.minor, "Both")
    bag = outer.download_dataset_bag()
    children = bag.list_dataset_children()
    assert [child.dataset_rid for child in children] == [first.dataset_rid, second.dataset_rid]
    assert [len(child.list_dataset_members()["Image"]) for child in children] == [2, 3]
    assert [len(list(child.feature_values("Image", "Digit"))) for child in children] == [2, 3]
    assert len(list(bag.feature_values("Image", "Digit"))) == 5
    assert children[0].list_dataset_parents() == [bag]
    assert set(bag.catalog.find_datasets()) == {bag, *children}


def test_live_version_and_bag_read_the_same(make: Callable[..., Any], images: list[str]) -> None:
    dataset = make([*images[:4]])
    bag = dataset.download_dataset_bag()
    assert dataset.list_dataset_members(version="0.2.0") == bag.list_dataset_members()
    live = values(dataset, version="0.2.0")
    assert [row["Image"] for row in live] == images[:4]
    assert live == values(bag)


def test_subjects_bring_their_images(ml: DerivaML, make: Callable[..., Any]) -> None:
    ada = next(row["RID"] for row in ml.get_table_as_dict("Subject") if row["Name"] == "Ada")
    dataset = make({"Subject": [ada]})
    bag = dataset.download_dataset_bag(materialize=False)
    assert len(list(bag.get_table_as_dict("Image"))) == IMAGES // 2
    assert len(list(bag.feature_values("Image", "Digit"))) == IMAGES // 2
    assert len(list(dataset.feature_values("Image", "Digit"))) == IMAGES // 2


def test_snapshots_cannot_be_changed(ml: DerivaML, make: Callable[..., Any], images: list[str]) -> None:
    dataset = make(images[:1])
    snapshot = dataset.dataset_history()[-1].snapshot
    old = ml.catalog_snapshot(f"{ml.catalog_id}@{snapshot}").lookup_dataset(dataset.dataset_rid)
    with pytest.raises(DerivaMLReadOnlyError):
        old.add_dataset_members(images[1:2])
    with pytest.raises(DerivaMLReadOnlyError):
        old.description = "new"
    dataset.description = "new"
    assert ml.lookup_dataset(dataset.dataset_rid).description == "new"


def test_size_before_downloading(ml: DerivaML, make: Callable[..., Any], images: list[str]) -> None:
    dataset = make(images[:5])
    before = dataset.bag_info(version="0.2.0")
    assert (before["status"], before["cache_path"], before["versions_cached"]) == ("not_cached", None, [])
    assert before["tables"]["Image"]["row_count"] == 5
    assert before["tables"]["Image"]["asset_bytes"] == sum(len(f"image {n}") for n in range(5))
    bag = dataset.download_dataset_bag(version="0.2.0", materialize=False)
    assert dataset.bag_info(version="0.2.0")["status"] == "cached_metadata_only"
    bag.materialize()
    after = dataset.bag_info(version="0.2.0")
    assert (after["status"], after["cache_path"]) == ("cached_materialized", str(bag.path))
    assert after["versions_cached"] == ["0.2.0"]
    for table in ("Image", "Subject", "Execution", "Digit_Class"):
        schema = bag.model.name_to_table(table).schema.name
        path = bag.path / "data" / schema / f"{table}.csv"
        assert before["tables"][table]["row_count"] == len(list(bag.get_table_as_dict(table)))
        assert before["tables"][table]["csv_bytes"] == path.stat().st_size


DOWNLOAD = """
import sys
from deriva_ml import DerivaML
host, catalog_id, working_dir, rid = sys.argv[1:]
print(DerivaML(host, catalog_id, working_dir=working_dir).download_dataset_bag(rid).path)
"""


def test_two_processes_share_one_download(ml: DerivaML, make: Callable[..., Any], images: list[str]) -> None:
    dataset = make(images[:8])
    command = [
        python(),
        "-c",
        DOWNLOAD,
        ml.host_name,
        ml.catalog_id,
        str(ml.working_dir),
        dataset.dataset_rid,
    ]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (process.communicate(timeout=120)[0].strip() for process in started)
    assert [process.returncode for process in started] == [0, 0]
    assert first == second
    bag = DatasetBag(Path(first))
    assert not seal.missing(bag.path)
    assert len(bag.list_dataset_members()["Image"]) == 8


# --- folders for trainers ---------------------------------------------------------------------------------------------


def test_files_in_folders_by_type_and_label(
    ml: DerivaML, make: Callable[..., Any], images: list[str], tmp_path: Path
) -> None:
    source = make(images)
    result = run(ml, "Split", lambda exe: split_dataset(ml, source.dataset_rid, exe, test_size=0.25))[1]
    bag = ml.download_dataset_bag(result.split.rid)
    placed = bag.restructure_assets(tmp_path / "out", targets=["Digit"])
    assert len(placed) == IMAGES
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in placed.values())
    assert {name.rsplit("/", 1)[0] for name in found} == {
        f"{part}/{d}" for part in ("training", "testing") for d in "01"
    }
    assert sum(name.startswith("testing/") for name in found) == IMAGES // 4
    source_path, target = next(iter(placed.items()))
    assert target.is_symlink()
    assert target.read_text() == source_path.read_text()
    again = bag.restructure_assets(tmp_path / "out", targets=["Digit"], use_symlinks=False)
    assert set(again.values()) == set(placed.values())
    assert not target.is_symlink()


def test_same_named_files_do_not_replace_each_other(ml: DerivaML, tmp_path: Path) -> None:
    def ingest(exe: Any) -> None:
        for n in range(3):
            folder = tmp_path / f"{n}"
            folder.mkdir()
            (folder / "same.txt").write_text(f"other {n}")

    ingest(None)
    from deriva_ml.checksums import md5_of
    from deriva_ml.ermrest import objects

    rows = []
    for n in range(3):
        path = tmp_path / f"{n}" / "same.txt"
        url = objects.put(
            ml._session.connection, path, f"/hatrac/Image/{md5_of(path)}.same.txt", md5=md5_of(path)
        )
        rows.append({"URL": url, "Filename": "same.txt", "Length": path.stat().st_size, "MD5": md5_of(path)})
    subject = next(iter(ml.get_table_as_dict("Subject")))["RID"]
    made = ml.catalog.post("/entity/lab:Image", json=[{**row, "Subject": subject} for row in rows]).json()
    dataset = Dataset.create_dataset(ml, dataset_types=["Training"])
    dataset.add_dataset_members({"Image": [row["RID"] for row in made]})
    dataset.release(VersionPart.minor, "Same names")
    bag = dataset.download_dataset_bag()
    placed = bag.restructure_assets(tmp_path / "out", targets=["Digit"])
    assert sorted(path.read_text() for path in placed.values()) == ["other 0", "other 1", "other 2"]
    assert {path.parent for path in placed.values()} == {tmp_path / "out" / "training" / "Unknown"}
    assert bag.restructure_assets(tmp_path / "none", targets=["Digit"], missing="skip") == {}
    with pytest.raises(DerivaMLException, match="has no value of 'Digit'. Pass missing='skip'.*'Unknown'"):
        bag.restructure_assets(tmp_path / "none", targets=["Digit"], missing="error")
    with pytest.raises(DerivaMLValidationError, match="target_transform"):
        bag.restructure_assets(tmp_path / "none", targets=["Digit.Digit_Class"])
    with pytest.raises(DerivaMLException, match="neither a feature of .* nor a column of it .*RID"):
        bag.restructure_assets(tmp_path / "none", targets=["Nonsense"])
    by_name = bag.restructure_assets(
        tmp_path / "shout",
        targets=["Filename"],
        target_transform=str.upper,
        file_transformer=lambda source, target: Path(shutil.copy(source, target.with_suffix(".copy"))),
    )
    assert {path.parent.name for path in by_name.values()} == {"SAME.TXT"}
    assert {path.suffix for path in by_name.values()} == {".copy"}


# --- split and subsample ----------------------------------------------------------------------------------------------


def test_stratified_split(ml: DerivaML, make: Callable[..., Any], images: list[str]) -> None:
    source = make(images)
    options = {
        "test_size": 0.25,
        "stratify_by_column": "Execution_Image_Digit.Digit_Class",
        "include_tables": ["Image", "Digit"],
        "training_types": ["Labeled"],
    }
    by_feature = {**options, "stratify_by_column": "Digit.Digit_Class"}
    counted = split_dataset(ml, source.dataset_rid, dry_run=True, **by_feature)
    assert (counted.training.count, counted.testing.count, counted.training.rid) == (18, 6, "(dry run)")
    rid, result = run(ml, "Split", lambda exe: split_dataset(ml, source.dataset_rid, exe, **options))
    parts = [ml.lookup_dataset(part.rid) for part in (result.training, result.testing)]
    drawn = [part.list_members("Image") for part in parts]
    assert sorted([*drawn[0], *drawn[1]]) == images
    assert parts[0].dataset_types == ["Labeled", "Split_Partition", "Training"]
    labels = {record.Image: record.Digit_Class for record in source.feature_values("Image", "Digit")}
    assert [sum(labels[image] == "1" for image in part) for part in drawn] == [6, 2]
    whole = ml.lookup_dataset(result.split.rid)
    assert whole.list_dataset_children() == parts
    assert {part.current_version.is_devrelease for part in (*parts, whole)} == {False}
    assert len(parts[0].download_dataset_bag(materialize=False).list_dataset_members()["Image"]) == 18
    (linked,) = ml.lookup_execution(rid).list_input_datasets()
    assert linked == source
    config = next(
        asset
        for asset in ml.list_execution_assets(rid, asset_role="Output")
        if asset.filename == "split_config.json"
    )
    document = json.loads(config.download(ml.working_dir / "config").read_text())
    assert (document["source_version"], document["seed"], document["test_size"]) == ("0.2.0", 42, 0.25)
    again = run(ml, "Split", lambda exe: split_dataset(ml, source.dataset_rid, exe, **options))[1]
    assert ml.lookup_dataset(again.training.rid).list_members("Image") == drawn[0]


def test_members_of_nested_datasets_are_drawn_once(
    ml: DerivaML, make: Callable[..., Any], images: list[str]
) -> None:
    first, second, outer = make(images[:6]), make(images[3:9]), make(images[8:10])
    outer.add_dataset_members([first.dataset_rid, second.dataset_rid])
    _, result = run(
        ml, "Split", lambda exe: split_dataset(ml, outer.dataset_rid, exe, test_size=3, val_size=2)
    )
    parts = [result.training, result.testing, result.validation]
    drawn = [rid for part in parts for rid in ml.lookup_dataset(part.rid).list_members("Image")]
    assert sorted(drawn) == images[:10]
    assert [part.count for part in parts] == [5, 3, 2]


def test_selection_function(ml: DerivaML, make: Callable[..., Any], images: list[str]) -> None:
    pytest.importorskip("pandas")
    source = make(images[:10])

    def by_name(df: Any, partition_sizes: dict[str, int], seed: int) -> dict[str, Any]:
        order = df["Image.Filename"].argsort()
        return {
            "Training": order[: partition_sizes["Training"]],
            "Testing": order[partition_sizes["Training"] :],
        }

    result = run(
        ml,
        "Split",
        lambda exe: split_dataset(
            ml, source.dataset_rid, exe, test_size=2, selection_fn=by_name, include_tables=["Image"]
        ),
    )[1]
    assert result.strategy == "custom selection function"
    names = [row["Filename"] for row in ml.lookup_dataset(result.testing.rid).list_dataset_members()["Image"]]
    everything = sorted(row["Filename"] for row in source.list_dataset_members()["Image"])
    assert sorted(names) == everything[-2:]


def test_subsample(ml: DerivaML, make: Callable[..., Any], images: list[str]) -> None:
    source = make(images)
    _, result = run(ml, "Sample", lambda exe: subsample(ml, source.dataset_rid, exe, size=0.5))
    made = ml.lookup_dataset(result.subsample.rid)
    assert made.dataset_types == ["Subsample"]
    assert len(made.list_members("Image")) == IMAGES // 2
    assert source.list_dataset_children() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_size": 0}, "test_size"),
        ({"test_size": 99}, "cannot be split"),
        ({"stratify_by_column": "Image.RID"}, "needs include_tables"),
        (
            {"stratify_by_column": "Image.Nonsense", "include_tables": ["Image"]},
            r"no column 'Image\.Nonsense'",
        ),
        ({"element_table": "Subject"}, "has no members in Subject"),
        ({"partition_by": "nonsense"}, "partition_by"),
    ],
)
def test_impossible_splits(
    ml: DerivaML, make: Callable[..., Any], images: list[str], options: dict[str, Any], message: str
) -> None:
    source = make(images[:4])
    with pytest.raises(ValueError, match=message):
        split_dataset(ml, source.dataset_rid, dry_run=True, **options)


def test_a_spec_names_version_and_tables(ml: DerivaML, make: Callable[..., Any], images: list[str]) -> None:
    dataset = make(images[:2])
    bag = ml.download_dataset_bag(
        DatasetSpec(rid=dataset.dataset_rid, version="0.2.0", exclude_tables={"Subject"})
    )
    assert "Subject" not in bag.list_tables()
    assert "Image" in bag.list_tables()
