"""What to type instead, when Hydra cannot make sense of what was typed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hydra.errors import HydraException, InstantiationException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from deriva_ml.configs.menu import groups
from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLException
from deriva_ml.names import is_rid

MAKING: tuple[type[Exception], ...] = (HydraException, OmegaConfBaseException)
"""What Hydra says while it makes what a configuration declares; code of the project may raise anything else."""

COMPOSING: tuple[type[Exception], ...] = (*MAKING, ValueError)
"""What goes wrong while a configuration is composed; Hydra refuses some overrides by plain errors of Python."""

_PLUS = re.compile(r"^(\+\+|\+|~)?")
_GROUP_ERROR = re.compile(r"Could not override '([^']+)'")
_KEY_ERROR = re.compile(r"Key '([^']+)' is not in struct|Key '([^']+)' not in '[^']*'")
_MISSING = re.compile(r"Could not (?:find|load) '([^']+)'|Cannot find primary config '([^']+)'")
_AMBIGUOUS = re.compile(r"Ambiguous value for argument '([^']+)'")
_PLUGINS = {
    "hydra/launcher": {
        "joblib": "hydra-joblib-launcher",
        "ray": "hydra-ray-launcher",
        "ray_aws": "hydra-ray-launcher",
        "rq": "hydra-rq-launcher",
        "submitit_local": "hydra-submitit-launcher",
        "submitit_slurm": "hydra-submitit-launcher",
    },
    "hydra/sweeper": {
        "ax": "hydra-ax-sweeper",
        "nevergrad": "hydra-nevergrad-sweeper",
        "optuna": "hydra-optuna-sweeper",
    },
}
"""Packages that bring launchers and sweepers."""
_GIVEN = ("hydra", "ml_instance", "execution")
"""Fields that are no choice of the user."""

_REFUSED = ("Value ", "Cannot convert ")
"""What lines begin with that say why a value is refused."""
_SHOWN = re.compile(r"[\w.-]{1,40}")
"""Defaults that can be typed as they are."""

_FULL_KEY = re.compile(r"full_key: (\S+)")

_ENTRIES = {"datasets": "RID@VERSION", "assets": "RID"}
"""Groups whose options are lists of things in a catalog, and how one of them is written."""


def bare_word(word: str) -> str:
    """What to say of an argument that is neither an override nor an option."""
    text = f"'{word}' is no override: overrides are written KEY=VALUE."
    options = [(group, name) for group, names in groups().items() for name in names if group]
    found = [item for item in options if item[1] == word]
    if found:
        return f"{text} Did you mean {' or '.join(_typed(group, name) for group, name in found)}?"
    if near := get_close_matches(word, sorted({name for _, name in options}), 1, 0.7):
        group = next(group for group, name in options if name == near[0])
        return f"{text} Did you mean {_typed(group, near[0])}?"
    return f"{text} For example assets={word} chooses an option of a group, +experiment={word} an experiment."


def _typed(group: str, name: str) -> str:
    return f"{'+' if group == 'experiment' else ''}{group}={name}"


def override_of(word: str) -> str | None:
    """The override that an option stands for which is none, as ``--epochs=3``, or a field without its group, ``epochs=3``."""
    name, _, value = word.lstrip("-").partition("=")
    name, known = name.replace("-", "_"), groups()
    if name in known:
        return _typed(name, value or "NAME")
    # First those of a whole configuration, and not those that an experiment only changes.
    for group in sorted(known.keys() - {"experiment"}):
        for option in known[group]:
            stored = ConfigStore.instance().load(f"{group}/{option}.yaml" if group else f"{option}.yaml").node
            if name in _fields(stored, ""):
                place = f"{group.replace('/', '.')}.{name}" if group else name
                return f"{place}={value or 'VALUE'}"
    return None


def near(word: str, known: Iterable[str]) -> str:
    """Name what was probably meant, or everything there is.

    Examples
    --------
    >>> near("quik", ["quick", "slow"])
    "Did you mean 'quick'? There are: quick, slow."
    """
    listed = sorted(set(known))
    if not listed:
        return "There are none."
    found = get_close_matches(word, listed, 1, 0.5)
    return (f"Did you mean {found[0]!r}? " if found else "") + f"There are: {', '.join(listed)}."


def explain(error: Exception, overrides: Sequence[str], config: DictConfig | None) -> str:
    """Say why a configuration cannot be composed, and what to type instead.

    Parameters
    ----------
    error : Exception
        Of Hydra or OmegaConf.
    overrides : sequence of str
        As typed.
    config : DictConfig, optional
        What is composed of those of them that choose an option, see `chosen`.
    """
    chain = [error, error.__cause__, error.__context__]
    text = "\n".join(str(link) for link in chain if link is not None)
    if found := _MISSING.search(text):
        return no_option(found[1] or found[2])
    if found := _AMBIGUOUS.search(text):
        return (
            f"{found[1]} has several values, which only a sweep tries: add --multirun to run it, or give one value. "
            "Options that only show, such as --cfg, show one run. A list is written KEY=[1,2]."
        )
    if isinstance(error, ValueError) and "Config group override must be" in text:
        return _no_name(overrides)
    if isinstance(error, MissingMandatoryValue) and (found := _FULL_KEY.search(text)):
        return _not_chosen(found[1])
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override!r} cannot be read: {str(error).splitlines()[0]}. Quote a value with special characters "
            "twice, once for the shell: 'description=\"a, b\"'."
        )
    unknown = _GROUP_ERROR.search(text) or _KEY_ERROR.search(text)
    if unknown is not None:
        found = (_FULL_KEY.search(text) if _KEY_ERROR.search(text) else None) or unknown
        return _no_key(next(filter(None, found.groups())), overrides, config)
    if found := _FULL_KEY.search(text):
        return _no_value(found[1], text, config)
    return str(error).strip().partition("\nSet the environment variable")[0]


def cause_of(error: Exception) -> Exception:
    """What went wrong in what Hydra was to make, where that is known, without what Hydra says around it."""
    while isinstance(error, InstantiationException) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    # Folders are found while a configuration is composed; OmegaConf repeats what goes wrong, and names no cause.
    inner: BaseException | None = error
    while isinstance(inner, InterpolationResolutionError):
        inner = inner.__context__
    return inner if isinstance(inner, DerivaMLException) else error


def chosen(overrides: Sequence[str]) -> list[str]:
    """Those of some overrides that choose an option that there is: what others mean depends on them."""
    known = groups()
    given = [(override, *_PLUS.sub("", override).partition("=")) for override in overrides]
    return [override for override, group, _, value in given if group and value in known.get(group, [])]


def require_names(overrides: Sequence[str]) -> None:
    """Refuse what Hydra cannot take for the name of an option, in a list that is given to a group.

    Parameters
    ----------
    overrides : sequence of str
        As typed.

    Raises
    ------
    DerivaMLConfigurationError
        Names the entry, and how to choose what it means.
    """
    lists = [word for word in overrides if "=[" in word]
    known = groups() if lists else {}
    for word in lists:
        if _PLUS.sub("", word).partition("=[")[0] not in known:
            continue
        try:
            override = OverridesParser.create().parse_override(word)
        except HydraException:
            # Hydra says what is wrong with it.
            continue
        group, given = override.key_or_group, override.value()
        listed = given if isinstance(given, list) else []
        wrong = [entry for entry in listed if not isinstance(entry, str | QuotedString)]
        if wrong:
            raise DerivaMLConfigurationError(
                f"{group}: {wrong[0]!r} is no name of an option. There are: {', '.join(known[group])}."
                + (_naming(group, _ENTRIES[group]) if group in _ENTRIES else "")
            )


def _naming(group: str, entry: str) -> str:
    """How to choose what no option names yet."""
    return f" To choose a RID, give it a name in a file of configurations: store([{entry!r}], group={group!r}, name='NAME')."


def _not_chosen(group: str) -> str:
    if group not in groups():
        return f"{group} has no value; give it one: {group}=VALUE."
    return f"No option of the group {group!r} is chosen. {choose(group)}"


def choose(group: str) -> str:
    """How to choose an option of a group, and which there are."""
    names = groups().get(group, [])
    if not names:
        declared = "store(builds(FUNCTION, populate_full_signature=True, zen_partial=True), "
        return (
            f"No option of the group {group!r} is stored; store one: {declared}group={group!r}, name='NAME')."
        )
    return f"Choose one: {group}=NAME. There are: {', '.join(names)}."


def _no_name(overrides: Sequence[str]) -> str:
    """Groups that are given something else than the name of an option."""
    known = groups()
    given = [_PLUS.sub("", override).partition("=") for override in overrides]
    wrong = [(group, value) for group, _, value in given if group in known and value not in known[group]]
    said = [
        f"{group}={value} chooses no option. There are: {', '.join(known[group])}." for group, value in wrong
    ]
    return " ".join(said) or "A group is chosen by the name of an option: GROUP=NAME."


def no_option(path: str) -> str:
    """Say that there is no option of a group, given as ``group/name``, and what there is."""
    group, _, name = path.rpartition("/")
    known = groups()
    if package := _PLUGINS.get(group, {}).get(name):
        return f"{group}={name} is not installed: pip install {package}."
    if group in _PLUGINS:
        installed = sorted(ConfigStore.instance().list(group))
        return f"There is no {group}={name}. {near(name, [item.removesuffix('.yaml') for item in installed])}"
    if not group:
        return f"There is no configuration {name!r}. {near(name, known.get('', []))}"
    text = f"There is no option {name!r} in the group {group!r}. {near(name, known.get(group, []))}"
    if group in _ENTRIES and is_rid(name.partition("@")[0]):
        text += _naming(group, name)
    return text


def _no_key(key: str, overrides: Sequence[str], config: DictConfig | None) -> str:
    """A key of an override that the configuration does not have."""
    key = _as_typed(key, overrides)
    known = groups()
    if key in known:
        value = _value(key, overrides)
        return f"The group {key!r} is not chosen by the main configuration; write +{key}={value} to add it."
    parent, _, name = key.rpartition(".")
    fields = _fields(config, parent)
    if not parent:
        fields = [*fields, *filter(None, known)]
        if not fields:
            return f"There is no group or field {name!r}. Write +{key}={_value(key, overrides)} to add it."
        meant = override_of(f"{key}={_value(key, overrides)}")
        return f"There is no group or field {name!r}. " + (
            f"Did you mean {meant}?" if meant else near(name, fields)
        )
    return f"{parent!r} has no field {name!r}. {near(name, fields)}"


def _no_value(key: str, text: str, config: DictConfig | None) -> str:
    """A value that a field cannot have."""
    said = [line for line in text.splitlines() if line.startswith(_REFUSED)]
    wrong = (
        "null leaves it without a value" if "is not Optional" in text else [*said, text.splitlines()[0]][0]
    )
    default = OmegaConf.select(config, key) if config is not None else None
    if isinstance(default, bool):
        return f"{key}: {wrong}. Write {key}=true or {key}=false."
    shown = str(default)
    if default is None or isinstance(default, DictConfig) or not _SHOWN.fullmatch(shown):
        return f"{key}: {wrong}. Write {key}=VALUE."
    return f"{key}: {wrong}. Write it like {key}={shown}, which is the default."


def _as_typed(key: str, overrides: Sequence[str]) -> str:
    """The whole key, where only its last part is known."""
    for override in overrides:
        typed = _PLUS.sub("", override).partition("=")[0]
        if typed == key or typed.endswith(f".{key}"):
            return typed
    return key


def _value(key: str, overrides: Sequence[str]) -> str:
    for override in overrides:
        typed, _, value = _PLUS.sub("", override).partition("=")
        if typed == key:
            return value
    return "NAME"


def _fields(config: Any, parent: str) -> list[str]:
    node = OmegaConf.select(config, parent) if config is not None and parent else config
    names = [str(name) for name in node] if isinstance(node, DictConfig) else []
    return [name for name in names if not name.startswith("_") and name not in _GIVEN]
