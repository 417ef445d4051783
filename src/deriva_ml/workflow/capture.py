"""Identify the code that runs: by commit where there is one, else by path; always by checksum."""

from __future__ import annotations

import logging
import os
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deriva_ml import settings
from deriva_ml.errors import DerivaMLDirtyWorkflowError, DerivaMLWorkflowError
from deriva_ml.workflow import git
from deriva_ml.workflow.source import find_source, in_kernel
from deriva_ml.workflow.tagged import version_of

logger = logging.getLogger(__name__)

REPL_CHECKSUM = "1"
"""Stands for code that is in no file."""

_SCM_SETTINGS = ("SETUPTOOLS_SCM_", "VCS_VERSIONING_", "SOURCE_DATE_EPOCH")
"""Beginnings of variables that tell setuptools-scm what versions to make."""

_SERVICE_REPOSITORY = "https://github.com/informatics-isi-edu/deriva-mcp"


@dataclass(frozen=True)
class Code:
    """The code that runs.

    Parameters
    ----------
    url : str, optional
        Where the code is, at its commit.
    checksum : str, optional
    version : str, optional
    is_notebook : bool
    git_root : Path, optional
    """

    url: str | None = None
    checksum: str | None = None
    version: str | None = None
    is_notebook: bool = False
    git_root: Path | None = None


def capture(allow_dirty: bool = False) -> Code:
    """Identify the code that called.

    Parameters
    ----------
    allow_dirty : bool
        Accept uncommitted changes, or code outside a repository, without a word.

    Raises
    ------
    DerivaMLDirtyWorkflowError
        If there are uncommitted changes and ``DERIVA_ML_STRICT`` is on.
    DerivaMLWorkflowError
        If the code is in no file, or in no repository with an origin, and ``DERIVA_ML_STRICT`` is on.
    """
    if settings.flag("DERIVA_MCP_IN_DOCKER"):
        return _from_image()
    if url := settings.text("DERIVA_ML_WORKFLOW_URL"):
        notebook = settings.text("DERIVA_ML_NOTEBOOK_PATH")
        root = git.repository_root(Path(notebook)) if notebook else None
        return Code(
            url,
            settings.text("DERIVA_ML_WORKFLOW_CHECKSUM"),
            dynamic_version(root),
            is_notebook=True,
            git_root=root,
        )
    source = find_source()
    if source.path is None:
        _warn_unseen(_tolerant(allow_dirty))
        return Code(checksum=REPL_CHECKSUM, version=dynamic_version(None))
    root = git.repository_root(source.path)
    url, checksum = identify(source.path, allow_dirty=allow_dirty, root=root)
    version = dynamic_version(root) if root is not None else None
    return Code(url, checksum, version, is_notebook=source.kind == "notebook", git_root=root)


def _from_image() -> Code:
    image, digest = settings.text("DERIVA_MCP_IMAGE_NAME"), settings.text("DERIVA_MCP_IMAGE_DIGEST")
    commit = settings.text("DERIVA_MCP_GIT_COMMIT")
    if image and digest:
        url: str | None = f"{image}@{digest}"
    else:
        url = f"{_SERVICE_REPOSITORY}/commit/{commit}" if commit else image
    return Code(url, digest or commit, settings.text("DERIVA_MCP_VERSION"))


def identify(path: Path, *, allow_dirty: bool = False, root: Path | None = None) -> tuple[str, str]:
    """URL and checksum of a file of code.

    Parameters
    ----------
    path : Path
    allow_dirty : bool
    root : Path, optional
        Its repository, when that is known already.

    Returns
    -------
    url, checksum : str
        ``<origin>/blob/<commit>/<path>``; without repository, commit or origin a ``file:`` URL.

    Raises
    ------
    DerivaMLWorkflowError
        If there is no such file.
    """
    path = path.resolve()
    if not path.is_file():
        raise DerivaMLWorkflowError(f"There is no file {path}; name the file of code that runs.")
    root = root or git.repository_root(path)
    checksum = git.checksum_of(path, root)
    commit = git.last_commit(root, path) if root else None
    origin = git.origin_url(root) if root else None
    tolerant = _tolerant(allow_dirty)
    if root is None or commit is None:
        _warn_unknown(path, "is in no git repository" if root is None else "has no commit", tolerant)
        return path.as_uri(), checksum
    _warn_dirty(path, root, commit, tolerant)
    if origin is None:
        _tell_local(path, commit, tolerant)
        return path.as_uri(), checksum
    return f"{origin}/blob/{commit}/{path.relative_to(root.resolve()).as_posix()}", checksum


def _tolerant(allow_dirty: bool) -> bool:
    return allow_dirty or settings.allow_dirty() or settings.flag("DERIVA_ML_DRY_RUN")


def _warn_unseen(tolerant: bool) -> None:
    if tolerant:
        return
    text = "This session runs code that is in no file, so the workflow is known by its name only."
    if in_kernel():
        text = "The file of this notebook is not known, so the workflow is known by its name only."
        hint = "Name it with %env DERIVA_ML_NOTEBOOK_PATH=FILE.ipynb"
    else:
        hint = "Put the code into a script"
    if settings.strict_workflow():
        raise DerivaMLWorkflowError(f"{text} {hint}, or unset DERIVA_ML_STRICT.")
    logger.warning("%s %s to make runs reproducible.", text, hint)


def _warn_unknown(path: Path, lack: str, tolerant: bool) -> None:
    if tolerant:
        return
    text = f"{path} {lack}, so the workflow is known by its path and checksum only."
    if settings.strict_workflow():
        raise DerivaMLWorkflowError(
            f"{text} Commit it to a repository with an origin, or unset DERIVA_ML_STRICT."
        )
    logger.warning("%s Commit it to a repository with an origin to make this run reproducible.", text)


def _tell_local(path: Path, commit: str, tolerant: bool) -> None:
    """Of a repository that is on this disk only: its commit is kept with every run, but nobody else can look it up."""
    text = f"{path.name} is known by commit {commit[:12]}; its repository has no remote 'origin'."
    if settings.strict_workflow() and not tolerant:
        raise DerivaMLWorkflowError(
            f"{text} Give it one with `git remote add origin ADDRESS`, or unset DERIVA_ML_STRICT."
        )
    logger.info(text)


def _warn_dirty(path: Path, root: Path, commit: str, tolerant: bool) -> None:
    if tolerant:
        return
    dirty = git.dirty_paths(root, settings.ignored_changes())
    if not dirty:
        return
    if settings.strict_workflow():
        raise DerivaMLDirtyWorkflowError(str(path), dirty)
    shown = ", ".join(dirty[:3]) + (f" and {len(dirty) - 3} more" if len(dirty) > 3 else "")
    logger.warning(
        "%s has uncommitted changes (%s). The workflow records commit %s, which may not be the code that runs; "
        "commit before running.",
        root,
        shown,
        commit[:12],
    )


def dynamic_version(root: Path | None) -> str | None:
    """Version of the code in a repository, from its tags; None where it has none."""
    root = root or git.repository_root(Path.cwd())
    if root is None:
        return None
    if not any(name.startswith(_SCM_SETTINGS) for name in os.environ) and (root / ".git").exists():
        described = git.described(root)
        version = None if described is None else version_of(described, datetime.now(UTC).date())
        if version is not None:
            return version
    from setuptools_scm import get_version

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return str(get_version(root=str(root)))
        except (LookupError, ValueError, OSError, AssertionError):
            return None
