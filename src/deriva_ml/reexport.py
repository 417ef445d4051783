"""Public names without the cost of importing what is behind them.

A package writes its public names once, as ordinary imports in an ``__init__.pyi`` beside its ``__init__.py`` (a module
in a ``.pyi`` beside it). Type checkers and editors read that file directly; at run time `from_stub` reads it too and
imports each name when it is first used. So ``import deriva_ml`` stays instant, and there is only one list to keep.

Inside the house, `room` stands for a module that most programs never use; type checkers, and the check of the floors, are
told by an import under ``TYPE_CHECKING``::

    if TYPE_CHECKING:
        from deriva_ml.lineage import lookup as lineage
    else:
        lineage = room("deriva_ml.lineage.lookup")
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
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


class Room:
    """A module that is imported when something in it is first asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._name,)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            # What copies, pickles and inspects objects asks for these, also before there is a name.
            raise AttributeError(name)
        # Nothing is kept here: Python's own table of modules is safe to ask from several threads at once.
        return getattr(importlib.import_module(self._name), name)

    def __repr__(self) -> str:
        return f"<module {self._name!r}, imported when it is used>"


def room(name: str) -> Any:
    """Stand for a module that is imported when something in it is first asked for.

    Parameters
    ----------
    name : str
        Of the module.

    Examples
    --------
    >>> split = room("deriva_ml.dataset.split")
    """
    return Room(name)


def rooms(package: str, *names: str) -> tuple[Any, ...]:
    """Stand for several modules of a package; see `room`."""
    return tuple(room(f"{package}.{name}") for name in names)


class Forward:
    """A method that is a function of a room, which is looked for when the method is first asked for.

    From then on it is an ordinary method, whose signature and documentation are the function's.

    Parameters
    ----------
    find : callable
        Gives the function.
    first : str
        Attribute of the object that the function takes in its place.
    """

    def __init__(self, find: Callable[[], Callable[..., Any]], first: str) -> None:
        self._find, self._first = find, first

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner, self._name = owner, name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        method = self._method
        if vars(self._owner).get(self._name) is self:
            setattr(self._owner, self._name, method)
        return method if instance is None else method.__get__(instance, owner)

    @functools.cached_property
    def _method(self) -> Any:
        function, place = self._find(), self._first

        @functools.wraps(function)
        def method(self: Any, *arguments: Any, **options: Any) -> Any:
            return function(getattr(self, place), *arguments, **options)

        signature = inspect.signature(function)
        first, *rest = signature.parameters.values()
        made = signature.replace(parameters=[first.replace(name="self", annotation=first.empty), *rest])
        method.__signature__ = made  # type: ignore[attr-defined]
        method.__name__, method.__qualname__ = self._name, f"{self._owner.__qualname__}.{self._name}"
        return method
