import hashlib
import shutil
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deriva_ml.bag import layout, pack, seal, write
from deriva_ml.errors import DerivaMLChecksumError, DerivaMLDataError

names = st.text(min_size=1, max_size=60).filter(lambda text: "\x00" not in text and text.isprintable())


@given(names, names, names)
def test_places_can_be_read_back(table, rid, name):
    assert layout.parse_asset(layout.asset_file(table, rid, name)) == (table, rid, name)
    assert layout.parse_rows(layout.rows_json(table, name)) == (table, name, "jsonl")
    assert layout.parse_rows(layout.rows_csv(table, name)) == (table, name, "csv")


@given(st.text(min_size=1))
def test_places_stay_inside(name):
    place = layout.asset_file("T", "1-A", name)
    parts = place.split("/")
    assert len(parts) == 5
    assert not {"", ".", ".."} & set(parts)
    assert "\n" not in place


@pytest.mark.parametrize("name", ["%" * 100 + ".txt", "?" * 200, "ü%" * 80 + "." + "x" * 90, "%" * 85])
def test_names_that_are_too_long_are_cut(name, tmp_path):
    one, other = (layout.encoded(text) for text in (name, f"_{name}"))
    assert one != other
    for text in (one, other):
        (tmp_path / text).touch()
        assert "%" not in text[-2:] or len(text) < 255


def test_other_places_are_nobodys():
    assert layout.parse_asset("data/schema.json") is None
    assert layout.parse_rows("data/assets/T/1/x.csv") is None
    assert layout.parse_rows("data/schema.json") is None


@pytest.fixture
def bag(tmp_path):
    folder = tmp_path / "bag"
    write.write_json_rows(folder, "s", "T", [{"RID": "1", "Text": "ä\n"}])
    outside = tmp_path / "scan 1.png"
    outside.write_bytes(b"bytes")
    here = tmp_path / "here.txt"
    here.write_text("here")
    write.copy_file(folder, layout.asset_file("T", "1", "here.txt"), here)
    write.copy_file(folder, layout.asset_file("T", "2", "here.txt"), here)
    entry = write.FetchEntry(
        outside.as_uri(), 5, layout.asset_file("T", "3", "scan 1.png"), "4b3a6218bb3e3a7303e8a171a60fcf92"
    )
    assert not seal.is_sealed(folder)
    seal.seal(folder, fetch=[entry], info={"External-Identifier": "x"})
    return folder


def test_a_sealed_bag_is_a_bag_for_other_tools(bag):
    from bdbag import bdbag_api

    assert seal.is_sealed(bag)
    assert seal.missing(bag)[0].path == "data/assets/T/3/scan 1.png"
    with pytest.raises(DerivaMLChecksumError, match=r"scan 1\.png"):
        seal.validate(bag)
    seal.validate(bag, complete=False)
    [entry] = seal.read_fetch(bag)
    shutil.copy(seal.source_of(entry), seal_target(bag, entry))
    seal.validate(bag)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert bdbag_api.is_bag(str(bag))
        bdbag_api.validate_bag(str(bag), fast=False)
        info = bdbag_api.bdbagit.BDBag(str(bag)).info
    assert info["External-Identifier"] == "x"


def seal_target(bag, entry):
    target = bag / entry.path
    target.parent.mkdir(parents=True)
    return target


def test_a_bag_holds_files_of_any_name(tmp_path):
    from bdbag import bdbag_api

    odd = ["100%.txt", "a:b?.txt", "one\ntwo\r.txt", "a%0Ab.txt", "ends ", " begins", "*.txt", "\u2028.txt"]
    long = ["研究画像" * 20, "ü" * 120]
    folder, here = tmp_path / "bag", tmp_path / "here.txt"
    here.write_text("here")
    places = [layout.asset_file("T", str(n), name) for n, name in enumerate([*odd, *long])]
    for place in places:
        write.copy_file(folder, place, here)
    entry = write.FetchEntry(
        here.as_uri(), 4, layout.asset_file("T", "A", "elsewhere "), hashlib.md5(b"here").hexdigest()
    )
    seal.seal(folder, fetch=[entry])
    assert [place.rpartition("/")[2] for place in places[-2:]] == long
    assert [each.path for each in seal.missing(folder)] == [entry.path]
    write.copy_file(folder, entry.path, here)
    seal.validate(folder)
    assert sorted(seal.read_manifest(folder)) == sorted([*places, entry.path])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bdbag_api.validate_bag(str(folder), fast=False)


def test_damage_is_seen(bag):
    (bag / layout.rows_json("s", "T")).write_text("changed")
    (bag / "data" / "extra").write_text("extra")
    with pytest.raises(DerivaMLChecksumError, match=r"data/extra, data/s/T\.jsonl"):
        seal.validate(bag, complete=False)
    (bag / "bag-info.txt").write_text("")
    with pytest.raises(DerivaMLChecksumError, match=r"bag-info\.txt"):
        seal.validate(bag, complete=False)
    with pytest.raises(DerivaMLDataError, match="not a complete bag"):
        seal.read_manifest(bag / "data")


def test_bags_are_packed_and_unpacked(bag, tmp_path):
    packed = pack.archive(bag, tmp_path / "bag.zip")
    again = pack.extract(packed, tmp_path / "out")
    seal.validate(again, complete=False)
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(DerivaMLDataError, match="not a readable zip"):
        pack.extract(tmp_path / "text.zip", tmp_path / "out")
    seal.discard(again)
    assert not again.exists()
