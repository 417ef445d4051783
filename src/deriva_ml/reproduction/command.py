"""Which command runs an execution again, from other folders and with another Python (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deriva_ml.errors import DerivaMLDataError
from deriva_ml.reproduction.recorded import Recorded
from deriva_ml.workflow.environment import HIDDEN

RUNNER = "deriva-ml-run"
_RUNNERS = (RUNNER, "deriva_ml.run_model", "run_model.py")
_PROGRAMS = ("deriva-ml", "deriva_ml.cli.main")
_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")
_ABOUT_SWEEPS = ("hydra.", "resume=", "+resume=")


@dataclass(frozen=True)
class Place:
    """Where an execution runs again.

    Parameters
    ----------
    code : Path
        Files of its commit.
    python : Path
        Interpreter.
    hostname, catalog_id : str
        The catalog.
    """

    code: Path
    python: Path
    hostname: str
    catalog_id: str


def unfit(recorded: Recorded) -> str | None:
    """Why no command can be told, None when one can."""
    if recorded.workflow.get("is_notebook"):
        return "it ran in a notebook; run that again with deriva-ml-run-notebook"
    if recorded.code.commit is None:
        return "its code is in no git repository (an interactive session, or a script beside one)"
    told = overrides_of(recorded)
    if is_by_runner(recorded) and told is None and recorded.parts:
        return f"it is the whole of a sweep; its jobs can be: {', '.join(recorded.parts)}"
    if told is None and not recorded.arguments:
        return "its command was not recorded"
    if told is None and "-c" in _options(recorded.arguments[1:]):
        return "its code was given on the command line (python -c)"
    words = told if told is not None else recorded.arguments
    if any(HIDDEN in word for word in words):
        return "its command holds a secret, which was not recorded"
    return None


def overrides_of(recorded: Recorded) -> list[str] | None:
    """What `RUNNER` was told, None for a run by another program."""
    return recorded.overrides if is_by_runner(recorded) else None


def is_by_runner(recorded: Recorded) -> bool:
    """Whether `RUNNER` ran it, and no program of one's own that uses Hydra too."""
    words = recorded.arguments[1:]
    options = _options(words)
    rest = words[len(options) :]
    if not rest or options[-1:] == ["-c"]:
        return recorded.overrides is not None
    name = rest[0] if options[-1:] == ["-m"] else PurePosixPath(rest[0]).name
    return name in _RUNNERS or (name in _PROGRAMS and "run" in rest[1:2])


def command(recorded: Recorded, place: Place) -> list[str]:
    """The command.

    Raises
    ------
    DerivaMLDataError
        If none can be told.
    """
    if (reason := unfit(recorded)) is not None:
        raise DerivaMLDataError(f"Execution {recorded.execution_rid} cannot be reproduced: {reason}.")
    if (told := overrides_of(recorded)) is not None:
        return _hydra(recorded, told, place)
    options = _options(recorded.arguments[1:])
    rest = recorded.arguments[1 + len(options) :]
    if options and options[-1] == "-m":
        return [str(place.python), *options, *rest]
    script = moved(Path(rest[0]), recorded, place.code)
    if (
        script.parent == Path(recorded.arguments[0]).parent
    ):  # A command that was installed beside the interpreter.
        script = place.python.parent / script.name
    return [str(place.python), *options, str(script), *rest[1:]]


def folder(recorded: Recorded, place: Place) -> Path:
    """Where to run it: the same place in the repository, its top for a run that began outside."""
    return moved(recorded.folder, recorded, place.code) if _inside(recorded.folder, recorded) else place.code


def search_path(recorded: Recorded, place: Place) -> list[str]:
    """Folders of the repository in which Python looked for modules, so that they win over installed ones."""
    inside = (Path(each) for each in recorded.search_path if each)
    own = (each for each in inside if _inside(each, recorded) and "site-packages" not in each.parts)
    return list(dict.fromkeys(str(moved(each, recorded, place.code)) for each in own))


def moved(path: Path | None, recorded: Recorded, code: Path) -> Path:
    """A path of the machine that ran it, in the new copy of the repository if it was in the old one."""
    assert path is not None
    whole = (recorded.folder or Path()) / path
    root = recorded.code.root
    normal = Path(_normal(whole))
    return code / normal.relative_to(root) if root is not None and normal.is_relative_to(root) else normal


def _inside(path: Path | None, recorded: Recorded) -> bool:
    root = recorded.code.root
    return path is not None and root is not None and Path(_normal(path)).is_relative_to(root)


def _normal(path: Path) -> PurePosixPath:
    """Without ``..``; links are not followed, as the path may be of another machine."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts and parts[-1] != "/":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return PurePosixPath(*parts)


def _options(words: Sequence[str]) -> list[str]:
    """Options of the interpreter itself, up to the script, or to ``-m`` or ``-c``, which end them."""
    found: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "-":
            break
        found.append(word)
        if word in ("-m", "-c"):
            break
        if word in _WITH_VALUE:
            found.append(next(rest, ""))
    return found


def _hydra(recorded: Recorded, overrides: Sequence[str], place: Place) -> list[str]:
    """One job of a run by `RUNNER`, of a sweep too: what Hydra was told, at the same catalog."""
    job = recorded.hydra.get("job", {})
    told = [word for word in overrides if not word.startswith(_ABOUT_SWEEPS)]
    words = [str(place.python.parent / RUNNER)]
    if configs := _value_of(("--config-dir", "-c"), recorded.arguments):
        words += ["--config-dir", configs]
    if name := job.get("config_name"):
        words += ["--config-name", str(name)]
    quoted = place.hostname.replace("\\", "\\\\").replace("'", "\\'")
    return [*words, *told, f"deriva_ml.hostname='{quoted}'", f"deriva_ml.catalog_id={place.catalog_id}"]


def _value_of(names: Sequence[str], words: Sequence[str]) -> str | None:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else following
    return None
