"""What waits for a commit, for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deriva_ml.names import require_list
from deriva_ml.workspace import paths
from deriva_ml.workspace.manifest import FAILED, UPLOADED

if TYPE_CHECKING:
    from deriva_ml.session import Session


@dataclass(frozen=True)
class PendingRowCount:
    """Staged rows of one feature table."""

    table: str
    pending: int = 0
    failed: int = 0
    uploaded: int = 0


@dataclass(frozen=True)
class PendingAssetCount:
    """Registered files of one asset table."""

    table: str
    pending_files: int = 0
    failed_files: int = 0
    uploaded_files: int = 0
    total_bytes_pending: int = 0


@dataclass(frozen=True)
class PendingSummary:
    """What one execution has staged and committed."""

    execution_rid: str
    rows: list[PendingRowCount] = field(default_factory=list)
    assets: list[PendingAssetCount] = field(default_factory=list)
    diagnostics: list[str] = field(default_factory=list)

    @property
    def total_pending_rows(self) -> int:
        """Feature rows that wait, with those that failed before."""
        return sum(count.pending + count.failed for count in self.rows)

    @property
    def total_pending_files(self) -> int:
        """Files that wait, with those that failed before."""
        return sum(count.pending_files + count.failed_files for count in self.assets)

    @property
    def has_pending(self) -> bool:
        """Whether anything waits."""
        return bool(self.total_pending_rows or self.total_pending_files)

    def render(self) -> str:
        """A few lines of text."""
        lines = [
            f"Execution {self.execution_rid}: " + ("" if self.has_pending else "nothing waits for a commit")
        ]
        for rows in self.rows:
            lines.append(
                f"  {rows.table}: {rows.pending} rows pending, {rows.failed} failed, {rows.uploaded} uploaded"
            )
        for files in self.assets:
            lines.append(
                f"  {files.table}: {files.pending_files} files pending ({files.total_bytes_pending:,} bytes),"
                f" {files.failed_files} failed, {files.uploaded_files} uploaded"
            )
        return "\n".join([*lines, *(f"  {text}" for text in self.diagnostics)])

    def __str__(self) -> str:
        return self.render()


@dataclass(frozen=True)
class WorkspacePendingSummary:
    """What waits in a whole workspace."""

    per_execution: list[PendingSummary] = field(default_factory=list)

    @property
    def total_executions_with_pending(self) -> int:
        """Executions of which something waits."""
        return sum(summary.has_pending for summary in self.per_execution)

    def render(self) -> str:
        """A few lines of text."""
        waiting = [summary.render() for summary in self.per_execution if summary.has_pending]
        return "\n".join(waiting) or "Nothing waits for a commit."

    def __str__(self) -> str:
        return self.render()


def summarize(session: Session, execution_rid: str) -> PendingSummary:
    """Count what an execution has staged and committed."""
    workspace = session.workspace
    rows = [
        PendingRowCount(table, *(counts.get(status, 0) for status in ("pending", "failed", "uploaded")))
        for table, counts in workspace.features.counts_of(execution_rid).items()
    ]
    counts: dict[str, list[int]] = {}
    diagnostics = []
    for key, entry in workspace.manifest_of(execution_rid).assets.items():
        line = counts.setdefault(f"{entry.schema}.{entry.asset_table}", [0, 0, 0, 0])
        line[2 if entry.status == UPLOADED else 1 if entry.status == FAILED else 0] += 1
        if entry.status != UPLOADED:
            staged = paths.staged_file(
                workspace.root, execution_rid, entry.asset_table, key.partition("/")[2]
            )
            try:
                line[3] += staged.stat().st_size
            except OSError:
                diagnostics.append(f"{key} is registered but {staged} does not exist")
    return PendingSummary(
        execution_rid,
        rows,
        [PendingAssetCount(table, *numbers) for table, numbers in counts.items()],
        diagnostics,
    )


def summarize_workspace(
    session: Session, execution_rids: Sequence[str] | None = None
) -> WorkspacePendingSummary:
    """Count what all executions of a workspace have staged."""
    workspace = session.workspace
    known = (
        {*workspace.manifest.counts(), *workspace.features.counts()}
        if execution_rids is None
        else require_list("execution_rids", execution_rids)
    )
    return WorkspacePendingSummary([summarize(session, rid) for rid in sorted(known)])
