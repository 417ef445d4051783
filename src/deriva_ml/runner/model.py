"""One job of Hydra is one execution, and one call of a model."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, runtime_checkable

from deriva_ml import heap
from deriva_ml.citation import sight, upload_command
from deriva_ml.configs import directories, tasks
from deriva_ml.configs.groups import base_defaults
from deriva_ml.connection import DerivaMLConfig
from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.execution.commit import has_pending
from deriva_ml.execution.execution import Execution
from deriva_ml.ml import DerivaML
from deriva_ml.names import DRY_RUN_RID, ExecutionStatus
from deriva_ml.runner import check, completion, job, multirun
from deriva_ml.session import session_of
from deriva_ml.specs import WorkflowSpec
from deriva_ml.workflow import capture, git, source

logger = logging.getLogger(__name__)

_WAITING = (ExecutionStatus.Stopped, ExecutionStatus.Pending_Upload)
"""When the model has ended well, but its outputs are not committed."""

# Here and not where a program begins: the processes that launchers start import this module to find their job.
directories.register(DerivaMLConfig.compute_workdir)


@runtime_checkable
class DerivaMLModel(Protocol):
    """What can be run: any callable that takes these two by keyword; its own parameters are bound by its configuration."""

    def __call__(
        self, *args: Any, ml_instance: DerivaML, execution: Execution | None = None, **kwargs: Any
    ) -> None:
        """Read inputs from the execution, register outputs with it."""


def run_model(
    deriva_ml: DerivaMLConfig,
    datasets: Any,
    assets: Any,
    description: str,
    workflow: Any,
    model_config: Any,
    dry_run: bool = False,
    ml_class: Any = None,
    script_config: Any = None,
) -> None:
    """Run a model under an execution, and commit what it made.

    Called by Hydra, through hydra-zen's ``zen``, with a composed configuration. In a sweep the execution becomes part of
    that of the sweep.

    Parameters
    ----------
    deriva_ml : DerivaMLConfig
        The catalog.
    datasets : list of DatasetSpec
    assets : list of str, AssetSpec or LocalFile
    description : str
        Markdown; what was overridden is appended.
    workflow : Workflow
        Identified by the file that the model is written in.
    model_config : callable
        Called with ``ml_instance`` and ``execution``.
    dry_run : bool
        Check everything against the catalog, write nothing, and do not call the model.
    ml_class : type, optional
        In place of `DerivaML`.
    script_config : callable, optional
        Called in place of the model; in a dry run too, with ``execution=None``.

    Raises
    ------
    DerivaMLException
        If datasets or assets do not exist; names all of them.
    """
    called = script_config if script_config is not None else model_config
    _require_callable(called)
    ml = multirun.opened(deriva_ml, ml_class)
    text = job.description(description)
    config = check.configuration(datasets, assets, text, job.config_choices())
    check.require_sound(ml, config)
    workflow = identified(workflow, called)
    if dry_run:
        _dry_run(ml, config, workflow, called if script_config is not None else None)
        return
    sweep = multirun.joined(ml, workflow, description)
    if sweep is not None and sweep.is_done():
        return
    with multirun.noted(sweep):
        execution = ml.create_execution(config, workflow=workflow)
        if sweep is not None:
            sweep.begun(execution)
        with _followed(execution):
            heap.searched_again()
            with execution:
                called(ml_instance=ml, execution=execution)
            if sweep is not None:
                sweep.ran(execution)
            execution.commit_output_assets()
        print_summary(execution)


def _require_callable(called: Any) -> None:
    if not callable(called):
        raise DerivaMLValidationError(
            f"model_config is {called!r}, which cannot be called. Declare it with "
            "builds(function, populate_full_signature=True, zen_partial=True)."
        )
    bound = called if isinstance(called, partial) else partial(called)
    try:
        signature = inspect.signature(bound.func)
    except ValueError:
        # Written in C, without saying what it takes.
        return
    try:
        signature.bind(*bound.args, **{**bound.keywords, "ml_instance": None, "execution": None})
    except TypeError as error:
        raise DerivaMLValidationError(
            f"{getattr(bound.func, '__name__', bound.func)}{signature} cannot be called: {error}. It is given ml_instance "
            "and execution by keyword, and the fields of its configuration."
        ) from error


def _dry_run(ml: DerivaML, config: Any, workflow: Any, script: Any) -> None:
    ml.create_execution(config, workflow=workflow, dry_run=True)
    if script is not None:
        heap.searched_again()
        script(ml_instance=ml, execution=None)
    inputs = f"{len(config.datasets)} dataset(s) and {len(config.assets)} asset(s)"
    print(
        f"Dry run (execution {DRY_RUN_RID}): {inputs} were found; nothing was written, the model was not called."
    )


def identified(workflow: Any, called: Any) -> Any:
    """The workflow with the identity of the file that a callable is written in.

    A workflow that is registered, or was made while that file was announced as the one that runs, is returned as it is.
    """
    path = source.source_file(called)
    if path is None or not isinstance(workflow, WorkflowSpec) or workflow.workflow_rid is not None:
        return workflow
    if source.announced() == path:
        return workflow
    root = git.repository_root(path)
    url, checksum = capture.identify(path, allow_dirty=workflow.allow_dirty, root=root)
    values = {"url": url, "checksum": checksum, "git_root": root, "is_notebook": False}
    return type(workflow).model_validate({**workflow.model_dump(), **values})


def print_summary(execution: Execution) -> None:
    """Say what an execution has committed."""
    uploaded = {table: files for table, files in execution.uploaded_assets.items() if files}
    if not uploaded:
        return
    print(f"Committed {sum(map(len, uploaded.values()))} asset(s) to catalog:")
    for table, files in sorted(uploaded.items()):
        print(f"  {table}: {len(files)}")
    rid = execution.execution_rid
    print(f"Execution {rid}: {sight(session_of(execution.catalog), rid)}")


@contextmanager
def _followed(execution: Execution) -> Iterator[None]:
    """Add to an error what became of the execution, and what to type."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:  # whatever ends the model goes on, with a note
        rid, session = execution.execution_rid, session_of(execution.catalog)
        text = f"Execution {rid} is {execution.status}. See it with: {sight(session, rid)}"
        upload = upload_command(session, rid)
        if execution.status in _WAITING:
            text += f"\nCommit its outputs with: {upload}"
        elif has_pending(session, rid):
            text += f"\nWhat it had made is kept on this machine. To commit it all the same: {upload}"
        error.add_note(text)
        raise


def run_job(config: Any) -> None:
    """Run one composed configuration: what Hydra calls.

    Parameters
    ----------
    config : DictConfig
    """
    with multirun.carried(), source.running(multirun.source_of(config)):
        tasks.call(run_model, config)


def create_model_config(
    ml_class: Any = None,
    description: str = "Model execution",
    hydra_defaults: Sequence[Any] | None = None,
) -> Any:
    """Declare the main configuration of a project; store it as ``deriva_model``.

    Parameters
    ----------
    ml_class : type, optional
        Subclass of `DerivaML` to open the catalog with.
    description : str
        Of executions, unless an experiment or an override says something else.
    hydra_defaults : list, optional
        In place of `base_defaults`.

    Returns
    -------
    type
        To be given to ``store(…, name="deriva_model")``.

    Examples
    --------
    >>> store(create_model_config(description="Digits"), name="deriva_model")  # doctest: +SKIP
    """
    defaults = base_defaults if hydra_defaults is None else hydra_defaults
    return tasks.declared(run_model, defaults, {"ml_class": ml_class, "description": description})


def reset_multirun_state() -> None:
    """Forget sweeps that this process has to complete; they are left as they are."""
    completion.forget()
