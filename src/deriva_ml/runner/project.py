"""Where the project of a notebook is, so that its packages can be imported."""

from __future__ import annotations

import sys
from pathlib import Path

_SOURCES = "src"


def project_of(notebook: Path, package: str = "configs") -> Path:
    """Folder of the project that a notebook belongs to.

    Parameters
    ----------
    notebook : Path
    package : str
        Where the project keeps its configurations.

    Returns
    -------
    Path
        The next folder above that has the package, in ``src`` or itself; the parent of the notebook's folder if none has.
    """
    folder = notebook.absolute().parent
    for place in (folder, *folder.parents):
        if any((base / package).is_dir() for base in (place / _SOURCES, place)):
            return place
    return folder.parent


def import_from(project: Path) -> None:
    """Let Python find the packages of a project, as ``deriva-ml-run`` does."""
    for folder in (project, project / _SOURCES):
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
