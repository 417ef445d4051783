"""What it costs to find executions and to compare them by their metrics."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.objects import put_all
from benchmarks.table import Row
from benchmarks.timing import median, some, timed

if TYPE_CHECKING:
    from deriva_ml import DerivaML

_EPOCHS = 10
_HITS = 100


def recorded(folder: Path, count: int) -> DerivaML:
    """A catalog in which many executions wrote a file of metrics, made row by row."""
    from deriva_ml import DerivaML
    from deriva_ml.ermrest import rows
    from deriva_ml.ermrest.objects import Upload
    from deriva_ml.schema import create_ml_catalog

    created = create_ml_catalog(str(folder / "catalog"), "bench")
    ml = DerivaML(str(folder / "catalog"), created.catalog_id, working_dir=folder / "work")
    session = ml._session

    def insert(table: str, new: list[dict[str, Any]]) -> list[str]:
        return [str(row["RID"]) for row in rows.insert(session.connection, session.ml_table(table), new)]

    groups = max(1, count // _HITS)
    names = [f"W{number}" for number in range(groups)]
    workflows = insert(
        "Workflow",
        [{"Name": name, "URL": f"https://x/{name}", "Checksum": name, "Version": "1"} for name in names],
    )
    executions = insert(
        "Execution",
        [
            {
                "Workflow": workflows[number % groups],
                "Description": f"Run {number}",
                "Status": "Uploaded" if number % groups else "Failed",
            }
            for number in range(count)
        ],
    )
    uploads = [_upload(folder, number) for number in range(count)]
    put_all(session.connection, uploads)
    files = insert(
        "Execution_Metadata",
        [
            {"URL": each.url, "Filename": each.filename, "Length": each.path.stat().st_size, "MD5": each.md5}
            for each in uploads
            if isinstance(each, Upload)
        ],
    )
    pairs = zip(files, executions, strict=True)
    insert(
        "Execution_Metadata_Execution",
        [{"Execution_Metadata": file, "Execution": rid, "Asset_Role": "Output"} for file, rid in pairs],
    )
    insert(
        "Execution_Metadata_Asset_Type",
        [{"Execution_Metadata": file, "Asset_Type": "Metrics_File"} for file in files],
    )
    return ml


def _upload(folder: Path, number: int) -> Any:
    from deriva_ml.ermrest.objects import Upload

    chance = random.Random(number)
    names = ("train_loss", "val_loss", "val_accuracy")
    records = [{"epoch": epoch, **{name: chance.random() for name in names}} for epoch in range(_EPOCHS)]
    path = folder / f"{number}.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    return Upload(path, f"/hatrac/metadata/{md5}.metrics.jsonl", md5, filename="metrics.jsonl")


def measure(folder: Path, share: int) -> Iterator[Row]:
    """All rows."""
    from deriva_ml import DerivaML

    folder.mkdir(parents=True)
    count = max(some(10_000, share), 2 * _HITS)
    ml = recorded(folder, count)
    workflow = ml.find_executions(status="Failed")[0].workflow_rid
    of = f"of {count:,}"
    yield median(f"{_HITS} {of} executions by status", lambda: ml.find_executions(status="Failed"), 0.025)
    yield median(f"{_HITS} {of} executions by workflow", lambda: ml.find_executions(workflow=workflow), 0.025)
    # Loading pandas is no part of it.
    ml.find_metrics([])
    yield timed(f"metrics {of} executions, no file read yet", ml.find_metrics)
    other = DerivaML(ml.host_name, ml.catalog_id, working_dir=folder / "other")
    yield timed(f"metrics {of} executions, in a new process", other.find_metrics)
    yield median(f"metrics {of} executions, again", ml.find_metrics, 0.5)
    yield median(f"top {_HITS} {of} by a metric", lambda: ml.find_metrics(sort="val_loss", limit=_HITS), 0.05)
    yield timed(f"curves {of} executions, first", lambda: ml.find_metrics(values="all"))
    yield timed(f"curves {of} executions, again", lambda: ml.find_metrics(values="all"))
