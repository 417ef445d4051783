from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deriva_ml.bag.walk import Walk, reached
from deriva_ml.model.ways import Policy
from deriva_ml.rows.local import LocalReader

Make = Callable[..., LocalReader]

CLINIC = {
    "Set": {"Name": "text"},
    "Set_Image": {"Set": "> Set", "Image": "> Image"},
    "Set_Subject": {"Set": "> Set", "Subject": "> Subject"},
    "Subject": {"Name": "text", "Mother": "> Subject"},
    "Visit": {"Subject": "> Subject"},
    "Image": {"Subject": "> Subject", "Grade": "> Grade.Name"},
    "Label": {"Image": "> Image", "Run": "> Run"},
    "Run": {"Code": "> Code"},
    "Code": {"Name": "text"},
    "Output": {"Run": "> Run"},
    "Grade": {"Name": "text"},
}

ROWS: dict[str, list[dict[str, Any]]] = {
    "Set": [{"RID": "S1"}, {"RID": "S2"}],
    "Set_Image": [{"RID": "SI1", "Set": "S1", "Image": "I1"}, {"RID": "SI2", "Set": "S2", "Image": "I2"}],
    "Set_Subject": [{"RID": "SS1", "Set": "S2", "Subject": "P1"}],
    "Subject": [{"RID": "P1", "Mother": "P2"}, {"RID": "P2", "Mother": "P3"}, {"RID": "P3"}, {"RID": "P4"}],
    "Visit": [{"RID": "V1", "Subject": "P1"}, {"RID": "V2", "Subject": "P2"}],
    "Image": [
        {"RID": "I1", "Subject": "P1", "Grade": "good"},
        {"RID": "I2", "Subject": "P1"},
        {"RID": "I3", "Subject": "P4"},
    ],
    "Label": [{"RID": "L1", "Image": "I1", "Run": "R1"}, {"RID": "L2", "Image": "I2", "Run": "R2"}],
    "Run": [{"RID": "R1", "Code": "C1"}, {"RID": "R2", "Code": "C1"}],
    "Code": [{"RID": "C1"}],
    "Output": [{"RID": "O1", "Run": "R1"}],
    "Grade": [{"RID": "G1", "Name": "good"}, {"RID": "G2", "Name": "bad"}],
}


def rules(**options: Any) -> Policy:
    return Policy(
        start=("s", "Set"),
        terminal=frozenset({("s", "Run")}),
        whole=frozenset({("s", "Grade")}),
        barred=frozenset({(("s", "Set_Image"), ("Image",)), (("s", "Set_Subject"), ("Subject",))}),
        **options,
    )


def walked(reader: LocalReader, *rids: str, **options: Any) -> dict[str, str]:
    found = reached(reader, rules(**options), rids)
    return {name: " ".join(sorted(keys)) for (_, name), keys in sorted(found.items()) if keys}


def test_members_what_hangs_on_them_and_what_they_refer_to(local: Make) -> None:
    assert walked(local(CLINIC, ROWS), "S1") == {
        "Set": "S1",
        "Set_Image": "SI1",
        "Image": "I1",
        "Subject": "P1 P2 P3",
        "Visit": "V1",
        "Label": "L1",
        "Run": "R1",
        "Code": "C1",
        "Grade": "G1 G2",
    }


def test_subjects_bring_all_their_images(local: Make) -> None:
    found = walked(local(CLINIC, ROWS), "S2")
    assert found["Image"] == "I1 I2"
    assert found["Set_Image"] == "SI2"
    assert found["Set"] == "S2"


def test_nothing_is_entered_from_a_terminal_table(local: Make) -> None:
    assert "Output" not in walked(local(CLINIC, ROWS), "S1", "S2")


def test_excluded_tables_take_along_what_is_only_behind_them(local: Make) -> None:
    found = walked(local(CLINIC, ROWS), "S1", excluded=frozenset({("s", "Subject")}))
    assert not found.keys() & {"Subject", "Visit"}
    assert found["Label"] == "L1"


def test_every_row_is_given_with_all_columns(local: Make) -> None:
    given_rows: dict[str, dict[str, Any]] = {}

    def keep(table: Any, rows: Iterable[dict[str, Any]]) -> None:
        given_rows.update({row["RID"]: row for row in rows})

    Walk(local(CLINIC, ROWS), rules(), keep).run(["S1"])
    assert given_rows["I1"]["Grade"] == "good"
    assert {"RCT", "RMB"} <= given_rows["L1"].keys()


@st.composite
def catalogs(draw: st.DrawFn) -> tuple[dict[str, dict[str, str]], dict[str, list[dict[str, Any]]]]:
    names = [f"T{n}" for n in range(draw(st.integers(2, 5)))]
    tables = {
        name: {f"c{n}": f"> {draw(st.sampled_from(names))}" for n in range(draw(st.integers(0, 2)))}
        for name in names
    }
    rids = {name: [f"{name}-{n}" for n in range(draw(st.integers(1, 3)))] for name in names}
    rows = {
        name: [
            {
                "RID": rid,
                **{
                    column: draw(st.sampled_from([None, *rids[kind[2:]]])) for column, kind in columns.items()
                },
            }
            for rid in rids[name]
        ]
        for name, columns in tables.items()
    }
    return tables, rows


def by_chains(
    tables: dict[str, dict[str, str]], rows: dict[str, list[dict[str, Any]]], start: str
) -> dict[str, set[str]]:
    """Follow every chain of rows that meets no table twice, then add all that is referred to."""
    found: dict[str, set[str]] = {"T0": {start}}
    where = {row["RID"]: (name, row) for name, listed in rows.items() for row in listed}

    def follow(rid: str, met: frozenset[str]) -> None:
        name, row = where[rid]
        near = [row[column] for column in tables[name] if row[column]]
        near += [other for other, (there, it) in where.items() if any(it[c] == rid for c in tables[there])]
        for other in near:
            table = where[other][0]
            if table not in met:
                found.setdefault(table, set()).add(other)
                follow(other, met | {table})

    follow(start, frozenset({"T0"}))
    queue = [rid for rids in found.values() for rid in rids]
    for rid in queue:
        name, row = where[rid]
        for column in tables[name]:
            other = row[column]
            if other and other not in found.setdefault(where[other][0], set()):
                found[where[other][0]].add(other)
                queue.append(other)
    return {name: rids for name, rids in found.items() if rids}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(catalogs())
def test_same_as_following_every_chain(
    local: Make, tmp_path: Path, catalog: tuple[dict[str, dict[str, str]], dict[str, list[dict[str, Any]]]]
) -> None:
    tables, rows = catalog
    found = reached(local(tables, rows), Policy(start=("s", "T0")), ["T0-0"])
    assert {name: rids for (_, name), rids in found.items() if rids} == by_chains(tables, rows, "T0-0")
