"""Features in a catalog: define, write, read, delete."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from deriva_ml.asset.define import create_asset
from deriva_ml.ermrest import rows
from deriva_ml.errors import (
    DerivaMLConflictError,
    DerivaMLException,
    DerivaMLFeatureNotFound,
    DerivaMLInvalidTerm,
    DerivaMLMaterializeLimitExceeded,
    DerivaMLTableTypeError,
    DerivaMLValidationError,
)
from deriva_ml.feature.feature import (
    create_feature,
    delete_feature,
    find_features,
    find_features_referencing,
    lookup_feature,
)
from deriva_ml.feature.select import select_newest
from deriva_ml.feature.values import feature_values
from deriva_ml.model.define import ColumnDefinition, TableDefinition
from deriva_ml.model.types import BuiltinTypes
from deriva_ml.session import Session
from deriva_ml.tables import create_table
from deriva_ml.vocabulary import add_term, create_vocabulary, lookup_term


@pytest.fixture(scope="module")
def eyes(ml_session: Session) -> list[str]:
    """RIDs of four eyes; with a vocabulary Grade and an asset table Outline."""
    table = create_table(ml_session, TableDefinition("Eye", [ColumnDefinition("Side")]))
    create_vocabulary(ml_session, "Grade")
    for name in ("Mild", "Severe"):
        add_term(ml_session, "Grade", name, name)
    create_asset(ml_session, "Outline")
    made = rows.insert(ml_session.connection, table, [{"Side": side} for side in "LRLR"])
    return [row["RID"] for row in made]


@pytest.fixture(scope="module")
def runs(ml_session: Session) -> list[str]:
    """RIDs of two executions."""
    made = rows.insert(
        ml_session.connection, ml_session.ml_table("Execution"), [{"Description": n} for n in "ab"]
    )
    return [row["RID"] for row in made]


def test_a_feature_that_the_catalog_refuses_leaves_no_term(ml_session: Session, eyes: list[str]) -> None:
    create_table(ml_session, TableDefinition("Execution_Eye_Taken", [ColumnDefinition("Side")]))
    with pytest.raises(DerivaMLException, match="Execution_Eye_Taken"):
        create_feature(ml_session, "Eye", "Taken", terms=["Grade"])
    with pytest.raises(DerivaMLInvalidTerm):
        lookup_term(ml_session, "Feature_Name", "Taken")
    add_term(ml_session, "Feature_Name", "Taken", "mine")
    with pytest.raises(DerivaMLException, match="Execution_Eye_Taken"):
        create_feature(ml_session, "Eye", "Taken", terms=["Grade"])
    assert lookup_term(ml_session, "Feature_Name", "Taken").description == "mine"


@pytest.mark.parametrize(
    "given",
    [
        {"terms": ["Grade"], "metadata": [ColumnDefinition("Grade")]},
        {"terms": ["Grade", "Grade"]},
        {"metadata": [ColumnDefinition("Execution")]},
        {"metadata": [ColumnDefinition("Eye")]},
        {"metadata": [ColumnDefinition("RID")]},
        {"terms": ["Grade"], "optional": ["Grad"]},
        {"metadata": [{"nam": "Weight"}]},
        {"metadata": [{"name": "Weight"}]},
    ],
)
def test_columns_that_cannot_be_leave_nothing_behind(
    ml_session: Session, eyes: list[str], given: dict[str, Any]
) -> None:
    with pytest.raises(
        DerivaMLValidationError, match="Grade|Execution|Eye|RID|Grad|needs a 'name' and a 'type'"
    ):
        create_feature(ml_session, "Eye", "Impossible", **given)
    with pytest.raises(DerivaMLInvalidTerm):
        lookup_term(ml_session, "Feature_Name", "Impossible")


@pytest.mark.parametrize("name", ["Two words", "Größe ✓", "a/b:c", "é" * 63, "feature"])
def test_odd_names_and_no_columns(
    ml_session: Session, eyes: list[str], runs: list[str], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    sure = ColumnDefinition("Sure", BuiltinTypes.float8, nullok=False)
    as_document = {"name": "Sure", "type": "float8", "nullok": False}
    metadata = [as_document if name == "feature" else sure]
    columns = {} if name == "Two words" else {"metadata": metadata, "optional": ["Sure"]}
    record_class = create_feature(ml_session, "Eye", name, **columns)
    assert ("has no values" in caplog.text) == (not columns)
    feature = lookup_feature(ml_session.model, "Eye", name)
    assert {column.name for column in feature.feature_columns} == ({"Sure"} if columns else set())
    record = record_class(Eye=eyes[0], Execution=runs[0])
    rows.insert(ml_session.connection, feature.feature_table, [record.to_row() | {"Feature_Name": name}])
    (found,) = feature_values(ml_session.reader, feature)
    assert (found.Eye, found.Feature_Name) == (eyes[0], name)
    assert delete_feature(ml_session, "Eye", name)


def test_a_feature_is_defined(ml_session: Session, eyes: list[str]) -> None:
    record_class = create_feature(
        ml_session,
        "Eye",
        "Severity",
        terms=["Grade"],
        assets=["Outline"],
        metadata=[ColumnDefinition("Certainty", BuiltinTypes.float8), "Workflow"],
        optional=["Outline", "Workflow"],
        comment="How bad it is",
    )
    feature = lookup_feature(ml_session.model, "Eye", "Severity")
    assert record_class is feature.feature_record_class()
    assert feature.feature_table.name == "Execution_Eye_Severity"
    assert [column.name for column in feature.feature_table.columns][5:] == [
        "Execution", "Eye", "Feature_Name", "Outline", "Grade", "Certainty", "Workflow",
    ]  # fmt: skip
    assert {column.name for column in feature.asset_columns} == {"Outline"}
    assert {column.name for column in feature.term_columns} == {"Grade"}
    assert {column.name for column in feature.value_columns} == {"Certainty", "Workflow"}
    assert lookup_term(ml_session, "Feature_Name", "Severity").description == "How bad it is"
    assert record_class(Eye=eyes[0], Grade="Mild").to_row()["Outline"] is None
    assert "tag:isrd.isi.edu,2016:visible-columns" in feature.feature_table.annotations
    with pytest.raises(DerivaMLConflictError, match="already exists"):
        create_feature(ml_session, "Eye", "Severity", terms=["Grade"])


def test_wrong_tables_are_refused_before_anything_is_written(ml_session: Session, eyes: list[str]) -> None:
    for wrong in ({"terms": ["Eye"]}, {"assets": ["Grade"]}, {"terms": ["Outline"]}):
        with pytest.raises(DerivaMLTableTypeError, match="is not a"):
            create_feature(ml_session, "Eye", "Wrong", **wrong)  # type: ignore[arg-type]
    with pytest.raises(DerivaMLTableTypeError, match="its terms cannot have features"):
        create_feature(ml_session, "Grade", "Wrong", metadata=["Eye"])
    with pytest.raises(DerivaMLException):
        lookup_term(ml_session, "Feature_Name", "Wrong")


@pytest.fixture(scope="module")
def graded(ml_session: Session, eyes: list[str], runs: list[str]) -> Any:
    """A feature with two values for the first eye, and one for the second and the third."""
    create_feature(ml_session, "Eye", "Graded", terms=["Grade"])
    feature = lookup_feature(ml_session.model, "Eye", "Graded")
    values = [(0, 0, "Mild"), (1, 0, "Severe"), (2, 1, "Severe"), (0, 1, "Severe")]
    new = [{"Eye": eyes[eye], "Execution": runs[run], "Grade": grade} for eye, run, grade in values]
    for row in new:
        rows.insert(ml_session.connection, feature.feature_table, [row])
    return feature


def _read(session: Session, feature: Any, *args: Any, **options: Any) -> list[tuple[str, str]]:
    return [
        (record.Eye, record.Grade) for record in feature_values(session.reader, feature, *args, **options)
    ]


def test_values_are_read(ml_session: Session, eyes: list[str], runs: list[str], graded: Any) -> None:
    one, two, three, four = eyes
    everything = [(one, "Mild"), (two, "Severe"), (three, "Severe"), (one, "Severe")]
    assert _read(ml_session, graded) == everything
    assert _read(ml_session, graded, select_newest) == [(one, "Severe"), (two, "Severe"), (three, "Severe")]
    assert _read(ml_session, graded, execution_rids=[runs[0]]) == everything[:2]
    assert _read(ml_session, graded, execution_rids=[]) == []
    assert _read(ml_session, graded, targets=[two, four]) == [(two, "Severe")]
    assert _read(ml_session, graded, materialize_limit=4) == everything
    record = next(feature_values(ml_session.reader, graded))
    assert (record.Execution, record.Feature_Name) == (runs[0], "Graded")
    assert record.RCT is not None


def test_too_many_values_are_refused(ml_session: Session, graded: Any) -> None:
    with pytest.raises(DerivaMLMaterializeLimitExceeded) as caught:
        _read(ml_session, graded, materialize_limit=3)
    assert (caught.value.actual_count, caught.value.limit) == (4, 3)


def test_what_a_vocabulary_is_used_for(ml_session: Session, graded: Any) -> None:
    found = find_features_referencing(ml_session.model, "Grade")
    assert ("Eye", "Graded", "Execution_Eye_Graded", "Grade") in [
        (one.target_table, one.feature_name, one.feature_table, one.column) for one in found
    ]
    assert find_features_referencing(ml_session.model, "Grade", "RID") == []


def test_a_feature_is_deleted(ml_session: Session, eyes: list[str]) -> None:
    create_feature(ml_session, "Eye", "Fleeting", metadata=[ColumnDefinition("Note")], update_navbar=False)
    assert "Fleeting" in [feature.feature_name for feature in find_features(ml_session.model, "Eye")]
    assert delete_feature(ml_session, "Eye", "Fleeting")
    assert not delete_feature(ml_session, "Eye", "Fleeting")
    with pytest.raises(DerivaMLFeatureNotFound):
        lookup_feature(ml_session.model, "Eye", "Fleeting")


@pytest.mark.soak
def test_a_million_values_in_flat_memory(ml_session: Session, runs: list[str]) -> None:
    create_table(ml_session, TableDefinition("Cell", [ColumnDefinition("Name")]))
    create_feature(ml_session, "Cell", "Area", metadata=[ColumnDefinition("Pixels", BuiltinTypes.float8)])
    feature = lookup_feature(ml_session.model, "Cell", "Area")
    connection, table = ml_session.connection, ml_session.table("Cell")
    for _ in range(50):
        cells = rows.insert(connection, table, [{"Name": "cell"}] * 20_000)
        fixed = {"Execution": runs[0], "Feature_Name": "Area", "Pixels": 1}
        rows.insert(connection, feature.feature_table, [{"Cell": cell["RID"], **fixed} for cell in cells])
    del cells
    tracemalloc.start()
    try:
        number = sum(1 for _ in feature_values(ml_session.reader, feature))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert number == 1_000_000
    # Two pages of rows, whatever their number.
    assert most < 64 << 20
