"""``deriva-ml-run-notebook``: run a notebook under an execution, or show what it would run with."""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml import heap, settings
from deriva_ml.cli.program import command_parser, ended
from deriva_ml.cli.text import examples
from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLValidationError

if TYPE_CHECKING:
    from deriva_ml.runner.harness import NotebookResult

_PROGRAM = "deriva-ml-run-notebook"
_CFG_MODES = ("job", "hydra", "all")
_INFO_MODES = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
_BARE = {"--cfg": _CFG_MODES, "--info": _INFO_MODES}


def notebook_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("notebook", metavar="NOTEBOOK", type=Path, help="the .ipynb file")
    parser.add_argument(
        "overrides", metavar="OVERRIDES", nargs="*", help="of Hydra, such as assets=my_assets or dry_run=true"
    )
    parser.add_argument("--host", help="server or folder, instead of the configuration's; parameter host")
    parser.add_argument(
        "--catalog", help="id of the catalog, instead of the configuration's; parameter catalog"
    )
    parser.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"),
        help="set a parameter of the notebook, may be repeated",
    )  # fmt: skip
    parser.add_argument("-f", "--file", type=Path, help="JSON or YAML file with parameters")
    parser.add_argument("-k", "--kernel", help="Jupyter kernel (default: the one of this environment)")
    parser.add_argument("--log-output", action="store_true", help="print what cells write while they run")
    parser.add_argument(
        "--allow-dirty", action="store_true", help="run with uncommitted changes without a word"
    )
    shown = parser.add_argument_group("show, and run nothing")
    shown.add_argument("--inspect", action="store_true", help="the parameters of the notebook")
    shown.add_argument(
        "--list-configs", action="store_true", help="groups of the configuration and their options"
    )
    shown.add_argument("--cfg", choices=_CFG_MODES, help="the composed configuration (default: job)")
    shown.add_argument("--info", choices=_INFO_MODES, help="how it is composed (default: all)")
    examples(
        parser,
        f"{parser.prog} notebooks/train.ipynb -p learning_rate 0.001 -p epochs 50",
        f"{parser.prog} notebooks/analysis.ipynb assets=my_assets deriva_ml=production",
        f"{parser.prog} notebooks/train.ipynb --inspect",
    )


def run_notebook(arguments: argparse.Namespace) -> int:
    """Do what the arguments ask for; returns the exit status."""
    notebook = _checked(arguments.notebook)
    _check_overrides(notebook, arguments.overrides)
    overrides = [*_connection(arguments), *arguments.overrides]
    if arguments.list_configs or arguments.cfg or arguments.info:
        print(_shown(arguments, notebook, overrides).rstrip("\n"))
        return 0
    # Here, so that --help stays instant.
    from deriva_ml.runner import parameters

    if arguments.inspect:
        for each in parameters.inspect(notebook):
            print(f"{each.name}:{each.type}  (default {each.default})")
        return 0
    typed = {key: parameters.value_of(value) for key, value in arguments.parameter}
    filed = parameters.read_file(arguments.file) if arguments.file is not None else {}
    parameters.check_names(notebook, typed | filed)
    given = parameters.of_kinds(notebook, typed) | filed
    return _run(arguments, notebook, given, overrides)


def _checked(notebook: Path) -> Path:
    if notebook.suffix != ".ipynb":
        raise DerivaMLValidationError(f"{notebook} is no notebook; give the path of an .ipynb file.")
    if not notebook.is_file():
        near = sorted(notebook.parent.glob("*.ipynb")) if notebook.parent.is_dir() else []
        there = f" there are {', '.join(map(str, near))}" if near else ""
        raise DerivaMLValidationError(f"There is no notebook {notebook};{there or ' give the path of one'}.")
    return notebook


def _check_overrides(notebook: Path, overrides: Sequence[str]) -> None:
    bare = [word for word in overrides if "=" not in word[1:] and not word.startswith("~")]
    if bare:
        from deriva_ml.configs import hints

        _load(notebook)
        raise DerivaMLValidationError("\n".join(map(hints.bare_word, bare)))


def _connection(arguments: argparse.Namespace) -> list[str]:
    given = {"hostname": arguments.host, "catalog_id": arguments.catalog}
    if "" in given.values():
        # A variable of the shell that is not set must not lead to another catalog.
        option = "--host" if arguments.host == "" else "--catalog"
        raise DerivaMLValidationError(f"{option} is empty; give it a value, or leave it out.")
    if all(value is None for value in given.values()):
        return []
    from deriva_ml.configs.command import quoted

    return [f"deriva_ml.{name}={quoted(value)}" for name, value in given.items() if value is not None]


def _shown(arguments: argparse.Namespace, notebook: Path, overrides: Sequence[str]) -> str:
    """What Hydra says of the configuration of a notebook."""
    from deriva_ml.runner.notebook import render_notebook_config
    from deriva_ml.runner.parameters import config_name_of

    _load(notebook)
    if arguments.list_configs:
        from deriva_ml.configs.menu import menu

        return menu(sweeps=False, program=f"{_PROGRAM} {notebook}")
    name = config_name_of(notebook)
    return render_notebook_config(
        name, overrides=overrides, cfg_mode=arguments.cfg, info_mode=None if arguments.cfg else arguments.info
    )


def _load(notebook: Path) -> list[str]:
    """Load the configurations of the project that a notebook belongs to."""
    from deriva_ml.configs.load import load_configs, publish, said_of
    from deriva_ml.runner.project import import_from, project_of

    import_from(project_of(notebook))
    try:
        with heap.users_code():
            found = load_configs("configs")
    except Exception as error:  # whatever the modules of a project raise
        raise DerivaMLValidationError(
            f"The configurations of {project_of(notebook)} cannot be loaded: {said_of(error)}"
        ) from error
    publish()
    return found


def _run(
    arguments: argparse.Namespace, notebook: Path, given: dict[str, Any], overrides: Sequence[str]
) -> int:
    from deriva_ml.runner import harness, parameters, project

    if overrides and arguments.kernel is None and _load(notebook):
        # What is wrong with them is told at once, not from within a cell.
        try:
            _shown(argparse.Namespace(list_configs=False, cfg="job", info=None), notebook, overrides)
        except DerivaMLConfigurationError as error:
            meant = parameters.as_overrides(notebook, overrides)
            raise DerivaMLConfigurationError(
                f"{error} Parameters of the notebook are set with -p {' '.join(meant)}."
                if meant
                else str(error)
            ) from error
    connection = {name: getattr(arguments, name) for name in ("host", "catalog")}
    job = harness.NotebookJob(
        notebook,
        {**{name: value for name, value in connection.items() if value is not None}, **given},
        list(overrides),
        arguments.kernel,
        arguments.log_output,
    )
    variables = {"DERIVA_ML_ALLOW_DIRTY": "true"} if arguments.allow_dirty else {}
    if any(word.lower() == "dry_run=true" for word in overrides):
        variables["DERIVA_ML_DRY_RUN"] = "true"
    # What is typed counts from here, what a project's configuration says from the project.
    variables |= project.from_here() if arguments.host else project.counted_from(project.project_of(notebook))
    with settings.told(variables):
        result = harness.run(job)
    return _told(result)


def _told(result: NotebookResult) -> int:
    from deriva_ml.names import DRY_RUN_RID

    def say(text: str) -> None:
        print(f"{_PROGRAM}: {text}", file=sys.stderr)

    if result.failure is not None:
        where = f"\nExecution {result.execution_rid} has it as far as it got:" if result.address else ""
        say(f"the notebook did not get to its end. {result.failure}{where}")
        if result.address:
            print(result.address)
        return 130 if result.failure == "KeyboardInterrupt" else 1
    if result.execution_rid is None:
        say(
            "Execution RID not found. Let the notebook begin with run_notebook() or ml.create_execution(), "
            "so that it has an execution."
        )
        return 1
    if result.execution_rid == DRY_RUN_RID:
        print("Dry run: the notebook ran, and nothing was written to the catalog.")
    else:
        print(result.address)
    return 0


def _with_modes(words: Sequence[str]) -> list[str]:
    """Give ``--cfg`` and ``--info`` their usual mode where the next word is none of theirs."""
    made = []
    for word, following in itertools.zip_longest(words, words[1:], fillvalue=""):
        modes = _BARE.get(word)
        made.append(f"{word}={modes[0]}" if modes and following not in modes else word)
    return made


def notebook(parser: argparse.ArgumentParser, words: Sequence[str]) -> int:
    """Read the words after the name of the program, and do what they ask for; returns the exit status."""
    arguments, rest = parser.parse_known_intermixed_args(_with_modes(words))
    if rest:
        parser.error(
            f"there is no option {' '.join(rest)}. Of Hydra's flags there are --cfg and --info; sweeps are run by deriva-ml-run."
        )
    logging.basicConfig(format="%(levelname)s: %(message)s")
    return run_notebook(arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Without the name of the program; `sys.argv` by default.
    """
    about = (
        "run a notebook under an execution; the notebook as it ran becomes an output of it, also as Markdown"
    )
    parser = command_parser(_PROGRAM, about, allow_abbrev=False)
    notebook_arguments(parser)
    return ended(_PROGRAM, 1, lambda: notebook(parser, sys.argv[1:] if argv is None else argv))


if __name__ == "__main__":
    sys.exit(main())
