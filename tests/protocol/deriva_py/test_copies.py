"""Whole catalogs copied by deriva-py: clones, backups and restores; documents and rows are equal afterwards."""

import gc

import pytest
from deriva.core import DerivaServer
from deriva.transfer import DerivaBackup, DerivaRestore
from requests import HTTPError
from tests.protocol.deriva_py.rich import EGG, HEN, KINDS, LAB, STRANGE, TYPES, documents, rows


def test_every_value_comes_back(rich):
    found = rows(rich)[LAB, KINDS]
    for name, values in TYPES.items():
        wanted = [*values, *[[] if name.endswith("[]") else None] * (len(found) - len(values))]
        assert [row[f"c {name}"] for row in found] == wanted, name


def test_clone(rich):
    copy = rich.clone_catalog()
    try:
        assert rows(copy) == rows(rich)
        assert without_progress(documents(copy)) == documents(rich)
        assert copy.get("/").json()["clone_source"] == rich.catalog_id
        # Numbers of serial columns go on behind the copied ones; so do the RIDs.
        eggs = copy.getPathBuilder().schemas[LAB].tables[EGG]
        (made,) = eggs.insert([{"Code": "new"}], defaults={"Count"})
        assert made["RID"] not in {row["RID"] for table in rows(rich).values() for row in table}
        with pytest.raises(HTTPError, match="prior to any known revision"):
            rich_time = rich.get("/").json()["snaptime"]
            copy.deriva_server.connect_ermrest(f"{copy.catalog_id}@{rich_time}").get("/schema")
    finally:
        copy.delete_ermrest_catalog(really=True)


def without_progress(document):
    """A clone notes in annotations how far it is, and leaves them."""
    mark = "/annotations/tag:isrd.isi.edu,2018:clone-status"
    ends = {path for path in document if path.endswith(mark)}
    beside = {path.removesuffix(mark) + "/annotations": {} for path in ends}
    kept = {path: value for path, value in document.items() if path not in ends}
    return {path: value for path, value in beside.items() if not any(k.startswith(path) for k in kept)} | kept


def test_clone_of_a_snapshot(rich):
    then = rich.latest_snapshot()
    before = rows(rich)
    rich.delete(f"/entity/{LAB}:{EGG}/Code=e3")
    rich.getCatalogModel().table(LAB, EGG).columns["Notes"].drop()
    copy = then.clone_catalog(truncate_after=False, copy_policy=False)
    try:
        assert rows(copy) == before
        assert without_progress(documents(copy, policy=False)) == documents(then, policy=False)
        # History was kept: before the rows came there were none.
        first = copy.get("/history/,").json()["snaprange"][0]
        assert copy.deriva_server.connect_ermrest(f"{copy.catalog_id}@{first}").get("/schema").json()[
            "schemas"
        ].keys() == {"public"}
    finally:
        copy.delete_ermrest_catalog(really=True)


def test_a_clone_can_be_resumed(rich, server):
    copy = server.create_ermrest_catalog(name="half")
    try:
        rich.clone_catalog(dst_catalog=copy, truncate_after=False)
        rich.clone_catalog(dst_catalog=copy)
        assert rows(copy) == rows(rich)
    finally:
        copy.delete_ermrest_catalog(really=True)


def test_clone_without_data(rich):
    copy = rich.clone_catalog(copy_data=False, exclude_schemas=None, copy_annotations=False)
    try:
        assert all(table == [] for table in rows(copy).values())
        assert rows(copy).keys() == rows(rich).keys()
    finally:
        copy.delete_ermrest_catalog(really=True)


@pytest.fixture
def arguments(http):
    return {"host": http.removeprefix("http://"), "protocol": "http"}


@pytest.fixture
def plain(arguments):
    return DerivaServer("http", arguments["host"], {"cookie": "webauthn=x"})


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("host", ["http"], indirect=True)
@pytest.mark.parametrize("bagged", [False, True], ids=["folder", "bag"])
def test_backup_and_restore(rich, arguments, plain, tmp_path, bagged):
    backup = DerivaBackup(
        arguments | {"catalog_id": rich.catalog_id},
        output_dir=str(tmp_path / "backup"),
        no_bag=not bagged,
        token="x",
    )
    backup.download()
    (place,) = [tmp_path / "backup"] if not bagged else (tmp_path / "backup").iterdir()
    restore = DerivaRestore(dict(arguments), input_path=str(place), token="x")
    restore.restore()
    gc.collect()  # files that a restore leaves open
    copy = plain.connect_ermrest(restore.catalog_id)
    try:
        assert rows(copy) == rows(rich)
        found, wanted = documents(copy), documents(rich)
        for document in (found, wanted):  # a restore adds the owner to the owner
            document["/acls/owner"] = sorted(set(document["/acls/owner"]))
        assert found == wanted
        assert copy.get("/history/,").json()["snaprange"][0] == copy.get("/history/,").json()["snaprange"][1]
        eggs = copy.getPathBuilder().schemas[LAB].tables[EGG]
        eggs.filter(eggs.Code == "e7").delete()
        assert [row["Näme"] for row in rows(copy)[STRANGE, HEN]] == ["Berta", "c&d=1"]
    finally:
        copy.delete_ermrest_catalog(really=True)
