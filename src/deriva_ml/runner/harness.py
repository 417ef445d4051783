"""Run a notebook from outside, and add to its execution what only the outside has: the notebook as it ran, and Hydra's log."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deriva_ml import settings
from deriva_ml.citation import sight
from deriva_ml.execution.execution import Execution
from deriva_ml.execution.salvage import salvage
from deriva_ml.ml import DerivaML
from deriva_ml.names import DRY_RUN_RID, ExecAssetType, ExecMetadataType, ExecutionStatus, MLAsset
from deriva_ml.runner.kernel import Kernel, lookup_kernel, needed
from deriva_ml.runner.markdown import to_markdown
from deriva_ml.session import session_of
from deriva_ml.workflow.capture import identify
from deriva_ml.workflow.git import repository_root, strips_outputs

logger = logging.getLogger(__name__)

_HYDRA_LOG = "notebook.log"


@dataclass(frozen=True)
class NotebookJob:
    """A notebook to run.

    Parameters
    ----------
    notebook : Path
    parameters : dict
        Of the notebook, by name.
    overrides : list of str
        Of Hydra.
    kernel : str, optional
        By default that of this environment.
    log_output : bool
        Print what cells write while they run.
    """

    notebook: Path
    parameters: Mapping[str, Any] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    kernel: str | None = None
    log_output: bool = False


@dataclass(frozen=True)
class NotebookResult:
    """How a notebook ran.

    Parameters
    ----------
    execution_rid : str, optional
        None when it ended before it had an execution; ``0000`` for a dry run.
    address : str, optional
        Of the execution, or the command that shows it where nobody serves an address.
    failure : str, optional
        Why it did not get to its end.
    """

    execution_rid: str | None = None
    address: str | None = None
    failure: str | None = None


def run(job: NotebookJob) -> NotebookResult:
    """Run a notebook with papermill.

    The notebook makes its execution itself, with `run_notebook` or ``ml.create_execution()``. The notebook as it ran and
    its Markdown become outputs of that; when a cell fails the execution is Failed, and they show how far it got.

    Parameters
    ----------
    job : NotebookJob

    Returns
    -------
    NotebookResult

    Raises
    ------
    DerivaMLDependencyError
        If papermill or something else of the extra ``notebook`` is not installed.
    DerivaMLConfigurationError
        If there is no kernel.
    DerivaMLDirtyWorkflowError
        If there are uncommitted changes and ``DERIVA_ML_STRICT`` is on.
    DerivaMLExecutionError
        If the outputs cannot be registered.
    """
    kernel = lookup_kernel(job.kernel)
    notebook = job.notebook.resolve()
    _advise(notebook)
    url, checksum = identify(notebook)
    with tempfile.TemporaryDirectory(prefix="deriva-ml-notebook-") as name:
        folder = Path(name)
        told = folder / "execution.json"
        known = {
            "DERIVA_ML_WORKFLOW_URL": url,
            "DERIVA_ML_WORKFLOW_CHECKSUM": checksum,
            "DERIVA_ML_NOTEBOOK_PATH": str(notebook),
            "DERIVA_ML_HYDRA_OVERRIDES": json.dumps(job.overrides),
            "DERIVA_ML_SAVE_EXECUTION_RID": str(told),
        }
        executed = folder / notebook.name
        with settings.told(known):
            failure = _execute(job, notebook, executed, kernel)
        return _finish(_read(told), executed, failure)


def _advise(notebook: Path) -> None:
    if repository_root(notebook) is not None and not strips_outputs(notebook):
        logger.warning(
            "Git commits the outputs of %s; run `nbstripout --install` in its repository to keep them out.",
            notebook.name,
        )


# The run -----------------------------------------------------------------------------------------------------------


def _execute(job: NotebookJob, notebook: Path, executed: Path, kernel: Kernel) -> str | None:
    """Run the cells; why that ended early, if it did."""
    with needed():
        import papermill
        from nbclient.exceptions import DeadKernelError
    # It tells of every parameter that is not in the notebook, also of those that everybody is given.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        papermill.execute_notebook(
            notebook,
            executed,
            parameters=dict(job.parameters),
            kernel_name=kernel.name,
            language=kernel.language,
            progress_bar=sys.stderr.isatty() and not job.log_output,
            stdout_file=sys.stdout if job.log_output else None,
            stderr_file=sys.stderr if job.log_output else None,
            config=_settings(kernel),
        )
    except papermill.PapermillExecutionError as error:
        print(error, file=sys.stderr)
        return f"Cell {error.exec_count}: {error.ename}: {error.evalue}"
    except DeadKernelError:
        return "The kernel died; it may have had too little memory."
    except KeyboardInterrupt:
        return "KeyboardInterrupt"
    except RuntimeError as error:
        return f"The kernel {kernel.name!r} did not start: {error}"
    return None


def _settings(kernel: Kernel) -> Any:
    """Settings with which nobody else on this machine can listen to what is said to the kernel, where Jupyter has them."""
    with needed():
        from jupyter_client.manager import KernelManager
        from traitlets.config import Config
    known = hasattr(KernelManager, "transport_encryption")
    settings = Config({"KernelManager": {"transport_encryption": "auto"}} if known else {})
    if any("ipykernel" in word for word in kernel.argv):
        # What it logs when it is interrupted and ended at once tells nobody anything; errors of cells are no log.
        settings.NotebookClient.extra_arguments = ["--IPKernelApp.log_level=CRITICAL"]
    return settings


def _read(told: Path) -> dict[str, Any]:
    return dict(json.loads(told.read_text(encoding="utf-8"))) if told.is_file() else {}


# What comes after --------------------------------------------------------------------------------------------------


def _finish(made: Mapping[str, Any], executed: Path, failure: str | None) -> NotebookResult:
    rid = made.get("execution_rid")
    if rid is None or rid == DRY_RUN_RID:
        return NotebookResult(rid, failure=failure)
    ml = DerivaML(
        made["hostname"], made["catalog_id"], working_dir=made["working_dir"], ml_schema=made["ml_schema"]
    )
    address = sight(session_of(ml), rid)
    execution = ml.resume_execution(rid)
    if execution.status is ExecutionStatus.Aborted:
        return NotebookResult(rid, address, failure or "The notebook has aborted its execution.")
    keys = _register(execution, executed, made.get("hydra_runtime_output_dir"))
    if failure is None:
        execution.commit_output_assets()
    else:
        salvage(session_of(ml), rid, failure, keys)
    return NotebookResult(rid, address, failure)


def _register(execution: Execution, executed: Path, hydra: str | None) -> list[str]:
    """Register what the notebook became; keys of the files."""
    # Copied, so that a commit that fails can be repeated when the folder of this run is gone.
    files = []
    if executed.is_file():
        text = executed.with_suffix(".md")
        text.write_text(to_markdown(executed), encoding="utf-8")
        files = [
            execution.asset_file_path(
                MLAsset.execution_asset,
                path,
                ExecAssetType.notebook_output,
                copy_file=True,
                rename_file=_free_name(execution, path),
                description=said,
            )
            for path, said in (
                (executed, "The notebook as it ran."),
                (text, "The notebook as it ran, to read."),
            )
        ]
    log = Path(hydra) / _HYDRA_LOG if hydra else None
    if log is not None and log.is_file():
        files.append(
            execution.asset_file_path(
                MLAsset.execution_metadata,
                log,
                ExecMetadataType.hydra_config,
                copy_file=True,
                rename_file=f"hydra-{log.parent.name}-{_HYDRA_LOG}",
                description="What was logged while the notebook ran.",
            )
        )
    return [f"{path.asset_table}/{path.name}" for path in files]


def _free_name(execution: Execution, path: Path) -> str:
    """Name of a file of the notebook that none of its own outputs has."""
    taken = session_of(execution.catalog).workspace.manifest_of(execution.execution_rid).assets
    names = [
        path.name,
        *(f"{path.stem}-notebook{number or ''}{path.suffix}" for number in range(len(taken) + 1)),
    ]
    return next(name for name in names if f"{MLAsset.execution_asset}/{name}" not in taken)
