"""Named sweeps and notebooks of a project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hydra_zen import builds, store

from deriva_ml.configs.groups import INPUT_DEFAULTS, BaseConfig, defaults_list


@dataclass(frozen=True)
class MultirunSpec:
    """A named sweep.

    Parameters
    ----------
    name : str
    overrides : list of str
        As on the command line, such as ``model_config.epochs=5,10``.
    description : str
        Markdown, of the execution that stands for the sweep.
    """

    name: str
    overrides: list[str]
    description: str = ""


_multiruns: dict[str, MultirunSpec] = {}
_notebooks: dict[str, Any] = {}


def multirun_config(name: str, overrides: Iterable[str], description: str = "") -> MultirunSpec:
    """Declare a sweep that ``+multirun=NAME`` runs; a later one of the same name replaces it.

    Examples
    --------
    >>> multirun_config("lr_sweep", ["model_config.learning_rate=0.001,0.01"], "Which rate learns best?").name
    'lr_sweep'
    """
    if isinstance(overrides, str):
        overrides = [overrides]
    _multiruns[name] = MultirunSpec(name, [str(item) for item in overrides], description)
    return _multiruns[name]


def get_multirun_config(name: str) -> MultirunSpec | None:
    """The sweep of a name, None if there is none."""
    return _multiruns.get(name)


def list_multirun_configs() -> list[str]:
    """Names of the declared sweeps."""
    return list(_multiruns)


def get_all_multirun_configs() -> dict[str, MultirunSpec]:
    """A copy of the declared sweeps by name."""
    return dict(_multiruns)


def notebook_config(
    name: str,
    config_class: type | None = None,
    defaults: Mapping[str, str] | None = None,
    **field_defaults: Any,
) -> Any:
    """Declare the configuration of a notebook, which `run_notebook` finds by its name.

    Parameters
    ----------
    name : str
    config_class : type, optional
        Subclass of `BaseConfig` with fields of the notebook's own.
    defaults : mapping, optional
        Group to option, in place of or in addition to ``deriva_ml``, ``datasets`` and ``assets``.
    field_defaults
        Values of fields.

    Returns
    -------
    type
        The stored configuration.

    Examples
    --------
    >>> notebook_config("roc_analysis", defaults={"assets": "roc_quick"}, description="ROC curves")  # doctest: +SKIP
    """
    made = builds(
        config_class or BaseConfig,
        populate_full_signature=True,
        hydra_defaults=defaults_list({**INPUT_DEFAULTS, **(defaults or {})}),
        **field_defaults,
    )
    store(made, name=name)
    _notebooks[name] = made
    return made


def get_notebook_config(name: str) -> Any:
    """The configuration of a notebook, None if there is none of that name."""
    return _notebooks.get(name)


def list_notebook_configs() -> list[str]:
    """Names of the declared notebooks."""
    return list(_notebooks)
