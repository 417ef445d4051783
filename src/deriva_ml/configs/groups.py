"""What a run can be configured with: the groups of options, and the configuration that joins them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra_zen import builds, store


@dataclass
class BaseConfig:
    """What every run is configured with; subclass it, with ``@dataclass``, to add fields of your own.

    Parameters
    ----------
    deriva_ml : DerivaMLConfig
        The catalog.
    datasets : list of DatasetSpec
    assets : list of str, AssetSpec or LocalFile
    dry_run : bool
        Resolve and check everything, but write nothing and do not call the model.
    description : str
        Markdown.
    config_choices : dict
        Hydra group to chosen option; filled in when the configuration is composed.
    script_config : callable, optional
        Called in place of a model.
    workflow : Workflow, optional
    model_config : callable, optional
        The model, with its own parameters bound.
    """

    deriva_ml: Any = None
    datasets: Any = None
    assets: Any = None
    dry_run: bool = False
    description: str = ""
    config_choices: dict[str, str] = field(default_factory=dict)
    script_config: Any = None
    workflow: Any = None
    model_config: Any = None


INPUT_DEFAULTS: dict[str, str] = {
    "deriva_ml": "default_deriva",
    "datasets": "default_dataset",
    "assets": "default_asset",
}
"""Groups that every configuration has, with the option that is used when none is named."""

RUN_DEFAULTS: dict[str, str] = {
    **INPUT_DEFAULTS,
    "workflow": "default_workflow",
    "model_config": "default_model",
}
"""Groups of a run of a model."""


def defaults_list(groups: dict[str, str]) -> list[Any]:
    """Hydra's list of defaults for groups."""
    return ["_self_", *({group: option} for group, option in groups.items())]


base_defaults: list[Any] = defaults_list(RUN_DEFAULTS)

# A project of notebooks only has no models.
_OPTIONAL = {
    group if group in INPUT_DEFAULTS else f"optional {group}": option
    for group, option in RUN_DEFAULTS.items()
}

DerivaBaseConfig = builds(BaseConfig, populate_full_signature=True, hydra_defaults=defaults_list(_OPTIONAL))
"""Configuration without anything of its own, stored as ``deriva_base``."""

store(DerivaBaseConfig, name="deriva_base")
