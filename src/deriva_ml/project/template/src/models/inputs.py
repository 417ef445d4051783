"""What models read.

Heavy libraries are imported where they are used: ``deriva-ml-run --list-configs`` imports this module and stays quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deriva_ml import DerivaML
from deriva_ml.execution import Execution

if TYPE_CHECKING:
    import numpy as np


def load(execution: Execution) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Read RIDs, the ink of each pixel (0 to 1, shape (n, 64)) and labels of the images of the chosen dataset."""
    import numpy as np
    from PIL import Image

    if len(execution.datasets) != 1:
        raise ValueError(f"One dataset is read, not {len(execution.datasets)}: choose it with datasets=NAME.")
    bag = execution.datasets[0]
    labels = {value.Image: value.Digit_Class for value in bag.feature_values("Image", "Digit")}
    rows = bag.list_dataset_members()["Image"]
    images = [np.asarray(Image.open(bag.file("Image", row)), dtype=float) for row in rows]
    ink = 1 - np.stack(images).reshape(len(rows), -1) / 255
    return [row["RID"] for row in rows], ink, np.array([labels[row["RID"]] for row in rows])


def given_or_newest(ml: DerivaML, execution: Execution, filename: str) -> Path:
    """The file of this name among the chosen ``assets``; where there is none, the newest one that a run has made.

    Either way it is recorded as an input of the execution.
    """
    for path in execution.asset_paths.get("Execution_Asset", []):
        if path.name == filename:
            return path
    for run in ml.find_executions(status="Uploaded", sort=True):
        for asset in run.list_assets("Output"):
            if asset.filename == filename:
                return execution.download_asset(asset.asset_rid, execution.working_dir / "newest")
    raise FileNotFoundError(f"No run has made {filename} yet; see README.md for the order of runs.")
