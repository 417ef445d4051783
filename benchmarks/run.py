"""Measure the main costs of the project and print one table.

Every figure is the median of a few runs in fresh folders; requests and object uploads are counted at the server.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import objects
import service

from deriva_server.embed import LocalServer

IMAGES = 1797


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count requests of this process to the embedded server, by service."""
    found: Counter[str] = Counter()
    handle = LocalServer.handle

    def counting(self: LocalServer, request):  # type: ignore[no-untyped-def]
        found["objects" if request.path.startswith("/hatrac") else "catalog"] += 1
        return handle(self, request)

    LocalServer.handle = counting  # type: ignore[method-assign]
    try:
        yield found
    finally:
        LocalServer.handle = handle  # type: ignore[method-assign]


def cpu_of(*command: str) -> float:
    """CPU seconds of a Python process."""
    before = os.times()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def median(measure: Callable[[], float], runs: int) -> float:
    return statistics.median(measure() for _ in range(runs))


def start_up(runs: int) -> Iterator[tuple[str, float, str]]:
    yield "import deriva_ml (CPU)", median(lambda: cpu_of("-c", "import deriva_ml"), runs), ""
    yield "deriva-ml --help (CPU)", median(lambda: cpu_of("-m", "deriva_ml.cli.main", "--help"), runs), ""


def catalog(folder: Path) -> Iterator[tuple[str, float, str]]:
    from deriva_ml import DerivaML
    from deriva_ml.schema import create_ml_catalog

    with counted() as requests:
        start = time.perf_counter()
        create_ml_catalog(str(folder), "bench")
        yield "create a DerivaML catalog", time.perf_counter() - start, _requests(requests)
    with counted() as requests:
        start = time.perf_counter()
        assert DerivaML(str(folder), 1).model.schemas
        yield "open it", time.perf_counter() - start, _requests(requests)


def ingest(folder: Path) -> Iterator[tuple[str, float, str]]:
    from deriva_ml import BuiltinTypes, ColumnDefinition, DerivaML, ExecutionConfiguration
    from deriva_ml.schema import create_ml_catalog

    created = create_ml_catalog(str(folder), "bench")
    ml = DerivaML(str(folder), created.catalog_id, working_dir=folder / "work")
    ml.create_schema("bench")
    ml.create_vocabulary("Label", "Labels")
    ml.add_term("Label", "A", "A")
    ml.create_asset("Image", column_defs=[ColumnDefinition(name="Position", type=BuiltinTypes.int4)])
    ml.create_feature("Image", "Label", terms=["Label"])
    workflow = ml.create_workflow("Bench", "Ingest")
    record = ml.feature_record_class("Image", "Label")
    raw = folder / "raw"
    raw.mkdir()
    for number in range(IMAGES):
        (raw / f"{number}.png").write_bytes(b"%d" % number * 80)

    with counted() as requests:
        start = time.perf_counter()
        with ml.create_execution(ExecutionConfiguration(workflow=workflow, description="Empty")):
            pass
        yield "empty run: create, enter, exit", time.perf_counter() - start, _requests(requests)

    with ml.create_execution(ExecutionConfiguration(workflow=workflow, description="Bench")) as exe:
        start = time.perf_counter()
        staged = [
            exe.asset_file_path("Image", raw / f"{number}.png", copy_file=True, metadata={"Position": number})
            for number in range(IMAGES)
        ]
        yield f"register {IMAGES} files", time.perf_counter() - start, ""
        start = time.perf_counter()
        exe.add_features([record(Image=path, Label="A") for path in staged])
        yield f"stage {IMAGES} labels", time.perf_counter() - start, ""
    with counted() as requests:
        start = time.perf_counter()
        exe.commit_output_assets()
        yield f"commit {IMAGES} files and labels", time.perf_counter() - start, _requests(requests)


def _requests(requests: Counter[str]) -> str:
    return f"{requests['catalog']} catalog, {requests['objects']} object requests"


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs of the start-up measurements")
    parser.add_argument(
        "--only",
        help="only the object service (objects), or of the catalog service what `service.py --only` names",
    )
    parser.add_argument("--quick", action="store_true", help="fewer rows and runs of the catalog service")
    options = parser.parse_args()
    if options.only is None:
        client(options.runs)
    if options.only in (None, "objects"):
        objects.measure(quick=options.quick)
    if options.only != "objects":
        service.measure(options.only or "", quick=options.quick)


def client(runs: int) -> None:
    """Print what the client library costs."""
    os.environ.setdefault("DERIVA_ML_ALLOW_DIRTY", "true")
    print(f"{'work':<36}{'seconds':>9}  requests")
    with tempfile.TemporaryDirectory() as work:
        for lines in (start_up(runs), catalog(Path(work) / "catalog"), ingest(Path(work) / "ingest")):
            for name, seconds, note in lines:
                print(f"{name:<36}{seconds:>9.3f}  {note}")


if __name__ == "__main__":
    main()
