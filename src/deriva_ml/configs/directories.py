"""Where Hydra puts what it writes: beside the other local files of the catalog that a run works with."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf, RunDir, SweepDir
from hydra_zen import store
from omegaconf import OmegaConf

from deriva_ml.errors import DerivaMLConfigurationError

WORKDIR = (
    "${compute_workdir:${oc.select:deriva_ml.working_dir,null},"
    "${oc.select:deriva_ml.catalog_id,null},${oc.select:deriva_ml.hostname,null}}"
)
"""Folder of the catalog, as Hydra's configurations write it."""

TIME = "${now:%Y-%m-%d_%H-%M-%S}"

SWEEPS = "hydra-sweep"
"""Folder of sweeps in that of the catalog."""

OUTPUT_SUBDIR = "hydra-config"
"""Folder of the composed configuration in that of a run, apart from its logs."""


def register(
    compute_workdir: Callable[[Any, Any, Any], Path], callbacks: dict[str, Any] | None = None
) -> None:
    """Make Hydra use these folders; a project's own configuration of Hydra, stored later, takes their place.

    Parameters
    ----------
    compute_workdir : callable
        Takes working directory, catalog id and host name.
    callbacks : dict, optional
        Hydra callbacks by name.
    """
    OmegaConf.register_new_resolver(
        "compute_workdir", lambda *parts: str(_usable(compute_workdir(*parts))), replace=True
    )
    hydra = HydraConf(
        run=RunDir(f"{WORKDIR}/hydra/{TIME}"),
        sweep=SweepDir(dir=f"{WORKDIR}/{SWEEPS}/{TIME}", subdir="${hydra.job.num}"),
        output_subdir=OUTPUT_SUBDIR,
        callbacks=dict(callbacks or {}),
    )
    # Imported more than once, or after a project has stored its own.
    if ("hydra", "config") not in store:
        store(hydra, group="hydra", name="config", provider="deriva_ml")


def _usable(folder: Path) -> Path:
    """A folder that is there or can be made; Hydra, which makes it, would only name the error of the disk."""
    there = next(place for place in (folder, *folder.parents) if os.access(place, os.F_OK))
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise DerivaMLConfigurationError(
            f"The files of the run cannot be kept in {folder}: {there} is no folder that you can write to. Set "
            "deriva_ml.working_dir=FOLDER, or DERIVA_ML_HOME, to one."
        )
    return folder
