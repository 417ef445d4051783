"""What runs cost: an empty one, many files, one large file, many feature rows."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_server.embed import LocalServer

if TYPE_CHECKING:
    from deriva_ml import DerivaML

SMALL = 4096
GIB = 1 << 30
Line = tuple[str, float, str]


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count requests of this process to the embedded server, by service."""
    found: Counter[str] = Counter()
    handle, handle_objects = LocalServer.handle, LocalServer.handle_objects

    def counting(self: LocalServer, request):  # type: ignore[no-untyped-def]
        found["objects" if request.path.startswith("/hatrac") else "catalog"] += 1
        return handle(self, request)

    def counting_objects(self: LocalServer, requests):  # type: ignore[no-untyped-def]
        found["objects"] += len(requests)
        return handle_objects(self, requests)

    LocalServer.handle, LocalServer.handle_objects = counting, counting_objects  # type: ignore[method-assign]
    try:
        yield found
    finally:
        LocalServer.handle, LocalServer.handle_objects = handle, handle_objects  # type: ignore[method-assign]


def requests_text(found: Counter[str]) -> str:
    return f"{found['catalog']} catalog, {found['objects']} object requests"


def timed(name: str, work: Callable[[], Any]) -> Line:
    """Run once; the line of the table."""
    with counted() as found:
        start = time.perf_counter()
        work()
        return name, time.perf_counter() - start, requests_text(found)


def prepared(folder: Path) -> DerivaML:
    """A catalog with images, and subjects with a feature."""
    from deriva_ml import BuiltinTypes, ColumnDefinition, DerivaML, TableDefinition
    from deriva_ml.schema import create_ml_catalog

    created = create_ml_catalog(str(folder / "catalog"), "bench")
    ml = DerivaML(str(folder / "catalog"), created.catalog_id, working_dir=folder / "work")
    ml.create_schema("bench")
    ml.create_asset("Image", column_defs=[ColumnDefinition(name="Position", type=BuiltinTypes.int4)])
    ml.create_table(TableDefinition("Subject", [ColumnDefinition(name="Name", type=BuiltinTypes.text)]))
    ml.create_feature("Subject", "Score", metadata=[ColumnDefinition(name="Score", type=BuiltinTypes.float8)])
    return ml


def empty(ml: DerivaML) -> Iterator[Line]:
    """An empty run, with and without the capture of the environment."""
    from deriva_ml import ExecutionConfiguration
    from deriva_ml.execution import metadata

    workflow = ml.create_workflow("Bench", "Ingest")

    def run() -> None:
        with ml.create_execution(ExecutionConfiguration(workflow=workflow, description="Empty")) as exe:
            pass
        exe.commit_output_assets()

    run()
    yield timed("empty run, whole", run)
    capture = metadata.capture
    metadata.capture = lambda *_: None
    try:
        yield timed("empty run without environment capture", run)
    finally:
        metadata.capture = capture


def small_files(ml: DerivaML, folder: Path, count: int) -> Iterator[Line]:
    """Register and commit many files of 4 KB."""
    from deriva_ml import ExecutionConfiguration

    raw = folder / f"raw{count}"
    raw.mkdir()
    for number in range(count):
        (raw / f"{number}.png").write_bytes(os.urandom(SMALL))
    workflow = ml.create_workflow("Bench", "Ingest")
    with ml.create_execution(ExecutionConfiguration(workflow=workflow, description="Files")) as exe:
        files = [
            {"file_name": raw / f"{number}.png", "metadata": {"Position": number}} for number in range(count)
        ]
        yield timed(f"register {count:,} files at once", lambda: exe.asset_file_paths("Image", files))
        more = [
            timed("", lambda number=number: exe.asset_file_path("Image", f"more-{number}").write_text("x"))[1]
            for number in range(20)
        ]
        yield f"register one more file beside {count:,}", sorted(more)[10], ""
    yield timed(f"commit {count:,} files of 4 KB", exe.commit_output_assets)


def features(ml: DerivaML, count: int) -> Iterator[Line]:
    """Stage and commit feature rows."""
    from deriva_ml import ExecutionConfiguration

    subjects = ml.pathBuilder().schemas["bench"].tables["Subject"]
    rids = [row["RID"] for row in subjects.insert({"Name": f"s{number}"} for number in range(count))]
    record = ml.feature_record_class("Subject", "Score")
    rows = [record(Subject=rid, Score=number / 7) for number, rid in enumerate(rids)]
    workflow = ml.create_workflow("Bench", "Ingest")
    with ml.create_execution(ExecutionConfiguration(workflow=workflow, description="Rows")) as exe:
        yield timed(f"stage {count:,} feature rows", lambda: exe.add_features(rows))
    yield timed(f"commit {count:,} feature rows", exe.commit_output_assets)


def large_file(ml: DerivaML, folder: Path) -> Iterator[Line]:
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

    yield timed("MD5 and SHA-256 of 1 GiB at once", both)
    workflow = ml.create_workflow("Bench", "Ingest")
    with ml.create_execution(ExecutionConfiguration(workflow=workflow, description="Large")) as exe:
        exe.asset_file_path("Image", path)
    yield timed("commit 1 file of 1 GiB", exe.commit_output_assets)


def measure(folder: Path, *, quick: bool = False) -> Iterator[Line]:
    """All lines."""
    folder.mkdir()
    ml = prepared(folder)
    yield from empty(ml)
    yield from small_files(ml, folder, 1000)
    if not quick:
        yield from small_files(ml, folder, 10_000)
    yield from features(ml, 10_000 if quick else 100_000)
    if not quick:
        yield from large_file(ml, folder)
