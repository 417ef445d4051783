"""The page of reference of all commands, made from what reads their arguments: ``python -m deriva_ml.cli.reference``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from deriva_ml.cli.main import COMMANDS

_HEAD = """# Commands

Every command is found under `deriva-ml`, which names them all when it is called alone; `--help` after any of them shows
its options and an example. Exit statuses: 0 when all went well, 1 when not, 2 when the command was not understood, 130
when it was interrupted; where one has others they are told below.

<!-- Made by `make reference`; do not edit. -->
"""

_STATUSES = {
    "upload": "Exit status 1 when an execution failed, 2 when nothing could be tried.",
    "validate-schema": "Exit status 1 when page and code differ, 2 when one of them cannot be read.",
    "storage": "What is in use, or not uploaded yet, stays and is told; that is no failure.",
    "bump-version": "The exit status of git or bump-my-version when they fail.",
}


def commands_page() -> str:
    """Markdown that tells every command with its arguments and examples."""
    lines = [_HEAD]
    for command in sorted(COMMANDS, key=lambda command: command.name):
        lines += [f"## deriva-ml {command.name}", "", f"{command.parser().description}"]
        if command.program:
            lines += ["", f"Also installed as `{command.program}`."]
        if command.name in _STATUSES:
            lines += ["", _STATUSES[command.name]]
        lines += [*_arguments(command.parser()), ""]
    return "\n".join(lines).rstrip() + "\n"


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    shown = [
        action
        for action in parser._actions
        if action.dest not in ("help", "version") and action.help != argparse.SUPPRESS
    ]
    if shown:
        yield from ("", "| argument | meaning |", "|---|---|")
        yield from (f"| {_named(action)} | {_meaning(action)} |" for action in shown)
    examples = [line.strip() for line in (parser.epilog or "").replace("\\\n", "").splitlines()[1:]]
    if examples:
        yield from ("", "```text", *examples, "```")


def _named(action: argparse.Action) -> str:
    value = _value(action)
    if not action.option_strings:
        return f"`{value}`"
    text = ", ".join(f"`{option}`" for option in action.option_strings)
    text += f" `{value}`" if value else ""
    return f"{text} (required)" if action.required else text


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    given: str | tuple[str, ...] | None = action.metavar
    name = " ".join(given) if isinstance(given, tuple) else given
    if name is None:
        name = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    repeated = f"{name} [{name} …]" if action.nargs in ("+", "*") else name
    return f"[{repeated}]" if action.nargs in ("?", "*") else repeated


def _meaning(action: argparse.Action) -> str:
    text = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    print(commands_page(), end="")
