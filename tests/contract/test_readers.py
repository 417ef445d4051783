"""What can be read from a dataset is the same from the catalog, at a version, in a bag and in a bag without its catalog."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.contract.readable import WAYS, Readable

from deriva_ml.dataset.denormalize import Denormalizer
from deriva_ml.errors import (
    DerivaMLConfigurationError,
    DerivaMLDenormalizeUnrelatedAnchor,
    DerivaMLException,
    DerivaMLFeatureNotFound,
    DerivaMLMaterializeLimitExceeded,
    DerivaMLTableNotFound,
)
from deriva_ml.feature.select import (
    select_by_execution,
    select_by_workflow,
    select_first,
    select_majority_vote,
    select_newest,
)


@pytest.fixture(scope="module", params=list(WAYS))
def way(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def datasets(lab: Readable, way: str) -> tuple[Any, Any]:
    """The outer and the inner dataset."""
    return WAYS[way](lab, lab.outer), WAYS[way](lab, lab.inner)


@pytest.fixture(scope="module")
def versions(lab: Readable) -> Any:
    """Histories of both, as the catalog has them."""
    return lab.outer.dataset_history(), lab.inner.dataset_history()


@pytest.fixture
def found(datasets: tuple[Any, Any], way: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """They; a bag is read without a network."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("A bag was read over the network.")

    if "bag" in way:
        monkeypatch.setattr("deriva_ml.ermrest.connect.Connection._request", refuse)
        monkeypatch.setattr(socket.socket, "connect", refuse)
    return datasets


@pytest.fixture
def outer(found: tuple[Any, Any]) -> Any:
    return found[0]


@pytest.fixture
def inner(found: tuple[Any, Any]) -> Any:
    return found[1]


def rids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["RID"] for row in rows]


def named(lab: Readable, *names: str) -> list[str]:
    return sorted(lab.rids[name] for name in names)


IMAGES = [f"image {n}" for n in range(4)]

# --- datasets and members -------------------------------------------------------------------------------------------


def test_what_a_dataset_is(lab: Readable, versions: Any, outer: Any, inner: Any) -> None:
    assert (outer.description, inner.description) == ("All", "Images")
    assert (outer.dataset_types, inner.dataset_types) == (["Complete", "Labeled"], ["Training"])
    assert outer.execution_rid == inner.execution_rid == lab.rids["Arrange"]
    assert (outer.is_directory, outer.is_source_root, outer.source_directory) == (False, False, None)
    assert [str(entry.dataset_version) for entry in inner.dataset_history()] == ["0.1.0", "0.2.0"]
    assert (str(outer.current_version), str(inner.current_version)) == ("0.2.0", "0.2.0")
    assert (outer.dataset_history(), inner.dataset_history()) == versions
    assert outer.dataset_history()[-1].snapshot
    assert {table.name for table in outer.list_dataset_element_types()} == {
        "Dataset",
        "File",
        "Image",
        "Subject",
    }


def test_members(lab: Readable, outer: Any, inner: Any) -> None:
    found = outer.list_dataset_members()
    assert sorted(found) == ["Dataset", "File", "Image", "Subject"]
    assert rids(found["Subject"]) == named(lab, "Ada", "Cyd")
    assert (found["Image"], found["File"]) == ([], [])
    assert rids(found["Dataset"]) == [inner.dataset_rid]
    deep = outer.list_dataset_members(recurse=True)
    assert rids(deep["Image"]) == named(lab, *IMAGES)
    assert rids(outer.list_dataset_members(recurse=True, limit=2)["Image"]) == named(lab, *IMAGES)[:2]
    assert outer.list_members("Subject") == named(lab, "Ada", "Cyd")
    assert outer.list_members("Image") == []
    assert outer.list_members("Image", recurse=True) == named(lab, *IMAGES)


def test_values_are_what_was_written(lab: Readable, inner: Any) -> None:
    row = next(row for row in inner.list_dataset_members()["Image"] if row["RID"] == lab.rids["image 3"])
    assert (row["Sharp"], row["Exposure"], row["Visit"]) == (True, 1.0, lab.rids["second visit"])
    assert row["Notes"] == ["a,b", 'c"d', ""]
    assert row["Info"] == {"n": [3, None, {"ü": "\n"}]}
    second = next(row for row in inner.list_dataset_members()["Image"] if row["RID"] == lab.rids["image 2"])
    assert second["Sharp"] is None
    assert second["Exposure"] == 2 / 3


def test_nesting(outer: Any, inner: Any) -> None:
    assert outer.list_dataset_children() == [inner]
    assert outer.list_dataset_children(recurse=True) == [inner]
    assert inner.list_dataset_parents() == inner.list_dataset_parents(recurse=True) == [outer]
    assert outer.list_dataset_children_rids() == [inner.dataset_rid]
    assert inner.list_dataset_children() == outer.list_dataset_parents() == []


def test_whole_floats_are_floats(lab: Readable, inner: Any) -> None:
    quality = "Execution_Image_Quality.Confidence"
    found = [row["Exposure"] for row in inner.list_dataset_members()["Image"]]
    found += [row["Image.Exposure"] for row in wide(inner, ["Image"])]
    found += [row[quality] for row in wide(inner, ["Image", "Quality"])]
    assert {type(value) for value in found} == {float}


def test_what_is_missing_in_frames(inner: Any) -> None:
    frame = inner.get_denormalized_as_dataframe(["Image", "Outline"])
    assert [each is None for each in frame["Execution_Image_Outline.Mask"]].count(True) == 3


# --- features -------------------------------------------------------------------------------------------------------


def test_features_are_found(outer: Any) -> None:
    assert sorted(each.feature_name for each in outer.find_features("Image")) == [
        "Outline",
        "Quality",
        "Side",
    ]
    assert sorted(each.feature_name for each in outer.find_features()) == [
        "Outline",
        "Quality",
        "Side",
        "Weight",
    ]
    quality = outer.lookup_feature("Image", "Quality")
    assert {column.name for column in quality.term_columns} == {"Grade"}
    assert {column.name for column in quality.value_columns} == {"Confidence"}
    assert {column.name for column in outer.lookup_feature("Image", "Outline").asset_columns} == {"Mask"}
    assert outer.lookup_feature("Image", "Side").qualifier_columns == ["Eye"]
    with pytest.raises(DerivaMLFeatureNotFound, match="it has: Outline, Quality, Side"):
        outer.lookup_feature("Image", "Nonsense")
    with pytest.raises(DerivaMLTableNotFound, match="Imagee"):
        outer.lookup_feature("Imagee", "Quality")


def _grades(values: Any) -> dict[str, str]:
    return {record.Image: record.Grade for record in values}


def test_feature_values(lab: Readable, outer: Any, inner: Any) -> None:
    for dataset in (outer, inner):
        records = list(dataset.feature_values("Image", "Quality"))
        assert sorted({record.Image for record in records}) >= named(lab, *IMAGES)
        assert {record.Execution for record in records} == {lab.rids["Grade one"], lab.rids["Grade two"]}
        assert {(type(record.Confidence), record.Feature_Name) for record in records} == {(float, "Quality")}
    assert len(list(inner.feature_values("Image", "Quality"))) == 8
    assert [record.Grams for record in outer.feature_values("Subject", "Weight")] in ([0, 1], [1, 0])
    masks = {record.Image: record.Mask for record in inner.feature_values("Image", "Outline")}
    assert masks[lab.rids["image 0"]]
    assert masks[lab.rids["image 1"]] is None


def test_selectors(lab: Readable, inner: Any) -> None:
    good = dict.fromkeys(named(lab, *IMAGES), "Good")
    mixed = good | {lab.rids["image 1"]: "Bad", lab.rids["image 3"]: "Bad"}

    def chosen(selector: Any) -> dict[str, str]:
        return _grades(inner.feature_values("Image", "Quality", selector))

    assert chosen(select_first) == good
    assert chosen(select_newest) == mixed
    assert chosen(select_by_execution(lab.rids["Grade one"])) == good
    assert chosen(select_by_execution(lab.rids["Ingest"])) == {}
    assert chosen(select_by_workflow("Analysis", container=inner)) == mixed
    assert chosen(select_majority_vote()) == mixed
    assert chosen(lambda records: None) == {}
    only = inner.feature_values("Image", "Quality", execution_rids=[lab.rids["Grade one"]])
    assert _grades(only) == good
    assert list(inner.feature_values("Image", "Quality", execution_rids=[])) == []


def test_qualifiers_are_told_apart(inner: Any) -> None:
    assert len(list(inner.feature_values("Image", "Side"))) == 8
    chosen = list(inner.feature_values("Image", "Side", select_newest))
    assert sorted((record.Eye, record.Grade) for record in chosen) == [
        ("Left", "Bad"),
        ("Left", "Good"),
        ("Right", "Bad"),
        ("Right", "Good"),
    ]


@pytest.mark.parametrize("limit", [-1, 1.5, "2", True])
def test_a_limit_is_a_number_of_rows(inner: Any, limit: Any) -> None:
    with pytest.raises(ValueError, match=f"limit must be a whole number of at least 0, not {limit!r}"):
        inner.list_dataset_members(limit=limit)
    assert inner.list_dataset_members(limit=0)["Image"] == []


def test_limits_and_mistakes(inner: Any) -> None:
    with pytest.raises(ValueError, match="execution_rids cannot be '1-ABC'; give a list"):
        list(inner.feature_values("Image", "Quality", execution_rids="1-ABC"))
    with pytest.raises(DerivaMLMaterializeLimitExceeded) as caught:
        list(inner.feature_values("Image", "Quality", materialize_limit=7))
    assert (caught.value.actual_count, caught.value.limit) == (8, 7)
    assert len(list(inner.feature_values("Image", "Quality", materialize_limit=8))) == 8
    with pytest.raises(DerivaMLFeatureNotFound):
        inner.feature_values("Image", "Nonsense")
    with pytest.raises(DerivaMLException, match="'Nonsense'"):
        inner.list_workflow_executions("Nonsense")
    executions = inner.list_workflow_executions("Analysis")
    assert len(executions) >= 3


# --- wide tables ------------------------------------------------------------------------------------------------------


def wide(dataset: Any, tables: list[str], **options: Any) -> list[dict[str, Any]]:
    return list(dataset.get_denormalized_as_dict(tables, **options))


def test_wide_rows(lab: Readable, inner: Any) -> None:
    found = wide(inner, ["Image", "Subject", "Site"])
    shown = {(row["Image.RID"], row["Subject.Name"], row["Site.Name"]) for row in found}
    where = [("Ada", "AT one"), ("Bob", "CH one")]
    assert shown == {(lab.rids[f"image {n}"], *where[n % 2]) for n in range(4)}
    assert {type(row["Image.Notes"]) for row in found} == {list}
    assert "Image.RCT" not in found[0]


def test_a_member_that_nothing_refers_to_gives_a_row(lab: Readable, outer: Any) -> None:
    found = wide(outer, ["Visit", "Subject"])
    assert {(row["Subject.Name"], row["Visit.Day"]) for row in found} >= {
        ("Ada", "2024-01-01"),
        ("Cyd", None),
    }


def test_features_in_wide_tables(lab: Readable, inner: Any) -> None:
    label = "Execution_Image_Quality.Grade"
    assert len(wide(inner, ["Image", "Quality"])) == 8
    chosen = wide(inner, ["Image", "Quality"], selector=select_newest)
    assert {row["Image.RID"]: row[label] for row in chosen} == _grades(
        inner.feature_values("Image", "Quality", select_newest)
    )
    sides = wide(inner, ["Image", "Side"], selector=select_newest)
    assert len([row for row in sides if row["Execution_Image_Side.RID"]]) == 4
    with pytest.raises(ValueError, match="exactly one feature"):
        wide(inner, ["Image"], selector=select_newest)
    made = wide(inner, ["Image", "Quality", "Execution", "Workflow"])
    assert {row["Execution.Description"] for row in made if row[label]} == {"Grade one", "Grade two"}
    assert all(row["Workflow.RID"] == row["Execution.Workflow"] for row in made)


def test_wide_tables_as_frame_arrow_and_parquet(inner: Any, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    tables = ["Image", "Quality", "Subject"]
    rows = wide(inner, tables, system_columns=["RCT"])
    assert {"Image.RCT", "Subject.RCT"} < set(rows[0])
    as_text = [
        {**row, "Image.Info": json.loads(row["Image.Info"] or "null")} for row in _arrow(inner, tables)
    ]
    assert as_text == rows
    path = inner.write_denormalized_parquet(tmp_path / "new" / "wide.parquet", tables, system_columns=["RCT"])
    assert parquet.read_table(path).to_pylist() == _arrow(inner, tables)
    for place in (path / "wide.parquet", path.parent):
        with pytest.raises(DerivaMLConfigurationError, match=f"{place} cannot be written: .*. Name another"):
            inner.write_denormalized_parquet(place, tables)
    assert [each.name for each in path.parent.iterdir()] == ["wide.parquet"]
    assert repr(Denormalizer(inner)).startswith(
        f"<Denormalizer of {type(inner).__name__} {inner.dataset_rid}: "
    )
    frame = inner.get_denormalized_as_dataframe(tables, system_columns=["RCT"])
    assert list(frame.columns) == list(rows[0])
    assert list(frame["Image.RID"]) == [row["Image.RID"] for row in rows]


def _arrow(dataset: Any, tables: list[str]) -> list[dict[str, Any]]:
    return list(dataset.get_denormalized_as_arrow(tables, system_columns=["RCT"]).read_all().to_pylist())


def test_wide_tables_are_kept(inner: Any, caplog: pytest.LogCaptureFixture) -> None:
    fresh = inner.get_denormalized_as_dataframe(["Image", "Subject"])
    for force in (False, False, True):
        assert inner.cache_denormalized(["Image", "Subject"], force=force).equals(fresh)
    if hasattr(inner, "reader"):
        for kept in (inner.reader.database.parent / "wide").iterdir():
            kept.write_bytes(kept.read_bytes()[:-9])
        assert inner.cache_denormalized(["Image", "Subject"]).equals(fresh)
        assert "was changed; it is made again" in caplog.text


def test_wide_tables_are_described(lab: Readable, outer: Any) -> None:
    found = outer.describe_denormalized(["Image", "Subject"])
    assert (found["row_per"], found["row_per_source"]) == ("Image", "auto-inferred")
    assert found["join_path"] == ["Image", "Visit", "Subject"]
    assert (found["transparent_intermediates"], found["ambiguities"], found["warnings"]) == (
        ["Visit"],
        [],
        [],
    )
    assert found["anchors"] == {"total": 6, "by_type": {"Image": 4, "Subject": 2}}
    assert found["estimated_row_count"]["total"] == len(wide(outer, ["Image", "Subject"]))
    assert found["estimated_row_count"]["orphan_rows"] == 1
    assert found["columns"] == outer.list_denormalized_columns(["Image", "Subject"])
    unclear = outer.describe_denormalized(["Quality", "Outline"])
    assert (unclear["row_per"], unclear["join_path"]) == (None, [])
    assert sorted(unclear["row_per_candidates"]) == ["Execution_Image_Outline", "Execution_Image_Quality"]
    (several,) = unclear["ambiguities"]
    assert (several["type"], several["from"]) == ("multi_leaf", unclear["row_per_candidates"])
    for name in several["suggestions"]["row_per"]:
        assert wide(outer, ["Quality", "Outline"], row_per=name)
    assert unclear["estimated_row_count"]["total"] is None
    several = outer.describe_denormalized(["Image", "Grade"])["ambiguities"]
    assert [(each["type"], each["from"], each["to"]) for each in several] == [
        ("ambiguous_path", "Image", "Grade")
    ]
    assert set(several[0]["suggestions"]["add_to_via"]) >= {"Execution_Image_Quality", "Execution_Image_Side"}
    assert (
        "Members of Image, Subject have no path to Alone"
        in outer.describe_denormalized(["Alone"])["warnings"][0]
    )
    assert outer.describe_denormalized(["Alone"], ignore_unrelated_anchors=True)["warnings"] == []
    _what_cannot_be_made_is_described_too(outer)
    with pytest.raises(TypeError):
        outer.describe_denormalized(["Image"], row_pr="Image")
    with pytest.raises(ValueError, match="include_tables cannot be"):
        outer.describe_denormalized("Image")


def _what_cannot_be_made_is_described_too(outer: Any) -> None:
    def told(*tables: str, **options: Any) -> tuple[dict[str, Any], Any, Any, Any]:
        found = outer.describe_denormalized(list(tables), **options)
        first = found["ambiguities"][0]
        assert found["warnings"]
        assert found["estimated_row_count"]["total"] is None
        return found, first["type"], first["from"], first["suggestions"]

    found, kind, name, suggestions = told("Image", "Subjct")
    assert (kind, name, suggestions["add_to_include_tables"]) == ("unknown_table", "Subjct", ["Subject"])
    assert found["include_tables"] == ["Image"]
    assert told()[1] == "nothing_included"
    found, kind, name, suggestions = told("Image", row_per="Subject")
    assert (found["row_per"], found["row_per_source"]) == ("Subject", "explicit")
    assert (kind, name, suggestions["row_per"]) == ("row_per_not_included", "Subject", ["Image"])
    found, kind, _, suggestions = told("Image", "Subject", row_per="Subject")
    assert (found["row_per"], kind, suggestions["row_per"]) == ("Subject", "downstream_leaf", ["Image"])
    assert told("Image", row_per="Nonsense")[1] == told("Image", via=["Nonsense"])[1] == "unknown_table"


def test_paths_between_tables(outer: Any) -> None:
    found = outer.list_schema_paths()
    assert found["anchor_types"] == ["Image", "Subject"]
    assert {"Image", "Mask", "Visit", "Site"} <= set(found["reachable_tables"]["Subject"])
    assert "Execution_Image_Quality" in found["feature_tables"]
    assert found["schema_paths"]["Image", "Subject"] == [
        {"path": ["Image", "Visit", "Subject"], "direct": False}
    ]
    assert found["schema_paths"]["Visit", "Site"] == [{"path": ["Visit", "Site"], "direct": True}]
    assert set(outer.list_schema_paths(["Visit", "Site"])["schema_paths"]) == {
        ("Visit", "Site"),
        ("Site", "Visit"),
    }


def test_denormalizer(lab: Readable, inner: Any) -> None:
    made = Denormalizer(inner)
    records = list(made.feature_records("Quality", selector=select_newest))
    assert _grades(records) == _grades(inner.feature_values("Image", "Quality", select_newest))
    assert made.columns(["Site"]) == inner.list_denormalized_columns(["Site"])


def test_columns_of_wide_tables(inner: Any) -> None:
    assert inner.list_denormalized_columns(["Visit", "Site"], row_per="Visit") == [
        ("Visit.RID", "ermrest_rid"),
        ("Visit.Day", "date"),
        ("Visit.Subject", "text"),
        ("Visit.Country", "text"),
        ("Visit.Number", "text"),
        ("Site.RID", "ermrest_rid"),
        ("Site.Country", "text"),
        ("Site.Number", "text"),
        ("Site.Name", "text"),
    ]


def test_a_table_that_refers_to_itself(lab: Readable, outer: Any) -> None:
    found = {row["Subject.Name"]: row["Subject.Mother"] for row in wide(outer, ["Subject"])}
    assert found["Ada"] == found["Cyd"] == lab.rids["Eve"]
    assert found["Eve"] is None


def test_members_without_relation_to_the_tables(outer: Any) -> None:
    with pytest.raises(DerivaMLDenormalizeUnrelatedAnchor) as caught:
        wide(outer, ["Alone"])
    assert sorted(caught.value.unrelated_tables) == ["Image", "Subject"]
    assert wide(outer, ["Alone"], ignore_unrelated_anchors=True) == []


def test_wide_tables_of_some_rows(lab: Readable) -> None:
    made = Denormalizer.from_rids({"Image": [lab.rids["image 5"]], "Subject": [lab.rids["Cyd"]]}, ml=lab.ml)
    found = {(row["Image.RID"], row["Subject.Name"]) for row in made.as_dict(["Image", "Subject"])}
    assert {(lab.rids["image 5"], "Bob"), (None, "Cyd")} <= found
    with pytest.raises(DerivaMLException, match="9-ZZZZ"):
        Denormalizer.from_rids(["9-ZZZZ"], ml=lab.ml)


def test_live_is_what_is_there_now(lab: Readable) -> None:
    dataset = lab.live(lab.outer)

    def rename(name: str) -> None:
        rows = [{"RID": lab.rids["Cyd"], "Name": name}]
        lab.ml.catalog.put("/attributegroup/lab:Subject/RID;Name", json=rows)

    def names(**options: Any) -> set[str]:
        return {row["Subject.Name"] for row in dataset.get_denormalized_as_dict(["Subject"], **options)}

    rename("Cyd now")
    assert "Cyd now" in names()
    assert names(version="0.2.0") == names() - {"Cyd now"} | {"Cyd"}
    rename("Cyd")
    assert names() == names(version="0.2.0")


def test_the_size_of_a_wide_table(lab: Readable) -> None:
    found = lab.ml.estimate_denormalized_size(["Image", "Subject"])
    files = lab.ml.get_table_as_dataframe("Image")
    tables = found["tables"]
    assert found["join_path"] == list(tables)
    assert (found["join_path"][0], "Subject" in tables) == ("Image", True)
    assert ("Subject.Name", "text") in found["columns"]
    assert tables["Image"] == {
        "row_count": len(files),
        "is_asset": True,
        "asset_bytes": sum(files["Length"]),
    }
    assert not tables["Subject"]["is_asset"]
    assert found["total_rows"] == sum(each["row_count"] for each in tables.values())
    assert found["total_asset_bytes"] == sum(files["Length"])
    assert found["total_asset_size"].endswith("B")
    with pytest.raises(DerivaMLTableNotFound):
        lab.ml.estimate_denormalized_size(["Imagee"])
