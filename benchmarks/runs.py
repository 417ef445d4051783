"""What runs cost: an empty one, many files, one large file, many feature rows."""

from __future__ import annotations

import hashlib
import os
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from benchmarks.table import Row
from benchmarks.timing import median, some, timed

if TYPE_CHECKING:
    from deriva_ml import DerivaML

SMALL = 4096
GIB = 1 << 30
_INGEST = 1_797


def measure(folder: Path, share: int) -> Iterator[Row]:
    """All rows."""
    folder.mkdir()
    ml = prepared(folder)
    yield from empty(ml, share)
    yield from images(ml, folder, some(_INGEST, share))
    for count, limit in ((200, None), (1_000, 3), (10_000, 30)):
        yield from small_files(ml, folder, some(count, share), limit)
    for count, limit in ((10_000, None), (100_000, 15)):
        yield from features(ml, some(count, share), limit)
    if share == 1:
        yield from large_file(ml, folder)


def prepared(folder: Path) -> DerivaML:
    """A catalog with images and their labels, and subjects with a feature."""
    from deriva_ml import BuiltinTypes, ColumnDefinition, DerivaML, TableDefinition
    from deriva_ml.schema import create_ml_catalog

    created = create_ml_catalog(str(folder / "catalog"), "bench")
    ml = DerivaML(str(folder / "catalog"), created.catalog_id, working_dir=folder / "work")
    ml.create_schema("bench")
    ml.create_vocabulary("Grade", "How good")
    ml.add_term("Grade", "Good", "good")
    ml.create_asset("Image", column_defs=[ColumnDefinition(name="Position", type=BuiltinTypes.int4)])
    ml.create_feature("Image", "Quality", terms=["Grade"])
    ml.create_table(TableDefinition("Subject", [ColumnDefinition(name="Name", type=BuiltinTypes.text)]))
    ml.create_feature("Subject", "Score", metadata=[ColumnDefinition(name="Score", type=BuiltinTypes.float8)])
    return ml


def empty(ml: DerivaML, share: int) -> Iterator[Row]:
    """An empty run, with and without the capture of the environment."""
    from deriva_ml import ExecutionConfiguration
    from deriva_ml.execution import metadata

    workflow = ml.create_workflow("Bench", "Ingest")

    def run() -> None:
        with ml.create_execution(ExecutionConfiguration(workflow=workflow, description="Empty")) as exe:
            pass
        exe.commit_output_assets()

    run()
    runs = 5 if share == 1 else 1
    yield median("empty run, whole", run, most=15, runs=runs)
    capture = metadata.capture
    metadata.capture = lambda *_: None
    try:
        yield median("empty run, no environment captured", run, 0.12, runs=runs)
    finally:
        metadata.capture = capture


def images(ml: DerivaML, folder: Path, count: int) -> Iterator[Row]:
    """An ingest of images with a label for each, as in the demo: files that are registered one by one."""
    from deriva_ml import ExecutionConfiguration

    raw = _small_files(folder / "images", count)
    record = ml.feature_record_class("Image", "Quality")
    workflow = ml.create_workflow("Bench", "Ingest")

    def ingest() -> None:
        with ml.create_execution(ExecutionConfiguration(workflow=workflow, description="Images")) as exe:
            for number, path in enumerate(raw):
                image = exe.asset_file_path("Image", path, metadata={"Position": number})
                exe.add_features([record(Image=image, Grade="Good")])
        exe.commit_output_assets()

    yield timed(f"ingest of {count:,} images, a label each", ingest, 15, 30)


def small_files(ml: DerivaML, folder: Path, count: int, limit: float | None) -> Iterator[Row]:
    """Register and commit many files of 4 KB."""
    from deriva_ml import ExecutionConfiguration

    raw = _small_files(Path(mkdtemp(dir=folder)) / "raw", count)
    workflow = ml.create_workflow("Bench", "Ingest")
    with ml.create_execution(ExecutionConfiguration(workflow=workflow, description="Files")) as exe:
        files = [{"file_name": path, "metadata": {"Position": at}} for at, path in enumerate(raw)]
        yield timed(f"register {count:,} files at once", lambda: exe.asset_file_paths("Image", files))
        more = [
            timed("", lambda number=number: exe.asset_file_path("Image", f"more-{number}").write_text("x"))
            for number in range(21)
        ]
        middle = statistics.median(row.value for row in more) * 1000
        yield Row(f"register one more beside {count:,}", middle, "ms", more[10].counts)
    yield timed(f"commit {count:,} files of 4 KB", exe.commit_output_assets, limit)


def _small_files(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    made = [folder / f"{number}.png" for number in range(count)]
    for path in made:
        path.write_bytes(os.urandom(SMALL))
    return made


def features(ml: DerivaML, count: int, limit: float | None) -> Iterator[Row]:
    """Stage and commit feature rows."""
    from deriva_ml import ExecutionConfiguration

    subjects = ml.pathBuilder().schemas["bench"].tables["Subject"]
    rids = [row["RID"] for row in subjects.insert({"Name": f"s{number}"} for number in range(count))]
    record = ml.feature_record_class("Subject", "Score")
    rows = [record(Subject=rid, Score=number / 7) for number, rid in enumerate(rids)]
    workflow = ml.create_workflow("Bench", "Ingest")
    with ml.create_execution(ExecutionConfiguration(workflow=workflow, description="Rows")) as exe:
        staged = timed(f"stage {count:,} feature rows", lambda: exe.add_features(rows))
    yield staged
    left = None if limit is None else limit - staged.value
    yield timed(f"commit {count:,} feature rows", exe.commit_output_assets, left)


def large_file(ml: DerivaML, folder: Path) -> Iterator[Row]:
    """One file of 1 GiB, beside the time of one pass of both digests over it."""
    from deriva_ml import ExecutionConfiguration

    path = folder / "large.bin"
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for number in range(GIB >> 20):
            file.write(number.to_bytes(8, "big") + block[8:])

    def digest(kind: str) -> None:
        with path.open("rb") as file:
            hashlib.file_digest(file, kind)

    def both() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(digest, ("md5", "sha256")))

    once = timed("MD5 and SHA-256 of 1 GiB at once", both)
    yield once
    workflow = ml.create_workflow("Bench", "Ingest")
    with ml.create_execution(ExecutionConfiguration(workflow=workflow, description="Large")) as exe:
        exe.asset_file_path("Image", path)
    yield timed("commit 1 file of 1 GiB", exe.commit_output_assets, once.value * 1.8)
    path.unlink()
