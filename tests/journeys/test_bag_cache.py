"""Damage is named, other tools read our bags, and what a user does wrong gets an answer that helps."""

from __future__ import annotations

import itertools
import multiprocessing
import resource
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bdbag import bdbag_api
from tests.journeys.test_release_and_download import make_catalog, run

from deriva_ml import DatasetSpec, DerivaML
from deriva_ml.bag import seal, state
from deriva_ml.dataset import DatasetBag
from deriva_ml.errors import (
    DerivaMLChecksumError,
    DerivaMLConfigurationError,
    DerivaMLConnectionError,
    DerivaMLDataError,
    DerivaMLException,
    DerivaMLTableNotFound,
)
from deriva_server.embed import LocalServer

IMAGES = 6


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[DerivaML, str]:
    """A catalog, and the RID of a dataset of all its images."""
    ml = make_catalog(tmp_path_factory.mktemp("cache"))
    subject = ml.pathBuilder().schemas["lab"].tables["Subject"].insert([{"Name": "Ada"}])[0]["RID"]

    def ingest(exe: Any) -> None:
        for n in range(IMAGES):
            exe.asset_file_path("Image", f"{n}.txt", metadata={"Subject": subject}).write_text(
                f"image {n}" * 99
            )
        exe.metrics_file().write_text('{"epoch": 1, "loss": 0.5}\n')

    run(ml, "Ingest", ingest)
    dataset = run(ml, "Curate", lambda exe: exe.create_dataset(description="All"))[1]
    dataset.add_dataset_members({"Image": [row["RID"] for row in ml.get_table_as_dict("Image")]})
    dataset.release("minor", "Images")
    return ml, dataset.dataset_rid


@pytest.fixture
def again(made: tuple[DerivaML, str], tmp_path: Path) -> Callable[..., DatasetBag]:
    """Downloads the dataset to a cache of this test."""
    ml, rid = made
    opened: dict[Path, DerivaML] = {}

    def download(cache_dir: Path | None = None, **spec: Any) -> DatasetBag:
        where = cache_dir or tmp_path / "cache"
        if where not in opened:
            opened[where] = DerivaML(
                ml.host_name, ml.catalog_id, working_dir=tmp_path / "work", cache_dir=where
            )
        return opened[where].download_dataset_bag(DatasetSpec(rid=rid, **spec))

    return download


# --- damage -----------------------------------------------------------------------------------------------------------


def swap(path: Path) -> None:
    """Change a file, not its length."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


DAMAGE = (swap, cut, Path.unlink)
PLACES = (
    "data/lab/Image.csv",
    "data/schema.json",
    "data/assets/Image/*/3.txt",
    "manifest-md5.txt",
    "tagmanifest-md5.txt",
    "fetch.txt",
    "bag-info.txt",
    "metadata/deriva-bag-provenance.json",
)


def test_damage_is_named(again: Callable[..., DatasetBag]) -> None:
    bag = again()
    for place, damage in itertools.product(PLACES, DAMAGE):
        (path,) = bag.path.glob(place)
        kept = path.read_bytes()
        damage(path)
        if damage is Path.unlink and place.startswith("data/assets"):
            assert again().path == bag.path
        elif damage is Path.unlink and place == "tagmanifest-md5.txt":
            # Without it a folder is no bag; it is made again.
            bdbag_api.validate_bag(str(again().path), fast=False)
            continue
        else:
            with pytest.raises(DerivaMLChecksumError, match=path.name):
                again()
            path.write_bytes(kept)
        assert path.read_bytes() == kept
        assert len(again().list_dataset_members()["Image"]) == IMAGES
    shutil.rmtree(bag.path.parent)
    assert len(again().list_dataset_members()["Image"]) == IMAGES


def test_what_can_be_made_again_is(again: Callable[..., DatasetBag]) -> None:
    bag = again()
    expected = bag.list_dataset_members(), list(bag.get_table_as_dict("Execution_Metadata"))
    database = bag.path.parent / state.DATABASE
    for name, damage in itertools.product((state.DATABASE, state.STATE), DAMAGE):
        damage(bag.path.parent / name)
        found = again()
        assert (found.list_dataset_members(), list(found.get_table_as_dict("Execution_Metadata"))) == expected
        assert all(found.file("Execution_Metadata", row) for row in expected[1])
        kept = database.stat()
        again().list_dataset_members()
        assert database.stat().st_ino == kept.st_ino


def test_a_damaged_index_is_named_and_a_lost_one_made_again(
    made: tuple[DerivaML, str], again: Callable[..., DatasetBag], tmp_path: Path
) -> None:
    again()
    ml = DerivaML(
        made[0].host_name, made[0].catalog_id, working_dir=tmp_path / "w", cache_dir=tmp_path / "cache"
    )
    (kept,) = ml.list_cached_bags()
    ml._session.workspace.bags._database.close()
    for file in (tmp_path / "cache").glob("index.sqlite*"):
        file.unlink()
    (found,) = ml.list_cached_bags()
    assert (found.dataset_rid, found.version, found.path) == (kept.dataset_rid, kept.version, kept.path)
    ml._session.workspace.bags._database.close()
    (tmp_path / "cache" / "index.sqlite").write_bytes(b"nonsense" * 1000)
    with pytest.raises(DerivaMLException, match=r"index\.sqlite.* delete it"):
        ml.list_cached_bags()


def test_a_bag_elsewhere_is_checked_before_it_is_read(
    again: Callable[..., DatasetBag], tmp_path: Path
) -> None:
    moved = tmp_path / "moved" / "bag"
    shutil.copytree(again().path, moved)
    swap(moved / "data" / "lab" / "Image.csv")
    with pytest.raises(DerivaMLChecksumError, match=r"Image\.csv"):
        DatasetBag(moved)
    swap(moved / "data" / "lab" / "Image.csv")
    cut(moved / "data" / "schema.json")
    with pytest.raises(DerivaMLChecksumError, match=r"schema\.json"):
        DatasetBag(moved)


def opened_by_path(bag: DatasetBag) -> DatasetBag:
    return DatasetBag(bag.path)


def moved(bag: DatasetBag) -> DatasetBag:
    """Opened twice: what the first opening has read is known to the second."""
    target = bag.path.parents[3] / "moved" / bag.path.name
    shutil.copytree(bag.path, target, dirs_exist_ok=True)
    DatasetBag(target)
    return DatasetBag(target)


@pytest.mark.parametrize("opened", [opened_by_path, moved])
def test_a_bag_opened_by_its_path_is_watched(
    again: Callable[..., DatasetBag], opened: Callable[[DatasetBag], DatasetBag]
) -> None:
    bag = opened(again())
    rows = bag.list_dataset_members()
    image = bag.path / "data" / "assets" / "Image" / rows["Image"][3]["RID"] / "3.txt"
    assert bag.file("Image", rows["Image"][3]) == image
    for place, damage in itertools.product(PLACES, (swap, cut)):
        (path,) = bag.path.glob(place)
        kept = path.read_bytes()
        damage(path)
        with pytest.raises(DerivaMLChecksumError, match=r"is damaged: .* changed or gone"):
            DatasetBag(bag.path)
        if path == image:
            with pytest.raises(DerivaMLChecksumError, match=path.name):
                bag.file("Image", rows["Image"][3])
        path.write_bytes(kept)
    assert bag.file("Image", rows["Image"][3]) == image
    for damage in DAMAGE:
        streamed = bag.get_table_as_dict("Image")
        first = next(streamed)
        damage(bag.reader.database)
        assert [first, *streamed] == list(bag.get_table_as_dict("Image")) == rows["Image"]
        assert DatasetBag(bag.path).list_dataset_members() == rows
    assert all(read == [] for read in _reads(lambda: DatasetBag(bag.path).list_dataset_members()))


def _reads(work: Callable[[], Any]) -> list[list[str]]:
    """Files of bags that are read in full meanwhile."""
    found: list[list[str]] = []
    with pytest.MonkeyPatch.context() as patch:
        original = state.Guard._read_all
        patch.setattr(
            state.Guard, "_read_all", lambda guard, places: (found.append(places), original(guard, places))[1]
        )
        work()
    return found


def test_bags_beside_each_other_are_told_apart(again: Callable[..., DatasetBag], tmp_path: Path) -> None:
    whole, part = again(), again(exclude_tables={"Subject"})
    for name, bag in (("whole", whole), ("part", part)):
        shutil.copytree(bag.path, tmp_path / "together" / name)
    found = [DatasetBag(tmp_path / "together" / name) for name in ("whole", "part")]
    assert ["Subject" in bag.list_tables() for bag in found] == [True, False]
    assert [len(list(bag.get_table_as_dict("Image"))) for bag in found] == [IMAGES, IMAGES]
    assert sorted(each.name for each in (tmp_path / "together").iterdir()) == ["part", "whole"]


# --- other tools ------------------------------------------------------------------------------------------------------


def test_bdbag_completes_a_bag_of_a_served_catalog(made: tuple[DerivaML, str], tmp_path: Path) -> None:
    ml, rid = made
    with LocalServer.open(ml.host_name).serve() as running:
        served = DerivaML(running.url, ml.catalog_id, working_dir=tmp_path / "work")
        bag = served.download_dataset_bag(DatasetSpec(rid=rid, materialize=False))
        copy = tmp_path / bag.path.name
        shutil.copytree(bag.path, copy)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bdbag_api.validate_bag_structure(str(copy))
            bdbag_api.materialize(str(copy))
            bdbag_api.validate_bag(str(copy), fast=False)
        bag.materialize()
        assert {path.name for path in copy.glob("data/assets/Image/*/*")} == {
            f"{n}.txt" for n in range(IMAGES)
        }
        for entry in seal.read_fetch(copy):
            assert (copy / entry.path).read_bytes() == (bag.path / entry.path).read_bytes()


def test_a_change_since_the_release_is_told_once(
    made: tuple[DerivaML, str], caplog: pytest.LogCaptureFixture
) -> None:
    ml, _ = made
    dataset = run(ml, "Change", lambda exe: exe.create_dataset(description="Changed"))[1]
    dataset.mark_dev("Changed")
    for look in (ml.bag_info, ml.estimate_bag_size, ml.download_dataset_bag):
        caplog.clear()
        look(DatasetSpec(rid=dataset.dataset_rid))
        assert caplog.text.count("has changed since its release") == 1
    kept = dataset.cache(version="0.1.0")
    assert (kept["status"], kept["tables"]["Dataset"]["row_count"]) == ("cached_materialized", 1)


# --- wrong input ------------------------------------------------------------------------------------------------------


def test_a_bag_does_not_advise_to_refresh(
    made: tuple[DerivaML, str], again: Callable[..., DatasetBag]
) -> None:
    with pytest.raises(DerivaMLTableNotFound) as of_bag:
        again().get_table_as_dict("Nope")
    assert str(of_bag.value) == "There is no table 'Nope' here."
    with pytest.raises(DerivaMLTableNotFound, match=r"in this catalog\..* call ml\.refresh_schema\(\)\."):
        made[0].list_assets("Nope")


def test_tables_to_leave_out_must_exist(made: tuple[DerivaML, str], again: Callable[..., DatasetBag]) -> None:
    with pytest.raises(DerivaMLTableNotFound, match="Did you mean 'Subject'"):
        again(exclude_tables={"Subjct"})
    with pytest.raises(DerivaMLTableNotFound, match="'Nonsense'"):
        made[0].estimate_bag_size(DatasetSpec(rid=made[1], exclude_tables={"Nonsense"}))


def test_how_far_an_export_is_can_be_seen(
    again: Callable[..., DatasetBag], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bag = again()
    shown = capsys.readouterr().err
    for word in (
        f"Reading {bag.path.name.replace('_', ' ')}, Image: ",
        f"{bag.path.name.replace('_', ' ')}: ",
    ):
        assert f"\r{word}" in shown


def test_a_cache_that_is_no_folder(again: Callable[..., DatasetBag], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DerivaMLConfigurationError, match=r"cache folder .*file.* pass cache_dir="):
        again(tmp_path / "file")


def _with_short_files(download: Callable[..., Any]) -> None:
    """The kernel refuses to let files grow, as a full disk does."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, most))
    with pytest.raises(DerivaMLConfigurationError, match="cannot hold the bag"):
        download()
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    seal.validate(download().path)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limits")
def test_a_full_disk(again: Callable[..., DatasetBag], tmp_path: Path) -> None:
    with pytest.raises(DerivaMLException, match="has no version"):
        again(version="9.0.0")
    process = multiprocessing.get_context("fork").Process(target=_with_short_files, args=(again,))
    process.start()
    process.join(60)
    assert process.exitcode == 0


def test_a_server_that_goes_away(
    made: tuple[DerivaML, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_ATTEMPTS", "0")
    ml, rid = made
    with LocalServer.open(ml.host_name).serve() as running:
        served = DerivaML(running.url, ml.catalog_id, working_dir=tmp_path / "work")
        bag = served.download_dataset_bag(DatasetSpec(rid=rid, materialize=False))
    with pytest.raises(DerivaMLConnectionError, match="failed"):
        bag.materialize()
    assert len(seal.missing(bag.path)) > IMAGES
    assert len(bag.list_dataset_members()["Image"]) == IMAGES


@pytest.mark.parametrize(
    "place", ["../../out.txt", "/tmp/out.txt", "data/../out.txt", "data/assets/link/1/out.txt"]
)
def test_a_list_of_files_leads_nowhere_else(
    again: Callable[..., DatasetBag], tmp_path: Path, place: str
) -> None:
    bag = again(materialize=False)
    (tmp_path / "elsewhere").mkdir()
    (bag.path / "data" / "assets").mkdir(exist_ok=True)
    (bag.path / "data" / "assets" / "link").symlink_to(tmp_path / "elsewhere")
    fetch, manifest = bag.path / "fetch.txt", bag.path / "manifest-md5.txt"
    url, length, first = fetch.read_text().splitlines()[0].split("\t")
    fetch.write_text(f"{url}\t{length}\t{place}\n")
    manifest.write_text(manifest.read_text().replace(f"  {first}\n", f"  {place}\n"))
    with pytest.raises(DerivaMLDataError, match="out"):
        bag.materialize()
    assert not list((tmp_path / "elsewhere").rglob("*"))


def test_an_open_bag_that_was_removed_says_so(again: Callable[..., DatasetBag]) -> None:
    bag = again(materialize=False)
    shutil.rmtree(bag.path)
    bag.reader.database.unlink()
    for call in (bag.list_dataset_members, bag.materialize):
        with pytest.raises(DerivaMLDataError, match="was removed; download it again"):
            call()
