"""What can be chosen: groups with their options, configurations without a group, sweeps."""

from __future__ import annotations

from typing import Any

from hydra.core.config_store import ConfigStore

from deriva_ml.configs.registry import MultirunSpec, get_all_multirun_configs

_NOT_OURS = ("hydra", "_dummy_empty_config_.yaml")
_WIDTH = 50
_SHOWN_OVERRIDES = 2


def groups() -> dict[str, list[str]]:
    """Stored options by group, sorted; those without a group stand under the empty name."""
    found: dict[str, list[str]] = {}
    _collect(ConfigStore.instance().repo, "", found)
    return {group: sorted(names) for group, names in sorted(found.items())}


def _collect(repo: dict[str, Any], group: str, found: dict[str, list[str]]) -> None:
    for name, content in repo.items():
        if not group and name in _NOT_OURS:
            continue
        if isinstance(content, dict):
            _collect(content, f"{group}/{name}" if group else name, found)
        else:
            found.setdefault(group, []).append(name.removesuffix(".yaml"))


def menu(*, sweeps: bool = True, program: str = "deriva-ml-run") -> str:
    """The menu, for people.

    Parameters
    ----------
    sweeps : bool
        Whether named sweeps are part of it.
    program : str
        Whose menu it is, for the examples at its end.
    """
    lines = ["Available configurations", ""]
    for group, names in groups().items():
        lines += [f"{group or 'Top-level configs'}:", *(f"  - {name}" for name in names), ""]
    specs = get_all_multirun_configs() if sweeps else {}
    if specs:
        lines += ["multirun:", *(f"  - {spec.name}: {_about(spec)}" for _, spec in sorted(specs.items())), ""]
    lines += ["Usage:", f"  {program} GROUP=OPTION               choose an option, e.g. datasets=NAME"]
    lines.append(f"  {program} GROUP.FIELD=VALUE          change a field of it, e.g. model_config.epochs=5")
    if sweeps:
        lines.append(f"  {program} +experiment=NAME           run an experiment")
        lines.append(f"  {program} +multirun=NAME             run a named sweep")
    return "\n".join(lines)


def _about(spec: MultirunSpec) -> str:
    text = next((line.strip("# ").strip() for line in spec.description.splitlines() if line.strip()), "")
    if not text:
        return ", ".join(spec.overrides[:_SHOWN_OVERRIDES])
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
