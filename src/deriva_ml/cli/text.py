"""How commands print: tables, sizes, examples of their use."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def examples(parser: argparse.ArgumentParser, *lines: str) -> None:
    """End the help of a command with examples."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    title = "example:" if len(lines) == 1 else "examples:"
    parser.epilog = "\n".join([title, *(f"  {line}" for line in lines)])


def table(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells in columns as wide as needed.

    Examples
    --------
    >>> print(table([("ID", "NAME"), ("12", "eyes")]))
    ID  NAME
    12  eyes
    """
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def size(count: int) -> str:
    """A number of bytes for people.

    Examples
    --------
    >>> size(999), size(1_540_000)
    ('999 bytes', '1.5 MB')
    """
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else counted(count, "byte")


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    Examples
    --------
    >>> counted(1, "catalog"), counted(1200, "object")
    ('1 catalog', '1,200 objects')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def box(title: str, lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells in a frame; a plain one where the terminal cannot show lines.

    Examples
    --------
    >>> print(box("Split", [("Training", "8 members")]))  # doctest: +SKIP
    ┌─ Split ─────────────┐
    │ Training  8 members │
    └─────────────────────┘
    """
    inner = table(lines).splitlines()
    width = max(len(title) + 2, *map(len, inner))
    corners = [*"┌─│┐└┘"]
    try:
        "".join(corners).encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        corners = [*"+-|+++"]
    left, line, side, right, low_left, low_right = corners
    return "\n".join(
        [
            f"{left}{line} {title} {line * (width - len(title) - 1)}{right}",
            *(f"{side} {text.ljust(width)} {side}" for text in inner),
            f"{low_left}{line * (width + 2)}{low_right}",
        ]
    )
