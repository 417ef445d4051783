"""``deriva-ml``: the front door to all commands."""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from deriva_ml.cli.program import command_parser, ended

DESCRIPTION = "Trace every result to the code, data and run that made it."


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
        Has a function called `function`, which takes the parsed arguments and returns the exit status, and one called
        `function` with ``_arguments`` after it, which adds the arguments to a parser.
    function : str
    failed : int
        Exit status when an error ends it.
    reads_words : bool
        Whether `function` takes the parser and the words instead, because some of them are for another program.
    program : str
        Name under which it is also installed.
    """

    name: str
    help: str
    module: str
    function: str
    failed: int = 1
    reads_words: bool = False
    program: str = ""

    def parser(self, program: str = "") -> argparse.ArgumentParser:
        """What reads its arguments and tells its help, as a program of its own if that is named."""
        parser = command_parser(
            program or f"deriva-ml {self.name}", self.help, allow_abbrev=not self.reads_words
        )
        getattr(importlib.import_module(self.module), f"{self.function}_arguments")(parser)
        return parser

    def run(self, words: Sequence[str]) -> int:
        """Run it; returns its exit status."""
        parser = self.parser()
        function = getattr(importlib.import_module(self.module), self.function)
        if self.reads_words:
            return int(function(parser, list(words)) or 0)
        return int(function(parser.parse_args(words)) or 0)


COMMANDS = (
    Command("new", "make a project that runs at once", "deriva_ml.cli.new", "new"),
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
    Command(
        "catalog clone",
        "copy a dataset with all that belongs to it, or a whole catalog, into another catalog",
        "deriva_ml.cli.clone",
        "clone",
    ),
    Command(
        "catalog localize",
        "bring files of assets that are elsewhere into the store of their catalog",
        "deriva_ml.cli.clone",
        "localize",
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
        "lineage",
        "tell how a file, dataset, feature value or execution came to be, or what came of it",
        "deriva_ml.cli.lineage",
        "lineage",
    ),
    Command(
        "run",
        "run a model with a configuration that Hydra composes, as an execution",
        "deriva_ml.cli.run",
        "run",
        reads_words=True,
        program="deriva-ml-run",
    ),
    Command(
        "executions",
        "list the executions of a working directory, and what of them waits",
        "deriva_ml.cli.executions",
        "executions",
    ),
    Command(
        "validate-config",
        "tell whether the datasets and files that configurations declare exist, without running them",
        "deriva_ml.cli.configs",
        "validate",
    ),
    Command(
        "bootstrap-config",
        "print configurations that declare what is in a catalog",
        "deriva_ml.cli.configs",
        "bootstrap",
    ),
    Command(
        "reproduce",
        "run an execution again and tell which of its outputs come out the same",
        "deriva_ml.cli.reproduce",
        "reproduce",
    ),
    Command(
        "run-notebook",
        "run a notebook under an execution, or show what it would run with",
        "deriva_ml.cli.notebook",
        "notebook",
        reads_words=True,
        program="deriva-ml-run-notebook",
    ),
    Command(
        "install-kernel",
        "make this environment a kernel of Jupyter",
        "deriva_ml.cli.kernel",
        "install",
        program="deriva-ml-install-kernel",
    ),
    Command(
        "upload",
        "commit the executions of a working directory that wait",
        "deriva_ml.cli.upload",
        "upload",
        failed=2,
        program="deriva-ml-upload",
    ),
    Command(
        "split-dataset",
        "divide a dataset into new ones for training, testing and validation",
        "deriva_ml.cli.split",
        "split",
        program="deriva-ml-split-dataset",
    ),
    Command(
        "storage",
        "see and remove what lies on this disk: downloads and folders of executions",
        "deriva_ml.cli.storage",
        "storage",
        program="deriva-ml-storage",
    ),
    Command(
        "create-demo-catalog",
        "make a small catalog with images, features and a dataset to try things on",
        "deriva_ml.cli.demo",
        "demo",
        program="create-demo-catalog",
    ),
    Command(
        "bump-version",
        "give the project in this folder its next version, tag it and push the tag",
        "deriva_ml.cli.bump",
        "bump",
        program="bump-version",
    ),
    Command(
        "validate-schema",
        "compare the page that describes the ML schema with the code that makes it",
        "deriva_ml.cli.schema",
        "validate",
        failed=2,
        program="deriva-ml-validate-schema",
    ),
    Command(
        "completion",
        "print what a shell needs to complete these commands",
        "deriva_ml.cli.completion",
        "completion",
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
    return ended("deriva-ml", command.failed, lambda: command.run(rest))


_MEANT = {
    "resume": "upload",
    "commit": "upload",
    "restore": "backup",
    "status": "executions",
    "start": "serve",
}
"""What people look for under other names; letters alone would lead from `resume` to `remove`."""


def _no_command(words: Sequence[str]) -> int:
    group = [command for command in COMMANDS if words and command.name.startswith(f"{words[0]} ")]
    parser = argparse.ArgumentParser(
        prog="deriva-ml",
        description=DESCRIPTION,
        epilog=_overview(group or COMMANDS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage=f"deriva-ml {words[0]} COMMAND …" if group else "deriva-ml COMMAND …",
    )
    parser.add_argument("--version", action="version", version=f"deriva-ml {_version()}")
    # The first word of a group alone asks what the group has.
    asked = not words or (bool(group) and len(words) == 1)
    # Help about a command that does not exist is not help about all others.
    may_ask = bool(group) or (bool(words) and words[0].startswith("-"))
    asked = asked or (may_ask and any(word in ("-h", "--help", "--version") for word in words))
    if asked and not (words and group):
        parser.parse_args([word for word in words if word.startswith("-")])
        parser.print_help()
        return 0
    if asked:
        parser.print_help()
        return 0
    parser.print_usage(sys.stderr)
    print(f"deriva-ml: {_unknown(words, group or COMMANDS)}", file=sys.stderr)
    return 2


def _unknown(words: Sequence[str], known: Sequence[Command]) -> str:
    """What to say of a command that does not exist."""
    names = [command.name for command in known]
    words = [word for word in words if not word.startswith("-")] or words
    given = [" ".join(words[:2]), "-".join(words[:2]), words[0]]
    close = [name for word, name in _MEANT.items() if word == words[0] and name in names]
    close = close or [name for text in given for name in difflib.get_close_matches(text, names, 1, 0.7)]
    close += [name for name in names if name.startswith(words[0]) and len(words) == 1]
    # Two letters in the wrong order are much of a short word.
    close = close or difflib.get_close_matches(words[0], names, 1, 0.6)
    hint = " or ".join(f"`deriva-ml {name}`" for name in dict.fromkeys(close))
    said = f"there is no command {given[0]!r}; "
    return said + (f"did you mean {hint}?" if hint else f"there are: {', '.join(names)}")


if __name__ == "__main__":
    sys.exit(main())
