"""What an extra brings is imported where it is needed; where it is missing, the error says how to get it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deriva_ml.errors import DerivaMLDependencyError


@contextmanager
def needed(task: str, extra: str) -> Iterator[None]:
    """Around imports of what only one task needs.

    Parameters
    ----------
    task : str
        Begins the message: ``"Data frames need"``.
    extra : str
        The extra of this distribution that brings what is imported.

    Raises
    ------
    DerivaMLDependencyError
        If something is not installed, or is broken.

    Examples
    --------
    >>> with needed("Dreams need", "sleep"):
    ...     import no_such_library
    Traceback (most recent call last):
    deriva_ml.errors.DerivaMLDependencyError: Dreams need no_such_library, which is not installed: pip install 'deriva-ml[sleep]'
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise DerivaMLDependencyError(
            f"{task} {error.name}, which is not installed: pip install 'deriva-ml[{extra}]'"
        ) from error
    except ImportError as error:
        raise DerivaMLDependencyError(
            f"{task} what cannot be imported: {error}. It comes with pip install 'deriva-ml[{extra}]'"
        ) from error
