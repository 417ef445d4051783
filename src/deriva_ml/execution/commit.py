"""Commit the outputs of an execution: status moves, upload, and what follows it."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from deriva_ml.ermrest import rows
from deriva_ml.ermrest.patience import was_given_up
from deriva_ml.errors import (
    DerivaMLException,
    DerivaMLUploadError,
    DerivaMLValidationError,
    InvalidTransitionError,
)
from deriva_ml.execution import lifecycle
from deriva_ml.execution.lock import locked
from deriva_ml.execution.outputs import Outputs
from deriva_ml.execution.progress import shown
from deriva_ml.execution.states import COMMITTABLE
from deriva_ml.execution.sync import push, required_state
from deriva_ml.execution.unknown import unknown_provenance_file_rid
from deriva_ml.execution.upload import upload_pending
from deriva_ml.names import AssetRole, ExecAssetType, ExecutionStatus, MLTable, require_list
from deriva_ml.records import UploadCallback, UploadReport
from deriva_ml.workspace import paths
from deriva_ml.workspace.manifest import UPLOADED
from deriva_ml.workspace.whole_files import half_written

if TYPE_CHECKING:
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)

_TRIES = 3


def has_pending(session: Session, execution_rid: str) -> bool:
    """Whether files or feature rows of an execution wait for a commit."""
    workspace = session.workspace
    counts = workspace.manifest_of(execution_rid).counts()
    return any(
        number for status, number in counts.items() if status != "uploaded"
    ) or workspace.features.has_pending(execution_rid)


def commit(
    session: Session,
    execution_rid: str,
    *,
    clean_folder: bool | None = None,
    progress: UploadCallback | None = None,
) -> UploadReport:
    """Upload what waits and bring the execution to Uploaded.

    Parameters
    ----------
    session : Session
    execution_rid : str
    clean_folder : bool, optional
        Whether local copies of what is committed are removed; None for the setting of the session.
    progress : callable, optional
        Called with `UploadProgress`; by default a progress bar where there is a terminal or a notebook.

    Returns
    -------
    UploadReport

    Raises
    ------
    InvalidTransitionError
        If the execution never ran, or is aborted.
    DerivaMLValidationError, DerivaMLUploadError
        If something cannot be uploaded. The execution is then Failed, and may be committed again.
    """
    session.require_writable("commit an execution")
    if progress is not None and not callable(progress):
        raise DerivaMLValidationError(
            f"The callback for progress cannot be {progress!r}; give a function that takes an UploadProgress."
        )
    with locked(session, execution_rid, "commit"):
        outputs = Outputs(session, execution_rid)
        outputs.reopen_rewritten()
        outputs.let_last()
        if not _make_ready(session, execution_rid):
            return UploadReport(execution_rids=[execution_rid])
        report = _upload(session, execution_rid, progress)
        if report.per_table or required_state(session, execution_rid).has_output:
            _require_input(session, execution_rid)
        _tell_rewritten(outputs.reopen_rewritten())
        if session.clean_execution_dir if clean_folder is None else clean_folder:
            clean(session, execution_rid)
        return report


def _make_ready(session: Session, execution_rid: str) -> bool:
    """Bring the execution to Pending_Upload; False when it is Uploaded already and nothing waits."""
    state = required_state(session, execution_rid)
    status = state.status
    if status is ExecutionStatus.Running and state.owner is not None and state.owner.ended_with_machine:
        logger.warning(
            "The machine was restarted while execution %s ran: what it wrote shortly before may be incomplete, or empty. "
            "Look at its outputs before you rely on them, or run it again.",
            execution_rid,
        )
    if status not in COMMITTABLE:
        raise InvalidTransitionError(
            f"Execution {execution_rid} is {status} and cannot be committed; "
            + (
                "an aborted execution is over."
                if status is ExecutionStatus.Aborted
                else "run it first, in a with block."
            )
        )
    if status is ExecutionStatus.Uploaded and not has_pending(session, execution_rid):
        if state.sync_pending:
            push(session, execution_rid)
        return False
    lifecycle.begin_upload(session, execution_rid)
    return True


def _upload(session: Session, execution_rid: str, progress: UploadCallback | None) -> UploadReport:
    started = time.monotonic()

    def took() -> str:
        return lifecycle.duration_text(timedelta(seconds=time.monotonic() - started))

    try:
        with shown(progress) as callback:
            report = upload_pending(session, execution_rid, callback)
    except Exception as error:
        # Whatever it was, the record must say that the upload failed; the error goes on to the caller.
        text = f"{type(error).__name__}: {error}"
        # Who was waited for in vain is told when the commit is tried again.
        send = not was_given_up(error)
        lifecycle.transition(
            session, execution_rid, ExecutionStatus.Failed, error=text, send=send, upload_duration=took()
        )
        raise
    lifecycle.transition(session, execution_rid, ExecutionStatus.Uploaded, upload_duration=took())
    return report


def _tell_rewritten(keys: Sequence[str]) -> None:
    if keys:
        logger.warning(
            "Written to while they were committed, so what they are now waits for the next commit_output_assets(): %s%s.",
            ", ".join(keys[:5]),
            ", …" if len(keys) > 5 else "",
        )


# What an execution read --------------------------------------------------------------------------------------------


def _require_input(session: Session, execution_rid: str) -> None:
    """Link the file that stands for unknown provenance where nothing is known to have been read."""
    try:
        if not has_input(session, execution_rid):
            link_unknown_input(session, execution_rid)
        session.workspace.executions.update(execution_rid, has_input=True)
    except DerivaMLException as error:
        # The outputs are recorded; a missing hint about their origin must not make the commit fail.
        logger.warning("Could not check what execution %s read: %s", execution_rid, error)


def has_input(session: Session, execution_rid: str) -> bool:
    """Whether the catalog knows a dataset or file that an execution read."""
    if required_state(session, execution_rid).has_input:
        return True
    links: list[tuple[tuple[str, str], dict[str, list[str]]]] = [
        ((session.ml_schema, "Dataset_Execution"), {"Execution": [execution_rid]})
    ]
    for _, association, _, execution_column in session.model.linked_assets():
        where = {execution_column: [execution_rid], "Asset_Role": [str(AssetRole.input)]}
        links.append(((association.schema.name, association.name), where))
    return any(rows.count(session.connection, table, where) for table, where in links)


def link_unknown_input(session: Session, execution_rid: str) -> None:
    """Record that what an execution read is not known."""
    file, rid = session.ml_table(MLTable.file), unknown_provenance_file_rid(session)
    roles, asset_column, execution_column = session.model.asset_executions(file)
    role = {asset_column: rid, execution_column: execution_rid, "Asset_Role": str(AssetRole.input)}
    rows.insert(session.connection, roles, [role], skip_conflicts=True)
    types, asset_column, type_column = session.model.asset_types(file)
    tag = {asset_column: rid, type_column: str(ExecAssetType.input_file)}
    rows.insert(session.connection, types, [tag], skip_conflicts=True)
    logger.warning(
        "Execution %s recorded outputs but no inputs, so their origin is marked as unknown. Declare datasets or assets in "
        "its configuration, or read them with exe.download_asset().",
        execution_rid,
    )


# Cleaning ----------------------------------------------------------------------------------------------------------


def clean(session: Session, execution_rid: str) -> None:
    """Remove local copies of what the catalog has; files that were never registered are kept, and named."""
    folder = session.workspace.execution_dir(execution_rid)
    if not folder.exists():
        return
    manifest = session.workspace.manifest_of(execution_rid)
    waiting, disposable = _copies(session, execution_rid)
    kept = [
        path
        for path in folder.rglob("*")
        if path not in disposable and (path.is_symlink() or not path.is_dir())
    ]
    if not kept:
        remove_folder(folder)
        return
    for path in disposable & set(folder.rglob("*")):
        with suppress(OSError):
            path.unlink()
    manifest.write_mirror()
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            with suppress(OSError):
                path.rmdir()
    strange = sorted(set(kept) - waiting)
    if strange:
        logger.warning(
            "%d files in %s were never registered as outputs and are kept: %s%s.",
            len(strange),
            folder,
            ", ".join(str(path.relative_to(folder)) for path in strange[:5]),
            ", …" if len(strange) > 5 else "",
        )


def _copies(session: Session, execution_rid: str) -> tuple[set[Path], set[Path]]:
    """Files of an execution that wait for a commit, and those that may go, as the catalog has what is in them."""
    root, manifest = session.workspace.root, session.workspace.manifest_of(execution_rid)
    waiting, disposable = set[Path](), set[Path]()
    for key, entry in manifest.assets.items():
        staged = paths.staged_file(root, execution_rid, entry.asset_table, key.partition("/")[2])
        held = disposable if entry.status == UPLOADED else waiting
        held.add(staged)
        if entry.source is not None and staged.is_symlink():
            held.add(Path(entry.source))
    disposable |= {Path(item.path) for item in session.workspace.executions.inputs(execution_rid)}
    mirror = paths.manifest_file(root, execution_rid)
    return waiting, (disposable | {mirror, *half_written(mirror)}) - waiting


def remove_folder(folder: Path) -> None:
    """Delete a folder, patiently; what cannot be deleted is a warning."""
    for attempt in range(_TRIES):
        try:
            shutil.rmtree(folder)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if attempt + 1 == _TRIES:
                logger.warning("%s could not be removed: %s", folder, error)
            else:
                time.sleep(1)


def commit_many(
    session: Session, execution_rids: Iterable[str] | None = None, *, clean_folder: bool = False
) -> UploadReport:
    """Commit executions of this workspace, whatever happens to the others.

    Parameters
    ----------
    session : Session
    execution_rids : iterable of str, optional
        By default every one that has something to commit and may be committed.
    clean_folder : bool

    Returns
    -------
    UploadReport
        Of all of them; `total_failed` counts executions that failed, `errors` says why.
    """
    total = UploadReport()
    chosen = None if execution_rids is None else require_list("execution_rids", execution_rids)
    for rid in pending_executions(session) if chosen is None else chosen:
        total.execution_rids.append(rid)
        try:
            lifecycle.resume(session, rid)
            report = commit(session, rid, clean_folder=clean_folder)
        except (DerivaMLException, OSError) as error:
            total.total_failed += 1
            total.errors.append(f"execution {rid}: {error}")
            report = (error.report if isinstance(error, DerivaMLUploadError) else None) or UploadReport()
        total.total_uploaded += report.total_uploaded
        for label, counts in report.per_table.items():
            summed = total.per_table.setdefault(label, {"uploaded": 0, "failed": 0})
            for name, number in counts.items():
                summed[name] += number
    return total


def pending_executions(session: Session) -> list[str]:
    """Executions of this workspace whose commit is due: stopped, failed or interrupted, or with new outputs."""
    due = []
    for state in session.workspace.executions.find(status=COMMITTABLE):
        ended = state.status in {ExecutionStatus.Stopped, ExecutionStatus.Pending_Upload}
        crashed = state.status is ExecutionStatus.Running and state.owner_is_gone
        reopened = state.status in {ExecutionStatus.Uploaded, ExecutionStatus.Failed}
        if ended or ((crashed or reopened) and has_pending(session, state.rid)):
            due.append(state.rid)
    return due
