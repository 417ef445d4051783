"""``bump-version``: the next version of a project, as a tag in its repository."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from deriva_ml.cli.program import program
from deriva_ml.cli.text import examples
from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLDependencyError

PROGRAM = "bump-version"
_LOCK = "uv.lock"
_CONFIGURATIONS = (".bumpversion.toml", ".bumpversion.cfg", "setup.cfg", "pyproject.toml")


class _ChildFailed(Exception):
    """A program that was called said no; it has told why already."""

    def __init__(self, status: int) -> None:
        self.status = status


def bump_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    examples(parser, parser.prog, f"{parser.prog} minor", f"START=1.0.0 {parser.prog}")
    parser.add_argument(
        "part",
        nargs="?",
        choices=("patch", "minor", "major"),
        default="patch",
        help="which number is raised (default: %(default)s)",
    )
    parser.add_argument("--no-push", action="store_true", help="leave the tag in this repository")


def bump(arguments: argparse.Namespace) -> int:
    """Raise the version; 1 when this is no place for it, else what git or bump-my-version say."""
    try:
        version = _bumped(arguments.part, arguments.no_push)
    except _ChildFailed as failure:
        return failure.status
    print(f"The version is {version}.")
    return 0


def _bumped(part: str, no_push: bool) -> str:
    prefix, start = os.environ.get("PREFIX", "v"), os.environ.get("START", "0.1.0")
    root = _repository()
    os.chdir(root)
    _fetch_tags(no_push)
    _commit_lone_lock()
    latest = _latest(prefix)
    if latest is None:
        _call("git", "tag", f"{prefix}{start}", "-m", f"Version {start}")
    else:
        _call(*_bumper(), "bump", part, *_options(root, prefix, latest))
    if not no_push:
        _push()
    return _latest(prefix) or start


def _repository() -> Path:
    if shutil.which("git") is None:
        raise DerivaMLConfigurationError("There is no git on this machine; install it first.")
    root = _said("git", "rev-parse", "--show-toplevel")
    if root is None:
        raise DerivaMLConfigurationError(
            f"{Path.cwd()} is not in a git repository; go to the project, or run git init."
        )
    if _said("git", "rev-parse", "--verify", "HEAD") is None:
        raise DerivaMLConfigurationError(f"{root} has no commit yet; make one first.")
    return Path(root)


def _fetch_tags(no_push: bool) -> None:
    """Somebody else may have given the next version already."""
    if not no_push and _said("git", "remote"):
        _call("git", "fetch", "--tags", "--quiet")


def _latest(prefix: str) -> str | None:
    """The highest version among the tags, without the prefix."""
    tags = (_said("git", "tag", "--list", f"{prefix}*", "--sort=-version:refname") or "").splitlines()
    found = (re.fullmatch(rf"{re.escape(prefix)}(\d+\.\d+\.\d+)", tag) for tag in tags)
    return next((match[1] for match in found if match), None)


def _commit_lone_lock() -> None:
    """Installing changes the lock file; alone it is no reason to stop."""
    changed = (_said("git", "status", "--porcelain") or "").splitlines()
    if [line.split()[-1] for line in changed] == [_LOCK]:
        _call("git", "commit", "--quiet", "-m", f"Update {_LOCK}", "--", _LOCK)


def _bumper() -> list[str]:
    """How bump-my-version is called here."""
    if importlib.util.find_spec("bumpversion") is not None:
        return [sys.executable, "-m", "bumpversion"]
    if shutil.which("uv") is not None:
        return ["uv", "run", "bump-my-version"]
    raise DerivaMLDependencyError(
        "A new version needs bump-my-version, which is not installed: pip install 'deriva-ml[release]'"
    )


def _options(root: Path, prefix: str, latest: str) -> list[str]:
    """What the project does not say itself: a version that is kept in tags only changes no file, so has no commit."""
    texts = [path.read_text(encoding="utf-8") for name in _CONFIGURATIONS if (path := root / name).is_file()]
    configured = next((text for text in texts if re.search(r"^\[(tool\.)?bumpversion\]", text, re.M)), None)
    if configured is None:
        commit = "--commit" if _is_written(root, latest) else "--no-commit"
        return ["--current-version", latest, "--tag", commit, "--tag-name", f"{prefix}{{new_version}}"]
    return [] if re.search(r"^current_version\s*=", configured, re.M) else ["--current-version", latest]


def _is_written(root: Path, version: str) -> bool:
    """Whether ``pyproject.toml`` has the version too, where bump-my-version changes it."""
    try:
        document = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (FileNotFoundError, tomllib.TOMLDecodeError):
        return False
    return bool(document.get("project", {}).get("version") == version)


def _push() -> None:
    if not _said("git", "remote"):
        print("There is no remote to push to; the tag stays here.", file=sys.stderr)
        return
    branch = _said("git", "symbolic-ref", "--short", "HEAD")
    remote = (_said("git", "remote") or "").splitlines()[0]
    _call("git", "push", "--quiet", remote, *([branch] if branch else []), "--tags")


def _said(*words: str) -> str | None:
    """What a program says, None when it refuses."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _call(*words: str) -> None:
    status = subprocess.run(words, check=False).returncode
    if status:
        print(f"{PROGRAM}: {' '.join(words[:3])} … ended with status {status}.", file=sys.stderr)
        raise _ChildFailed(status)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Without the name of the program; `sys.argv` by default.
    """
    description = (
        "Give the project in this folder its next version: a tag, pushed with the branch. Without any tag the first one "
        "is PREFIX (v) with START (0.1.0), which are environment variables."
    )
    return program(PROGRAM, description, bump_arguments, bump, argv)


if __name__ == "__main__":
    sys.exit(main())
