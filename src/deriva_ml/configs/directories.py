"""Where Hydra puts what it writes: beside the other local files of the catalog that a run works with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf, RunDir, SweepDir
from hydra_zen import store
from omegaconf import OmegaConf

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
        "compute_workdir", lambda *parts: str(compute_workdir(*parts)), replace=True
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
