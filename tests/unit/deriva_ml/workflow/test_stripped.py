"""Notebooks without outputs: what nbstripout writes, to the byte."""

import io
import itertools
import json

import nbformat
import pytest
from nbstripout._nbstripout import strip_output

from deriva_ml.workflow.stripped import without_outputs

EXTRA = [
    *("metadata.signature", "metadata.widgets"),
    *(
        f"cell.metadata.{name}"
        for name in ("collapsed", "ExecuteTime", "execution", "heading_collapsed", "hidden", "scrolled")
    ),
]
NUMBERS = itertools.count()
STREAM = {"output_type": "stream", "name": "stdout", "text": ["42\n"]}
RESULT = {"output_type": "execute_result", "execution_count": 3, "data": {"text/plain": "é"}, "metadata": {}}


def code(source="print(42)\n42", number=3, outputs=(STREAM, RESULT), **metadata):
    made = {"cell_type": "code", "source": source, "execution_count": number, "id": f"x{next(NUMBERS)}"}
    return made | {"outputs": [dict(output) for output in outputs], "metadata": metadata}


def notebook(*cells, minor=5, **metadata):
    document = {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": minor}
    return json.dumps(document, ensure_ascii=False).encode()


def by_nbstripout(content):
    document = nbformat.reads(content.decode(), as_version=nbformat.NO_CONVERT)
    stripped = strip_output(document, keep_output=None, keep_count=False, keep_id=False, extra_keys=EXTRA)
    out = io.StringIO()
    nbformat.write(stripped, out)
    return out.getvalue().encode()


@pytest.mark.parametrize(
    "content",
    [
        notebook(code()),
        notebook(code(scrolled=True, ExecuteTime={"start": 1}, execution={"a": 1}, tags=["parameters"])),
        notebook(code(tags=["keep_output"]), code(keep_output=False), code(init_cell=True)),
        notebook(code(collapsed=False, trusted=True), widgets={"state": {}}, kernelspec={"name": "x"}),
        notebook({"cell_type": "markdown", "source": ["# A\n", "b"], "metadata": {}, "id": "m"}),
        notebook(code(["a\n", "b"], None, ()), code("", None, ()), language_info={"name": "python"}),
        notebook(code("# ☃ \u2028 é")),
    ],
    ids=["plain", "view state", "kept", "widgets", "markdown", "lines", "unicode"],
)
def test_as_nbstripout_writes_it(content):
    assert without_outputs(content) == by_nbstripout(content)
    assert without_outputs(by_nbstripout(content)) == by_nbstripout(content)


def test_running_it_changes_nothing():
    assert without_outputs(notebook(code())) == without_outputs(notebook(code(number=None, outputs=())))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"cells": 3, "metadata": {}}', b"\xff"])
def test_what_is_no_notebook_stays(content):
    assert without_outputs(content) == content
