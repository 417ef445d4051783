"""What git knows of a file: repository, origin, commit, uncommitted changes. The only caller of git."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_SECONDS = 30
_SCP_LIKE = re.compile(r"^(?:[\w.-]+@)?(?P<host>[\w.-]+\.[\w.-]+|localhost):(?P<path>(?!//).+)$")
_WITH_USER = re.compile(r"^(?P<scheme>https?|ssh|git)://(?:[^@/]*@)?(?P<rest>.+)$")


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of a git command in a folder, None when git is missing or refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else None


def repository_root(path: Path) -> Path | None:
    """Top folder of the repository that holds a file or folder, None outside of any."""
    folder = path if path.is_dir() else path.parent
    root = (_git(folder, "rev-parse", "--show-toplevel") or "").strip()
    return Path(root) if root else None


def origin_url(root: Path) -> str | None:
    """Address of the remote ``origin`` as people open it: without ``.git``, without user or token."""
    address = (_git(root, "remote", "get-url", "origin") or "").strip()
    return browsable(address) if address else None


def browsable(address: str) -> str:
    """A remote's address without ``.git`` and credentials; ssh addresses become https ones.

    Examples
    --------
    >>> browsable("git@github.com:lab/eyes.git")
    'https://github.com/lab/eyes'
    """
    address = address.rstrip("/").removesuffix(".git")
    if match := _WITH_USER.match(address):
        scheme = "https" if match["scheme"] in {"ssh", "git"} else match["scheme"]
        return f"{scheme}://{match['rest']}"
    if match := _SCP_LIKE.match(address):
        return f"https://{match['host']}/{match['path'].lstrip('/')}"
    return address


def last_commit(root: Path, path: Path | None = None) -> str | None:
    """Commit that changed a file last, the current one for a file that was never committed; None before any."""
    if path is not None:
        commit = (_git(root, "log", "-1", "--format=%H", "--", str(path)) or "").strip()
        if commit:
            return commit
    return (_git(root, "rev-parse", "--verify", "HEAD") or "").strip() or None


def dirty_paths(root: Path, ignored: Iterable[str] = ()) -> list[str]:
    """Files with uncommitted changes, untracked ones included, relative to the repository.

    Parameters
    ----------
    root : Path
    ignored : iterable of str
        Prefixes of paths that do not count.
    """
    prefixes = tuple(ignored)
    fields = (_git(root, "status", "--porcelain", "--untracked-files=all", "-z") or "").split("\0")
    paths, rest = [], iter(fields)
    for field in rest:
        if not field:
            continue
        if field[0] in "RC":
            next(rest, None)
        if not (prefixes and field[3:].startswith(prefixes)):
            paths.append(field[3:])
    return paths


def blob_hash(content: bytes) -> str:
    """Hash that git gives a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def checksum_of(path: Path, root: Path | None = None) -> str:
    """``git hash-object`` of a file; of a notebook without its outputs."""
    if path.suffix == ".ipynb":
        return blob_hash(without_outputs(path.read_bytes()))
    found = _git(root, "hash-object", str(path)) if root is not None else None
    return found.strip() if found else blob_hash(path.read_bytes())


def without_outputs(notebook: bytes) -> bytes:
    """A notebook without what running it leaves behind: outputs, counters, view state."""
    try:
        document: dict[str, Any] = json.loads(notebook)
    except ValueError:
        return notebook
    for name in ("signature", "widgets"):
        document.get("metadata", {}).pop(name, None)
    for cell in document.get("cells", []):
        if cell.get("cell_type") == "code":
            cell["outputs"], cell["execution_count"] = [], None
        for name in ("collapsed", "scrolled", "ExecuteTime", "execution", "papermill"):
            cell.get("metadata", {}).pop(name, None)
    document.get("metadata", {}).pop("papermill", None)
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True).encode() + b"\n"
