"""What a clone did, row by row and file by file."""

from __future__ import annotations

from dataclasses import dataclass, field

from deriva_ml.bag.load import LoadReport
from deriva_ml.model.ways import TableName


@dataclass
class CloneReport(LoadReport):
    """What a clone did, beyond the rows that it inserted.

    Parameters
    ----------
    updated, removed : dict
        Number of rows by (schema, table): as the source went on from release to release.
    orphans : dict
        Rows that were left out or lost a reference, as the policy says.
    files, bytes : int
        Objects that were copied into the store of the destination.
    left_out : list of str
        Tables and columns of former releases that the source does not have any more.
    """

    updated: dict[TableName, int] = field(default_factory=dict)
    removed: dict[TableName, int] = field(default_factory=dict)
    orphans: dict[TableName, int] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    left_out: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Rows that were inserted."""
        return sum(self.inserted.values())

    def __str__(self) -> str:
        counts = {
            "INSERTED": self.inserted,
            "EXISTING": self.existing,
            "UPDATED": self.updated,
            "REMOVED": self.removed,
            "ORPHANS": self.orphans,
        }
        names = sorted({name for count in counts.values() for name, number in count.items() if number})
        lines = [[":".join(name), *(str(count.get(name, 0)) for count in counts.values())] for name in names]
        text = _aligned([["TABLE", *counts], *lines])
        text.append(f"{self.total} rows inserted, {self.files} files copied ({self.bytes} bytes)")
        text += [f"not copied: {table} {rid}: {reason}" for (table, rid), reason in self.failures.items()]
        text += [f"left out: {name}" for name in self.left_out]
        return "\n".join(text)


def _aligned(lines: list[list[str]]) -> list[str]:
    """A table whose first column is text, and the others numbers."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            [line[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        )
        for line in lines
    ]
