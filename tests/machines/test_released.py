"""A released version stays what it was, to the byte, whatever happens to the catalog afterwards."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.readable import Readable

from deriva_ml import BuiltinTypes, ColumnDefinition, DerivaML
from deriva_ml.ermrest import rows
from deriva_ml.errors import DerivaMLConflictError

_numbers = itertools.count(1)
_TABLES = ("Subject", "Visit", "Site", "Image", "Mask", "Execution_Image_Quality", "Execution_Image_Outline")
_TEXT = {"Subject": "Name", "Site": "Name", "Image": "Description", "Mask": "Description", "Grade": "Name"}


class Later:
    """What people do to a catalog after a release; a change that has no object any more does nothing."""

    def __init__(self, lab: Readable) -> None:
        self.lab, self.ml = lab, lab.ml
        self.connection = lab.ml._session.connection
        self.done: dict[str, int] = {}

    def _row(self, table: str, place: int) -> dict[str, Any] | None:
        found = sorted(self.ml.get_table_as_dict(table), key=lambda row: row["RID"])
        return found[place % len(found)] if found else None

    def apply(self, name: str, place: int) -> None:
        """Do one thing."""
        try:
            getattr(self, name)(place)
            self.done[name] = self.done.get(name, 0) + 1
        except DerivaMLConflictError:
            # Something refers to it still, so the catalog refuses.
            self.done["refused"] = self.done.get("refused", 0) + 1

    def change(self, place: int) -> None:
        """Change a row."""
        table = sorted(set(_TEXT) - {"Grade"})[place % 4]
        row, column = self._row(table, place), _TEXT[table]
        if row is not None:
            rows.update_one(
                self.connection,
                self.ml._session.table(table),
                row["RID"],
                **{column: f"new {next(_numbers)}"},
            )

    def rename_term(self, place: int) -> None:
        """Give a term another name."""
        row = self._row("Grade", place)
        if row is not None:
            table = self.ml._session.table("Grade")
            rows.update_one(self.connection, table, row["RID"], Name=f"Grade {next(_numbers)}")

    def delete(self, place: int) -> None:
        """Delete a row."""
        table = _TABLES[place % len(_TABLES)]
        row = self._row(table, place // len(_TABLES))
        if row is not None:
            rows.delete(self.connection, self.ml._session.table(table), {"RID": [row["RID"]]})

    def insert(self, place: int) -> None:
        """Add a row that refers to others."""
        subject = self._row("Subject", place)
        if subject is not None:
            self.lab.insert("Subject", {"Name": f"new {next(_numbers)}", "Mother": subject["RID"]})

    def leave(self, place: int) -> None:
        """Take a member out."""
        members = self.lab.inner.list_members("Image")
        if members:
            self.lab.inner.delete_dataset_members([members[place % len(members)]])

    def join(self, place: int) -> None:
        """Make a row a member."""
        row = self._row("Subject", place)
        if row is not None and row["RID"] not in self.lab.outer.list_members("Subject"):
            self.lab.outer.add_dataset_members({"Subject": [row["RID"]]})

    def add_column(self, place: int) -> None:
        """Add a column."""
        column = ColumnDefinition(f"New_{next(_numbers)}", BuiltinTypes.text, default="x")
        self.ml.model.name_to_table(_TABLES[place % 5]).create_column(column.to_dict())
        self.ml.refresh_schema()

    def drop_column(self, place: int) -> None:
        """Drop a column that the user defined, be it of the release or younger."""
        table = self.ml.model.name_to_table(_TABLES[place % 4])
        names = ("Sharp", "Exposure", "Notes", "Info", "Day")
        found = [each for each in table.columns if each.name in names or each.name.startswith("New_")]
        if found:
            found[place % len(found)].drop()
            self.ml.refresh_schema()

    def drop_feature(self, place: int) -> None:
        """Drop a feature with its values."""
        if place % 8 == 0:
            self.ml.delete_feature("Subject", "Weight")

    def release(self, _place: int) -> None:
        """Make the changes a version."""
        if self.lab.outer.current_version.is_devrelease:
            self.lab.outer.release("patch", "Later")


CHANGES = [name for name, each in vars(Later).items() if not name.startswith("_") and name != "apply"]


def seen(ml: DerivaML, rid: str) -> dict[str, Any]:
    """Everything that is read from version 0.2.0: bytes of the bag, and what the catalog says of it."""
    dataset = ml.lookup_dataset(rid)
    bag = dataset.download_dataset_bag(version="0.2.0")
    found: dict[str, Any] = {
        path.relative_to(bag.path).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((bag.path / "data").rglob("*"))
        if path.is_file()
    }
    snapshot = bag.metadata["extra"]["snapshot"]
    old = ml.catalog_snapshot(f"{ml.catalog_id}@{snapshot}").lookup_dataset(rid)
    for way, source, options in (
        ("bag", bag, {}),
        ("version", dataset, {"version": "0.2.0"}),
        ("then", old, {}),
    ):
        found[f"{way} members"] = source.list_dataset_members(recurse=True, **options)
        for target, feature in (("Image", "Quality"), ("Image", "Side"), ("Subject", "Weight")):
            records = source.feature_values(target, feature, **options)
            found[f"{way} {feature}"] = sorted(str(record.to_row()) for record in records)
        tables = ["Image", "Subject", "Site"]
        found[f"{way} wide"] = list(source.get_denormalized_as_dict(tables, **options))
    return found


def check(lab: Readable, examples: int, size: int, folder: Callable[[], Path]) -> Later:
    """Change the catalog again and again; what was released is read by somebody who never read it before."""
    later = Later(lab)
    rid = lab.outer.dataset_rid
    before = seen(lab.ml, rid)
    assert before["bag members"] == before["version members"] == before["then members"]
    assert before["bag wide"] == before["version wide"] == before["then wide"]
    assert before["bag Quality"] == before["version Quality"] == before["then Quality"]

    # Changes of one example are not undone before the next: the longer ago the release, the better.
    @settings(max_examples=examples, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 1_000_000))
    def run(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(size):
            later.apply(draw.choice(CHANGES), draw.randrange(10_000))
        fresh = DerivaML(lab.ml.host_name, lab.ml.catalog_id, working_dir=folder() / "work")
        after = seen(fresh, rid)
        assert after.keys() == before.keys()
        assert {name for name in before if after[name] != before[name]} == set()

    run()
    return later


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[], Path]:
    return lambda: tmp_path / f"reader {next(_numbers)}"


def test_a_release_stays_what_it_was_a_hundred_changes_later(
    tmp_path: Path, folder: Callable[[], Path]
) -> None:
    later = check(Readable.made(tmp_path), 1, 100, folder)
    assert sum(later.done.values()) == 100


@pytest.mark.soak
def test_a_release_stays_what_it_was_for_long(tmp_path: Path, folder: Callable[[], Path]) -> None:
    later = check(Readable.made(tmp_path), 40, 100, folder)
    assert set(later.done) >= set(CHANGES) - {"drop_feature"}
