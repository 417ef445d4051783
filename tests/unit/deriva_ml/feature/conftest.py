"""A model with two features, made from definitions alone."""

from __future__ import annotations

import pytest

from deriva_ml.model.build import Reference, feature_table
from deriva_ml.model.define import AssetTableDef, ColumnDefinition, TableDefinition, VocabularyTableDef
from deriva_ml.model.document import DocumentModel
from deriva_ml.model.graph import CatalogModel
from deriva_ml.model.types import BuiltinTypes


@pytest.fixture(scope="session")
def model() -> CatalogModel:
    image, digit, side = (
        Reference("demo", "Image"),
        Reference("demo", "Digit", "Name"),
        Reference("demo", "Side", "Name"),
    )
    mask = Reference("demo", "Mask", nullok=True)
    label = feature_table(
        image,
        "Label",
        [
            digit,
            ColumnDefinition("Confidence", BuiltinTypes.float4),
            ColumnDefinition("Rater", BuiltinTypes.int4, nullok=False, default=1),
            ColumnDefinition("Seen", BuiltinTypes.date),
            ColumnDefinition("copy", BuiltinTypes.jsonb),
        ],
        "deriva-ml",
    )
    outline = feature_table(image, "Outline", [mask], "deriva-ml")
    tables = {
        "demo": [
            AssetTableDef(name="Image", schema_name="demo"),
            AssetTableDef(name="Mask", schema_name="demo"),
            VocabularyTableDef(name="Digit", curie_template="demo:{RID}"),
            VocabularyTableDef(name="Side", curie_template="demo:{RID}"),
            label,
            outline,
        ],
        "deriva-ml": [
            TableDefinition("Execution"),
            VocabularyTableDef("Feature_Name", curie_template="demo:{RID}"),
        ],
        "public": [
            TableDefinition(
                "ERMrest_Client", [ColumnDefinition("ID", nullok=False)], provide_system_fkeys=False
            )
        ],
    }
    assert side.column == "Name"
    schemas = {
        name: {"tables": {table.name: {"kind": "table", **table.to_dict()} for table in members}}
        for name, members in tables.items()
    }
    return CatalogModel(DocumentModel({"schemas": schemas}))
