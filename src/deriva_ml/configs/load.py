"""Import the package in which a project keeps its configurations, so that they are stored."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from hydra_zen import store

LAST = "experiments"
"""Module that refers to what the others store."""


def load_configs(package_name: str = "configs") -> list[str]:
    """Import every module of a package of configurations.

    Parameters
    ----------
    package_name : str
        A package that can be imported; sub-packages are imported too, modules called ``experiments`` last.

    Returns
    -------
    list of str
        Dotted names of the modules, sorted; empty if there is no such package.

    Raises
    ------
    ImportError
        If a module of the package cannot be imported.

    Examples
    --------
    >>> load_configs("configs")  # doctest: +SKIP
    ['configs.assets', 'configs.datasets', 'configs.experiments']
    """
    try:
        package = importlib.import_module(package_name)
    except ModuleNotFoundError as error:
        if error.name and f"{package_name}.".startswith(f"{error.name}."):
            return []
        raise
    names = list(_modules(package_name, getattr(package, "__path__", ())))
    for name in sorted(names, key=lambda name: (name.rpartition(".")[2] == LAST, -name.count("."), name)):
        importlib.import_module(name)
    return sorted(names)


def _modules(package_name: str, folders: object) -> Iterator[str]:
    for module in pkgutil.iter_modules(folders):  # type: ignore[arg-type]
        name = f"{package_name}.{module.name}"
        yield name
        if module.ispkg:
            yield from _modules(name, importlib.import_module(name).__path__)


def publish() -> None:
    """Hand everything that is stored to Hydra, which then can compose it."""
    store.add_to_hydra_store(overwrite_ok=True)
