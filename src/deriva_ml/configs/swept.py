"""Read what a sweep tries: its jobs, and values that no job could run with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from deriva_ml.configs import hints
from deriva_ml.configs.menu import groups
from deriva_ml.errors import DerivaMLConfigurationError


def jobs_of(overrides: Sequence[str]) -> list[list[str]]:
    """Overrides of each job of a sweep, in their order.

    Examples
    --------
    >>> jobs_of(["model_config=quick", "model_config.epochs=1,2"])
    [['model_config=quick', 'model_config.epochs=1'], ['model_config=quick', 'model_config.epochs=2']]
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [list(job) for batch in BasicSweeper.split_arguments(parsed, None) for job in batch]


def require_possible(config: Any, overrides: Sequence[str]) -> None:
    """Refuse values that no job could run with, before any job runs.

    Parameters
    ----------
    config : DictConfig
        Composed of the overrides that have one value.
    overrides : sequence of str
        All of the sweep.

    Raises
    ------
    DerivaMLConfigurationError
        Names every such value, and what there is in its place.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    swept = [override for override in parsed if override.is_choice_sweep()]
    known = groups()
    chosen = {override.key_or_group for override in swept if override.key_or_group in known}
    wrong = [text for override in swept for text in _wrong(override, config, known, chosen)]
    if wrong:
        raise DerivaMLConfigurationError("\n".join(dict.fromkeys(wrong)))


def _wrong(override: Override, config: Any, known: dict[str, list[str]], chosen: set[str]) -> Iterator[str]:
    key = override.key_or_group
    values = list(override.sweep_string_iterator())
    if key in known:
        yield from (hints.no_option(f"{key}/{name}") for name in values if name not in known[key])
    # What options bring that a job chooses is not in this configuration.
    elif not override.is_hydra_override() and not any(
        group == "experiment" or f"{key}.".startswith(f"{group}.") for group in chosen
    ):
        for value in values:
            one = f"{override.get_key_element()}={value}"
            try:
                _set(deepcopy(config), OverridesParser.create().parse_override(one))
            except OmegaConfBaseException as error:
                yield hints.explain(error, [one], config)


def _set(config: Any, override: Override) -> None:
    is_new = override.is_add() or override.is_force_add()
    OmegaConf.update(config, override.key_or_group, override.value(), force_add=is_new)
