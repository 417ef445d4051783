"""All programs as parsers: for completion, and for the page of reference."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from deriva_ml.cli.main import COMMANDS, DESCRIPTION

PROGRAMS = {command.program: command for command in COMMANDS if command.program}
"""Commands by the names under which they are installed beside ``deriva-ml``."""


def whole_parser() -> argparse.ArgumentParser:
    """``deriva-ml`` with all its commands as one parser; running a command needs only its own."""
    whole = argparse.ArgumentParser(prog="deriva-ml", description=DESCRIPTION)
    whole.add_argument("--version", action="version", version="")
    inside = whole.add_subparsers()
    groups: dict[str, argparse._SubParsersAction[argparse.ArgumentParser]] = {}
    for name in _groups():
        own = next((command for command in COMMANDS if command.name == name), None)
        about = f"commands: {', '.join(_within(name))}" if own is None else own.help
        group = inside.add_parser(name, help=about)
        # An argument without an option would be taken for the name of the command within.
        for action in [] if own is None else own.parser()._actions:
            if action.option_strings and action.dest != "help":
                group._add_action(action)
        groups[name] = group.add_subparsers()
    for command in COMMANDS:
        first, _, second = command.name.partition(" ")
        if second or first not in groups:
            parents = [command.parser()]
            (groups[first] if second else inside).add_parser(
                second or first, parents=parents, add_help=False, help=command.help
            )
    return whole


def _groups() -> Sequence[str]:
    return list(dict.fromkeys(c.name.partition(" ")[0] for c in COMMANDS if " " in c.name))


def _within(group: str) -> list[str]:
    return [command.name.split()[1] for command in COMMANDS if command.name.startswith(f"{group} ")]
