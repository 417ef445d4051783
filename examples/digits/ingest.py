"""Register the raw images and their ground truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sklearn.datasets
from PIL import Image
from sklearn.datasets import load_digits
from tqdm import tqdm

from deriva_ml import DerivaML, ExecutionConfiguration
from deriva_ml.execution import LocalFile


def ingest(ml: DerivaML) -> str:
    """Write every digit as a PNG asset with its label as a feature; return the execution's RID."""
    workflow = ml.create_workflow("Ingest digits", "Ingest", "Register the UCI digits as image assets")
    digits = load_digits()
    label = ml.feature_record_class("Image", "Digit")
    subject = ml.get_table_as_dict("Subject")
    subject_rid = next(iter(subject))["RID"]

    source = Path(sklearn.datasets.__file__).parent / "data" / "digits.csv.gz"
    config = ExecutionConfiguration(
        workflow=workflow, assets=[LocalFile(path=source)], description="UCI digits, all 1,797"
    )

    with ml.create_execution(config) as exe:
        images = exe.asset_file_paths(
            "Image",
            [
                {
                    "file_name": f"digit_{position:04d}.png",
                    "metadata": {"Subject": subject_rid, "Position": position},
                }
                for position in range(len(digits.target))
            ],
        )
        for path, pixels in zip(tqdm(images, "Writing images"), digits.images, strict=True):
            Image.fromarray((255 - pixels * 255 / 16).astype(np.uint8)).save(path)
        exe.add_features(
            label(Image=path, Digit_Class=str(digit))
            for path, digit in zip(images, digits.target, strict=True)
        )
    exe.commit_output_assets()
    return exe.execution_rid
