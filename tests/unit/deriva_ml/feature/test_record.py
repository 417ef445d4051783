"""Record classes follow their feature tables."""

from __future__ import annotations

import datetime
import pickle
import weakref
from pathlib import Path

import pytest

from deriva_ml.errors import (
    DerivaMLException,
    DerivaMLFeatureNotFound,
    DerivaMLTableNotFound,
    DerivaMLValidationError,
)
from deriva_ml.feature import record
from deriva_ml.feature.feature import find_features, lookup_feature
from deriva_ml.feature.record import FeatureRecord
from deriva_ml.model.graph import CatalogModel


def _names(columns: set[object]) -> set[str]:
    return {column.name for column in columns}  # type: ignore[attr-defined]


def test_a_feature_knows_its_columns(model: CatalogModel) -> None:
    feature = lookup_feature(model, "Image", "Label")
    assert (feature.feature_name, feature.target_table.name, feature.feature_table.name) == (
        "Label", "Image", "Execution_Image_Label",
    )  # fmt: skip
    assert _names(feature.term_columns) == {"Digit"}
    assert _names(feature.asset_columns) == set()
    assert _names(feature.value_columns) == {"Confidence", "Rater", "Seen", "copy"}
    assert _names(feature.feature_columns) == {"Digit", "Confidence", "Rater", "Seen", "copy"}
    assert feature.qualifier_columns == []
    assert "Label" in repr(feature)
    assert "<table>" in feature._repr_html_()


def test_features_are_found(model: CatalogModel) -> None:
    assert sorted(found.feature_name for found in find_features(model)) == ["Label", "Outline"]
    assert len(find_features(model, "Image")) == 2
    assert find_features(model, "Mask") == []
    with pytest.raises(DerivaMLFeatureNotFound, match="it has: Label, Outline"):
        lookup_feature(model, "Image", "Lable")
    with pytest.raises(DerivaMLTableNotFound):
        lookup_feature(model, "Imagee", "Label")


def test_the_record_class(model: CatalogModel) -> None:
    record_class = lookup_feature(model, "Image", "Label").feature_record_class()
    assert record_class.__name__ == "ImageFeatureLabel"
    assert record_class is lookup_feature(model, "Image", "Label").feature_record_class()
    record = record_class(Image="1-A", Digit="3", Seen=datetime.date(2026, 1, 15), copy={"a": 1})
    assert record.to_row() == {
        "Execution": None, "Feature_Name": "Label", "RCT": None, "Image": "1-A", "Digit": "3", "Confidence": None,
        "Rater": 1, "Seen": "2026-01-15", "copy": {"a": 1},
    }  # fmt: skip
    assert _names(record.term_columns()) == {"Digit"}
    assert record_class.feature is not None
    assert record_class.feature.feature_table.name == "Execution_Image_Label"


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"Image": "1-A"}, "Digit"),
        ({"Digit": "3"}, "Image"),
        ({"Image": "1-A", "Digit": "3", "Certainty": 1}, "Certainty"),
        ({"Image": "1-A", "Digit": "3", "Confidence": "high"}, "Confidence"),
        ({"Image": "1-A", "Digit": "3", "Rater": None}, "Rater"),
        ({"Image": 5, "Digit": "3"}, r"made: Image \(given 5\): Input should be a valid string\.$"),
    ],
)
def test_wrong_values_are_refused(model: CatalogModel, values: dict[str, object], complaint: str) -> None:
    record_class = lookup_feature(model, "Image", "Label").feature_record_class()
    with pytest.raises(DerivaMLValidationError, match=complaint):
        record_class(**values)


def test_asset_columns_take_rids_and_paths(model: CatalogModel) -> None:
    feature = lookup_feature(model, "Image", "Outline")
    record_class = feature.feature_record_class()
    assert record_class(Image="1-A", Mask="2-B").to_row()["Mask"] == "2-B"
    assert record_class(Image="1-A", Mask=Path("/tmp/mask.png")).to_row()["Mask"] == "/tmp/mask.png"
    assert record_class(Image="1-A").to_row()["Mask"] is None
    assert _names(record_class.asset_columns()) == {"Mask"}
    table = feature.asset_table("Mask")
    assert table is not None
    assert table.name == "Mask"


def test_rows_become_records_unchecked(model: CatalogModel) -> None:
    feature = lookup_feature(model, "Image", "Label")
    record = feature.record_of({"RID": "9", "Image": "1-A", "Digit": None, "Execution": "E", "RCT": "2026"})
    same = type(record).model_construct(_fields_set=set(record.model_fields_set), **dict(record))
    assert (record, record.model_dump(), repr(record)) == (same, same.model_dump(), repr(same))
    assert pickle.loads(pickle.dumps(record.model_copy().model_dump())) == same.model_dump()
    assert (record.Execution, record.RCT, record.Digit) == ("E", "2026", None)  # type: ignore[attr-defined]
    assert isinstance(record, feature.feature_record_class())


def test_records_and_features_go_to_other_processes(
    model: CatalogModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    outline = lookup_feature(model, "Image", "Outline")
    row = {"Image": "1-A", "Digit": "3", "copy": {"a": 1}, "RCT": "2026"}
    read = lookup_feature(model, "Image", "Label").record_of(row)
    made = outline.feature_record_class()(Image="1-A", Mask=Path("/tmp/mask.png"))
    sent = pickle.dumps([read, made, outline])
    with monkeypatch.context() as there:
        there.setattr(record, "_classes", weakref.WeakKeyDictionary())
        record._defined_as.cache_clear()
        found = pickle.loads(sent)
        assert type(found[0]) is not type(read)
        assert [value.to_row() for value in found[:2]] == [read.to_row(), made.to_row()]
        assert found[1].model_fields_set == {"Image", "Mask"}
        assert _names(found[0].term_columns()) == {"Digit"}
        assert _names(found[1].asset_columns()) == {"Mask"}
        assert found[2].feature_record_class() is type(found[1])
        with pytest.raises(DerivaMLValidationError, match="Digit"):
            type(found[0])(Image="1-A")
        back = pickle.dumps(found)
    record._defined_as.cache_clear()
    again, remade, feature = pickle.loads(back)
    assert (again, remade, feature.feature_record_class()) == (read, made, outline.feature_record_class())


def test_a_record_of_no_feature_is_pickled_as_it_is() -> None:
    plain = FeatureRecord(Execution="E")
    assert pickle.loads(pickle.dumps(plain)) == plain


def test_the_base_class_belongs_to_no_feature() -> None:
    with pytest.raises(DerivaMLException, match="belongs to no feature"):
        FeatureRecord.term_columns()
