"""What datasets cost: bags with images and feature rows, and many members."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.table import Row
from benchmarks.timing import some, timed

if TYPE_CHECKING:
    from deriva_ml import DerivaML
    from deriva_ml.dataset import Dataset

SIZE = 10_240


def measure(folder: Path, share: int) -> Iterator[Row]:
    """Download a dataset of images of 10 KB with ten feature rows each; then datasets of many members."""
    from deriva_ml import DerivaML

    images = some(1_000, share)
    ml, rid = prepared(folder, images)
    whole = f"{images:,} images, {images * 10:,} feature rows"
    yield timed(f"bag of {whole}", lambda: ml.download_dataset_bag(rid), 5)
    yield timed("the same bag from the cache", lambda: ml.download_dataset_bag(rid), 0.2, 3)
    other = DerivaML(ml.host_name, ml.catalog_id, working_dir=folder / "other")
    yield timed("the same bag, tables only", lambda: other.cache_dataset(rid, materialize=False))
    yield from members(ml, some(500, share), None, None)
    yield from members(ml, some(100_000, share), 10, 1)


def prepared(folder: Path, images: int) -> tuple[DerivaML, str]:
    """A catalog, and the RID of a dataset in it."""
    from deriva_ml import ColumnDefinition, DerivaML, TableDefinition
    from deriva_ml.schema import create_ml_catalog

    created = create_ml_catalog(str(folder / "catalog"), "bench")
    ml = DerivaML(str(folder / "catalog"), created.catalog_id, working_dir=folder / "work")
    ml.create_schema("bench")
    ml.create_vocabulary("Grade", "How good")
    ml.add_term("Grade", "Good", "good")
    ml.create_asset("Image")
    ml.create_feature("Image", "Quality", terms=["Grade"])
    ml.create_table(TableDefinition("Subject", [ColumnDefinition(name="Name", type="text")]))
    ml.add_dataset_element_type("Image")
    ml.add_dataset_element_type("Subject")
    dataset, rids = _images(ml, folder / "raw", images)
    workflow = ml.create_workflow("Bench", "Ingest")
    record = ml.feature_record_class("Image", "Quality")
    for number in range(10):
        with ml.create_execution(workflow=workflow, description=f"Labels {number}") as exe:
            exe.add_features([record(Image=rid, Grade="Good") for rid in rids])
        exe.commit_output_assets()
    dataset.add_dataset_members({"Image": rids})
    dataset.release("minor", "Images")
    return ml, dataset.dataset_rid


def _images(ml: DerivaML, raw: Path, count: int) -> tuple[Dataset, list[str]]:
    raw.mkdir()
    for number in range(count):
        (raw / f"{number}.png").write_bytes(os.urandom(SIZE))
    workflow = ml.create_workflow("Bench", "Ingest")
    with ml.create_execution(workflow=workflow, description="Files") as exe:
        exe.asset_file_paths("Image", [{"file_name": path} for path in sorted(raw.iterdir())])
        dataset = exe.create_dataset(description="Images")
    exe.commit_output_assets()
    return dataset, [row["RID"] for row in ml.get_table_as_dict("Image")]


def members(ml: DerivaML, count: int, most: float | None, most_listing: float | None) -> Iterator[Row]:
    """Add members to a new dataset, release it, and list them."""
    subjects = ml.pathBuilder().schemas["bench"].tables["Subject"]
    rids = [row["RID"] for row in subjects.insert({"Name": f"s{number}"} for number in range(count))]
    with ml.create_execution(
        workflow=ml.create_workflow("Bench", "Ingest"), description=f"{count} members"
    ) as exe:
        dataset = exe.create_dataset(description="Subjects")
    exe.commit_output_assets()
    yield timed(f"add {count:,} members", lambda: dataset.add_dataset_members({"Subject": rids}), most)
    yield timed(f"list {count:,} members by RID", lambda: dataset.list_members("Subject"), most_listing)
    yield timed(f"list {count:,} members, whole rows", dataset.list_dataset_members)
    yield timed(f"release {count:,} members", lambda: dataset.release("minor", "Subjects"))
    yield timed(f"is_dirty of {count:,} members", dataset.is_dirty)
