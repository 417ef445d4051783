"""How commands print: tables, sizes, examples of their use."""

from __future__ import annotations

import argparse
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
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{count} bytes"


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    Examples
    --------
    >>> counted(1, "catalog"), counted(1200, "object")
    ('1 catalog', '1,200 objects')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
