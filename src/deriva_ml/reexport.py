"""Public names without the cost of importing what is behind them.

A package writes its public names once, as ordinary imports in an ``__init__.pyi`` beside its ``__init__.py``. Type
checkers and editors read that file directly; at run time `from_stub` reads it too and imports each name when it is
first used. So ``import deriva_ml`` stays instant, and there is only one list to keep.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def names_in_stub(package: str, stub: str) -> dict[str, tuple[str, str]]:
    """Read which names a stub makes public.

    Parameters
    ----------
    package : str
        Dotted name of the package, against which relative imports are resolved.
    stub : str
        Text of the stub.

    Returns
    -------
    dict
        Public name to (module, name in that module).
    """
    found: dict[str, tuple[str, str]] = {}
    for statement in ast.parse(stub).body:
        if not isinstance(statement, ast.ImportFrom) or statement.module == "__future__":
            continue
        module = statement.module or ""
        if statement.level:
            parents = package.split(".")[: len(package.split(".")) - statement.level + 1]
            module = ".".join([*parents, module] if module else parents)
        for alias in statement.names:
            found[alias.asname or alias.name] = (module, alias.name)
    return found


def from_stub(package: str, init_file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make the module functions of a package whose public names stand in its ``__init__.pyi``.

    Parameters
    ----------
    package : str
        ``__name__`` of the package.
    init_file : str
        ``__file__`` of the package.

    Returns
    -------
    tuple
        What to bind to ``__getattr__``, ``__dir__`` and ``__all__`` of the package.

    Examples
    --------
    >>> __getattr__, __dir__, __all__ = from_stub("deriva_ml", __file__)  # doctest: +SKIP
    """
    sources = names_in_stub(package, Path(init_file).with_name("__init__.pyi").read_text(encoding="utf-8"))

    def __getattr__(name: str) -> Any:
        if name not in sources:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, attribute = sources[name]
        value = getattr(importlib.import_module(module), attribute)
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[package]), *sources})

    return __getattr__, __dir__, sorted(sources)
