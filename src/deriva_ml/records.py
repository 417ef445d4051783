"""What users get back: values without behaviour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from deriva_ml import markup
from deriva_ml.names import RID, CacheStatus, DatasetVersion, UploadState


@dataclass
class UploadProgress:
    """How far an upload is.

    Parameters
    ----------
    file_path, file_name : str
        The file at hand; empty for messages about the whole upload.
    bytes_completed, bytes_total : int
        Of that file.
    percent_complete : float
        Of the whole phase, 0 to 100.
    phase : str
        ``Staging``, ``Uploading`` or ``Uploaded``.
    message : str
        For people.
    """

    file_path: str = ""
    file_name: str = ""
    bytes_completed: int = 0
    bytes_total: int = 0
    percent_complete: float = 0.0
    phase: str = ""
    message: str = ""


UploadCallback = Callable[[UploadProgress], None]


@dataclass
class UploadReport:
    """Outcome of a commit.

    Parameters
    ----------
    execution_rids : list of str
        Every execution that was tried.
    total_uploaded, total_failed : int
        Asset files, and for a batch failed executions.
    per_table : dict
        ``"schema/Table"`` to ``{"uploaded": n, "failed": m}``, feature tables included.
    errors : list of str
    """

    execution_rids: list[RID] = field(default_factory=list)
    total_uploaded: int = 0
    total_failed: int = 0
    per_table: dict[str, dict[str, int]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def _repr_html_(self) -> str:
        tables = [
            (name, counts["uploaded"], counts["failed"]) for name, counts in sorted(self.per_table.items())
        ]
        title = f"{self.total_uploaded} uploaded, {self.total_failed} failed"
        shown = markup.table(["Table", "uploaded", "failed"], tables, title)
        return shown + (markup.table(["Errors"], [[error] for error in self.errors]) if self.errors else "")


@dataclass(frozen=True)
class DatasetHistory:
    """One version of a dataset."""

    dataset_version: DatasetVersion
    dataset_rid: RID
    version_rid: RID
    execution_rid: RID | None = None
    description: str = ""
    minid: str | None = None
    spec_hash: str | None = None
    snapshot: str | None = None

    def _repr_html_(self) -> str:
        facts = {"Description": self.description, "Execution": self.execution_rid, "Snapshot": self.snapshot}
        return markup.facts(facts, f"Dataset {self.dataset_rid} version {self.dataset_version}")


@dataclass(frozen=True)
class DatasetReference:
    """A dataset with members in a table: what would be affected by a change of that table."""

    dataset_rid: RID
    element_table: str
    member_count: int


@dataclass(frozen=True)
class FeatureReference:
    """A feature whose values refer to a table: what would be affected by a change of that table."""

    target_table: str
    feature_name: str
    feature_table: str
    column: str


@dataclass
class FileUploadState:
    """Outcome of one file of an upload."""

    state: UploadState
    status: str = ""
    result: dict[str, Any] | None = None

    @property
    def rid(self) -> RID | None:
        """RID of the row that was made."""
        return (self.result or {}).get("RID")


@dataclass(frozen=True)
class CachedBag:
    """A version of a dataset that lies on this disk."""

    dataset_rid: RID
    version: str | None
    checksum: str
    status: CacheStatus
    built_at: str
    size_bytes: int
    path: Path
    damage: str | None = None
    """What is wrong with it, where it was checked and something is."""

    def _repr_html_(self) -> str:
        facts = {
            "Status": self.status,
            "Damage": self.damage,
            "Bytes": f"{self.size_bytes:,}",
            "Path": self.path,
        }
        return markup.facts(facts, f"Dataset {self.dataset_rid} version {self.version}")


@dataclass(frozen=True)
class CachedAsset:
    """An asset whose bytes are kept on this disk for all runs."""

    rid: RID
    md5: str
    file_count: int
    size_bytes: int
    modified: datetime
    path: Path


@dataclass(frozen=True)
class SchemaDiff:
    """What differs in the model of a catalog from the one that is kept on this disk; false when nothing does.

    Parameters
    ----------
    added, removed, changed : tuple of str
        ``schema``, ``schema.table``, ``schema.table.column`` or ``schema.table (constraint)``.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True)
class PinStatus:
    """Whether the model that is kept on this disk is pinned, since when and why."""

    pinned: bool
    at: str | None = None
    reason: str | None = None
    snapshot_id: str | None = None
    """Snapshot of the catalog that the kept model is of."""
