"""The catalog of this project: which tables there are."""

from __future__ import annotations

from pathlib import Path

from deriva_ml import BuiltinTypes, ColumnDefinition, DerivaML, TableDefinition
from deriva_ml.schema import create_ml_catalog

WRITERS = "The 13 people whose digits are the test part of the UCI set"


def create(folder: Path) -> DerivaML:
    """Make a catalog with subjects, digit images, the ten classes and two features; open it."""
    catalog = create_ml_catalog(str(folder), "digits")
    ml = DerivaML(str(folder), catalog.catalog_id, working_dir=folder / "work")
    ml.create_schema("digits", "Handwritten digits and what models read in them")

    ml.create_table(
        TableDefinition(
            name="Subject",
            columns=[ColumnDefinition(name="Name", type=BuiltinTypes.text, nullok=False)],
            comment="Who wrote the digits",
        ),
        update_navbar=False,
    )
    ml.create_vocabulary("Digit_Class", "The ten digits", update_navbar=False)
    for digit in range(10):
        ml.add_term("Digit_Class", str(digit), f"The digit {digit}")
    ml.create_asset(
        "Image",
        column_defs=[
            ColumnDefinition(name="Position", type=BuiltinTypes.int4, comment="Row in the source set")
        ],
        referenced_tables=["Subject"],
        comment="8 by 8 pixel images of handwritten digits",
        update_navbar=False,
    )
    ml.create_feature(
        "Image", "Digit", terms=["Digit_Class"], comment="What was written", update_navbar=False
    )
    ml.create_feature(
        "Image",
        "Predicted_Digit",
        terms=["Digit_Class"],
        metadata=[ColumnDefinition(name="Confidence", type=BuiltinTypes.float8)],
        comment="What a model read",
    )
    ml.add_dataset_element_type("Image")
    ml.pathBuilder().schemas["digits"].tables["Subject"].insert([{"Name": WRITERS}])
    return ml
