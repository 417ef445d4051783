"""What waits on this machine to the catalog: bag, load, marks; every step can be done again."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from deriva_ml.bag import seal
from deriva_ml.bag.load import BagCatalogLoader, LoadReport
from deriva_ml.ermrest import rows
from deriva_ml.errors import DerivaMLException, DerivaMLUploadError, DerivaMLValidationError
from deriva_ml.execution.bundle import Bundle, assemble
from deriva_ml.records import UploadCallback, UploadReport
from deriva_ml.workspace import paths
from deriva_ml.workspace.manifest import AssetEntry, AssetManifest

if TYPE_CHECKING:
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)

_GO_ON = (
    "What is staged is kept; call commit_output_assets() again, in another process after ml.resume_execution(), or let "
    "`deriva-ml upload` do that."
)


def upload_pending(
    session: Session,
    execution_rid: str,
    progress: UploadCallback | None = None,
    *,
    only: Collection[str] | None = None,
) -> UploadReport:
    """Send the files and feature rows of an execution that wait; its status is the caller's business.

    Parameters
    ----------
    session : Session
    execution_rid : str
    progress : callable, optional
    only : collection of str, optional
        Keys of the files that are sent; what else waits goes on waiting, unless an interrupted commit had begun to send it.

    Returns
    -------
    UploadReport

    Raises
    ------
    DerivaMLValidationError
        If metadata is not as the catalog needs it; nothing was sent.
    DerivaMLUploadError
        If files are missing, or something could not be sent.
    """
    manifest = session.workspace.manifest_of(execution_rid)
    pending = manifest.pending_assets()
    records = session.workspace.features.pending(execution_rid)
    if only is not None and not seal.is_sealed(paths.upload_dir(session.workspace.root, execution_rid)):
        pending, records = {key: entry for key, entry in pending.items() if key in only}, []
    report = UploadReport(execution_rids=[execution_rid])
    if not pending and not records:
        return report
    try:
        with ExitStack() as taken:
            bundle = assemble(session, execution_rid, manifest, pending, records, taken, progress)
            loaded = BagCatalogLoader(
                session.connection,
                session.model,
                bundle.folder,
                resumed=bundle.resumed,
                progress=progress,
                held=bundle.held,
            ).load()
        if loaded.failures:
            _mark_failures(execution_rid, manifest, pending, bundle, loaded)
        _describe_existing(session, pending, bundle, loaded)
        _tell_inputs(session, execution_rid, bundle, loaded)
        _mark_uploaded(session, execution_rid, manifest, bundle, loaded)
    except (DerivaMLUploadError, DerivaMLValidationError):
        raise
    except (DerivaMLException, OSError) as error:
        raise DerivaMLUploadError(
            f"The outputs of execution {execution_rid} could not be uploaded: {error} {_GO_ON}"
        ) from error
    seal.discard(bundle.folder)
    return _count(report, pending, bundle)


def _mark_failures(
    execution_rid: str,
    manifest: AssetManifest,
    pending: Mapping[str, AssetEntry],
    bundle: Bundle,
    loaded: LoadReport,
) -> None:
    keys = {(pending[key].asset_table, rid): key for key, rid in bundle.rids.items()}
    failed = {keys[place]: reason for place, reason in loaded.failures.items()}
    manifest.mark_failed_batch(failed)
    reasons = [f"{key}: {reason}" for key, reason in failed.items()]
    report = UploadReport([execution_rid], total_failed=len(failed), errors=reasons)
    for key in failed:
        label = f"{pending[key].schema}/{pending[key].asset_table}"
        report.per_table.setdefault(label, {"uploaded": 0, "failed": 0})["failed"] += 1
    lines = "\n  ".join(reasons)
    raise DerivaMLUploadError(
        f"{len(failed)} of {len(pending)} outputs of execution {execution_rid} could not be uploaded:\n  {lines}\n"
        f"No row was recorded yet. {_GO_ON}",
        report,
    )


def _describe_existing(
    session: Session, pending: Mapping[str, AssetEntry], bundle: Bundle, loaded: LoadReport
) -> None:
    """Files that the catalog had already: take over new descriptions, and say where metadata is another."""
    keys = {rid: key for key, rid in bundle.rids.items()}
    changes: dict[tuple[str, str], list[dict[str, str | None]]] = {}
    for leased, row in loaded.existing_assets.items():
        key = keys[leased]
        entry = pending[key]
        other = sorted(name for name, value in entry.metadata.items() if row.get(name) != value)
        if other:
            logger.warning(
                "%s is the same file as asset %s, which keeps its values of %s.",
                key,
                row["RID"],
                ", ".join(other),
            )
        if entry.description is not None and entry.description != row.get("Description"):
            table = (entry.schema, entry.asset_table)
            changes.setdefault(table, []).append({"RID": row["RID"], "Description": entry.description})
    for table, changed in changes.items():
        rows.update(session.connection, session.table(table), changed, columns=["Description"])


def _tell_inputs(session: Session, execution_rid: str, bundle: Bundle, loaded: LoadReport) -> None:
    """Say which outputs are files that the execution read: the catalog keeps one role of a file for each execution."""
    if not loaded.existing_assets:
        return
    read = {item.asset_rid for item in session.workspace.executions.inputs(execution_rid)}
    keys = {rid: key for key, rid in bundle.rids.items()}
    for leased, row in loaded.existing_assets.items():
        if row["RID"] in read:
            logger.warning(
                "%s is asset %s, unchanged, which this execution read: it stays recorded as an input, not as an output.",
                keys[leased],
                row["RID"],
            )


def _mark_uploaded(
    session: Session, execution_rid: str, manifest: AssetManifest, bundle: Bundle, loaded: LoadReport
) -> None:
    rids = {key: loaded.rids.get(leased, leased) for key, leased in bundle.rids.items()}
    with session.workspace.database.transaction() as connection:
        manifest.mark_uploaded_within(connection, rids, bundle.read_as)
        session.workspace.features.mark_uploaded_within(
            connection, execution_rid, (record.stage_id for record in bundle.records)
        )
    manifest.write_mirror()


def _count(report: UploadReport, pending: Mapping[str, AssetEntry], bundle: Bundle) -> UploadReport:
    labels = [f"{entry.schema}/{entry.asset_table}" for entry in pending.values()]
    labels += [record.feature_table.replace(".", "/", 1) for record in bundle.records]
    for label in labels:
        counts = report.per_table.setdefault(label, {"uploaded": 0, "failed": 0})
        counts["uploaded"] += 1
    report.total_uploaded = len(pending)
    return report
