"""Refuse a run whose declarations do not fit the catalog, with everything that is wrong in one message."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from deriva_ml.errors import DerivaMLException, DerivaMLValidationError
from deriva_ml.execution.validate import DUPLICATE_RID
from deriva_ml.specs import ExecutionConfiguration

if TYPE_CHECKING:
    from deriva_ml.ml import DerivaML

logger = logging.getLogger(__name__)


def configuration(
    datasets: Any, assets: Any, description: str, config_choices: dict[str, str], what: str = "Execution"
) -> ExecutionConfiguration:
    """Make an execution's configuration of what a run was configured with.

    Parameters
    ----------
    datasets, assets : iterable, optional
        As instantiated by Hydra.
    description : str
    config_choices : dict
    what : str
        What is configured, for the message.

    Raises
    ------
    DerivaMLValidationError
        Names every entry that is no dataset or asset.
    """
    parts = {"datasets": _listed(datasets), "assets": _listed(assets)}
    wrong = [problem for name, entries in parts.items() for problem in _wrong(name, entries)]
    if wrong:
        raise DerivaMLValidationError(_message(what, wrong))
    return ExecutionConfiguration.model_validate(
        {**parts, "description": description, "config_choices": config_choices}
    )


def _listed(entries: Any) -> list[Any]:
    if entries is None:
        return []
    return [entries] if isinstance(entries, str) or not isinstance(entries, Iterable) else list(entries)


def _wrong(name: str, entries: list[Any]) -> list[str]:
    wrong = []
    for number, entry in enumerate(entries):
        try:
            ExecutionConfiguration.model_validate({name: [entry]})
        except DerivaMLValidationError as error:
            said = str(error).removeprefix("ExecutionConfiguration cannot be made: ")
            wrong.append(f"{name}[{number}] {said.removeprefix(f'{name}.0 ').removeprefix(f'{name} ')}")
    return wrong


def require_sound(ml: DerivaML, config: ExecutionConfiguration, what: str = "Execution") -> None:
    """Check that everything a run declares exists.

    Parameters
    ----------
    ml : DerivaML
    config : ExecutionConfiguration
    what : str
        What is configured, for the message.

    Raises
    ------
    DerivaMLException
        Names every RID, version and file that is missing or of the wrong kind. What is only doubtful is logged.

    Examples
    --------
    >>> require_sound(ml, ExecutionConfiguration(datasets=["1-ABC@9.0.0"]))  # doctest: +SKIP
    Traceback (most recent call last):
    deriva_ml.errors.DerivaMLException: Execution config validation failed:
      dataset 1-ABC@9.0.0: version_not_found (there are 0.1.0, 0.2.0)
    """
    report = ml.validate_execution_configuration(config)
    results = [*report.dataset_results, *report.asset_results]
    if report.workflow_result is not None:
        results.append(report.workflow_result)
    wrong = [str(result) for result in results if not result.valid]
    doubtful = [str(result) for result in report.dataset_results if result.valid and result.warnings]
    for issue in report.cross_spec_issues:
        (doubtful if issue.issue == DUPLICATE_RID else wrong).append(str(issue))
    for text in doubtful:
        logger.warning("%s config: %s", what, text)
    if wrong:
        raise DerivaMLException(_message(what, wrong))


def _message(what: str, wrong: list[str]) -> str:
    advice = "Mend the configuration that names them, or choose another: datasets=NAME, assets=NAME."
    return "\n".join([f"{what} config validation failed:", *(f"  {text}" for text in wrong), advice])
