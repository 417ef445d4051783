"""Write the files of a new project, and put them under version control."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from deriva_ml.errors import DerivaMLException
from deriva_ml.project.plan import Plan
from deriva_ml.version import __version__
from deriva_ml.workflow import git

_PREFIX = "write-"
"""Before names that tools for this package itself would heed."""

_NOT_TEXT = ("__pycache__",)


def write(plan: Plan) -> list[Path]:
    """Write the files of a project.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    DerivaMLException
        If the folder cannot be written.
    """
    values = {"name": plan.name, "schema": plan.schema, "version": __version__}
    try:
        return _copied(files(__package__) / "template", plan.folder, values)
    except OSError as error:
        raise DerivaMLException(f"{plan.folder} cannot be written: {error}") from error


def _copied(source: Traversable, target: Path, values: dict[str, str]) -> list[Path]:
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for each in sorted(source.iterdir(), key=lambda each: each.name):
        place = target / each.name.removeprefix(_PREFIX)
        if each.name in _NOT_TEXT:
            continue
        if each.is_dir():
            written += _copied(each, place, values)
        else:
            place.write_text(Template(each.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")
            written.append(place)
    return written


def put_under_git(plan: Plan) -> None:
    """Make a project a repository with one commit.

    Raises
    ------
    DerivaMLWorkflowError
        If git refuses.
    """
    git.begin(plan.folder)
    git.commit_all(plan.folder, f"Begin {plan.name}")


def commit(plan: Plan, message: str) -> bool:
    """Commit what has changed in a project; whether anything had."""
    changed = bool(git.changed(plan.folder))
    if changed:
        git.commit_all(plan.folder, message)
    return changed
