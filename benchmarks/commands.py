"""What programs cost before they do anything of a user's: imports, help, one run of a project."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import Row
from benchmarks.timing import cpu_of, timed

_MODEL = '''"""A model that does nothing."""


def rest(*, ml_instance, execution):
    """Nothing at all."""
'''
_CONFIGURATION = '''"""Chosen with ``model_config=rest``."""

from hydra_zen import builds, store

from models.rest import rest

store(group="model_config")(builds(rest, zen_partial=True), name="rest")
'''


def measure(folder: Path, share: int) -> Iterator[Row]:
    """All rows."""
    from deriva_ml import DerivaML
    from deriva_ml.schema import create_ml_catalog

    lab = folder / "lab"
    yield timed("create a DerivaML catalog", lambda: create_ml_catalog(str(lab), "bench"))
    yield timed("open it", lambda: DerivaML(str(lab), 1, working_dir=folder / "work").model, 0.3)
    runs = 5 if share == 1 else 1
    opening = f"from deriva_ml import DerivaML; DerivaML({str(lab)!r}, 1, working_dir={str(folder / 'work')!r}).model"
    yield _cpu("open a deployment, with its imports", ["-c", opening], runs)
    yield _cpu("import deriva_ml", ["-c", "import deriva_ml"], runs, 0.25)
    yield _cpu("deriva-ml --help", ["-m", "deriva_ml.cli.main", "--help"], runs, 0.4)
    if share <= 10:
        yield from _project(folder / "project", runs)


def _cpu(
    name: str, arguments: list[str], runs: int, limit: float | None = None, folder: Path | None = None
) -> Row:
    command = [sys.executable, *arguments]
    taken = [cpu_of(command, folder) for _ in range(runs + 1)][1:]
    return Row(f"{name} (CPU)", statistics.median(taken), limit=limit)


def _project(folder: Path, runs: int) -> Iterator[Row]:
    """Commands in a new project."""
    start = time.perf_counter()
    cpu_of([sys.executable, "-m", "deriva_ml.cli.main", "new", str(folder), "--no-data"])
    yield Row("deriva-ml new, without data", time.perf_counter() - start)
    (folder / "src/models/rest.py").write_text(_MODEL)
    (folder / "src/configs/rest.py").write_text(_CONFIGURATION)
    run = ["-m", "deriva_ml.run_model"]
    yield _cpu("deriva-ml-run --help", [*run, "--help"], runs, 0.7, folder)
    yield _cpu("deriva-ml-run --list-configs", [*run, "--list-configs"], runs, 1.5, folder)
    chosen = [*run, "model_config=rest", "datasets=no_datasets"]
    yield _cpu("deriva-ml-run of a model that does nothing", chosen, runs, 1.5, folder)
