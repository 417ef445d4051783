"""``deriva-ml new``: a project that runs at once."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from deriva_ml.cli.text import examples
from deriva_ml.project import plan as plans
from deriva_ml.project import write
from deriva_ml.project.step import show, shown, step

_LOAD = "src/scripts/load_digits.py"
_MAKE = "src/scripts/make_catalog.py"
_MESSAGE = "Name the datasets of this laboratory"
_COMMIT = f'git commit -am "{_MESSAGE}"'


def new_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Make a project that runs at once: configurations, a small model, a notebook and tests in a git repository, and "
        "a laboratory with a catalog of handwritten digits on this machine. Every step is printed as the command that "
        "does it."
    )
    parser.add_argument("project", type=Path, metavar="PROJECT", help="new or empty folder")
    parser.add_argument("--name", help="name of the project, that of the folder by default")
    parser.add_argument(
        "--no-data", action="store_true", help="leave the catalog empty; only tables and terms are made"
    )
    parser.add_argument(
        "--no-git",
        action="store_true",
        help="make no repository, for a folder of one that is there; commit before you load data (implies --no-data)",
    )
    examples(parser, "deriva-ml new digits", "deriva-ml new eyes --no-data    for data of your own")


def new(arguments: argparse.Namespace) -> int:
    """Make the project, printing each step."""
    plan = plans.plan(arguments.project, arguments.name)
    has_data = not (arguments.no_data or arguments.no_git)
    written = write.write(plan)
    print(f"Wrote {len(written)} files to {plan.folder}")
    show(f"cd {shown(plan.folder)}")
    if not arguments.no_git:
        show("git init", f'git add --all && git commit -m "Begin {plan.name}"')
        write.put_under_git(plan)
    script = _LOAD if has_data else _MAKE
    if status := step(["python", script], plan.folder):
        print(_resume(plan.folder, script, has_data), file=sys.stderr)
        return status
    if has_data and write.commit(plan, _MESSAGE):
        show(_COMMIT)
    print("\n" + _next(plan.folder, has_data, not arguments.no_git))
    return 0


def _resume(folder: Path, script: str, has_data: bool) -> str:
    lines = [f"cd {shown(folder)}", f"python {script}", *([_COMMIT] if has_data else [])]
    text = "\n".join(f"  {line}" for line in lines)
    return f"\nThe project is there, but the last step did not get to its end. To go on, type:\n\n{text}"


def _next(folder: Path, has_data: bool, has_git: bool) -> str:
    """Commands to type next."""
    notebook = "deriva-ml-run-notebook notebooks/roc_analysis.ipynb"
    load = [] if has_data else [(f"python {_LOAD}", "register images and labels, make datasets")]
    commit = [] if has_data else [(_COMMIT, "runs are known by their commit")]
    before = [] if has_git else [("git add . && git commit", "likewise")]
    lacks = not all(map(find_spec, ("papermill", "pytest")))
    install = [("pip install -e .", "for the notebook and the tests")] if lacks else []
    lines = [
        (f"cd {shown(folder)}", ""),
        *_activation(),
        *before,
        *load,
        *commit,
        ("deriva-ml-run --list-configs", "what can be chosen"),
        ("deriva-ml-run", "train with the defaults"),
        ("deriva-ml-run +experiment=evaluate", "predict the test digits with the newest model"),
        ("python src/scripts/trace_predictions.py", "how these predictions came to be"),
        ("deriva-ml-run +multirun=learning_rates", "a sweep"),
        *install,
        (notebook, "analyse the predictions"),
        ("pytest", "the tests of the project"),
    ]
    width = max(len(command) for command, _ in lines) + 3
    text = "\n".join(f"  {command:<{width}}{why}".rstrip() for command, why in lines)
    return f"To go on, type:\n\n{text}\n\n{folder / 'README.md'} says more."


def _activation() -> list[tuple[str, str]]:
    """What makes the commands of this environment known to the shell, where they are not."""
    found = shutil.which("deriva-ml")
    here = Path(sys.executable).parent
    script = here / "activate"
    if (found and Path(found).parent == here) or not script.is_file():
        return []
    return [(f"source {shlex.quote(str(script))}", "so that the commands are found")]
