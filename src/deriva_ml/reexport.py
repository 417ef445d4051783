"""Public names without the cost of importing what is behind them.

A package writes its public names once, as ordinary imports in an ``__init__.pyi`` beside its ``__init__.py`` (a module
in a ``.pyi`` beside it). Type checkers and editors read that file directly; at run time `from_stub` reads it too and
imports each name when it is first used. So ``import deriva_ml`` stays instant, and there is only one list to keep.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def names_in_stub(stub: str) -> dict[str, tuple[str, str]]:
    """Read which names a stub makes public.

    Parameters
    ----------
    stub : str
        Text of the stub: absolute imports, and second names such as ``ColumnDef = ColumnDefinition``.

    Returns
    -------
    dict
        Public name to (module, name in that module).
    """
    found: dict[str, tuple[str, str]] = {}
    for statement in ast.parse(stub).body:
        if isinstance(statement, ast.ImportFrom):
            module = statement.module or ""
            found |= {alias.asname or alias.name: (module, alias.name) for alias in statement.names}
        elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Name):
            found |= {ast.unparse(target): found[statement.value.id] for target in statement.targets}
    return found


def from_stub(module_name: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make the functions of a module whose public names stand in the stub beside it.

    Parameters
    ----------
    module_name : str
        Its ``__name__``.
    file : str
        Its ``__file__``.

    Returns
    -------
    tuple
        What to bind to its ``__getattr__``, ``__dir__`` and ``__all__``.

    Examples
    --------
    >>> __getattr__, __dir__, __all__ = from_stub("deriva_ml", __file__)  # doctest: +SKIP
    """
    sources = names_in_stub(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))

    def __getattr__(name: str) -> Any:
        if name not in sources:
            raise AttributeError(f"module {module_name!r} has no attribute {name!r}")
        module, attribute = sources[name]
        value = getattr(importlib.import_module(module), attribute)
        setattr(sys.modules[module_name], name, value)
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[module_name]), *sources})

    return __getattr__, __dir__, sorted(sources)


def later(module: str, name: str) -> Callable[..., Any]:
    """Stand for a function that users know from a floor below its own; it is imported when it is called.

    Parameters
    ----------
    module, name : str
        Where the function is.

    Examples
    --------
    >>> main = later("deriva_ml.cli.split", "main")
    """

    def call(*arguments: Any, **options: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*arguments, **options)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"See `{module}.{name}`."
    return call
