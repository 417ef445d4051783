"""Tables are made and read as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from deriva_ml import tables
from deriva_ml.ermrest import rows
from deriva_ml.errors import (
    DerivaMLConflictError,
    DerivaMLException,
    DerivaMLTableNotFound,
    DerivaMLValidationError,
)
from deriva_ml.model.define import ColumnDefinition, ForeignKeyDefinition, TableDefinition
from deriva_ml.model.types import BuiltinTypes
from deriva_ml.session import Session


def test_a_table_is_made_filled_and_read(ml_session: Session, fresh: Any) -> None:
    name = fresh("Subject")
    definition = TableDefinition(name, [ColumnDefinition("Name"), ColumnDefinition("Age", BuiltinTypes.int4)])
    made = tables.create_table(ml_session, definition)
    assert (made.schema.name, made.name) == ("lab", name)
    rows.insert(ml_session.connection, made, [{"Name": "a", "Age": 3}, {"Name": "b"}])
    assert [(row["Name"], row["Age"]) for row in tables.get_table_as_dict(ml_session, name)] == [
        ("a", 3),
        ("b", None),
    ]
    frame = tables.get_table_as_dataframe(ml_session, name)
    assert list(frame["Name"]) == ["a", "b"]
    assert list(frame.columns) == ["RID", "RCT", "RMT", "RCB", "RMB", "Name", "Age"]
    with pytest.raises(DerivaMLConflictError, match="already exists"):
        tables.create_table(ml_session, definition)


def test_an_empty_table_has_columns(ml_session: Session, fresh: Any) -> None:
    tables.create_table(ml_session, TableDefinition(name := fresh("Empty"), [ColumnDefinition("Name")]))
    assert "Name" in tables.get_table_as_dataframe(ml_session, name).columns


def test_foreign_keys_are_known_at_once(ml_session: Session, fresh: Any) -> None:
    parent = tables.create_table(ml_session, TableDefinition(fresh("Parent")))
    column = ColumnDefinition("Parent", nullok=False)
    link = ForeignKeyDefinition(["Parent"], "lab", parent.name)
    child = tables.create_table(ml_session, TableDefinition(fresh("Child"), [column], foreign_keys=[link]))
    assert [fkey.pk_table.name for fkey in child.foreign_keys if fkey.pk_table is parent] == [parent.name]
    assert [fkey.table.name for fkey in parent.referenced_by] == [child.name]


def test_wrong_places(ml_session: Session) -> None:
    with pytest.raises(DerivaMLException, match="attic"):
        tables.create_table(ml_session, TableDefinition("Box"), schema="attic")
    with pytest.raises(DerivaMLTableNotFound, match="Nonsense"):
        tables.get_table_as_dict(ml_session, "Nonsense")


def test_associations_are_described(ml_session: Session, fresh: Any) -> None:
    one = tables.create_table(ml_session, TableDefinition(fresh("One")))
    document = tables.define_association(
        ml_session,
        [one, "Asset_Type", ("Twin", one)],
        metadata=[ColumnDefinition("Note"), ("Run", True, "Execution")],
        comment="which",
    )
    assert document["table_name"] == f"{one.name}_Asset_Type_{one.name}"
    columns = {column["name"]: column["nullok"] for column in document["column_definitions"]}
    assert {
        one.name: False,
        "Asset_Type": False,
        "Twin": False,
        "Note": True,
        "Run": True,
    }.items() <= columns.items()
    made = tables.create_table(ml_session, document)
    assert ml_session.model.is_association(made, max_arity=3, pure=False) == 3
    with pytest.raises(DerivaMLValidationError, match="no reference"):
        tables.define_association(ml_session, [one, ("a", "b", "c", "d")])


def test_people_and_titles(ml_session: Session) -> None:
    assert ml_session.connection.whoami()["id"] in [user["ID"] for user in tables.user_list(ml_session)]  # type: ignore[index]
    tables.apply_catalog_annotations(ml_session, navbar_brand_text="Eyes", head_title="Eye catalog")
    config = ml_session.connection.model().annotations["tag:isrd.isi.edu,2019:chaise-config"]
    assert (config["navbarBrandText"], config["headTitle"]) == ("Eyes", "Eye catalog")
