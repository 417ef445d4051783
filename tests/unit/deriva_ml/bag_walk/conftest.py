from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deriva_ml.bag.database import BagDatabase
from deriva_ml.model.document import DocumentModel
from deriva_ml.model.graph import CatalogModel
from deriva_ml.rows.local import LocalReader

SYSTEM = {
    "RID": "ermrest_rid",
    "RCT": "ermrest_rct",
    "RMT": "ermrest_rmt",
    "RCB": "ermrest_rcb",
    "RMB": "ermrest_rmb",
}

Tables = Mapping[str, Mapping[str, str]]
Rows = Mapping[str, list[dict[str, Any]]]


def model_of(tables: Tables) -> CatalogModel:
    """Make a model: table to column to type, where ``> Table`` or ``> Table.Column`` is a reference."""

    def document(name: str, columns: Mapping[str, str]) -> dict[str, Any]:
        definitions, fkeys = [], []
        for column, kind in {**SYSTEM, **columns}.items():
            if kind.startswith(">"):
                target, _, there = kind[1:].strip().partition(".")
                fkeys.append(
                    {
                        "names": [["s", f"{name}_{column}_fkey"]],
                        "foreign_key_columns": [
                            {"schema_name": "s", "table_name": name, "column_name": column}
                        ],
                        "referenced_columns": [
                            {"schema_name": "s", "table_name": target, "column_name": there or "RID"}
                        ],
                    }
                )
                kind = "text"
            definitions.append({"name": column, "type": {"typename": kind}, "nullok": True})
        keys = [{"names": [["s", f"{name}_key"]], "unique_columns": ["RID"]}]
        return {"column_definitions": definitions, "keys": keys, "foreign_keys": fkeys}

    found = {name: document(name, columns) for name, columns in tables.items()}
    return CatalogModel(DocumentModel({"schemas": {"s": {"tables": found}, "deriva-ml": {"tables": {}}}}))


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Callable[[Tables, Rows], LocalReader]]:
    readers: list[LocalReader] = []

    def make(tables: Tables, rows: Rows) -> LocalReader:
        model = model_of(tables)
        path = tmp_path / f"{len(readers)}.db"
        database = BagDatabase(path)
        for name, found in rows.items():
            database.add(model.name_to_table(name), found)
        database.close()
        readers.append(LocalReader(path, model, tmp_path))
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()
