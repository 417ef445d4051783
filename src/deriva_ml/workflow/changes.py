"""Keep what is not committed: a patch that makes, of the files of a commit, the files that run."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from stat import S_ISLNK, S_ISREG

from deriva_ml import settings
from deriva_ml.workflow import git
from deriva_ml.workflow.environment import holds_secret

PATCH_NAME = "uncommitted-changes.patch"

_SECRET_NAMES = (
    *(".env", ".env.*", "*.env", ".envrc", ".netrc", "_netrc", ".pgpass", ".npmrc", ".pypirc", ".htpasswd"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.gpg", "*.asc", "*.tfstate"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".ssh", ".aws", ".gnupg", ".azure", "kubeconfig"),
    *("*credential*", "*secret*", "*password*", "*passwd*", "*token", "*token.*", "*tokens.*", "*apikey*"),
)
"""Patterns of names of files and folders, in small letters."""

_START = re.compile(rb"^(?=diff --git )", re.MULTILINE)
_SUBMODULE = re.compile(rb"^\+Subproject commit (?P<commit>[0-9a-f]+)(?P<dirty>-dirty)?$", re.MULTILINE)
_BINARY = b"\nGIT binary patch\n"
_LOOKED_AT = 8000  # Where git looks for a null byte to tell binary files from text.
_MOST_ADDED = 2000
_MOST_NAMED = 200
_LARGEST_COMPARED = 100 << 20  # Git would hold both versions in memory.


class _LeftOut:
    """What is not in the patch, and why."""

    def __init__(self) -> None:
        self._reasons: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, path: str, reason: str) -> None:
        """Leave a file out."""
        self._reasons[reason].append(path)

    def lines(self) -> Iterator[str]:
        """Text for people; a line cannot look like the start of a patch."""
        for reason, names in self._reasons.items():
            for name in sorted(names)[:_MOST_NAMED]:
                shown = name if name.isprintable() else ascii(name)
                yield f"  {shown}: {reason}"
            if len(names) > _MOST_NAMED:
                yield f"  and {len(names) - _MOST_NAMED} more: {reason}"


def uncommitted(root: Path) -> bytes | None:
    """Changes of a working tree since its commit as a patch for ``git apply``, None when there are none.

    Untracked text files are additions. What is left out is listed in front of the patch: untracked binary files, what is
    too large (``DERIVA_ML_PATCH_FILE_BYTES`` for an untracked file, ``DERIVA_ML_PATCH_BYTES`` for all), what looks like
    a secret (`DERIVA_ML_PATCH_DENY` has more patterns), paths whose changes do not count
    (``DERIVA_ML_DIRTY_CHECK_IGNORE``), and submodules.

    Parameters
    ----------
    root : Path
        Top folder of a repository.

    Raises
    ------
    DerivaMLWorkflowError
        If git cannot tell.
    OSError
        If there is no room to work in.
    """
    limit, ignored = settings.patch_bytes(), settings.ignored_changes()
    changed = git.changed(root) if limit else []
    if not any(not path.startswith(ignored) for _, path in changed):
        return None
    left_out = _LeftOut()
    tracked, untracked = list[str](), list[str]()
    for state, path in changed:
        reason = _refused(path, ignored)
        if state == "??" and reason is not None:
            left_out.add(path, reason)
        else:
            (untracked if state == "??" else tracked).append(path)
    commit = git.current_commit(root)
    vast = [path for path in tracked if _size(root / path) > _LARGEST_COMPARED]
    added = _additions(root, untracked, limit, left_out)
    whole = git.patch(root, commit, added, vast)
    for path in vast:
        left_out.add(path, "too large to compare")
    parts = _kept(_parts(whole, ignored, left_out), limit, left_out)
    header = "".join(f"# {line}\n" for line in _header(root, commit, bool(parts), left_out))
    return header.encode("utf-8", "surrogateescape") + b"".join(parts)


def _header(root: Path, commit: str | None, any_parts: bool, left_out: _LeftOut) -> Iterator[str]:
    yield "Uncommitted changes of the code that ran. Its files are made again by"
    if commit is None:
        yield "  git init"
    else:
        origin = git.origin_url(root)
        yield f"  git clone {origin} code && cd code" if origin else "  cd <a clone of the repository>"
        yield f"  git checkout {commit}"
    if any_parts:
        yield f"  git apply {PATCH_NAME}"
    missing = list(left_out.lines())
    if missing:
        yield "Not in this patch:"
        yield from missing


def _refused(path: str, ignored: tuple[str, ...]) -> str | None:
    if path.startswith(ignored):
        return "changes there do not count"
    patterns = [*_SECRET_NAMES, *(pattern.lower() for pattern in settings.patch_deny())]
    parts = [part.lower() for part in PurePosixPath(path).parts]
    if any(fnmatch(part, pattern) for part in parts for pattern in patterns):
        return "may be a secret by its name"
    return None


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _additions(root: Path, untracked: list[str], limit: int, left_out: _LeftOut) -> list[str]:
    """Untracked files that the patch adds: small text, the smallest first while there is room."""
    chosen, used = list[str](), 0
    for path in sorted(untracked, key=lambda path: _size(root / path)):
        try:
            reason, size = _unfit(root / path), _size(root / path)
        except OSError as error:
            reason, size = f"cannot be read: {error.strerror}", 0
        if reason is None and (used + size > limit or len(chosen) >= _MOST_ADDED):
            reason = "too large or too many in all"
        if reason is not None:
            left_out.add(path, reason)
            continue
        chosen.append(path)
        used += size
    return chosen


def _unfit(file: Path) -> str | None:
    status = file.lstat()
    if S_ISLNK(status.st_mode):
        return None
    if not S_ISREG(status.st_mode):
        return "a repository of its own, or no file"
    if status.st_size > settings.patch_file_bytes():
        return "too large"
    with file.open("rb") as opened:
        return "binary" if b"\0" in opened.read(_LOOKED_AT) else None


def _parts(whole: bytes, ignored: tuple[str, ...], left_out: _LeftOut) -> Iterator[tuple[str, bytes]]:
    """Path and patch of each file that may be kept."""
    for part in _START.split(whole):
        if not part.startswith(b"diff --git "):
            continue
        path = _path_of(part)
        reason = _refused(path, ignored)
        if reason is None and (submodule := _SUBMODULE.search(part)):
            own = ", with changes of its own" if submodule["dirty"] else ""
            reason = f"a submodule, at commit {submodule['commit'].decode()}{own}"
        if reason is None and _BINARY not in part and holds_secret(part.decode("utf-8", "replace")):
            reason = "may hold a secret"
        if reason is None:
            yield path, part
        else:
            left_out.add(path, reason)


def _path_of(part: bytes) -> str:
    """Path of the file of a part; both names of its first line are the same, as nothing is renamed."""
    names = part.partition(b"\n")[0].removeprefix(b"diff --git ")
    first = names[: (len(names) - 1) // 2]
    path = first[3:-1] if first.startswith(b'"') else first[2:]
    return path.decode("utf-8", "surrogateescape")


def _kept(parts: Iterator[tuple[str, bytes]], limit: int, left_out: _LeftOut) -> list[bytes]:
    """Parts that are not too large together, in their order; the smallest have precedence."""
    numbered = list(enumerate(parts))
    kept, used = {}, 0
    for place, (path, part) in sorted(numbered, key=lambda item: len(item[1][1])):
        if used + len(part) > limit:
            left_out.add(path, "too large")
            continue
        used += len(part)
        kept[place] = part
    return [kept[place] for place in sorted(kept)]
