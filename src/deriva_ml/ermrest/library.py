"""The one import of deriva-py, without what only logins with Globus and message queues need.

Those parts bring half of the time that importing deriva-py takes (globus_sdk, cryptography, pika, asyncio), and a run
uses neither. Here each is imported when it is first used; whoever imports their modules gets the real ones at once.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_SELDOM_USED = {
    "deriva.core.utils.globus_auth_utils": "GlobusNativeLogin",
    "deriva.core.polling_ermrest_catalog": "PollingErmrestCatalog",
}
"""Modules that `deriva.core` imports, each for one class."""


class _ClassToImport:
    """A class that is imported when it is used: called, derived from, compared with, or looked into."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def _real(self) -> Any:
        return getattr(importlib.import_module(self._module), self._name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._real()(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._real(), name)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._real(),)

    def __instancecheck__(self, instance: Any) -> bool:
        return self._module in sys.modules and isinstance(instance, self._real())

    def __subclasscheck__(self, subclass: Any) -> bool:
        return self._module in sys.modules and issubclass(subclass, self._real())

    def __repr__(self) -> str:
        return f"<class '{self._module}.{self._name}', to be imported>"


def _load() -> None:
    if "deriva.core" in sys.modules:
        return
    standing_in = {}
    for module, name in _SELDOM_USED.items():
        standing_in[module] = made = ModuleType(module)
        setattr(made, name, _ClassToImport(module, name))
    sys.modules.update(standing_in)
    try:
        importlib.import_module("deriva.core")
    finally:
        for module, made in standing_in.items():
            if sys.modules.get(module) is made:
                del sys.modules[module]


_load()

from deriva.core import (  # noqa: E402
    DEFAULT_SESSION_CONFIG,
    ConcurrentUpdate,
    DerivaBinding,
    DerivaServer,
    ErmrestAlias,
    ErmrestCatalog,
    ErmrestCatalogMutationError,
    ErmrestSnapshot,
    HatracStore,
    get_credential,
    urlquote,
)
from deriva.core.datapath import DataPathException  # noqa: E402
from deriva.core.ermrest_model import (  # noqa: E402
    Model,
    Schema,
    Table,
    datetime_to_snaptime,
    snaptime_to_datetime,
)
from deriva.core.utils.core_utils import (  # noqa: E402
    DEFAULT_CREDENTIAL_FILE,
    DEFAULT_GLOBUS_CREDENTIAL_FILE,
    TimeoutHTTPAdapter,
)

__all__ = [
    "DEFAULT_CREDENTIAL_FILE",
    "DEFAULT_GLOBUS_CREDENTIAL_FILE",
    "DEFAULT_SESSION_CONFIG",
    "ConcurrentUpdate",
    "DataPathException",
    "DerivaBinding",
    "DerivaServer",
    "ErmrestAlias",
    "ErmrestCatalog",
    "ErmrestCatalogMutationError",
    "ErmrestSnapshot",
    "HatracStore",
    "Model",
    "Schema",
    "Table",
    "TimeoutHTTPAdapter",
    "datetime_to_snaptime",
    "get_credential",
    "snaptime_to_datetime",
    "urlquote",
]
