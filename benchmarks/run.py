"""Measure the main costs of the project and print one table.

Every figure is the median of a few runs in fresh folders; requests and object uploads are counted at the server.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import bags
import metrics
import objects
import runs
import service
import startup
from runs import counted, requests_text

PEERS = {
    "import deriva_ml (CPU)": "LaminDB 0.8-1.1, MLflow 1.5; existing client 1.3",
    "deriva-ml --help (CPU)": "DVC 0.14, LaminDB 0.29, MLflow 3.4",
    "create a DerivaML catalog": "existing client and service 10.4",
    "open it": "LaminDB 0.95, MLflow 2.7 (with the start of Python)",
    "empty run, whole": "MLflow 0.011 (server 0.24), LaminDB 0.56; existing client 1.02 with one file",
    "empty run without environment capture": "LaminDB 0.0056",
    "commit 1,000 files of 4 KB": "MLflow 0.79 one by one (server 4.3), DVC 2.3, LaminDB 7.8; none of them durable",
    "commit 10,000 files of 4 KB": "MLflow 7.4 one by one, LaminDB 79",
    "commit 100,000 feature rows": "LaminDB 165",
    "commit 1 file of 1 GiB": "MLflow 0.84 without a checksum, DVC 4.8",
    "100 of 10,000 executions by status": "LaminDB 0.012, MLflow 0.035",
    "metrics of 10,000 executions": "LaminDB 0.27, MLflow 4.8",
    "top 100 of 10,000": "LaminDB 0.026, MLflow 5.3",
}
"""Seconds that others take for the same, on the reference machine."""


def catalog(folder: Path) -> Iterator[tuple[str, float, str]]:
    from deriva_ml import DerivaML
    from deriva_ml.schema import create_ml_catalog

    with counted() as requests:
        start = time.perf_counter()
        create_ml_catalog(str(folder), "bench")
        yield "create a DerivaML catalog", time.perf_counter() - start, requests_text(requests)
    with counted() as requests:
        start = time.perf_counter()
        assert DerivaML(str(folder), 1).model.schemas
        yield "open it", time.perf_counter() - start, requests_text(requests)


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs of the start-up measurements")
    parser.add_argument(
        "--only",
        help="only the object service (objects), or of the catalog service what `service.py --only` names",
    )
    parser.add_argument("--quick", action="store_true", help="fewer rows, files and runs")
    options = parser.parse_args()
    if options.only is None:
        client(options.runs, quick=options.quick)
    if options.only in (None, "objects"):
        objects.measure(quick=options.quick)
    if options.only != "objects":
        service.measure(options.only or "", quick=options.quick)


def client(times: int, *, quick: bool) -> None:
    """Print what the client library costs."""
    os.environ.setdefault("DERIVA_ML_ALLOW_DIRTY", "true")
    print(f"{'work':<40}{'seconds':>9}  {'requests':<32}  others, in seconds")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        lines = (
            startup.measure(work / "startup", times),
            catalog(work / "catalog"),
            runs.measure(work / "runs", quick=quick),
            bags.measure(work / "bags", quick=quick),
            metrics.measure(work / "metrics", quick=quick),
        )
        for name, seconds, note in chain.from_iterable(lines):
            print(f"{name:<40}{seconds:>9.3f}  {note:<32}  {PEERS.get(name, '')}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
