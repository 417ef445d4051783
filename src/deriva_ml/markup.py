"""What notebooks show of an object: a title and a small table."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence


def facts(values: Mapping[str, object], title: str = "") -> str:
    """Write names and values as an HTML table, leaving out values that are None or empty.

    Examples
    --------
    >>> facts({"RID": "1-A", "Description": None}, "scan<1>.png")
    '<p><b>scan&lt;1&gt;.png</b></p><table><tr><th>RID</th><td>1-A</td></tr></table>'
    """
    lines = (
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
        for name, value in values.items()
        if value is not None and str(value)
    )
    return f"{_heading(title)}<table>{''.join(lines)}</table>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> str:
    """Write rows as an HTML table with a head.

    Examples
    --------
    >>> table(["column", "type"], [["Grade", None]])
    '<table><tr><th>column</th><th>type</th></tr><tr><td>Grade</td><td></td></tr></table>'
    """
    lines = ["".join(f"<th>{html.escape(name)}</th>" for name in head)]
    lines += ["".join(f"<td>{html.escape(_text(value))}</td>" for value in row) for row in rows]
    return f"{_heading(title)}<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _heading(title: str) -> str:
    return f"<p><b>{html.escape(title)}</b></p>" if title else ""
