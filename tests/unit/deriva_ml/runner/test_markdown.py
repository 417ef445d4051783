"""Outputs of notebooks as Markdown."""

import pandas as pd
import pytest
from tests.notebooks import code, write_notebook

from deriva_ml.runner.markdown import html_to_markdown, to_markdown


def test_frames_become_tables():
    frame = pd.DataFrame({"name": ["a|b", "<i>"], "score": [0.5, 1.0]})
    assert html_to_markdown(frame._repr_html_()) == (
        "|  | name | score |\n| --- | --- | --- |\n| 0 | a\\|b | 0.5 |\n| 1 | &lt;i> | 1.0 |"
    )
    levels = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("F1", "old"), ("F1", "new")]))
    assert html_to_markdown(levels.to_html()).startswith("|  | F1 / old | F1 / new |\n")
    grouped = pd.DataFrame({"g": ["a", "a"], "k": [1, 2], "v": [3, 4]}).set_index(["g", "k"])
    assert html_to_markdown(grouped.to_html()).splitlines() == [
        *("| g | k | v |", "| --- | --- | --- |"),
        *("| a | 1 | 3 |", "|  | 2 | 4 |"),
    ]
    long = html_to_markdown(pd.DataFrame({"n": range(100)})._repr_html_())
    assert long.endswith("| 99 | 99 |\n\n100 rows × 1 columns")


@pytest.mark.parametrize(
    "html",
    ["<b>no table</b>", "<table><tr><td>1</td></tr></table><script>draw()</script>", "<svg><table/></svg>"],
)
def test_what_needs_a_browser_stays(html):
    assert html_to_markdown(html) is None


def test_tables_of_all_kinds():
    assert html_to_markdown("<p>Before</p><table><tr><td>1</td></tr></table>After") == (
        "Before\n\n|  |\n| --- |\n| 1 |\n\nAfter"
    )
    assert html_to_markdown("<table></table>") == ""


def test_outputs_and_attachments_are_in_the_file(tmp_path):
    def shown(**data):
        return {"output_type": "display_data", "data": data, "metadata": {}}

    cell = code("draw()")
    cell["outputs"] = [
        shown(**{"image/png": "iVBO\nRw0K\n", "text/plain": "<Figure>", "text/html": "<table></table>"}),
        shown(**{"image/svg+xml": ["<svg>", "</svg>"]}),
        shown(**{"text/html": "<i>as it is</i>"}),
        {"output_type": "stream", "name": "stderr", "text": "\x1b[31m 10%\r 50%\r100%\x1b[0m\nend\r\n"},
    ]
    text_cell = {"cell_type": "markdown", "source": "![x](attachment:a.png)", "metadata": {}, "id": "m"}
    text_cell["attachments"] = {"a.png": {"image/png": "iVBORw0K"}}
    text = to_markdown(write_notebook(tmp_path / "all.ipynb", cell, text_cell))
    assert "![png](data:image/png;base64,iVBORw0K)" in text
    assert "![svg](data:image/svg+xml;base64,PHN2Zz48L3N2Zz4=)" in text
    assert "<i>as it is</i>" in text
    assert "![x](data:image/png;base64,iVBORw0K)" in text
    assert "    100%\n    end" in text
    assert "50%" not in text
    assert "\x1b" not in text
