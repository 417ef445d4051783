"""Assets in a catalog: tables, rows, types, bytes."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from deriva_ml.asset import asset as assets
from deriva_ml.asset.define import create_asset, create_asset_table
from deriva_ml.asset.download import download
from deriva_ml.asset.record import asset_record_class
from deriva_ml.checksums import md5_of
from deriva_ml.ermrest import objects, rows
from deriva_ml.errors import (
    DerivaMLConflictError,
    DerivaMLException,
    DerivaMLInvalidTerm,
    DerivaMLNotFoundError,
    DerivaMLRidsNotFound,
    DerivaMLTableTypeError,
    DerivaMLValidationError,
)
from deriva_ml.model.define import ColumnDefinition, ForeignKeyDefinition
from deriva_ml.model.graph import Table
from deriva_ml.model.types import BuiltinTypes
from deriva_ml.session import Session
from deriva_ml.storage import list_cached_assets
from deriva_ml.vocabulary import list_terms, lookup_term


@pytest.fixture(scope="module")
def images(ml_session: Session) -> Table:
    return create_asset(ml_session, "Picture", [ColumnDefinition("Width", BuiltinTypes.int4)])


@pytest.fixture(scope="module")
def stored(ml_session: Session, images: Table, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """RIDs of three pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    made = []
    for number in range(3):
        file = folder / f"picture {number}.png"
        file.write_bytes(b"picture %d" % number)
        md5 = md5_of(file)
        url = objects.object_url("Picture", f"{md5}.{file.name}")
        url = objects.put(ml_session.connection, file, url, md5=md5)
        made.append(
            {"URL": url, "Filename": file.name, "Length": file.stat().st_size, "MD5": md5, "Width": number}
        )
    found = [row["RID"] for row in rows.insert(ml_session.connection, images, made)]
    assets.add_types(ml_session, images, [(rid, "Picture") for rid in found])
    return found


def test_an_asset_table_has_its_companions(ml_session: Session, images: Table) -> None:
    model = ml_session.model
    assert model.is_asset("Picture")
    assert model.asset_metadata("Picture") == {"Width"}
    assert [part if isinstance(part, str) else part.name for part in model.asset_types(images)] == [
        "Picture_Asset_Type", "Picture", "Asset_Type",
    ]  # fmt: skip
    assert model.asset_executions(images)[0].name == "Picture_Execution"
    assert lookup_term(ml_session, "Asset_Type", "Picture").description == "A Picture asset"
    assert "tag:isrd.isi.edu,2016:visible-columns" in images.annotations
    assert images in assets.list_asset_tables(ml_session)


def test_a_plain_asset_table_gives_no_type(ml_session: Session, fresh: Any) -> None:
    name = fresh("Plain")
    table = create_asset_table(ml_session, name, [{"name": "Note", "type": {"typename": "text"}}], "notes")
    assert ml_session.model.asset_metadata(table) == {"Note"}
    assert name not in [term.name for term in list_terms(ml_session, "Asset_Type")]
    pattern = table.columns.elements["URL"].annotations["tag:isrd.isi.edu,2017:asset"]["url_pattern"]
    assert pattern == "/hatrac/metadata/{{MD5}}.{{Filename}}"
    with pytest.raises(DerivaMLConflictError, match="already exists"):
        create_asset_table(ml_session, name)


@pytest.mark.parametrize("name", ["Execution", "Asset_Type", "Asset_Role"])
def test_an_asset_table_is_not_called_as_what_its_files_refer_to(ml_session: Session, name: str) -> None:
    with pytest.raises(DerivaMLValidationError, match=f"An asset table cannot be called '{name}'"):
        create_asset(ml_session, name)


def test_references_of_an_asset_table(ml_session: Session, images: Table, fresh: Any) -> None:
    link = ForeignKeyDefinition(["Other"], "lab", "Picture")
    table = create_asset(
        ml_session,
        fresh("Crop"),
        [ColumnDefinition("Other")],
        [link],
        [images, "Workflow_Type"],
        comment="crops",
    )
    targets = {next(iter(key.foreign_key_columns)).name: key.pk_table.name for key in table.foreign_keys}
    assert {
        "Other": "Picture",
        "Picture": "Picture",
        "Workflow_Type": "Workflow_Type",
    }.items() <= targets.items()
    record = asset_record_class(ml_session.model, table)
    with pytest.raises(DerivaMLValidationError, match="Picture"):
        record(Workflow_Type="Training")


def test_the_record_class_of_an_asset_table(ml_session: Session, images: Table) -> None:
    record = assets.asset_record_class(ml_session, "Picture")
    assert record.__name__ == "PictureAssetRecord"
    assert record(Width=3).model_dump() == {"Width": 3}
    with pytest.raises(DerivaMLValidationError):
        record(Height=3)
    with pytest.raises(DerivaMLTableTypeError):
        assets.asset_record_class(ml_session, "Workflow")


def test_looking_up_an_asset(ml_session: Session, stored: list[str]) -> None:
    found = assets.lookup_asset(ml_session, stored[1])
    assert (found.asset_rid, found.asset_table, found.filename) == (stored[1], "Picture", "picture 1.png")
    assert (found.length, found.asset_types, found.execution_rid) == (9, ["Picture"], None)
    assert found.get_metadata()["Width"] == 1
    assert found.get_chaise_url().endswith(f"lab:Picture/RID={stored[1]}")
    assert found == assets.lookup_asset(ml_session, stored[1]) != assets.lookup_asset(ml_session, stored[0])
    assert "picture 1.png" in repr(found)
    assert "picture 1.png" in found._repr_html_()


def test_what_is_no_asset(ml_session: Session, stored: list[str]) -> None:
    term = list_terms(ml_session, "Asset_Role")[0]
    with pytest.raises(DerivaMLException, match="not an asset"):
        assets.lookup_asset(ml_session, term.rid)
    with pytest.raises(DerivaMLException, match="Invalid RID"):
        assets.lookup_asset(ml_session, "ZZ-ZZZZ")
    with pytest.raises(DerivaMLTableTypeError):
        assets.lookup_assets(ml_session, [stored[0], term.rid])
    with pytest.raises(DerivaMLRidsNotFound):
        assets.lookup_assets(ml_session, [stored[0], "ZZ-ZZZZ"])
    with pytest.raises(DerivaMLTableTypeError):
        assets.list_assets(ml_session, "Workflow")


def test_many_assets(ml_session: Session, stored: list[str]) -> None:
    wanted = [stored[2], stored[0]]
    assert list(assets.lookup_assets(ml_session, wanted)) == wanted
    assert [found.asset_rid for found in assets.list_assets(ml_session, "Picture")] == stored
    assert {found.asset_rid for found in assets.find_assets(ml_session, asset_type="Picture")} == set(stored)
    assert list(assets.find_assets(ml_session, "Picture", "Model_File")) == []
    assert set(stored) <= {found.asset_rid for found in assets.find_assets(ml_session)}


def test_types_come_and_go(ml_session: Session, stored: list[str]) -> None:
    found = assets.lookup_asset(ml_session, stored[0])
    found.add_asset_type("Model_File")
    found.add_asset_type("Model_File")
    assert sorted(found.asset_types) == ["Model_File", "Picture"]
    found.remove_asset_type("Model_File")
    found.remove_asset_type("Model_File")
    assert assets.lookup_asset(ml_session, stored[0]).asset_types == ["Picture"]
    with pytest.raises(DerivaMLInvalidTerm):
        found.add_asset_type("Nonsense")


def test_the_description_is_written(ml_session: Session, stored: list[str]) -> None:
    found = assets.lookup_asset(ml_session, stored[0])
    found.description = "The *first* one"
    assert assets.lookup_asset(ml_session, stored[0]).description == found.description == "The *first* one"


def test_bytes_come_to_this_disk(ml_session: Session, stored: list[str], tmp_path: Path, caplog: Any) -> None:
    found = assets.lookup_asset(ml_session, stored[1])
    file = found.download(tmp_path / "not" / "there" / "yet")
    assert (file.name, file.read_bytes()) == ("picture 1.png", b"picture 1")
    before = file.stat().st_mtime_ns
    assert found.download(file.parent) == file
    assert file.stat().st_mtime_ns == before
    assert not caplog.records
    file.write_bytes(b"mine")
    with caplog.at_level(logging.WARNING):
        assert found.download(file.parent).read_bytes() == b"picture 1"
    assert "is replaced" in caplog.text


def test_the_cache_is_shared(ml_session: Session, stored: list[str], tmp_path: Path) -> None:
    row = assets.lookup_asset(ml_session, stored[2]).get_metadata()
    one = download(ml_session, row, tmp_path / "one", use_cache=True)
    kept = ml_session.cache_dir / "assets" / f"{stored[2]}_{row['MD5']}" / "picture 2.png"
    assert one.resolve() == kept.resolve()
    away = row | {"URL": "/hatrac/Picture/none"}
    assert download(ml_session, away, tmp_path / "two", use_cache=True).read_bytes() == b"picture 2"
    os.utime(kept, (1, 1))
    assert download(ml_session, away, tmp_path / "three", use_cache=True).read_bytes() == b"picture 2"
    ml_session.cache_dir.joinpath("assets", f".{kept.parent.name}").unlink()
    assert download(ml_session, away, tmp_path / "four", use_cache=True).read_bytes() == b"picture 2"


def test_who_writes_to_a_cached_file_changes_no_other_run(
    ml_session: Session, stored: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    row = assets.lookup_asset(ml_session, stored[2]).get_metadata()
    kept = download(ml_session, row, tmp_path / "one", use_cache=True).resolve()
    assert not kept.stat().st_mode & 0o222
    kept.chmod(0o644)
    kept.write_bytes(b"another 2")
    assert download(ml_session, row, tmp_path / "two", use_cache=True).read_bytes() == b"picture 2"
    assert "has changed since it was cached" in caplog.text
    assert not kept.stat().st_mode & 0o222
    assert [asset.file_count for asset in list_cached_assets(ml_session)] == [1]


def test_missing_bytes_are_an_error(ml_session: Session, stored: list[str], tmp_path: Path) -> None:
    row = assets.lookup_asset(ml_session, stored[2]).get_metadata() | {"URL": "/hatrac/Picture/none"}
    with pytest.raises(DerivaMLNotFoundError, match="/hatrac/Picture/none"):
        download(ml_session, row, tmp_path)
    assert list(tmp_path.iterdir()) == []
