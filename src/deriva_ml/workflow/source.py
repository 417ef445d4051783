"""What is running: a script, a notebook, or an interactive session."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from deriva_ml import settings

Kind = Literal["script", "notebook", "repl"]

_PACKAGE = str(Path(__file__).resolve().parents[1]) + os.sep
_LIBRARIES = tuple(
    str(Path(folder).resolve()) + os.sep
    for folder in {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    if folder
)


@dataclass(frozen=True)
class Source:
    """The file that the user runs; an interactive session has none."""

    kind: Kind
    path: Path | None = None

    @property
    def name(self) -> str:
        """Short name for people."""
        return self.path.name if self.path else "interactive session"


_announced: ContextVar[Path | None] = ContextVar("announced", default=None)


@contextmanager
def running(path: Path | None) -> Iterator[None]:
    """Take a file for the script that runs, for the length of a block; None leaves it to be found."""
    token = _announced.set(path)
    try:
        yield
    finally:
        _announced.reset(token)


def announced() -> Path | None:
    """The file that `running` names, None outside of its block."""
    return _announced.get()


def source_file(function: Any) -> Path | None:
    """File in which a callable is written: of what a partial calls, of the class of an object; None where there is none."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function) if callable(function) else function
    kind = function if inspect.isroutine(function) or inspect.isclass(function) else type(function)
    try:
        found = inspect.getsourcefile(kind)
    except TypeError:
        # Built in, or of an extension.
        return None
    return Path(found).resolve() if found and Path(found).is_file() else None


def find_source() -> Source:
    """Find the script or notebook that runs: the one announced, else that of the first frame neither ours nor a library's.

    Returns
    -------
    Source
    """
    if (told := announced()) is not None:
        return Source("script", told)
    if in_kernel():
        notebook = notebook_path()
        return Source("notebook", notebook) if notebook else Source("repl")
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = _user_file(frame.f_code.co_filename)
        if path is not None:
            return Source("notebook" if path.suffix == ".ipynb" else "script", path)
        frame = frame.f_back
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if main and Path(main).is_file():
        return Source("script", Path(main).resolve())
    return Source("repl")


def _user_file(name: str) -> Path | None:
    if not name or name.startswith("<"):
        return None
    path = Path(name)
    try:
        resolved = path.resolve()
        known = resolved.is_file()
    except OSError:
        return None
    text = str(resolved)
    if (
        not known
        or text.startswith(_PACKAGE)
        or "site-packages" in resolved.parts
        or text.startswith(_LIBRARIES)
    ):
        return None
    return resolved


def in_kernel() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = sys.modules.get("IPython")
    current = shell.get_ipython() if shell is not None and hasattr(shell, "get_ipython") else None
    return current is not None and type(current).__name__ == "ZMQInteractiveShell"


def notebook_path() -> Path | None:
    """The notebook that runs in this kernel, None when neither runner nor editor says which it is."""
    names = [
        settings.text(name)
        for name in ("PAPERMILL_INPUT_PATH", "DERIVA_ML_NOTEBOOK_PATH", "JPY_SESSION_NAME")
    ]
    main = sys.modules.get("__main__")
    names.append(getattr(main, "__vsc_ipynb_file__", None))
    for name in names:
        if name and Path(name).is_file():
            return Path(name).resolve()
    return None
