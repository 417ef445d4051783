"""How commands ask before they change something for ever."""

from __future__ import annotations

import sys

from deriva_ml.errors import DerivaMLConfigurationError


def agreed(question: str) -> bool:
    """Whether the user says yes.

    Raises
    ------
    DerivaMLConfigurationError
        If there is nobody to ask.
    """
    if not sys.stdin.isatty():
        raise DerivaMLConfigurationError("Nobody can be asked here; say --yes to go ahead.")
    try:
        answer = input(f"{question}[y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() in ("y", "yes"):
        return True
    print("Nothing was changed.")
    return False
