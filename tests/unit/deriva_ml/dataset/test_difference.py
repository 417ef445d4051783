"""What differs from the last release, and whether anything does, by whatever a dataset was changed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from deriva_ml.ermrest import rows
from deriva_ml.feature import feature as features

Row = tuple[str, Any]


class Curator:
    """Changes three datasets, of which one may be nested in another with the third in it, and knows what belongs to it.

    Parameters
    ----------
    lab : Lab
    draw : random.Random
        What is drawn for each change.
    """

    def __init__(self, lab: Any, draw: random.Random) -> None:
        self.lab, self.draw, self.times = lab, draw, count()
        self.outer, self.inner, self.inmost = lab.dataset(), lab.dataset(), lab.dataset()
        self.inner.add_dataset_members({"Dataset": [self.inmost.dataset_rid]})
        self.rids = {table: lab.rows(table, 3) for table in ("Subject", "Sample")}
        # Row (a member, a type, a nested dataset, a grade, or one of a table) to when it was changed last.
        self.links: dict[Row, int] = {}
        self.grades: dict[str, list[str]] = {}
        self.edited: dict[str, int] = {}

    def belongs(self) -> set[tuple[str, Any, int]]:
        """Table, row and last change of all that belongs to the outer dataset."""
        own, found = [self.outer.dataset_rid], set[tuple[str, Any, int]]()
        if ("Dataset_Dataset", self.inner.dataset_rid) in self.links:
            own += [self.inner.dataset_rid, self.inmost.dataset_rid]
            found.add(("Dataset_Dataset", self.inmost.dataset_rid, 0))
        for (table, key), time in self.links.items():
            if table == "Dataset_Dataset" or key[0] in own:
                # Another link each time, with an RID of its own.
                found.add((table, (key, time), 0))
            if key[0] in own:
                found.update(self._with_grades(table.removeprefix("Dataset_"), key[1]))
        return found

    def _with_grades(self, table: str, rid: str) -> Iterator[tuple[str, Any, int]]:
        if table in self.rids:
            yield table, rid, self.edited.get(rid, 0)
            yield from (("Execution_Subject_Graded", grade, 0) for grade in self.grades.get(rid, ()))

    def _dataset(self) -> Any:
        return self.draw.choice((self.outer, self.inner, self.inmost))

    def _row(self) -> tuple[str, str]:
        table = self.draw.choice(sorted(self.rids))
        return table, self.draw.choice(self.rids[table])

    def join_or_leave(self) -> None:
        """Make a row a member, or take it out."""
        dataset, (table, rid) = self._dataset(), self._row()
        link = f"Dataset_{table}", (dataset.dataset_rid, rid)
        if self.links.pop(link, None) is None:
            dataset.add_dataset_members({table: [rid]})
            self.links[link] = next(self.times)
        else:
            dataset.delete_dataset_members({table: [rid]})

    def come_and_go(self) -> None:
        """Make a new row a member, and take it out again."""
        new, dataset = self.lab.subjects(1), self._dataset()
        dataset.add_dataset_members({"Subject": new})
        dataset.delete_dataset_members({"Subject": new})

    def nest_or_not(self) -> None:
        """Make the inner dataset part of the outer one, or not."""
        rid = self.inner.dataset_rid
        if self.links.pop(("Dataset_Dataset", rid), None) is None:
            self.outer.add_dataset_members({"Dataset": [rid]})
            self.links["Dataset_Dataset", rid] = next(self.times)
        else:
            self.outer.delete_dataset_members({"Dataset": [rid]})

    def retype(self) -> None:
        """Give a dataset a type, or take it."""
        dataset, name = self._dataset(), "Training"
        link = "Dataset_Dataset_Type", (dataset.dataset_rid, name)
        if self.links.pop(link, None) is None:
            dataset.add_dataset_type(name)
            self.links[link] = next(self.times)
        else:
            dataset.remove_dataset_type(name)

    def edit(self) -> None:
        """Change a row, whether it is a member or not."""
        table, rid = self._row()
        self.edited[rid] = next(self.times) + 1
        table_ = self.lab.session.table(table)
        rows.update_one(self.lab.session.connection, table_, rid, Name=f"edited {self.edited[rid]}")

    def grade(self) -> None:
        """Give a subject a grade, or take one away."""
        rid = self.draw.choice(self.rids["Subject"])
        connection, table = self.lab.session.connection, self.lab.session.table("Execution_Subject_Graded")
        if self.grades.get(rid):
            rows.delete(connection, table, {"RID": self.grades.pop(rid)})
        else:
            self.lab.grade({rid: "Mild"})
            self.grades[rid] = [row["RID"] for row in rows.read(connection, table, where={"Subject": [rid]})]

    def describe(self) -> None:
        """Change what is no row of the datasets: what is said of them, and what others make of their rows."""
        self._dataset().description = f"described {next(self.times)}"
        self.lab.dataset(Subject=self.rids["Subject"])

    def release_inner(self) -> None:
        """Release the inner dataset, which the outer one does not heed."""
        self.inner.mark_dev()
        self.inner.release("patch", "inner")


CHANGES = [name for name in vars(Curator) if not name.startswith("_") and name != "belongs"]


def differing(before: set[tuple[str, Any, int]], after: set[tuple[str, Any, int]]) -> dict[str, int]:
    """Numbers of rows that were added, changed or removed, by table."""
    return Counter(table for table, _ in {(table, key) for table, key, _ in before ^ after})


def check(lab: Any, seed: int, steps: int) -> Counter[str]:
    """Change at random; now and then release."""
    draw = random.Random(seed)
    curator, done = Curator(lab, draw), Counter[str]()
    released = {curator.outer.current_version: curator.belongs()}
    for step in range(steps):
        name = draw.choice(CHANGES)
        getattr(curator, name)()
        now = curator.belongs()
        expected = differing(list(released.values())[-1], now)
        assert curator.outer.release_diff() == expected, (seed, step, name)
        assert curator.outer.is_dirty() == bool(expected), (seed, step, name)
        done[f"{name} {bool(expected)}"] += 1
        if draw.random() < 0.3:
            curator.outer.mark_dev()
            released[curator.outer.release("patch", "again")] = now
    first, *_, last = list(released) * 2
    before, after = released[first], released[last]
    assert curator.outer.compare_versions(first, str(last)) == differing(before, after), seed
    return done


def test_a_dataset_is_dirty_where_it_differs_from_its_release(lab: Any) -> None:
    # A seed that draws each change once, and a row of the inmost dataset.
    done = check(lab, 52, len(CHANGES))
    assert {name.split()[0] for name in done} == set(CHANGES)


def test_a_table_that_is_gone_is_a_difference(lab: Any) -> None:
    (subject,) = lab.subjects(1)
    features.create_feature(lab.session, "Subject", "Passing", terms=["Grade"])
    dataset = lab.dataset(Subject=[subject])
    rows.insert(
        lab.session.connection,
        lab.session.table("Execution_Subject_Passing"),
        [{"Subject": subject, "Grade": "Mild", "Feature_Name": "Passing", "Execution": lab.execution_rid}],
    )
    dataset.mark_dev()
    dataset.release("minor", "graded")
    features.delete_feature(lab.session, "Subject", "Passing")
    assert dataset.release_diff() == {"Execution_Subject_Passing": 1}
    assert dataset.is_dirty()


@pytest.mark.soak
def test_a_dataset_is_dirty_where_it_differs_from_its_release_for_long(lab: Any) -> None:
    done = sum((check(lab, seed, 40) for seed in range(5)), Counter())
    assert {name for name in done if name.endswith("True")} == {f"{name} True" for name in CHANGES}
