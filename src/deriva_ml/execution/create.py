"""Record a new execution: everything is checked before the first row is written, and undone when a later step fails."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml import settings
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.leases import lease
from deriva_ml.errors import DerivaMLException, DerivaMLValidationError
from deriva_ml.execution import inputs, metadata, repetition
from deriva_ml.execution.commit import remove_folder
from deriva_ml.execution.inputs import AssetPaths, Declared
from deriva_ml.execution.lifecycle import duration_text
from deriva_ml.execution.outputs import Outputs
from deriva_ml.execution.sync import push
from deriva_ml.execution.upload import upload_pending
from deriva_ml.names import DRY_RUN_RID, ExecutionStatus, MLTable, require_list
from deriva_ml.specs import AssetSpec, DatasetSpec, ExecutionConfiguration, LocalFile, WorkflowSpec
from deriva_ml.workflow import workflow as workflows
from deriva_ml.workspace import paths

if TYPE_CHECKING:
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)


@dataclass
class Created:
    """A recorded execution.

    Parameters
    ----------
    execution_rid : str
        ``0000`` for a dry run.
    configuration : ExecutionConfiguration
        With concrete dataset versions and the registered workflow.
    row : dict, optional
        Its row of the table Execution.
    asset_paths : dict
        Declared input files by asset table.
    """

    execution_rid: str
    configuration: ExecutionConfiguration
    row: dict[str, Any] | None = None
    asset_paths: AssetPaths = field(default_factory=AssetPaths)


def configured(
    session: Session,
    configuration: ExecutionConfiguration | None,
    *,
    datasets: Iterable[DatasetSpec | str] | None = None,
    assets: Iterable[AssetSpec | LocalFile | str] | None = None,
    workflow: WorkflowSpec | str | None = None,
    description: str | None = None,
) -> ExecutionConfiguration:
    """One configuration from what a caller gives; the caller's own is left as it is.

    Raises
    ------
    TypeError
        If a configuration is mixed with its parts.
    DerivaMLException
        If no workflow is given, or something that is none.
    """
    parts = {"datasets": datasets, "assets": assets, "description": description}
    given = {name: value for name, value in parts.items() if value is not None}
    if configuration is not None and given:
        raise TypeError(f"Pass either a configuration or {', '.join(given)}, not both.")
    if configuration is not None and not isinstance(configuration, ExecutionConfiguration):
        raise DerivaMLValidationError(
            f"The configuration of an execution cannot be {configuration!r}; make an ExecutionConfiguration, or pass workflow=, "
            "datasets=, assets= and description= to ml.create_execution()."
        )
    if configuration is None:
        made = {
            name: value if name == "description" else require_list(name, value)
            for name, value in given.items()
        }
        configuration = ExecutionConfiguration.model_validate(made)
    wanted: Any = workflow if workflow is not None else configuration.workflow
    if wanted is None:
        raise DerivaMLException(
            "An execution needs a workflow: make one with ml.create_workflow(name, workflow_type) and put it into the "
            "configuration, or pass workflow= to ml.create_execution()."
        )
    if isinstance(wanted, str):
        wanted = _workflow_named(session, wanted)
    if not isinstance(wanted, WorkflowSpec):
        raise DerivaMLException(
            f"The workflow of an execution cannot be {wanted!r}; make one with ml.create_workflow()."
        )
    return _checked(configuration).model_copy(update={"workflow": wanted})


def _checked(configuration: ExecutionConfiguration) -> ExecutionConfiguration:
    """A copy in which bare RIDs, put in after the configuration was made, are specifications too."""
    kind = type(configuration)
    return kind.model_validate(
        {name: getattr(configuration, name) for name in kind.model_fields if name != "workflow"}
    )


def _workflow_named(session: Session, name: str) -> workflows.Workflow:
    found = workflows.lookup_many(session, [name]) if "/" not in name and ":" not in name else {}
    return found.get(name) or workflows.lookup_by_url(session, name)


def create(session: Session, configuration: ExecutionConfiguration, *, dry_run: bool = False) -> Created:
    """Record an execution with its inputs and what describes it.

    Parameters
    ----------
    session : Session
    configuration : ExecutionConfiguration
        From `configured`.
    dry_run : bool
        Find and download everything, write nothing to the catalog.

    Raises
    ------
    DerivaMLException
        If anything it names does not exist, or a step fails; then no execution is left behind.
    """
    workflow = configuration.workflow
    assert workflow is not None
    configuration = repetition.pinned(configuration)
    declared = inputs.find_declared(session, configuration)
    configuration = configuration.model_copy(update={"datasets": [found.spec for found in declared.datasets]})
    if dry_run:
        known = workflows.find_rid(session, workflow) if workflow.workflow_rid is not None else None
        if known is None:
            workflows.valid_types(session, workflow.workflow_type)
    else:
        session.require_writable("create an execution")
        known = workflows.add(session, workflow)
    workflow = workflows.known_as(session, workflow, known)
    configuration = configuration.model_copy(update={"workflow": workflow})
    if dry_run:
        return _rehearse(session, configuration, declared)
    # Known here before it is known to the catalog, so that no crash leaves a row that nobody can take up again.
    rid = lease(session.connection, 1)[0]
    session.workspace.executions.add(
        rid,
        config_json=metadata.configuration_text(configuration),
        working_dir_rel=paths.execution_dir_rel(rid),
        workflow_rid=workflow.workflow_rid,
        description=configuration.description,
        mode=session.mode,
    )
    new = {
        "RID": rid,
        "Description": configuration.description,
        "Workflow": workflow.workflow_rid,
        "Status": str(ExecutionStatus.Created),
    }
    try:
        table = session.ml_table(MLTable.execution)
        row = rows.insert(session.connection, table, [new], with_rids=True)[0]
        return _prepare(session, Created(rid, configuration, row), declared)
    except BaseException:
        # A half prepared execution is of no use to anybody, whatever stopped it, Ctrl-C included.
        _undo(session, rid)
        raise


def prepare_again(session: Session, execution_rid: str, configuration: ExecutionConfiguration) -> Created:
    """Complete what a process that died while it recorded an execution has begun."""
    declared = inputs.find_declared(session, configuration)
    return _prepare(session, Created(execution_rid, configuration), declared)


def _prepare(session: Session, created: Created, declared: Declared) -> Created:
    rid, started = created.execution_rid, time.monotonic()
    _save_rid(session, created)
    session.workspace.execution_dir(rid).mkdir(parents=True, exist_ok=True)
    inputs.link_datasets(session, rid, declared.datasets)
    inputs.link_assets(session, rid, [asset for _, asset in declared.assets])
    found = inputs.download_declared(session, rid, declared.assets)
    found += inputs.register_files(session, rid, declared.files)
    if found:
        inputs.remember(session, rid, found, declared=True)
        created.asset_paths = AssetPaths.of(found)
        took = duration_text(timedelta(seconds=time.monotonic() - started))
        session.workspace.executions.update(rid, download_duration=took)
        push(session, rid)
    metadata.capture(session, rid, Outputs(session, rid), created.configuration)
    upload_pending(session, rid)
    session.workspace.executions.update(rid, prepared=True)
    return created


def _rehearse(session: Session, configuration: ExecutionConfiguration, declared: Declared) -> Created:
    created = Created(DRY_RUN_RID, configuration)
    _save_rid(session, created)
    session.workspace.execution_dir(DRY_RUN_RID).mkdir(parents=True, exist_ok=True)
    found = inputs.download_declared(session, DRY_RUN_RID, declared.assets)
    created.asset_paths = AssetPaths.of(
        found + inputs.local_files(declared.files, [None] * len(declared.files))
    )
    return created


def _save_rid(session: Session, created: Created) -> None:
    """Tell a program that started this one, by the file that it names, which execution this is."""
    repetition.tell(session, created.execution_rid, created.configuration)
    target = settings.text("DERIVA_ML_SAVE_EXECUTION_RID")
    if target is None:
        return
    workflow = created.configuration.workflow
    output = session.hydra_runtime_output_dir
    document = {
        "hostname": session.connection.host,
        "catalog_id": session.connection.catalog_id,
        "workflow_rid": workflow.workflow_rid if workflow is not None else None,
        "execution_rid": created.execution_rid,
        "working_dir": str(session.workspace.root),
        "ml_schema": session.ml_schema,
        "hydra_runtime_output_dir": str(output) if output is not None else None,
    }
    Path(target).write_text(json.dumps(document), encoding="utf-8")


def _undo(session: Session, execution_rid: str) -> None:
    try:
        rows.delete(session.connection, session.ml_table(MLTable.execution), {"RID": [execution_rid]})
        logger.warning("Execution %s could not be prepared and was taken back.", execution_rid)
    except DerivaMLException as error:
        logger.error(
            "Execution %s could not be prepared, and not be taken back: %s ml.resume_execution(%r) settles it later.",
            execution_rid,
            error,
            execution_rid,
        )
        return
    session.workspace.executions.remove(execution_rid)
    remove_folder(session.workspace.execution_dir(execution_rid))
    remove_folder(paths.upload_dir(session.workspace.root, execution_rid))
