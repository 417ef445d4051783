from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deriva_ml.bag.database import BagDatabase, BagFile, from_csv, read_csv
from deriva_ml.errors import DerivaMLDataError
from deriva_ml.model.graph import CatalogModel
from deriva_ml.rows.local import LocalReader
from deriva_ml.rows.reader import Reader

from .conftest import model_of

COLUMNS = {
    "Text": "text",
    "Flag": "boolean",
    "Count": "int8",
    "Size": "float8",
    "Tags": "text[]",
    "Doc": "jsonb",
}

texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12)
documents = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | texts, st.lists, max_leaves=5)
rows_strategy = st.lists(
    st.fixed_dictionaries(
        {
            "Text": st.none()
            | texts
            | st.sampled_from(["", "a,b", 'say "x"', "two\nlines", "\r\n", " ", "NULL", "é"]),
            "Flag": st.none() | st.booleans(),
            "Count": st.none() | st.integers(-(2**63), 2**63 - 1),
            "Size": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "Tags": st.none() | st.lists(texts, max_size=3),
            "Doc": documents,
        }
    ),
    max_size=8,
)


@pytest.fixture(scope="module")
def model() -> CatalogModel:
    return model_of({"Thing": COLUMNS})


@settings(deadline=None, max_examples=80)
@given(rows=rows_strategy)
def test_rows_come_back_as_they_went_in(
    tmp_path_factory: pytest.TempPathFactory, model: CatalogModel, rows: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("bag")
    table = model.name_to_table("Thing")
    expected = [
        {"RID": f"1-{n:04}", "RCT": None, "RMT": None, "RCB": None, "RMB": None, **row}
        for n, row in enumerate(rows)
    ]
    database = BagDatabase(folder / "direct.db")
    database.add(table, expected)
    database.add(table, expected)
    (folder / "data" / "s").mkdir(parents=True)
    assert database.write_csv(table, folder / "data" / "s" / "Thing.csv") == len(rows) or not rows
    database.close()
    from_csv(folder / "again.db", model, folder / "data", [])
    for name in ("direct.db", "again.db"):
        reader = LocalReader(folder / name, model, folder)
        assert list(reader.rows(table)) == expected
        assert reader.count(table) == len(expected)
        reader.close()


def make(folder: Path, model: CatalogModel) -> LocalReader:
    database = BagDatabase(folder / "bag.db")
    table = model.name_to_table("Thing")
    database.add(
        table, [{"RID": f"R{n}", "Text": "ab"[n % 2], "Flag": n > 1, "Count": n} for n in (3, 1, 2, 0)]
    )
    database.add_files([BagFile("data/x.txt", "s", "Thing", "R1", "/hatrac/x", 1, "")])
    database.close()
    return LocalReader(folder / "bag.db", model, folder)


def test_rows_are_selected_in_order(tmp_path: Path, model: CatalogModel) -> None:
    reader = make(tmp_path, model)
    table = model.name_to_table("Thing")
    assert isinstance(reader, Reader)

    def rids(**where: Any) -> list[str]:
        return [row["RID"] for row in reader.rows(table, where=where, columns=["RID"])]

    assert rids() == ["R0", "R1", "R2", "R3"]
    assert rids(Text=["b"]) == ["R1", "R3"]
    assert rids(Text=["b", "a"], Flag=[True]) == ["R2", "R3"]
    assert rids(Count=range(2, 100_000)) == ["R2", "R3"]
    assert rids(Count=[]) == []
    assert reader.count(table, where={"Flag": [False]}) == 2
    assert next(reader.rows(table, columns=["Flag"])) == {"Flag": False}
    reader.close()


def test_files_are_found_only_where_they_are(tmp_path: Path, model: CatalogModel) -> None:
    reader = make(tmp_path, model)
    table = model.name_to_table("Thing")
    assert reader.file(table, {"RID": "R1"}) is None
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.txt").touch()
    assert reader.file(table, {"RID": "R1"}) == tmp_path / "data" / "x.txt"
    assert reader.file(table, {"RID": "R2"}) is None
    reader.close()


def test_table_without_rows_in_the_file(tmp_path: Path) -> None:
    model = model_of({"Thing": COLUMNS, "Other": {}})
    reader = make(tmp_path, model)
    other = model.name_to_table("Other")
    assert list(reader.rows(other)) == []
    assert reader.count(other) == 0
    reader.close()


@pytest.mark.parametrize("body", ["RID,Count\nR1,many\n", "RID,Flag\nR1,perhaps\n", "RID,Count\nR1\n"])
def test_damaged_csv_is_named(tmp_path: Path, model: CatalogModel, body: str) -> None:
    path = tmp_path / "Thing.csv"
    path.write_text(body)
    with pytest.raises(DerivaMLDataError, match=r"Thing\.csv, record 2"):
        list(read_csv(path, model.name_to_table("Thing")))
