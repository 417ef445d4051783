"""Somebody arranges what Chaise shows of a catalog; whoever connects to it next, with any client, sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from deriva.core import DerivaServer, annotation, tag
from tests.deployments import serving

from deriva_ml import ColumnDefinition, DerivaML, TableDefinition
from deriva_ml.ermrest import connect
from deriva_ml.model import Display, OutboundFK, PseudoColumn, TableDisplay, TableDisplayOptions
from deriva_ml.model.define import ForeignKeyDefinition
from deriva_ml.schema import create_ml_catalog


def arrange(ml: DerivaML) -> dict[str, list[str]]:
    """Change lists that the library made, and make new ones."""
    producer = PseudoColumn([OutboundFK("lab", "Scan_Of_fkey"), "Name"], markdown_name="Subject")
    ml.set_visible_columns("Scan", {"*": ["RID"], "detailed": ["RID", "Score"]})
    ml.add_visible_column("Scan", "*", producer, position=0)
    ml.set_table_display("Subject", TableDisplay({"row_name": TableDisplayOptions(row_markdown_pattern="{{{Name}}}")}))
    ml.set_display_annotation("Scan", Display(name="The score"), column_name="Score")
    ml.remove_visible_column("Image", "*", "Length")
    ml.add_visible_foreign_key("Subject", "*", ["lab", "Scan_Of_fkey"]) if False else None
    return ml.apply_annotations()


def test_what_is_arranged_is_seen_by_all_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "lab"
    create_ml_catalog(str(folder), "lab", domain_schema="lab")
    own = DerivaML(str(folder), 1, working_dir=tmp_path / "work")
    own.create_table(TableDefinition("Subject", [ColumnDefinition("Name")]))
    link = ForeignKeyDefinition(["Of"], "lab", "Subject", constraint_name="Scan_Of_fkey")
    own.create_table(TableDefinition("Scan", [ColumnDefinition("Of"), ColumnDefinition("Score")], foreign_keys=[link]))
    own.create_asset("Image")
    former = own.get_table_annotations("Image")
    assert arrange(own) == {
        "lab:Scan": [tag.visible_columns],
        "lab:Subject": [tag.table_display],
        "lab:Scan:Score": [tag.display],
        "lab:Image": [tag.visible_columns],
    }
    model = connect(str(folder), 1).model(None)
    tables = model.schemas["lab"].tables
    assert tables["Image"].annotations != former
    assert "Length" not in tables["Image"].annotations[tag.visible_columns]["*"]
    assert tables["Scan"].columns["Score"].annotations == {tag.display: {"name": "The score"}}
    assert tables["Scan"].visible_columns["*"][0]["markdown_name"] == "Subject"
    assert annotation.validate(tables["Subject"]) == []
