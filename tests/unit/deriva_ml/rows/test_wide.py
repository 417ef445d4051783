from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deriva_ml.bag.database import BagDatabase
from deriva_ml.errors import (
    DerivaMLDenormalizeAmbiguousPath,
    DerivaMLDenormalizeDownstreamLeaf,
    DerivaMLDenormalizeMultiLeaf,
    DerivaMLDenormalizeNoSink,
    DerivaMLDenormalizeUnrelatedAnchor,
    DerivaMLTableNotFound,
)
from deriva_ml.model.document import DocumentModel
from deriva_ml.model.graph import CatalogModel
from deriva_ml.rows.local import LocalReader
from deriva_ml.rows.wide import WideQuery
from deriva_ml.rows.wide_plan import Planner

VOCABULARY = {
    "ID": "ermrest_curie",
    "URI": "ermrest_uri",
    "Name": "text",
    "Description": "markdown",
    "Synonyms": "text[]",
}
SYSTEM = {
    "RID": "ermrest_rid",
    "RCT": "ermrest_rct",
    "RMT": "ermrest_rmt",
    "RCB": "ermrest_rcb",
    "RMB": "ermrest_rmb",
}

TABLES: Mapping[str, Mapping[str, str]] = {
    "Subject": {"Name": "text", "Mother": "> Subject"},
    "Visit": {"Subject": "> Subject", "Day": "date"},
    "Image": {"Visit": "> Visit", "Sharp": "boolean"},
    "Report": {"Visit": "> Visit", "Subject": "> Subject"},
    "Grade": VOCABULARY,
    "Image_Grade": {"Image": "> Image!", "Grade": "> Grade.Name!"},
    "Second_Grade": {"Image": "> Image!", "Grade": "> Grade.Name!"},
    "Tag": VOCABULARY,
    "Image_Tag": {"Image": "> Image!", "Tag": "> Tag.Name!"},
    "Left": {"Right": "> Right"},
    "Right": {"Left": "> Left"},
    "Alone": {"Name": "text"},
}


def model_of(tables: Mapping[str, Mapping[str, str]]) -> CatalogModel:
    def document(name: str, columns: Mapping[str, str]) -> dict[str, Any]:
        definitions, fkeys, key = [], [], []
        for column, kind in {**SYSTEM, **columns}.items():
            if kind.startswith(">"):
                target, _, there = kind[1:].strip(" !").partition(".")
                key += [column] * kind.endswith("!")
                here = [{"schema_name": "s", "table_name": name, "column_name": column}]
                other = [{"schema_name": "s", "table_name": target, "column_name": there or "RID"}]
                fkeys.append({"foreign_key_columns": here, "referenced_columns": other})
                kind = "text"
            definitions.append({"name": column, "type": {"typename": kind}})
        keys = [{"unique_columns": ["RID"]}] + [{"unique_columns": key}] * bool(key)
        return {"column_definitions": definitions, "keys": keys, "foreign_keys": fkeys}

    found = {name: document(name, columns) for name, columns in tables.items()}
    return CatalogModel(DocumentModel({"schemas": {"s": {"tables": found}, "deriva-ml": {"tables": {}}}}))


@pytest.fixture(scope="module")
def model() -> CatalogModel:
    return model_of(TABLES)


@pytest.fixture(scope="module")
def planner(model: CatalogModel) -> Planner:
    return Planner(model)


@pytest.fixture
def reader(model: CatalogModel, tmp_path: Path) -> Iterator[LocalReader]:
    database = BagDatabase(tmp_path / "rows.db")
    rows = {
        "Subject": [{"RID": "S1", "Name": "Ada"}, {"RID": "S2", "Name": "Bob"}],
        "Visit": [{"RID": "V1", "Subject": "S1"}, {"RID": "V2", "Subject": "S2"}],
        "Image": [
            {"RID": "I1", "Visit": "V1", "Sharp": True},
            {"RID": "I2", "Visit": "V1", "Sharp": False},
            {"RID": "I3", "Visit": None, "Sharp": None},
        ],
        "Grade": [{"RID": "G1", "Name": "good"}, {"RID": "G2", "Name": "bad"}],
        "Image_Grade": [
            {"RID": "A1", "Image": "I1", "Grade": "good"},
            {"RID": "A2", "Image": "I1", "Grade": "bad"},
            {"RID": "A3", "Image": "I2", "Grade": "bad"},
        ],
    }
    for name, found in rows.items():
        database.add(model.name_to_table(name), found)
    database.close()
    made = LocalReader(tmp_path / "rows.db", model, tmp_path)
    yield made
    made.close()


def wide(reader: LocalReader, include: list[str], **options: Any) -> list[tuple[Any, ...]]:
    anchors = options.pop("anchors", {})
    scope = options.pop("scope", None)
    shown = options.pop("show")
    plan = Planner(reader.model).plan(include, **options)
    return [tuple(row[label] for label in shown) for row in WideQuery(reader, plan, anchors, scope).rows()]


def test_rows_come_from_the_table_that_refers_to_all_others(reader: LocalReader) -> None:
    assert wide(reader, ["Subject", "Image"], show=["Image.RID", "Subject.Name", "Image.Sharp"]) == [
        ("I1", "Ada", True),
        ("I2", "Ada", False),
        ("I3", None, None),
    ]


def test_labels(planner: Planner) -> None:
    labels = [column.label for column in planner.plan(["Image", "Subject"]).columns]
    assert labels == [
        "Image.RID",
        "Image.Visit",
        "Image.Sharp",
        "Subject.RID",
        "Subject.Name",
        "Subject.Mother",
    ]


def test_members_that_nothing_refers_to_give_rows_of_their_own(reader: LocalReader) -> None:
    anchors = {("s", "Subject"): ["S1", "S2"]}
    assert wide(reader, ["Subject", "Image"], anchors=anchors, show=["Image.RID", "Subject.Name"]) == [
        ("I1", "Ada"),
        ("I2", "Ada"),
        ("I3", None),
        (None, "Bob"),
    ]


def test_scope_restricts(reader: LocalReader) -> None:
    assert wide(reader, ["Image"], scope={("s", "Image"): ["I2"]}, show=["Image.RID"]) == [("I2",)]


def test_an_association_in_between_is_crossed(reader: LocalReader) -> None:
    found = wide(reader, ["Image", "Grade"], via=["Image_Grade"], show=["Image.RID", "Grade.Name"])
    assert found == [("I1", "good"), ("I1", "bad"), ("I2", "bad"), ("I3", None)]
    assert wide(reader, ["Image_Grade", "Image"], show=["Image_Grade.RID", "Image.Sharp"]) == [
        ("A1", True),
        ("A2", True),
        ("A3", False),
    ]


def test_plan_without_columns_in_between(planner: Planner) -> None:
    plan = planner.plan(["Image", "Tag"])
    assert [table.name for table in plan.joined] == ["Image", "Image_Tag", "Tag"]
    assert plan.row_per.name == "Image"
    assert not plan.explicit


def test_several_associations_must_be_told_apart(planner: Planner) -> None:
    with pytest.raises(DerivaMLDenormalizeAmbiguousPath) as caught:
        planner.plan(["Image", "Grade"])
    assert caught.value.suggested_intermediates == ["Image_Grade", "Second_Grade"]
    assert [table.name for table in planner.plan(["Image", "Grade"], via=["Second_Grade"]).joined] == [
        "Image",
        "Second_Grade",
        "Grade",
    ]


def test_several_paths_must_be_told_apart(planner: Planner) -> None:
    with pytest.raises(DerivaMLDenormalizeAmbiguousPath) as caught:
        planner.plan(["Report", "Subject"])
    assert sorted(caught.value.paths) == [["Report", "Subject"], ["Report", "Visit", "Subject"]]
    plan = planner.plan(["Report", "Visit", "Subject"])
    assert [step.source.name for step in plan.joins] == ["Report", "Visit"]


def test_several_tables_could_give_the_rows(planner: Planner) -> None:
    with pytest.raises(DerivaMLDenormalizeMultiLeaf) as caught:
        planner.plan(["Image", "Report"])
    assert caught.value.candidates == ["Image", "Report"]


def test_row_per_above_another_table(planner: Planner) -> None:
    with pytest.raises(DerivaMLDenormalizeDownstreamLeaf) as caught:
        planner.plan(["Subject", "Image"], row_per="Subject")
    assert caught.value.downstream_tables == ["Image"]
    with pytest.raises(ValueError, match="must be one of include_tables"):
        planner.plan(["Subject"], row_per="Image")


def test_circle(planner: Planner) -> None:
    with pytest.raises(DerivaMLDenormalizeNoSink):
        planner.plan(["Left", "Right"])
    assert planner.plan(["Left", "Right"], row_per="Left").row_per.name == "Left"


def test_unrelated_and_unknown_tables(planner: Planner) -> None:
    with pytest.raises(DerivaMLDenormalizeUnrelatedAnchor):
        planner.plan(["Image", "Alone"], row_per="Image")
    with pytest.raises(DerivaMLTableNotFound):
        planner.plan(["Nonsense"])
    with pytest.raises(ValueError, match="at least one table"):
        planner.plan([])


def test_a_table_that_refers_to_itself_is_joined_once(reader: LocalReader) -> None:
    assert wide(reader, ["Subject"], show=["Subject.RID", "Subject.Mother"]) == [("S1", None), ("S2", None)]
