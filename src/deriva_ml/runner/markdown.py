"""An executed notebook as one Markdown file: frames are tables, images are in it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from deriva_ml.runner.kernel import needed

_PRIORITY = ["text/markdown", "text/html", "text/latex", "text/plain"]
_TEXT_IMAGE = "image/svg+xml"
_REWRITTEN = re.compile(r"^[^\n]*\r(?!\n)", re.M)


def to_markdown(notebook: Path) -> str:
    """Print a notebook as Markdown that needs no other file.

    Parameters
    ----------
    notebook : Path

    Returns
    -------
    str

    Raises
    ------
    DerivaMLDependencyError
        If nbconvert is not installed.
    """
    with needed():
        import nbformat
        from nbconvert import MarkdownExporter
        from traitlets.config import Config
    document = nbformat.read(notebook, as_version=4)
    for cell in document.cells:
        _inline_attachments(cell)
        for output in cell.get("outputs", ()):
            _readable(output)
    # Images are in the outputs by now, so nothing is left that would have to be a file of its own.
    settings = Config(
        {
            "ExtractOutputPreprocessor": {"enabled": False},
            "ExtractAttachmentsPreprocessor": {"enabled": False},
            "NbConvertBase": {"display_data_priority": _PRIORITY},
        }
    )
    text, _ = MarkdownExporter(config=settings).from_notebook_node(document)
    return str(text)


def _inline_attachments(cell: MutableMapping[str, Any]) -> None:
    for name, data in cell.get("attachments", {}).items():
        for kind, content in data.items():
            cell["source"] = cell["source"].replace(f"attachment:{name}", _data_uri(kind, content))


def _readable(output: MutableMapping[str, Any]) -> None:
    """Give an output the form in which Markdown can show it."""
    if "text" in output:
        output["text"] = _as_on_a_terminal(output["text"])
    data = output.get("data")
    if data is None:
        return
    image = next((kind for kind in data if kind.startswith("image/")), None)
    if image is not None:
        name = image.partition("/")[2].partition("+")[0]
        data["text/markdown"] = f"![{name}]({_data_uri(image, data[image])})"
    elif "text/markdown" not in data and "text/html" in data:
        tables = html_to_markdown(data["text/html"])
        if tables is not None:
            data["text/markdown"] = tables
    if "text/plain" in data:
        data["text/plain"] = _as_on_a_terminal(data["text/plain"])


def _data_uri(kind: str, content: str) -> str:
    encoded = base64.b64encode(content.encode()).decode() if kind == _TEXT_IMAGE else "".join(content.split())
    return f"data:{kind};base64,{encoded}"


def _as_on_a_terminal(text: str) -> str:
    """Text without colours, and of a line that was written over what is seen last."""
    from nbconvert.filters import strip_ansi

    return _REWRITTEN.sub("", str(strip_ansi(text)))


def html_to_markdown(html: str) -> str | None:
    """Tables of a piece of HTML as Markdown, with the text around them; None when it has none or needs a browser.

    Parameters
    ----------
    html : str

    Returns
    -------
    str or None
    """
    with needed():
        from bs4 import BeautifulSoup
    soup = BeautifulSoup(html, "html.parser")
    tables = [table for table in soup.find_all("table") if table.find_parent("table") is None]
    if not tables or soup.find(["script", "iframe", "canvas", "svg"]):
        return None
    for style in soup.find_all("style"):
        style.decompose()
    made = []
    for number, table in enumerate(tables):
        made.append(_table(table))
        table.replace_with(f"\n\n\0{number}\0\n\n")
    text = "\n".join(line.strip() for line in soup.get_text().splitlines())
    text = re.sub("\0(\\d+)\0", lambda match: made[int(match[1])], text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _table(table: Any) -> str:
    head = len(table.thead.find_all("tr")) if table.thead else 0
    grid = list(_grid(table.find_all("tr")))
    if not grid:
        return ""
    width = max(map(len, grid))
    rows = [[*row, *[""] * (width - len(row))] for row in grid]
    title = [_joined(column) for column in zip(*rows[:head], strict=True)] if head else [""] * width
    return "\n".join(_line(row) for row in [title, ["---"] * width, *rows[head:]])


def _grid(lines: Sequence[Any]) -> Iterator[list[str]]:
    """Cells of each line; one that spans several lines or columns fills the first, the others are empty."""
    below: dict[int, int] = {}
    for line in lines:
        row: list[str] = []

        def skip(row: list[str] = row) -> None:
            while below.get(len(row), 0):
                below[len(row)] -= 1
                row.append("")

        for cell in line.find_all(["th", "td"], recursive=False):
            skip()
            for number in range(_span(cell.attrs, "colspan")):
                below[len(row)] = _span(cell.attrs, "rowspan") - 1
                row.append("" if number and cell.name == "td" else _text(cell))
        skip()
        yield row


def _span(attributes: Mapping[str, Any], name: str) -> int:
    given = str(attributes.get(name, "1"))
    return max(1, int(given)) if given.isdigit() else 1


def _text(cell: Any) -> str:
    return " ".join(cell.get_text(" ").split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _joined(names: Sequence[str]) -> str:
    return " / ".join(dict.fromkeys(filter(None, names)))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
