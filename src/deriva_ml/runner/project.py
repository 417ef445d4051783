"""Where the project of a notebook is, so that its packages can be imported and its catalog be found."""

from __future__ import annotations

import sys
from pathlib import Path

from deriva_ml import settings
from deriva_ml.ermrest.address import RELATIVE_TO

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
        if _has(place, package):
            return place
    return folder.parent


def _has(place: Path, package: str) -> bool:
    return any((base / package).is_dir() for base in (place / _SOURCES, place))


def import_from(project: Path) -> None:
    """Let Python find the packages of a project, as ``deriva-ml-run`` does."""
    for folder in (project, project / _SOURCES):
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


def counted_from(project: Path, package: str = "configs") -> dict[str, str]:
    """Variables with which relative folders of catalogs count from a project, as they do for ``deriva-ml-run``.

    Jupyter starts a kernel in the folder of the notebook, which is one of the project's. What the environment says
    already goes before.

    Returns
    -------
    dict
        Empty where nothing is to be set.
    """
    inside = _has(project, package) and project in Path.cwd().parents
    return _unless_said(project) if inside else {}


def from_here() -> dict[str, str]:
    """Variables with which they count from the current folder."""
    return _unless_said(Path.cwd())


def _unless_said(folder: Path) -> dict[str, str]:
    return {} if settings.text(RELATIVE_TO) else {RELATIVE_TO: str(folder)}
