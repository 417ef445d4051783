"""What `make bench` measures becomes one table on a page, and what is missed there has its reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.counting import Counts
from benchmarks.run import PAGE, assembled, measured
from benchmarks.table import BEGIN, END, Row, group, put_into, without_reason

ROW = Row("copy", 2, "s", Counts(3, 4, 50, None), other=1, whose="cp", limit=1.5, most=3)
RATE = Row("send", 200, "MB/s", other=100, whose="scp", limit=150)


def test_a_little_of_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    groups = assembled(measured(["machine", "lineage"], 200))
    rows = {row.work: row for row in groups["Lineage, in process"]}
    counts = rows["lineage of a fan of 10"].counts
    assert counts is not None and (counts.catalog, counts.objects) == (1, 0) and counts.statements
    assert "lineage of a fan of 10" in capsys.readouterr().out
    assert not any(row.missed or row.target for rows in groups.values() for row in rows)


def test_what_is_missed() -> None:
    assert (ROW.ratio, RATE.ratio) == (0.5, 2)
    assert ROW.missed and replace(ROW, value=1.5).missed is False
    assert replace(ROW, value=1, most=2).missed
    assert not RATE.missed and replace(RATE, value=149).missed
    assert ROW.cells() == [
        *["copy", "2 s", "1 cp", "0.5×", "≤ 1.5, ≤ 3 requests **missed**", "3 + 4 objects", "50", ""]
    ]


def test_the_page_keeps_what_is_written_by_hand_and_what_is_not_measured_now(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Costs\n\n{BEGIN}\nold\n{END}\n\n## Why\n\nIt is slow.\n")
    order = ["Files", "Wires"]
    put_into(page, "A machine.", {"Wires": group("Wires", "today", [RATE])}, order)
    put_into(page, "A machine.", {"Files": group("Files", "today", [ROW])}, order)
    text = page.read_text()
    assert "old" not in text and text.startswith("# Costs\n") and text.endswith("It is slow.\n")
    assert text.index("| **Files** | today |") < text.index("| copy |") < text.index("| **Wires** | today |")
    assert "- Files: copy" in text and "| send | 200 MB/s |" in text
    assert without_reason(text) == ["copy"]
    assert without_reason(text + "- copy: the disk is full.\n") == []
    put_into(page, "A machine.", {"Files": group("Files", "today", [replace(ROW, value=1)])}, order)
    assert "Every target is met." in page.read_text() and page.read_text().count("| copy |") == 1
    page.write_text("# Nothing\n")
    with pytest.raises(ValueError, match="between which the table is put"):
        put_into(page, "x", {}, order)


def test_the_page_gives_a_reason_for_all_that_is_missed() -> None:
    assert without_reason(PAGE.read_text(encoding="utf-8")) == []
