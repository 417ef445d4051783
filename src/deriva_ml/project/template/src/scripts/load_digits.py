"""Bring the UCI handwritten digits into the catalog: images, labels, datasets.

Run it again after it was interrupted, or to make ``src/configs/datasets.py`` right; what is done is not done twice.
"""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from make_catalog import LAB, open_laboratory
from PIL import Image

from deriva_ml import DerivaML, ExecutionConfiguration
from deriva_ml.dataset import Dataset, VersionPart, split_dataset
from deriva_ml.execution import LocalFile, Workflow

SOURCE = Path(find_spec("sklearn").origin).parent / "datasets" / "data" / "digits.csv.gz"
"""The UCI digits as scikit-learn brings them: 64 pixels from 0 to 16 and the digit in each line."""

IMAGES = "Images and labels of the UCI digits"
DATASETS = "All digits, split 80:20"
DATASETS_PY = Path(__file__).resolve().parents[1] / "configs" / "datasets.py"


def main() -> int:
    """Do what is not done yet."""
    ml = open_laboratory()
    types = ["Ingest", "Dataset_Management"]
    workflow = ml.create_workflow(
        "Load digits", types, "Registers the UCI digits, makes and splits a dataset"
    )
    try:
        register_images(ml, workflow)
        datasets = make_datasets(ml, workflow)
    except KeyboardInterrupt:
        print("\nInterrupted. Run this again to go on.", file=sys.stderr)
        return 130
    write_config(datasets)
    for name, dataset in datasets.items():
        print(f"{name:<9}{dataset.dataset_rid} {dataset.current_version}: {dataset.description}")
    print(f"They are in the catalog in {LAB}, and named in {DATASETS_PY.relative_to(LAB.parent)}")
    return 0


def register_images(ml: DerivaML, workflow: Workflow) -> None:
    """Write every digit as a PNG file with its label as the value of a feature."""
    runs = [run for run in ml.find_executions(sort=True) if run.description == IMAGES]
    if any(run.status == "Uploaded" for run in runs):
        return
    if ml.list_assets("Image"):
        # Everything had been written when the commit was interrupted.
        ml.resume_execution(runs[0].execution_rid).commit_output_assets()
        return
    values = np.loadtxt(SOURCE, delimiter=",", dtype=int)
    images, digits = values[:, :64].reshape(-1, 8, 8), values[:, 64]
    label = ml.feature_record_class("Image", "Digit")
    config = ExecutionConfiguration(workflow=workflow, assets=[LocalFile(path=SOURCE)], description=IMAGES)
    with ml.create_execution(config) as execution:
        paths = execution.asset_file_paths(
            "Image",
            [
                {"file_name": f"digit_{place:04d}.png", "metadata": {"Position": place}}
                for place in range(len(digits))
            ],
        )
        for path, pixels in zip(paths, images, strict=True):
            Image.fromarray((255 - pixels * 255 / 16).astype(np.uint8)).save(path)
        execution.add_features(
            label(Image=path, Digit_Class=str(digit)) for path, digit in zip(paths, digits, strict=True)
        )
    execution.commit_output_assets()


def make_datasets(ml: DerivaML, workflow: Workflow) -> dict[str, Dataset]:
    """Make a dataset of all images, and split it with equal shares of every digit."""
    if len(find_datasets(ml)) < 3:
        config = ExecutionConfiguration(workflow=workflow, description=DATASETS)
        with ml.create_execution(config) as execution:
            everything = execution.create_dataset(["Complete", "Labeled"], description="All digits")
            everything.add_dataset_members({"Image": [image.asset_rid for image in ml.list_assets("Image")]})
            everything.release(VersionPart.minor, "All images", execution=execution)
            split_dataset(
                ml,
                everything.dataset_rid,
                execution,
                test_size=0.2,
                seed=42,
                stratify_by_column="Digit_Class.Name",
                include_tables=["Image", "Digit", "Digit_Class"],
                training_types=["Labeled"],
                testing_types=["Labeled"],
            )
        execution.commit_output_assets()
    return find_datasets(ml)


def find_datasets(ml: DerivaML) -> dict[str, Dataset]:
    """The dataset of all images and its two parts, made by a run that got to its end."""
    found = {}
    for dataset in ml.find_datasets():
        makers = ml.find_executions(dataset=dataset.dataset_rid, dataset_role="output", status="Uploaded")
        for name, kind in {"ALL": "Complete", "TRAINING": "Training", "TESTING": "Testing"}.items():
            if kind in dataset.dataset_types and any(run.description == DATASETS for run in makers):
                found[name] = dataset
    return found


def write_config(datasets: dict[str, Dataset]) -> None:
    """Write RIDs and versions of the datasets to where ``deriva-ml-run`` finds them."""
    text = DATASETS_PY.read_text(encoding="utf-8")
    for name, dataset in datasets.items():
        line = f'{name} = DatasetSpecConfig(rid="{dataset.dataset_rid}", version="{dataset.current_version}")'
        text = re.sub(rf"(?m)^{name} = .*", line, text)
    DATASETS_PY.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
