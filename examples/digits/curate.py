"""Make a versioned dataset of the images and split it."""

from __future__ import annotations

from deriva_ml import DerivaML, ExecutionConfiguration
from deriva_ml.dataset import SplitResult, VersionPart, split_dataset


def curate(ml: DerivaML) -> SplitResult:
    """Collect all images, split them with equal shares of every digit, and release the result."""
    workflow = ml.create_workflow("Curate digits", "Dataset_Management", "Collect and split the digits")
    with ml.create_execution(
        ExecutionConfiguration(workflow=workflow, description="All digits, split 80:20")
    ) as exe:
        everything = exe.create_dataset(dataset_types=["Complete", "Labeled"], description="All 1,797 digits")
        everything.add_dataset_members({"Image": [image.asset_rid for image in ml.list_assets("Image")]})
        everything.release(VersionPart.minor, "All images of the ingest", execution=exe)
        split = split_dataset(
            ml,
            everything.dataset_rid,
            exe,
            test_size=0.2,
            seed=42,
            stratify_by_column="Digit_Class.Name",
            include_tables=["Image", "Digit", "Digit_Class"],
            split_description="Digits, stratified by class",
            training_types=["Labeled"],
            testing_types=["Labeled"],
        )
    exe.commit_output_assets()
    return split
