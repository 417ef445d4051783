"""What a new project is called and where it goes; refused before anything is written."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from deriva_ml.errors import DerivaMLDependencyError, DerivaMLValidationError
from deriva_ml.names import ML_SCHEMA

_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?")
_LONGEST = 60
_TAKEN = {ML_SCHEMA, "public", "www"}
"""Names of packages or schemas that are there already."""

_NEEDED = ("numpy", "PIL", "sklearn")
"""What the scripts and models of a new project import."""


@dataclass(frozen=True)
class Plan:
    """A project that can be made.

    Parameters
    ----------
    folder : Path
        Absolute.
    name : str
        Of the project as a package, and of its catalog.
    """

    folder: Path
    name: str

    @property
    def schema(self) -> str:
        """Name of the schema of its tables.

        Examples
        --------
        >>> Plan(Path("/tmp/eye-lab"), "eye-lab").schema
        'eye_lab'
        """
        return self.name.lower().replace("-", "_")


def plan(folder: Path, name: str | None = None) -> Plan:
    """Check everything that a new project needs.

    Parameters
    ----------
    folder : Path
        New or empty.
    name : str, optional
        That of the folder by default.

    Raises
    ------
    DerivaMLValidationError
        If the folder is in use, or the name cannot be that of a project.
    DerivaMLDependencyError
        If git, or a package that the project imports, is not installed.
    """
    folder = folder.expanduser().absolute()
    made = Plan(folder, _checked(folder.resolve().name if name is None else name, name is not None))
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise DerivaMLValidationError(f"{folder} is no folder; choose another name.")
    if folder.is_dir() and any(folder.iterdir()):
        raise DerivaMLValidationError(
            f"{folder} is not empty. Name a new folder, in a repository that is there with --no-git; a script "
            "that you have goes into src/models of a new project."
        )
    if missing := [package for package in _NEEDED if find_spec(package) is None]:
        raise DerivaMLDependencyError(
            f"A new project needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: "
            "pip install 'deriva-ml[demo]'"
        )
    if shutil.which("git") is None:
        raise DerivaMLDependencyError(
            "A project needs git, which is not installed: runs are known by the commit of their code. "
            "Install it from https://git-scm.com."
        )
    return made


def _checked(name: str, was_given: bool) -> str:
    hint = "" if was_given else " Give it another one with --name NAME."
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise DerivaMLValidationError(
            f"{name!r} cannot be the name of a project: it begins with a letter, followed by letters, digits, - and _, "
            f"{_LONGEST} at most, the last a letter or digit.{hint}"
        )
    if name.lower() in _TAKEN or name.lower().replace("_", "-") in _TAKEN:
        raise DerivaMLValidationError(
            f"The name {name!r} is taken by DerivaML itself; choose another one.{hint}"
        )
    return name
