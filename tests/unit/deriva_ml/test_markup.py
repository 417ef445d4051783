"""Tables that notebooks show are escaped and leave out what is empty."""

from __future__ import annotations

from deriva_ml import markup


def test_facts_leave_out_what_is_empty() -> None:
    shown = markup.facts({"A": None, "B": "", "C": 0, "D & E": "<b>"})
    assert (
        shown == "<table><tr><th>C</th><td>0</td></tr><tr><th>D &amp; E</th><td>&lt;b&gt;</td></tr></table>"
    )


def test_rows_keep_empty_cells() -> None:
    shown = markup.table(["a", "b"], [["<", None]], title="T&T")
    assert shown.startswith("<p><b>T&amp;T</b></p><table><tr><th>a</th><th>b</th></tr>")
    assert shown.endswith("<tr><td>&lt;</td><td></td></tr></table>")
