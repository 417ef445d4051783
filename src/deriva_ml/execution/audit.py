"""What in a catalog has no known origin."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from deriva_ml.bag.load import matching_rows
from deriva_ml.ermrest import rows
from deriva_ml.execution.unknown import unknown_executions
from deriva_ml.names import MLTable

if TYPE_CHECKING:
    from deriva_ml.session import Session

Reason = Literal["null_producer", "sentinel_producer"]


@dataclass(frozen=True)
class ProvenanceFinding:
    """A dataset whose current version was made by nobody knows what."""

    dataset_rid: str
    version: str | None
    reason: Reason

    def __str__(self) -> str:
        text = (
            "no producer recorded" if self.reason == "null_producer" else "its producer is marked as unknown"
        )
        return f"Dataset {self.dataset_rid} {self.version or '(no version)'}: {text}"


@dataclass(frozen=True)
class ProvenanceAuditReport:
    """Outcome of an audit.

    Parameters
    ----------
    violations : list of ProvenanceFinding
        No producer is recorded.
    known_degraded : list of ProvenanceFinding
        The producer is the row that stands for an unknown one.
    """

    violations: list[ProvenanceFinding] = field(default_factory=list)
    known_degraded: list[ProvenanceFinding] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether there are no violations."""
        return not self.violations

    def summary(self) -> str:
        """A few lines of text."""
        lines = [f"{len(self.violations)} violations, {len(self.known_degraded)} known to be degraded"]
        return "\n".join([*lines, *(f"  {finding}" for finding in [*self.violations, *self.known_degraded])])


def audit_provenance(session: Session) -> ProvenanceAuditReport:
    """Find datasets whose current version has no known producer.

    Parameters
    ----------
    session : Session

    Returns
    -------
    ProvenanceAuditReport
    """
    dataset = session.ml_table(MLTable.dataset)
    unknown = set(unknown_executions(session))
    alive = rows.read(
        session.connection, dataset, where={"Deleted": [False, None]}, columns=["RID", "Version"]
    )
    current = {row["RID"]: row["Version"] for row in alive}
    table = session.ml_table(MLTable.dataset_version)
    wanted = {rid for rid in current.values() if rid}
    columns = ("RID", "Version", "Execution")
    versions = {row["RID"]: row for row in matching_rows(session.connection, table, "RID", wanted, columns)}
    report = ProvenanceAuditReport()
    for rid, version_rid in current.items():
        version = versions.get(version_rid or "", {})
        if version.get("Execution") is None:
            report.violations.append(ProvenanceFinding(rid, version.get("Version"), "null_producer"))
        elif version["Execution"] in unknown:
            report.known_degraded.append(ProvenanceFinding(rid, version["Version"], "sentinel_producer"))
    return report
