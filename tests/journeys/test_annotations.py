"""Somebody arranges what Chaise shows of a catalog; whoever connects to it next, with any client, sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from deriva.core import DerivaServer, annotation, tag
from tests.deployments import serving

from deriva_ml import ColumnDefinition, DerivaML, ForeignKeyDefinition, TableDefinition
from deriva_ml.model import Display, OutboundFK, PseudoColumn, TableDisplay, TableDisplayOptions
from deriva_ml.schema import create_ml_catalog


def arrange(ml: DerivaML) -> dict[str, list[str]]:
    """Make lists of own tables, and change those that the library made."""
    subject = PseudoColumn([OutboundFK("lab", "Scan_Of_fkey"), "Name"], markdown_name="Subject")
    ml.set_visible_columns("Scan", {"*": ["RID"], "detailed": ["RID", "Score"]})
    ml.add_visible_column("Scan", "*", subject, position=0)
    named = TableDisplayOptions(row_markdown_pattern="{{{Name}}}")
    ml.set_table_display("Subject", TableDisplay({"row_name": named}))
    ml.set_visible_foreign_keys("Subject", {"detailed": [("lab", "Scan_Of_fkey")]})
    ml.set_display_annotation("Scan", Display(name="The score"), column_name="Score")
    ml.remove_visible_column("Image", "*", "Length")
    return ml.apply_annotations()


@pytest.mark.parametrize("way", ["embedded", "http"])
def test_what_is_arranged_is_seen_by_other_clients(way: str, tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    create_ml_catalog(folder, "lab")
    own = DerivaML(folder, 1, working_dir=tmp_path / "own")
    own.create_schema("lab")
    own.create_table(TableDefinition("Subject", [ColumnDefinition("Name")]))
    link = ForeignKeyDefinition(["Of"], "lab", "Subject", constraint_name="Scan_Of_fkey")
    columns = [ColumnDefinition("Of"), ColumnDefinition("Score")]
    own.create_table(TableDefinition("Scan", columns, foreign_keys=[link]))
    own.create_asset("Image")
    former = own.get_table_annotations("Image")
    with serving(folder, None) as server:
        ml = own if way == "embedded" else DerivaML(server.url, 1, working_dir=tmp_path / "http")
        assert arrange(ml) == {
            "lab:Scan": [tag.visible_columns],
            "lab:Subject": [tag.table_display, tag.visible_foreign_keys],
            "lab:Scan:Score": [tag.display],
            "lab:Image": [tag.visible_columns],
        }
        host = server.url.removeprefix("http://")
        tables = DerivaServer("http", host).connect_ermrest("1").getCatalogModel().schemas["lab"].tables
        wanted = [column for column in former[tag.visible_columns]["*"] if column != "Length"]
        assert tables["Image"].annotations == {
            **former,
            tag.visible_columns: {**former[tag.visible_columns], "*": wanted},
        }
        assert tables["Scan"].columns["Score"].annotations == {tag.display: {"name": "The score"}}
        assert tables["Scan"].visible_columns["*"][0]["markdown_name"] == "Subject"
        assert tables["Scan"].visible_columns["detailed"] == ["RID", "Score"]
        for tag_name in (tag.table_display, tag.visible_foreign_keys):
            assert annotation.validate(tables["Subject"], tag_name, validate_model_names=False) == []
        path = f"{server.url}/ermrest/catalog/1/schema/lab/table/Subject/annotation"
        assert requests.get(path, timeout=60).json() == {
            tag.table_display: {"row_name": {"row_markdown_pattern": "{{{Name}}}"}},
            tag.visible_foreign_keys: {"detailed": [["lab", "Scan_Of_fkey"]]},
        }
