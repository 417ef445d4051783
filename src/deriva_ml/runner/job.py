"""What Hydra knows about the job that runs; outside of Hydra there is nothing to know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deriva_ml.logs import is_hydra_initialized
from deriva_ml.workflow.environment import without_settings_secrets


def _hydra() -> Any:
    """Hydra's part of the configuration, None outside of a job."""
    if not is_hydra_initialized():
        return None
    from hydra.core.hydra_config import HydraConfig

    return HydraConfig.get()


def is_sweep() -> bool:
    """Whether the job is one of several."""
    hydra = _hydra()
    return hydra is not None and str(hydra.mode or "").rpartition(".")[2] == "MULTIRUN"


def number() -> int:
    """Number of the job in its sweep, from 0."""
    return int(_hydra().job.num)


def is_followed() -> bool:
    """Whether the sweep is launched in parts, of which Hydra gives up the next when a job of one fails."""
    return _hydra().sweeper.get("max_batch_size") is not None


def sweep_folder() -> Path:
    """Folder that all jobs of a sweep share."""
    return Path(str(_hydra().sweep.dir)).absolute()


def overrides() -> list[str]:
    """What the command line, or the sweep, overrides in this job."""
    hydra = _hydra()
    return [] if hydra is None else [str(item) for item in hydra.overrides.task]


def config_choices() -> dict[str, str]:
    """Config group to chosen option, without groups that have none."""
    hydra = _hydra()
    if hydra is None:
        return {}
    return {str(group): str(choice) for group, choice in hydra.runtime.choices.items() if choice is not None}


def description(base: str) -> str:
    """Description of the execution of this job: what is overridden is appended, a job of a sweep has its number.

    Examples
    --------
    >>> description("Training")
    'Training'
    """
    changed = [without_settings_secrets(item) for item in overrides() if not item.startswith("description=")]
    text = f"{base} [overrides: {', '.join(changed)}]" if changed else base
    return f"[Job {number()}] {text}" if is_sweep() else text
