"""Make the laboratory of this project: a catalog with its tables, features and terms, in the folder ``lab``.

``load_digits.py`` does this first when there is none.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from configs.deriva import CATALOG, LAB, WORK
from deriva_ml import BuiltinTypes, ColumnDefinition, DerivaML, DerivaMLConfig
from deriva_ml.schema import create_ml_catalog

SCHEMA = "$schema"


def open_laboratory() -> DerivaML:
    """Open the catalog of this project, made when there is none."""
    if not LAB.exists():
        return make_laboratory()
    if not (LAB / "deployment.json").exists():
        raise SystemExit(f"There is no catalog in {LAB}. Remove this folder and run this again.")
    ml = _opened()
    # This is what is made last.
    if "Image" not in [table.name for table in ml.list_dataset_element_types()]:
        raise SystemExit(f"The catalog in {LAB} is half made. Remove this folder and run this again.")
    return ml


def _opened() -> DerivaML:
    """As runs open it, so that what scripts and runs leave waits in one place."""
    return DerivaML.instantiate(DerivaMLConfig(hostname=str(LAB), catalog_id=CATALOG, working_dir=str(WORK)))


def make_laboratory() -> DerivaML:
    """Make a catalog with digit images, the ten classes and two features; open it."""
    made = create_ml_catalog(str(LAB), "$name")
    assert made.catalog_id == CATALOG, f"the first catalog of {LAB} is {made.catalog_id}, not {CATALOG}"
    ml = _opened()
    ml.create_schema(SCHEMA, "Handwritten digits and what models read in them")
    ml.create_vocabulary("Digit_Class", "The ten digits", update_navbar=False)
    for digit in range(10):
        ml.add_term("Digit_Class", str(digit), f"The digit {digit}")
    ml.create_asset(
        "Image",
        column_defs=[
            ColumnDefinition(name="Position", type=BuiltinTypes.int4, comment="Place in the source")
        ],
        comment="Handwritten digits, 8 by 8 pixels",
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
    return ml


if __name__ == "__main__":
    print(f"Catalog {open_laboratory().catalog_id} is in {LAB}")
