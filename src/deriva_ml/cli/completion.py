"""``deriva-ml completion``: what a shell needs to complete the commands."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import shtab

from deriva_ml.cli.programs import PROGRAMS, whole_parser
from deriva_ml.cli.text import examples

SHELLS = ("bash", "zsh", "fish")


def completion_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    examples(
        parser,
        "deriva-ml completion bash > ~/.deriva-ml.bash    # and in ~/.bashrc: source ~/.deriva-ml.bash",
        "deriva-ml completion zsh > ~/.deriva-ml.zsh      # and in ~/.zshrc, after compinit: source ~/.deriva-ml.zsh",
        "deriva-ml completion fish > ~/.config/fish/conf.d/deriva-ml.fish",
    )
    parser.add_argument("shell", choices=SHELLS, help="whose language is printed")


def completion(arguments: argparse.Namespace) -> int:
    """Print the script for all programs."""
    for parser in [whole_parser(), *(command.parser(name) for name, command in PROGRAMS.items())]:
        for action in _actions(parser):
            if action.type is Path:
                action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks
        print(_adapted(shtab.complete(parser, arguments.shell), arguments.shell, parser.prog))
    return 0


def _adapted(script: str, shell: str, name: str) -> str:
    if shell == "bash":
        # Where nothing of ours fits, such as for --host, files are offered.
        return script.replace("complete -o bashdefault -F", "complete -o bashdefault -o default -F")
    # Several programs are in one script, which is sourced rather than found by the name of one.
    script = script.replace(f"#compdef {name}\n", "", 1)
    return script.replace("if [[ $zsh_eval_context[-1] == eval ]]; then", "if true; then")


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _actions(inner)
