"""Show an error from where code of the project begins: what calls it, Hydra and this library, is left out."""

from __future__ import annotations

import logging
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager

from deriva_ml import settings

_FULL = "HYDRA_FULL_ERROR"
_ASKED = "DERIVA_ML_FULL_ERROR"
"""The former as the user has set it, while Hydra is told something else."""

_CALLERS = ("deriva_ml", "hydra", "hydra_plugins", "hydra_zen", "omegaconf", "joblib", "submitit", "ray")


def is_full() -> bool:
    """Whether all of an error is to be shown: asked for by ``HYDRA_FULL_ERROR=1`` or ``--debug``."""
    asked = os.environ.get(_ASKED) or os.environ.get(_FULL)
    return asked == "1" or logging.getLogger().isEnabledFor(logging.DEBUG)


def left_to_us() -> AbstractContextManager[None]:
    """Keep Hydra from showing errors, here and in processes that its launchers start."""
    asked = os.environ.get(_ASKED) or os.environ.get(_FULL) or "0"
    return settings.told({_ASKED: asked, _FULL: "1"})


def trace_of(error: BaseException) -> str:
    """The traceback of an error as Python prints it, from the first line of the project on.

    Where nothing of the project is part of it, only the error itself is left.
    """
    whole = traceback.TracebackException.from_exception(error, compact=True)
    for each in [] if is_full() else _chain(whole):
        _shorten(each)
    text = "".join(whole.format()).rstrip("\n")
    return text if any(each.stack for each in _chain(whole)) else text.partition("last):\n")[2] or text


def _chain(error: traceback.TracebackException | None) -> Iterator[traceback.TracebackException]:
    if error is not None:
        yield error
        yield from _chain(error.__cause__)
        yield from _chain(error.__context__)


def _shorten(error: traceback.TracebackException) -> None:
    places = [
        f"{place}{os.sep}" for name in _CALLERS for place in getattr(sys.modules.get(name), "__path__", ())
    ]

    def is_caller(file: str) -> bool:
        library = sysconfig.get_path("stdlib") + os.sep
        is_python = file.startswith("<frozen ") or (
            file.startswith(library) and "site-packages" not in file.removeprefix(library)
        )
        return is_python or file.startswith(tuple(places))

    while error.stack and is_caller(error.stack[0].filename):
        del error.stack[0]
