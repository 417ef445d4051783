"""Import the package in which a project keeps its configurations, so that they are stored."""

from __future__ import annotations

import copy
import importlib
import pkgutil
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigNode, ConfigStore
from hydra_zen import store
from omegaconf import OmegaConf

_LIBRARIES = (
    "<frozen ",
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    str(Path(__file__).parents[1]),
)
"""What paths of files begin with that are not of the project."""

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


def _modules(package_name: str, folders: Iterable[str]) -> Iterator[str]:
    for module in pkgutil.iter_modules(folders):
        name = f"{package_name}.{module.name}"
        yield name
        if module.ispkg:
            yield from _modules(name, importlib.import_module(name).__path__)


def said_of(error: Exception) -> str:
    """Where and why the configurations of a project could not be imported.

    Examples
    --------
    >>> try:
    ...     import nowhere
    ... except ImportError as error:
    ...     print(said_of(error).rpartition(", ")[2])
    line 2: ModuleNotFoundError: No module named 'nowhere'
    """
    why = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    place = place_of(error)
    return f"{place}: {why}" if place else why


def place_of(error: BaseException) -> str:
    """File and line of the project from which an error came, empty where there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)]
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else ""


class _MadeWhenChosen(ConfigNode):
    """What is stored with Hydra, made a configuration when it is first chosen: of many stored, a run chooses few."""

    def __init__(self, declared: Any, **about: Any) -> None:
        self._declared = declared
        self._made: list[Any] = []
        super().__init__(node=None, **about)  # type: ignore[arg-type]  # made when it is asked for

    @property
    def node(self) -> Any:
        # Copies share what was made.
        if not self._made:
            self._made.append(OmegaConf.structured(self._declared))
        return self._made[0]

    @node.setter
    def node(self, made: Any) -> None:
        self._made = [] if made is None else [made]

    def __deepcopy__(self, known: dict[int, Any]) -> _MadeWhenChosen:
        # Hydra copies all that is stored, and once more what is chosen before it changes that.
        return copy.copy(self)

    def __copy__(self) -> _MadeWhenChosen:
        made = object.__new__(type(self))
        vars(made).update(vars(self))
        return made

    def __getstate__(self) -> dict[str, Any]:
        # Classes of hydra-zen lose their defaults on the way to another process; what is made of them keeps them.
        return {**vars(self), "_made": [self.node], "_declared": None}


def _keep(
    name: str, node: Any, group: str | None = None, package: str | None = None, provider: str | None = None
) -> None:
    known = ConfigStore.instance()
    ConfigStore.store(known, name, {}, group, package, provider)
    place = known.repo
    for part in group.split("/") if group else ():
        place = place[part]
    file = name if name.endswith(".yaml") else f"{name}.yaml"
    place[file] = _MadeWhenChosen(node, name=file, group=group, package=package, provider=provider)


def publish() -> None:
    """Hand everything that is stored to Hydra, which then can compose it."""
    known = vars(ConfigStore.instance())
    known["store"] = _keep
    try:
        store.add_to_hydra_store(overwrite_ok=True)
    finally:
        del known["store"]
