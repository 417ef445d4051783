"""``deriva-ml-run``: run a model with a configuration that Hydra composes, under an execution."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deriva_ml import heap, settings
from deriva_ml.cli.program import ended
from deriva_ml.cli.text import examples
from deriva_ml.errors import DerivaMLException

CONFIG_DIR = "src/configs"
CONFIG_NAME = "deriva_model"
_CREDENTIALS = ("--credential-file", "--config-file", "--token", "--oauth2-token")


def run_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command, but for overrides and Hydra's flags, which are whatever is left."""
    parser.usage = f"{parser.prog} [options] [OVERRIDES... + any Hydra flag]"
    parser.add_argument("--host", metavar="HOST", help="server or folder (becomes deriva_ml.hostname=HOST)")
    parser.add_argument("--catalog", metavar="CATALOG", help="catalog (becomes deriva_ml.catalog_id=CATALOG)")
    parser.add_argument(
        "--config-dir",
        "-c",
        "-cd",
        metavar="DIR",
        default=CONFIG_DIR,
        help=f"package of configurations (default: {CONFIG_DIR})",
    )
    parser.add_argument(
        "--config-name",
        "-cn",
        metavar="NAME",
        default=CONFIG_NAME,
        help=f"main configuration (default: {CONFIG_NAME})",
    )
    parser.add_argument(
        "--config-path", "-cp", metavar="DIR", help="folder of YAML files to compose from too (as of Hydra)"
    )
    parser.add_argument(
        "--list-configs", action="store_true", help="list groups and their options, run nothing"
    )
    parser.add_argument("--multirun", "-m", action="store_true", help="run a sweep: one job per combination")
    parser.add_argument(
        "--allow-dirty", action="store_true", help="accept uncommitted changes without a word; for tests"
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("--quiet", action="store_true", help="log nothing but what ends the program")
    parser.add_argument("--debug", action="store_true", help="log everything")
    for name in _CREDENTIALS:
        parser.add_argument(
            name, metavar="FILE" if name.endswith("file") else "TOKEN", help=argparse.SUPPRESS
        )
    examples(
        parser,
        f"{parser.prog}                                   the defaults",
        f"{parser.prog} model_config=quick model_config.epochs=5",
        f"{parser.prog} +experiment=cifar10_quick         an experiment",
        f"{parser.prog} --list-configs                    what can be chosen",
        f"{parser.prog} +experiment=NAME --cfg job        the composed configuration, without running",
        f"{parser.prog} dry_run=true                      check everything, call no model, write nothing",
        f"{parser.prog} +multirun=lr_sweep                a named sweep",
        f"{parser.prog} +multirun=lr_sweep resume=true    only its jobs that are not done",
        f"{parser.prog} -m model_config.epochs=5,10 hydra/launcher=joblib",
    )


class _Wrong(Exception):
    """What was typed cannot be run; the message says what to type."""


def run(parser: argparse.ArgumentParser, words: Sequence[str]) -> int:
    """Run a command line; returns its exit status.

    Parameters
    ----------
    parser : ArgumentParser
        With the arguments of the command; what it leaves are overrides, and flags of Hydra.
    words : sequence of str
    """
    arguments, rest = parser.parse_known_args(words)
    if arguments.version:
        from deriva_ml.version import __version__

        print(f"{parser.prog} {__version__}")
        return 0
    try:
        _refuse_credentials(arguments)
        return _prepared(arguments, rest, parser.prog)
    except (_Wrong, DerivaMLException) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Without the name of the program; `sys.argv` by default.
    """
    parser = argparse.ArgumentParser(
        prog="deriva-ml-run",
        allow_abbrev=False,
        description="Run a model with a configuration that Hydra composes, and record it as an execution.",
    )
    run_arguments(parser)
    return ended(parser.prog, 1, lambda: run(parser, sys.argv[1:] if argv is None else argv))


def _refuse_credentials(arguments: argparse.Namespace) -> None:
    """What is typed is kept with the execution, and jobs of a sweep run elsewhere: secrets have no place here."""
    for name in _CREDENTIALS:
        if getattr(arguments, name.strip("-").replace("-", "_")) is not None:
            raise _Wrong(
                f"{name} is not used: a run takes the credentials that are stored for its host. Log in once with "
                "deriva-auth or deriva-globus-auth-utils login."
            )


def _prepared(arguments: argparse.Namespace, rest: list[str], program: str) -> int:
    # Here, so that --help stays instant.
    from deriva_ml.configs import command
    from deriva_ml.configs.menu import menu

    words = command.split(rest)
    package = _on_path(Path(arguments.config_dir))
    places = sys.path[:2]
    # Configurations of a project import most of this; before it, so that what it adds to the heap is its own.
    from deriva_ml.runner import launch

    with heap.users_code():
        _load(package, arguments.config_dir)
    if words.bare or words.unknown or words.wrong:
        raise _Wrong(words.complaint())
    if arguments.list_configs:
        print(menu(program=program))
        return 0
    flags = [*words.flags, *_files(arguments.config_path)]
    request = launch.Request(arguments.config_name, words.overrides, flags, arguments.multirun)
    for key, value in (("hostname", arguments.host), ("catalog_id", arguments.catalog)):
        if value is not None:
            request.overrides.append(f"deriva_ml.{key}={command.quoted(value)}")
    request.hydra += ["hydra.verbose=true"] if arguments.debug else []
    request.hydra += ["hydra.job_logging.root.level=CRITICAL"] if arguments.quiet else []
    with settings.told(_environment(arguments.allow_dirty, words.overrides, places)):
        return launch.launch(request)


def _files(folder: str | None) -> list[str]:
    """Hydra's flag for a folder of files, which it would look for beside a module of this package."""
    if folder is None or folder.startswith(("pkg://", "file://")):
        return [] if folder is None else ["--config-path", folder]
    if not Path(folder).is_dir():
        raise _Wrong(
            f"There is no folder {folder!r} in {Path.cwd()}: --config-path DIR names a folder of YAML files. "
            "The package of configurations in Python is named by --config-dir DIR."
        )
    return ["--config-path", str(Path(folder).absolute())]


def _on_path(folder: Path) -> str:
    """Name of the package of configurations, which can be imported from now on, as can what is beside it."""
    if not folder.is_dir():
        raise _Wrong(
            f"There is no folder of configurations {str(folder)!r} in {Path.cwd()}. Run this at the top of a project, "
            "or name the folder: --config-dir DIR. `deriva-ml new FOLDER` makes a project; into its "
            "src/models goes a script that you have."
        )
    folder = folder.resolve()
    for place in (folder.parent.parent, folder.parent):
        if str(place) in sys.path:
            sys.path.remove(str(place))
        sys.path.insert(0, str(place))
    return folder.name


def _load(package: str, folder: str) -> None:
    import importlib

    from deriva_ml.configs.load import load_configs, publish, said_of
    from deriva_ml.runner import trace

    load: Callable[[], Any] | None = None
    try:
        _require_own(package, folder)
        if not load_configs(package):
            load = getattr(importlib.import_module(package), "load_all_configs", None)
            if load is None:
                raise _Wrong(f"{folder} holds no configurations: no module there stores any.")
            load()
    except _Wrong:
        raise
    except Exception as error:  # whatever the modules of a project raise
        if trace.is_full():
            traceback.print_exception(error)
        raise _Wrong(f"The configurations in {folder} cannot be loaded: {said_of(error)}") from error
    publish()


def _require_own(package: str, folder: str) -> None:
    """Refuse a package whose name is taken by something that is imported already, such as a module of Python."""
    import importlib

    found = importlib.import_module(package)
    if Path(folder).resolve() not in [Path(place).resolve() for place in getattr(found, "__path__", ())]:
        where = f"in {found.__file__}" if getattr(found, "__file__", None) else "a part of Python"
        raise _Wrong(
            f"{folder} cannot be imported: the module {package!r} is {where}. Rename the folder, "
            "for example to configs."
        )


def _environment(allow_dirty: bool, overrides: Sequence[str], places: Sequence[str]) -> dict[str, str]:
    """What the run, and processes that it starts, are told by environment variables."""
    is_dry = any(item.lstrip("+") in ("dry_run=true", "dry_run=True") for item in overrides)
    wanted = {"DERIVA_ML_ALLOW_DIRTY": allow_dirty, "DERIVA_ML_DRY_RUN": is_dry}
    # Jobs that a launcher gives to a cluster begin as new programs, and import the project too.
    importing = os.pathsep.join([*places, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {name: "true" for name, is_on in wanted.items() if is_on} | {"PYTHONPATH": importing}


if __name__ == "__main__":
    sys.exit(main())
