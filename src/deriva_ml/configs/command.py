"""Read what stands on a command line beside a program's own options: overrides, and flags of Hydra."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from hydra._internal.utils import get_args_parser

from deriva_ml.configs import hints

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_MEANT = ("true", "false", "null", "nan", "inf")
"""Words that Hydra does not take for text."""


@dataclass
class Words:
    """Words of a command line by what they are.

    Parameters
    ----------
    overrides : list of str
        ``key=value``, ``+key=value``, ``++key=value``, ``~key``.
    flags : list of str
        Hydra's, each followed by its value.
    bare : list of str
        Neither.
    unknown : list of str
        Flags that nobody knows.
    wrong : list of str
        What to say of values that flags do not take.
    """

    overrides: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def complaint(self) -> str:
        """What to type instead of what cannot be understood."""
        lines = [*self.wrong, *(hints.bare_word(word) for word in self.bare)]
        for flag in self.unknown:
            name = flag.partition("=")[0]
            near = get_close_matches(name, [*_arities(), *_OWN], 1, 0.6)
            meant = hints.override_of(flag) or next(iter(near), None)
            lines.append(f"There is no option {name}." + (f" Did you mean {meant}?" if meant else ""))
        return "\n".join(lines)


_OWN = (
    "--host",
    "--catalog",
    "--config-dir",
    "--config-name",
    "--list-configs",
    "--multirun",
    "--allow-dirty",
)


def _arities() -> dict[str, tuple[bool, tuple[str, ...]]]:
    """Hydra's flags, each with whether a value follows it, and which ones it may be."""
    return {
        name: (action.nargs is None, tuple(map(str, action.choices or ())))
        for action in get_args_parser()._actions
        for name in action.option_strings
    }


def split(rest: Sequence[str]) -> Words:
    """Tell overrides from flags of Hydra, by what its own parser knows of them.

    Examples
    --------
    >>> words = split(["model_config=quick", "--cfg", "job", "cifar10"])
    >>> words.overrides, words.flags, words.bare
    (['model_config=quick'], ['--cfg', 'job'], ['cifar10'])
    """
    words, arities, todo = Words(), _arities(), list(rest)
    while todo:
        word = todo.pop(0)
        if word.startswith("-") and len(word) > 1:
            name = word.partition("=")[0]
            if name not in arities:
                is_apart = (
                    "=" not in word and todo and not todo[0].startswith("-") and not _is_override(todo[0])
                )
                words.unknown.append(f"{word}={todo.pop(0)}" if is_apart else word)
                continue
            words.flags.append(word)
            takes, choices = arities[name]
            if choices:
                _take_mode(words, todo, choices)
            elif "=" not in word and todo and takes:
                words.flags.append(todo.pop(0))
        elif _is_override(word):
            words.overrides.append(word)
        else:
            words.bare.append(word)
    return words


def _is_override(word: str) -> bool:
    return "=" in word[1:] or word.startswith("~")


def _take_mode(words: Words, todo: list[str], modes: tuple[str, ...]) -> None:
    """Give a flag that shows something the word that says what, which may be left out."""
    name, is_told, mode = words.flags.pop().partition("=")
    usual = "job" if "job" in modes else "all"
    if not is_told:
        said = bool(todo) and not todo[0].startswith("-") and not _is_override(todo[0])
        mode = todo.pop(0) if said else usual
    if mode not in modes:
        words.wrong.append(f"{name} takes one of {', '.join(modes)}, not {mode!r}.")
    words.flags += [name, mode]


def quoted(value: str) -> str:
    r"""A value as Hydra's grammar reads it back unchanged.

    Examples
    --------
    >>> print(quoted("data.example.org"), quoted("It's done"))
    data.example.org 'It\'s done'
    """
    if _PLAIN.fullmatch(value) and value.lower() not in _MEANT:
        return value
    # Backslashes stand for themselves, but for those before a quote and at the end.
    escaped = re.sub(r"(\\*)'", r"\1\1\'", value)
    return "'" + re.sub(r"(\\+)\Z", r"\1\1", escaped) + "'"
