"""What downloads cost: images with feature rows, first and from the cache."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from runs import Line, timed

if TYPE_CHECKING:
    from deriva_ml import DerivaML

SIZE = 10_240


def measure(folder: Path, *, quick: bool) -> Iterator[Line]:
    """Download a dataset of images of 10 KB with ten feature rows each."""
    from deriva_ml import DerivaML

    images = 100 if quick else 1_000
    ml, rid = prepared(folder, images)
    name = f"download {images:,} images, {images * 10:,} feature rows"
    yield timed(name, lambda: ml.download_dataset_bag(rid))
    yield timed("again from the cache", lambda: ml.download_dataset_bag(rid))
    other = DerivaML(ml.host_name, ml.catalog_id, working_dir=folder / "other")
    yield timed("tables only", lambda: other.cache_dataset(rid, materialize=False))


def prepared(folder: Path, images: int) -> tuple[DerivaML, str]:
    """A catalog, and the RID of a dataset in it."""
    from deriva_ml import DerivaML
    from deriva_ml.schema import create_ml_catalog

    created = create_ml_catalog(str(folder / "catalog"), "bench")
    ml = DerivaML(str(folder / "catalog"), created.catalog_id, working_dir=folder / "work")
    ml.create_schema("bench")
    ml.create_vocabulary("Grade", "How good")
    ml.add_term("Grade", "Good", "good")
    ml.create_asset("Image")
    ml.create_feature("Image", "Quality", terms=["Grade"])
    ml.add_dataset_element_type("Image")
    raw = folder / "raw"
    raw.mkdir()
    for number in range(images):
        (raw / f"{number}.png").write_bytes(os.urandom(SIZE))
    workflow = ml.create_workflow("Bench", "Ingest")
    with ml.create_execution(workflow=workflow, description="Files") as exe:
        exe.asset_file_paths("Image", [{"file_name": path} for path in sorted(raw.iterdir())])
        dataset = exe.create_dataset(description="Images")
    exe.commit_output_assets()
    record = ml.feature_record_class("Image", "Quality")
    rids = [row["RID"] for row in ml.get_table_as_dict("Image")]
    for number in range(10):
        with ml.create_execution(workflow=workflow, description=f"Labels {number}") as exe:
            exe.add_features([record(Image=rid, Grade="Good") for rid in rids])
        exe.commit_output_assets()
    dataset.add_dataset_members({"Image": rids})
    dataset.release("minor", "Images")
    return ml, dataset.dataset_rid
