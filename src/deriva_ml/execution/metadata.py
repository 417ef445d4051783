"""Files that describe a run: configuration, environment, lock file, uncommitted changes, Hydra's files."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from deriva_ml.errors import DerivaMLWorkflowError
from deriva_ml.execution.outputs import OutputFile, Outputs
from deriva_ml.lasting import let_last
from deriva_ml.names import ExecMetadataType, MLAsset
from deriva_ml.specs import ExecutionConfiguration, WorkflowSpec
from deriva_ml.workflow import environment
from deriva_ml.workflow.changes import PATCH_NAME, uncommitted
from deriva_ml.workflow.workflow import git_root_of
from deriva_ml.workspace import paths

if TYPE_CHECKING:
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)

_DESCRIPTIONS = {
    "config.yaml": "Hydra configuration of this run as composed.",
    "overrides.yaml": "Overrides that were given to Hydra for this run.",
    "hydra.yaml": "Hydra's own settings for this run.",
    "configuration.json": "Execution configuration: inputs, workflow and command line.",
    "uv.lock": "Exact versions of the packages of the project.",
    PATCH_NAME: "Uncommitted changes of the code: with its commit and `git apply`, the files that ran.",
    "environment_snapshot_": "Python, packages, platform and environment variables (without secrets) of this run.",
}


def description_of(file_name: str) -> str | None:
    """What a metadata file of a usual name holds, None for other names.

    Examples
    --------
    >>> description_of("hydra-2026-01-15_10-00-00-config.yaml")
    'Hydra configuration of this run as composed.'
    """
    for name, text in _DESCRIPTIONS.items():
        if (
            file_name == name
            or file_name.endswith(f"-{name}")
            or (name.endswith("_") and file_name.startswith(name))
        ):
            return text
    return None


def capture(
    session: Session,
    execution_rid: str,
    outputs: Outputs,
    configuration: ExecutionConfiguration,
) -> None:
    """Write and register the files that describe a run.

    Uncommitted changes are those of the repository of the workflow, now.

    Parameters
    ----------
    session : Session
    execution_rid : str
    outputs : Outputs
    configuration : ExecutionConfiguration
        As resolved.
    """
    workflow = configuration.workflow
    root = workflow.git_root if workflow is not None else None
    snapshot = f"environment_snapshot_{datetime.now():%Y%m%d_%H%M%S}.txt"
    written: dict[str, tuple[bytes, ExecMetadataType]] = {
        "configuration.json": (configuration_text(configuration).encode(), ExecMetadataType.deriva_config),
        snapshot: (environment.snapshot_text(root).encode(), ExecMetadataType.runtime_env),
    }
    changes = _changes(root)
    if changes is not None:
        written[PATCH_NAME] = (changes, ExecMetadataType.execution_config)
    for name, path in _hydra_files(session):
        text = environment.without_settings_secrets(
            path.read_text(encoding="utf-8", errors="surrogateescape")
        )
        written[name] = (text.encode("utf-8", "surrogateescape"), ExecMetadataType.hydra_config)
    lock = _lock_file(workflow)
    if lock is not None:
        written[lock.name] = (lock.read_bytes(), ExecMetadataType.execution_config)
    # What an interrupted attempt has registered stays as it is.
    known = {key.partition("/")[2] for key in outputs.manifest.assets}
    if any(name.startswith("environment_snapshot_") for name in known):
        del written[snapshot]
    files = []
    for name, (content, kind) in written.items():
        if name in known:
            continue
        source = paths.staged_file(session.workspace.root, execution_rid, MLAsset.execution_metadata, name)
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(content)
        files.append(OutputFile(source, kind.value, description=description_of(name)))
    # They are not written again, so they must last before they are registered.
    let_last([Path(file.file_name) for file in files], session.workspace.root)
    outputs.register(MLAsset.execution_metadata, files)


def configuration_text(configuration: ExecutionConfiguration) -> str:
    """Configuration as JSON, without what looks like a secret in the command line."""
    words = environment.without_arguments_secrets(list(configuration.argv))
    shown = configuration.model_copy(
        update={"argv": [environment.without_settings_secrets(word) for word in words]}
    )
    return shown.model_dump_json(indent=2)


def _changes(root: Path | None) -> bytes | None:
    """What is not committed in a repository; that it cannot be told is no reason not to run."""
    try:
        return uncommitted(root) if root is not None else None
    except (DerivaMLWorkflowError, OSError) as error:
        logger.warning("Uncommitted changes in %s are not kept with the execution: %s", root, error)
        return None


def _lock_file(workflow: WorkflowSpec | None) -> Path | None:
    root = git_root_of(workflow) if workflow is not None else None
    lock = root / "uv.lock" if root else None
    return lock if lock is not None and lock.is_file() else None


def _hydra_files(session: Session) -> Iterator[tuple[str, Path]]:
    """Files that Hydra wrote about this run, each with the name that it gets."""
    run = session.hydra_runtime_output_dir
    if run is None:
        return
    for path in sorted((run / "hydra-config").rglob("*")):
        if path.is_file():
            yield f"hydra-{run.name}-{path.name}", path
