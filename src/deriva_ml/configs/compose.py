"""Compose the configuration of a notebook, in its kernel or only to look at it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra_zen import builds, instantiate, launch, store

from deriva_ml import settings
from deriva_ml.configs import hints
from deriva_ml.configs.groups import INPUT_DEFAULTS, DerivaBaseConfig, defaults_list
from deriva_ml.configs.load import publish
from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLException

CFG_MODES = ("job", "hydra", "all")
INFO_MODES = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")

_BASE = "deriva_base"


@dataclass(frozen=True)
class Composed:
    """How a configuration was composed.

    Parameters
    ----------
    output_dir : Path
        Hydra's folder of it.
    overrides : list of str
        That were given for it.
    """

    output_dir: Path
    overrides: list[str]


_last: Composed | None = None


def is_stored(config_name: str) -> bool:
    """Whether a configuration of this name is stored that belongs to no group."""
    return (None, config_name) in store


def given_overrides() -> list[str]:
    """Overrides that the program gives that runs this notebook.

    Raises
    ------
    DerivaMLConfigurationError
        If the variable is no list of texts.
    """
    text = settings.text("DERIVA_ML_HYDRA_OVERRIDES")
    try:
        found = json.loads(text) if text else []
        if isinstance(found, list) and all(isinstance(item, str) for item in found):
            return found
    except ValueError:
        pass
    raise DerivaMLConfigurationError(f"DERIVA_ML_HYDRA_OVERRIDES is not a JSON list of overrides: {text}")


def get_notebook_configuration(
    config_class: Any = None,
    config_name: str = _BASE,
    overrides: Sequence[str] | None = None,
    job_name: str = "notebook",
    version_base: str | None = "1.3",
) -> Any:
    """Compose the configuration of a notebook and make its objects.

    Parameters
    ----------
    config_class : type, optional
        Used when nothing is stored under `config_name`: a subclass of `BaseConfig`, or what `builds` makes of one.
    config_name : str
        As in ``notebook_config(name)``.
    overrides : sequence of str, optional
        As on the command line; those that ``deriva-ml-run-notebook`` was given come before them.
    job_name : str
        Name of Hydra's log.
    version_base : str, optional
        Of Hydra.

    Returns
    -------
    BaseConfig
        With `config_choices`: Hydra group to chosen option.

    Raises
    ------
    DerivaMLConfigurationError
        If it cannot be composed; says what to write instead.

    Examples
    --------
    >>> config = get_notebook_configuration(config_name="roc_analysis")  # doctest: +SKIP
    """
    publish()
    together = _last_of_each([*given_overrides(), *(overrides or ())])
    with _explained(config_name, together):
        done = launch(
            _node(config_class, config_name),
            _made,
            overrides=together,
            config_name=config_name,
            job_name=job_name,
            version_base=version_base,
        )
    global _last
    config, _last = done.return_value
    return config


def last_composed() -> Composed | None:
    """How the configuration was composed that this process composed last."""
    return _last


def _node(config_class: Any, config_name: str) -> Any:
    if is_stored(config_name):
        return store[None, config_name]
    if config_class is None:
        return DerivaBaseConfig
    if hasattr(config_class, "_target_"):
        return config_class
    return builds(config_class, populate_full_signature=True, hydra_defaults=defaults_list(INPUT_DEFAULTS))


def _made(composed: Any) -> tuple[Any, Composed]:
    config, hydra = instantiate(composed), HydraConfig.get()
    choices = hydra.runtime.choices.items()
    config.config_choices = {group: option for group, option in choices if option is not None}
    return config, Composed(Path(hydra.runtime.output_dir), list(hydra.overrides.task))


def _last_of_each(overrides: Sequence[str]) -> list[str]:
    """Hydra takes a group once only: of several choices the last one counts."""
    by_key = {override.partition("=")[0].lstrip("+~"): override for override in overrides}
    return [override for override in overrides if override in by_key.values()]


# To look at --------------------------------------------------------------------------------------------------------


def render_notebook_config(
    config_name: str,
    *,
    overrides: Sequence[str] | None = None,
    cfg_mode: str | None = None,
    info_mode: str | None = None,
) -> str:
    """What Hydra's ``--cfg`` or ``--info`` says of the configuration of a notebook.

    Parameters
    ----------
    config_name : str
        ``deriva_base`` is shown where nothing is stored under it.
    overrides : sequence of str, optional
    cfg_mode : str, optional
        ``job``, ``hydra`` or ``all``.
    info_mode : str, optional
        ``all``, ``config``, ``defaults``, ``defaults-tree``, ``plugins`` or ``searchpath``.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If not exactly one mode is given, or there is no such mode.
    DerivaMLConfigurationError
        If it cannot be composed.
    """
    if (cfg_mode is None) == (info_mode is None):
        raise ValueError("Give either cfg_mode or info_mode.")
    mode, known = (cfg_mode, CFG_MODES) if cfg_mode is not None else (info_mode, INFO_MODES)
    if mode not in known:
        raise ValueError(f"There is no mode {mode!r}; choose one of {', '.join(known)}.")
    publish()
    name = config_name if is_stored(config_name) else _BASE
    given = _last_of_each(list(overrides or ()))
    text = io.StringIO()
    with (
        _explained(name, given),
        initialize(config_path=None, job_name="notebook", version_base="1.3"),
        _kept_loggers(),
        redirect_stdout(text),
    ):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        if cfg_mode is not None:
            hydra.show_cfg(config_name=name, overrides=given, cfg_type=cfg_mode, package=None, resolve=False)
        else:
            hydra.show_info(str(mode), config_name=name, overrides=given)
    return text.getvalue()


@contextmanager
def _kept_loggers() -> Iterator[None]:
    """Hydra writes what it shows with a handler of the root logger; no other shall show it too, nor this one stay."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


@contextmanager
def _explained(config_name: str, overrides: Sequence[str]) -> Iterator[None]:
    hints.require_names(overrides)
    try:
        yield
    except hints.COMPOSING as error:
        cause = hints.cause_of(error)
        plain = _chosen(config_name, overrides) if overrides else None
        said = hints.explain(cause if isinstance(cause, DerivaMLException) else error, overrides, plain)
        raise DerivaMLConfigurationError(f"The configuration cannot be composed: {said}") from error


def _chosen(config_name: str, overrides: Sequence[str]) -> Any:
    """What is composed of the options that are chosen, with no field changed; None where that cannot be composed either."""
    try:
        with initialize(config_path=None, version_base="1.3"):
            return compose(
                config_name if is_stored(config_name) else _BASE, overrides=hints.chosen(overrides)
            )
    except hints.COMPOSING:
        return None
