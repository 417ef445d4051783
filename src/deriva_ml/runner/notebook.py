"""What a notebook calls first: its configuration, its catalog, and an execution that has started."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from deriva_ml import settings
from deriva_ml.configs import directories
from deriva_ml.configs.compose import (
    get_notebook_configuration,
    is_stored,
    last_composed,
    render_notebook_config,
)
from deriva_ml.configs.load import load_configs
from deriva_ml.configs.registry import list_notebook_configs
from deriva_ml.connection import DerivaMLConfig
from deriva_ml.execution.execution import Execution
from deriva_ml.ml import DerivaML
from deriva_ml.names import did_you_mean
from deriva_ml.runner import check
from deriva_ml.runner.project import counted_from, import_from, project_of
from deriva_ml.specs import WorkflowSpec
from deriva_ml.workflow.environment import without_settings_secrets
from deriva_ml.workflow.source import notebook_path

__all__ = ["get_notebook_configuration", "render_notebook_config", "run_notebook"]

logger = logging.getLogger(__name__)

# Whoever composes a configuration of a notebook imports this module, which knows both of Hydra's folders and of catalogs.
directories.register(DerivaMLConfig.compute_workdir)


def run_notebook(
    config_name: str | None = None,
    overrides: Sequence[str] | None = None,
    workflow_name: str | None = None,
    workflow_type: str | list[str] = "Analysis Notebook",
    ml_class: type[DerivaML] | None = None,
    config_package: str = "configs",
) -> tuple[Any, Execution, Any]:
    """Set a notebook up: compose its configuration, open the catalog, and start an execution.

    There is no ``with`` block, as cells cannot share one: the notebook ends with ``execution.commit_output_assets()``.
    A relative folder of the configuration, such as ``./lab``, counts from the project's folder also where Jupyter has
    started the kernel in that of the notebook.

    Parameters
    ----------
    config_name : str, optional
        As in ``notebook_config(name)``; by default the name of the notebook, without ``.ipynb``.
    overrides : sequence of str, optional
        Of Hydra, such as ``assets=roc_quick``.
    workflow_name : str, optional
        By default made of `config_name`.
    workflow_type : str or list of str
        Terms of the vocabulary Workflow_Type.
    ml_class : type, optional
        Subclass of `DerivaML` for the catalog.
    config_package : str
        Package of the project's configurations.

    Returns
    -------
    ml : DerivaML
    execution : Execution
        Running; in a dry run nothing of it reaches the catalog.
    config : BaseConfig

    Raises
    ------
    ValueError
        If no name is given and that of the notebook is not known.
    DerivaMLConfigurationError
        If the configuration cannot be composed.
    DerivaMLException
        If datasets or assets of the configuration do not exist; names them all.

    Examples
    --------
    >>> ml, execution, config = run_notebook("roc_analysis")  # doctest: +SKIP
    """
    notebook = _notebook()
    name = config_name or (notebook.stem if notebook else None)
    if name is None:
        raise ValueError(
            'The name of this notebook is not known, so its configuration is not either; write run_notebook("NAME").'
        )
    project = project_of(notebook or Path.cwd() / "notebook", config_package)
    import_from(project)
    load_configs(config_package)
    if config_name is not None and not is_stored(name):
        logger.warning(
            "No configuration %r is stored, so the basic one is used; declare notebook_config(%r).%s",
            name,
            name,
            did_you_mean(name, list_notebook_configs()),
        )
    with settings.told(counted_from(project, config_package)):
        config = get_notebook_configuration(config_name=name, overrides=overrides)
        ml = (ml_class or DerivaML).instantiate(config.deriva_ml)
        execution = _execution(ml, config, name, workflow_name, workflow_type)
    # Whoever runs this notebook knows it by this execution, not by one that a later cell makes.
    os.environ.pop("DERIVA_ML_SAVE_EXECUTION_RID", None)
    execution.execution_start()
    return ml, execution, config


def _execution(
    ml: DerivaML, config: Any, name: str, workflow_name: str | None, workflow_type: str | list[str]
) -> Execution:
    text = (config.description or f"Execution of {name}") + _overridden()
    wanted = check.configuration(config.datasets, config.assets, text, config.config_choices, "Notebook")
    check.require_sound(ml, wanted, "Notebook")
    given = getattr(config, "workflow", None)
    if workflow_name is None and isinstance(given, WorkflowSpec):
        workflow: Any = given
    else:
        title = workflow_name or name.replace("_", " ").title()
        workflow = ml.create_workflow(title, workflow_type, config.description or f"Running {name}")
    return ml.create_execution(wanted, workflow=workflow, dry_run=bool(config.dry_run))


def _overridden() -> str:
    composed = last_composed()
    told = composed.overrides if composed else []
    shown = [without_settings_secrets(one) for one in told if not one.startswith("description=")]
    return f" [overrides: {', '.join(shown)}]" if shown else ""


def _notebook() -> Path | None:
    """The notebook that calls: as its runner or editor says, or the next one among the callers."""
    found = notebook_path()
    frame: FrameType | None = sys._getframe(1)
    while found is None and frame is not None:
        if frame.f_code.co_filename.endswith(".ipynb"):
            found = Path(frame.f_code.co_filename)
        frame = frame.f_back
    if found is None and (told := settings.text("PAPERMILL_INPUT_PATH")):
        found = Path(told)
    return found
