"""What git knows of a file: repository, origin, commit, uncommitted changes. The only caller of git, but for `bump-version`."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from deriva_ml.errors import DerivaMLWorkflowError
from deriva_ml.workflow.stripped import without_outputs

_SECONDS = 30
_LONG = 3600
_QUOTE_LITTLE = ("-c", "core.quotePath=false")
_PLAIN = (
    "--binary",
    "--no-renames",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--ignore-submodules=none",
    "--submodule=short",
    "--unified=3",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
"""Whatever a user has set for `git diff`, these make a patch that `git apply` takes."""

FOUND_IN = "found-in"
"""Remote of a copy whose ``origin`` is not the repository that it was made of."""

_SCP_LIKE = re.compile(r"^(?:[\w.-]+@)?(?P<host>[\w.-]+\.[\w.-]+|localhost):(?P<path>(?!//).+)$")
_COPIES = frozenset(("__pycache__", ".ipynb_checkpoints"))
_COMMIT = re.compile(r"[0-9a-f]{40,}(-dirty)?$")
_WITH_USER = re.compile(r"^(?P<scheme>https?|ssh|git)://(?:[^@/]*@)?(?P<rest>.+)$")


def _run(
    folder: Path,
    *arguments: str,
    given: bytes = b"",
    variables: Mapping[str, str] | None = None,
    seconds: float = _SECONDS,
) -> bytes:
    """Output of a git command in a folder, which takes no locks that others could wait for.

    Raises
    ------
    DerivaMLWorkflowError
        If git is missing, refuses, or takes too long.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            input=given,
            capture_output=True,
            timeout=seconds,
            check=False,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"} | dict(variables or {}),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DerivaMLWorkflowError(f"git {arguments[0]} in {folder}: {error}") from error
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise DerivaMLWorkflowError(f"git {arguments[0]} in {folder}: {said or done.returncode}")
    return done.stdout


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of a git command in a folder, None when git is missing or refuses."""
    try:
        return _run(folder, *arguments).decode("utf-8", "surrogateescape")
    except DerivaMLWorkflowError:
        return None


def repository_root(path: Path) -> Path | None:
    """Top folder of the repository that holds a file or folder, None outside of any."""
    folder = path if path.is_dir() else path.parent
    root = (_git(folder, "rev-parse", "--show-toplevel") or "").strip()
    return Path(root) if root else None


def origin_url(root: Path) -> str | None:
    """Address of the remote ``origin`` as people open it: without ``.git``, without user or token."""
    address = (_git(root, "remote", "get-url", "origin") or "").strip()
    return browsable(address) if address else None


def remotes(root: Path) -> dict[str, str]:
    """Addresses of all remotes by name, as `origin_url` gives them."""
    said = _git(root, "config", "--get-regexp", r"^remote\..*\.url$") or ""
    lines = (line.partition(" ") for line in said.splitlines())
    return {
        name.removeprefix("remote.").removesuffix(".url"): browsable(address) for name, _, address in lines
    }


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
    return current_commit(root)


def current_commit(root: Path) -> str | None:
    """Commit that is checked out, None before any."""
    return (_git(root, "rev-parse", "--verify", "HEAD") or "").strip() or None


def described(root: Path) -> str | None:
    """Last tag with a digit, commits since then, commit, and whether it is dirty; a repository without has tag ``0.0``.

    Before the first commit it is empty.

    Examples
    --------
    >>> described(Path("project"))  # doctest: +SKIP
    'v1.2.0-3-g0123456789012345678901234567890123456789-dirty'
    """
    said = _git(root, "describe", "--long", "--always", "--dirty", "--tags", "--abbrev=40", "--match=*[0-9]*")
    if not said:
        return "" if _git(root, "rev-parse", "--is-inside-work-tree") else None
    if not _COMMIT.match(said):
        return said.strip()
    count = _git(root, "rev-list", "--count", "HEAD")
    return f"0.0-{count.strip()}-g{said.strip()}" if count else None


def dirty_paths(root: Path, ignored: Iterable[str] = ()) -> list[str]:
    """Files with uncommitted changes, untracked ones included, relative to the repository.

    Parameters
    ----------
    root : Path
    ignored : iterable of str
        Prefixes of paths that do not count.
    """
    prefixes = tuple(ignored)
    try:
        found = changed(root)
    except DerivaMLWorkflowError:
        return []
    return [path for _, path in found if not (prefixes and path.startswith(prefixes))]


def changed(root: Path) -> list[tuple[str, str]]:
    """Two letters of ``git status`` and path of each file with uncommitted changes; ``??`` for an untracked one.

    Copies that Python and Jupyter put beside code by themselves are no changes, in a project that does not ignore them.

    Raises
    ------
    DerivaMLWorkflowError
        If git cannot tell.
    """
    said = _run(root, "status", "--porcelain", "--untracked-files=all", "-z").decode(
        "utf-8", "surrogateescape"
    )
    found, rest = [], iter(said.split("\0"))
    for field in rest:
        if not field:
            continue
        if field[0] in "RC":
            next(rest, None)
        state, path = field[:2], field[3:]
        if state != "??" or _COPIES.isdisjoint(path.split("/")):
            found.append((state, path))
    return found


def patch(root: Path, commit: str | None, added: Sequence[str] = (), without: Sequence[str] = ()) -> bytes:
    """What ``git apply`` needs to make the files of a working tree of those of a commit.

    Renames are a deletion and an addition, binary files are whole, and nothing depends on settings of the user. The
    repository and its index stay as they are.

    Parameters
    ----------
    root : Path
    commit : str, optional
        None for a repository without any.
    added : sequence of str
        Untracked files that are to be additions.
    without : sequence of str
        Tracked files that are not compared.

    Raises
    ------
    DerivaMLWorkflowError
        If git cannot make it.
    """
    tree = commit or _run(root, "hash-object", "-t", "tree", "--stdin").decode().strip()
    with tempfile.TemporaryDirectory() as folder:
        aside = _aside(root, Path(folder))
        if added:
            names = "\0".join(added).encode("utf-8", "surrogateescape")
            add = ("--literal-pathspecs", "add", "--intent-to-add", "--force", "--pathspec-from-file=-")
            _run(root, *add, "--pathspec-file-nul", given=names, variables=aside)
        spared = [":(top)", *(f":(top,literal,exclude){name}" for name in without)] if without else []
        return _run(root, *_QUOTE_LITTLE, "diff", *_PLAIN, tree, "--", *spared, variables=aside)


def _aside(root: Path, folder: Path) -> dict[str, str]:
    """Environment in which git writes into another folder, and reads what the repository has."""
    told = _run(root, "rev-parse", "--git-path", "index", "--git-path", "objects")
    index, objects = (root / os.fsdecode(line) for line in told.splitlines())
    if index.exists():
        shutil.copy2(index, folder / "index")
    (folder / "objects").mkdir()
    others = [str(objects.resolve()), os.environ.get("GIT_ALTERNATE_OBJECT_DIRECTORIES")]
    return {
        "GIT_INDEX_FILE": str(folder / "index"),
        "GIT_OBJECT_DIRECTORY": str(folder / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.pathsep.join(filter(None, others)),
    }


def has_commit(root: Path, commit: str) -> bool:
    """Whether a repository has a commit."""
    return _git(root, "cat-file", "-e", f"{commit}^{{commit}}") is not None


def has_file(root: Path, commit: str, name: str) -> bool:
    """Whether a commit of a repository has a file."""
    return _git(root, "cat-file", "-e", f"{commit}:{name}") is not None


def is_reachable(source: str | Path) -> bool:
    """Whether a repository, on this disk or at an address, answers."""
    quiet = {"GIT_TERMINAL_PROMPT": "0"}
    try:
        _run(Path(), "ls-remote", "--quiet", "--", str(source), "HEAD", variables=quiet)
    except DerivaMLWorkflowError:
        return False
    return True


def check_out(source: str | Path, commit: str, folder: Path) -> None:
    """Make a folder that holds the files of a commit; it is a clone, so that the repository it came of stays as it is.

    Its remote ``origin`` is that of the repository; where that is another one, `FOUND_IN` names the repository.

    Parameters
    ----------
    source : str or Path
        A repository on this disk, or an address to clone.
    commit : str
    folder : Path
        Must not exist.

    Raises
    ------
    DerivaMLWorkflowError
        If the repository cannot be reached or has no such commit.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run(folder.parent, "clone", "--no-checkout", "--quiet", "--", str(source), str(folder), seconds=_LONG)
    _run(folder, "-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", commit, seconds=_LONG)
    if (origin := _git(Path(source), "remote", "get-url", "origin")) is not None:
        _run(folder, "remote", "set-url", "origin", origin.strip())
        _run(folder, "remote", "add", FOUND_IN, str(Path(source).absolute()))


def apply(root: Path, patch_file: Path) -> None:
    """Change the files of a working tree by a patch of `patch`.

    Raises
    ------
    DerivaMLWorkflowError
        If it does not fit.
    """
    _run(root, "apply", "--binary", "--whitespace=nowarn", str(patch_file.absolute()))


def blob_hash(content: bytes) -> str:
    """Hash that git gives a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def checksum_of(path: Path, root: Path | None = None) -> str:
    """``git hash-object`` of a file; of a notebook without its outputs."""
    if path.suffix == ".ipynb":
        return blob_hash(without_outputs(path.read_bytes()))
    found = _git(root, "hash-object", str(path)) if root is not None else None
    return found.strip() if found else blob_hash(path.read_bytes())


def strips_outputs(path: Path) -> bool:
    """Whether git keeps outputs of a notebook out of commits: it is filtered by nbstripout, which is set up."""
    said = _git(path.parent, "check-attr", "filter", "--", str(path)) or ""
    return said.strip().endswith(": nbstripout") and bool(
        _git(path.parent, "config", "filter.nbstripout.clean")
    )


def begin(folder: Path) -> None:
    """Make a folder a repository, with a branch ``main`` that has no commit yet.

    Raises
    ------
    DerivaMLWorkflowError
        If git is missing or refuses.
    """
    _run(folder, "-c", "init.defaultBranch=main", "init", "--quiet")


def commit_all(folder: Path, message: str) -> None:
    """Commit everything in a repository that is not ignored, in the name of its user; of this program, if git knows none.

    Raises
    ------
    DerivaMLWorkflowError
        If git is missing or refuses.
    """
    _run(folder, "add", "--all")
    known = (
        (_git(folder, "config", "user.name") or "").strip(),
        (_git(folder, "config", "user.email") or "").strip(),
    )
    name = () if all(known) else ("-c", "user.name=deriva-ml", "-c", "user.email=deriva-ml@localhost")
    _run(folder, *name, "commit", "--quiet", "--no-gpg-sign", "--message", message)
