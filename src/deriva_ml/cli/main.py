"""``deriva-ml``: the front door to all commands."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One sub-command; its module is imported only when it is called.

    Parameters
    ----------
    name : str
        One or two words.
    help : str
        One line.
    module : str
        Has ``arguments(parser)``, which adds its arguments, and a function called `function`, which takes the parsed
        arguments and returns the exit status.
    function : str
    """

    name: str
    help: str
    module: str
    function: str


COMMANDS = (
    Command(
        "init", "make a folder a deployment, for catalogs and their files", "deriva_ml.cli.deployment", "init"
    ),
    Command(
        "serve",
        "let programs on this machine reach a deployment by HTTP",
        "deriva_ml.cli.deployment",
        "serve",
    ),
    Command(
        "catalog create", "make a catalog in a deployment or on a server", "deriva_ml.cli.catalog", "create"
    ),
    Command(
        "catalog list", "list the catalogs of a deployment or a server", "deriva_ml.cli.catalog", "list_all"
    ),
    Command("catalog delete", "delete a catalog or an alias for ever", "deriva_ml.cli.catalog", "delete"),
    Command(
        "catalog purge",
        "free the space on disk that deleted catalogs still take",
        "deriva_ml.cli.catalog",
        "purge",
    ),
    Command(
        "backup",
        "copy a deployment that may be in use into a folder that opens at once",
        "deriva_ml.cli.backup",
        "backup",
    ),
    Command(
        "objects gc",
        "find and remove bytes in the object store that nobody refers to",
        "deriva_ml.cli.objects",
        "gc",
    ),
    Command(
        "objects verify",
        "read all files in the object store again and tell which are damaged",
        "deriva_ml.cli.objects",
        "verify_all",
    ),
    Command(
        "objects metrics",
        "tell how much the index of metrics holds, or make it again from the files",
        "deriva_ml.cli.objects",
        "metrics",
    ),
    Command(
        "objects",
        "tell how much the object store holds, and what of it is not needed",
        "deriva_ml.cli.objects",
        "show",
    ),
    Command(
        "remove",
        "remove a deployment, such as an old copy, with its databases and objects",
        "deriva_ml.cli.remove",
        "remove",
    ),
    Command(
        "executions",
        "list the executions of a working directory, and what of them waits",
        "deriva_ml.cli.executions",
        "executions",
    ),
    Command(
        "reproduce",
        "run an execution again and tell which of its outputs come out the same",
        "deriva_ml.cli.reproduce",
        "reproduce",
    ),
    Command(
        "upload", "commit the executions of a working directory that wait", "deriva_ml.cli.upload", "upload"
    ),
)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("deriva-ml")
    except PackageNotFoundError:
        return "unknown"


def _overview(commands: Sequence[Command]) -> str:
    width = max(len(command.name) for command in commands) + 2
    lines = [f"  {command.name:<{width}}{command.help}" for command in commands]
    return "commands:\n" + "\n".join(lines) + "\n\n`deriva-ml COMMAND --help` says more about one."


def _choose(words: Sequence[str]) -> tuple[Command | None, list[str]]:
    """The command that the first words name, and the words after it."""
    for command in COMMANDS:
        name = command.name.split()
        if list(words[: len(name)]) == name:
            return command, list(words[len(name) :])
    return None, list(words)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Without the name of the program; `sys.argv` by default.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    command, rest = _choose(words)
    if command is None:
        return _no_command(words)
    try:
        return _called(command, rest)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _called(command: Command, words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog=f"deriva-ml {command.name}", description=f"{command.help[0].upper()}{command.help[1:]}."
    )
    module = importlib.import_module(command.module)
    getattr(module, f"{command.function}_arguments")(parser)
    return _run(getattr(module, command.function), parser.parse_args(words))


def _no_command(words: Sequence[str]) -> int:
    group = [command for command in COMMANDS if words and command.name.startswith(f"{words[0]} ")]
    parser = argparse.ArgumentParser(
        prog="deriva-ml",
        description="Trace every result to the code, data and run that made it.",
        epilog=_overview(group or COMMANDS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage=f"deriva-ml {words[0]} COMMAND …" if group else "deriva-ml COMMAND …",
    )
    parser.add_argument("--version", action="version", version=f"deriva-ml {_version()}")
    # The first word of a group alone asks what the group has.
    asked = not words or (bool(group) and len(words) == 1)
    asked = asked or any(word in ("-h", "--help", "--version") for word in words)
    if asked and not (words and group):
        parser.parse_args([word for word in words if word.startswith("-")])
        parser.print_help()
        return 0
    if asked:
        parser.print_help()
        return 0
    parser.print_usage(sys.stderr)
    known = ", ".join(command.name for command in group or COMMANDS)
    print(f"deriva-ml: there is no command {' '.join(words[:2])!r}; there are: {known}", file=sys.stderr)
    return 2


def _run(function: object, arguments: argparse.Namespace) -> int:
    from deriva_ml.errors import DerivaMLException

    assert callable(function)
    try:
        return int(function(arguments) or 0)
    except DerivaMLException as error:
        print(f"deriva-ml: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our output went away; that is no failure.
        sys.stderr.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())
