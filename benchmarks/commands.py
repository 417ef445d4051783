"""What programs cost before they do anything of a user's: imports, help, one run of a project."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import Row
from benchmarks.timing import cpu_of, timed

_RUNS = 3

_MODEL = '''"""A model that does nothing."""


def rest(*, ml_instance, execution):
    """Nothing at all."""
'''
_CONFIGURATION = '''"""Chosen with ``model_config=rest``."""

from hydra_zen import builds, store

from models.rest import rest

store(group="model_config")(builds(rest, zen_partial=True), name="rest")
'''

_SCRIPT = """from deriva_ml import DerivaML, ExecutionConfiguration

ml = DerivaML("./lab", "1", working_dir="lab/work")
workflow = ml.create_workflow("Nothing", "Training")
with ml.create_execution(ExecutionConfiguration(workflow=workflow, description="Nothing")) as execution:
    pass
execution.commit_output_assets()
"""
_CELL = """from deriva_ml.execution import run_notebook

ml, execution, config = run_notebook("roc_analysis")
execution.commit_output_assets()
"""


def measure(folder: Path, share: int) -> Iterator[Row]:
    """All rows."""
    from deriva_ml import DerivaML
    from deriva_ml.schema import create_ml_catalog

    lab = folder / "lab"
    yield timed("create a DerivaML catalog", lambda: create_ml_catalog(str(lab), "bench"))
    yield timed("open it", lambda: DerivaML(str(lab), 1, working_dir=folder / "work").model, 0.3)
    rounds = 3 if share == 1 else 1
    opening = f"from deriva_ml import DerivaML; DerivaML({str(lab)!r}, 1, working_dir={str(folder / 'work')!r}).model"
    yield _cpu("open a deployment, with its imports", ["-c", opening], rounds)
    yield _cpu("import deriva_ml", ["-c", "import deriva_ml"], rounds, 0.25)
    yield _cpu("deriva-ml --help", ["-m", "deriva_ml.cli.main", "--help"], rounds, 0.4)
    if share <= 10:
        yield from _project(folder / "project", rounds)


def _cpu(
    name: str, arguments: list[str], rounds: int, limit: float | None = None, folder: Path | None = None
) -> Row:
    command = [sys.executable, *arguments]
    cpu_of(command, folder)
    medians = [statistics.median(cpu_of(command, folder) for _ in range(_RUNS)) for _ in range(rounds)]
    return Row(f"{name} (CPU)", min(medians), limit=limit)


def _project(folder: Path, rounds: int) -> Iterator[Row]:
    """Commands in a new project."""
    start = time.perf_counter()
    cpu_of([sys.executable, "-m", "deriva_ml.cli.main", "new", str(folder), "--no-data"])
    yield Row("deriva-ml new, without data", time.perf_counter() - start)
    _add_what_does_nothing(folder)
    run = ["-m", "deriva_ml.run_model"]
    yield _cpu("deriva-ml-run --help", [*run, "--help"], rounds, 0.7, folder)
    yield _cpu("deriva-ml-run --list-configs", [*run, "--list-configs"], rounds, 1.5, folder)
    chosen = [*run, "model_config=rest", "datasets=no_datasets"]
    yield _cpu("dry run of a model that does nothing", [*chosen, "dry_run=true"], rounds, folder=folder)
    yield _cpu("deriva-ml-run of a model that does nothing", chosen, rounds, 1.5, folder)
    yield _cpu("script with an execution that does nothing", ["empty.py"], rounds, folder=folder)
    notebook = ["-m", "deriva_ml.run_notebook", "empty.ipynb"]
    yield _cpu("notebook of one cell, with its kernel", notebook, rounds, folder=folder)


def _add_what_does_nothing(project: Path) -> None:
    """A model, a script and a notebook."""
    import nbformat

    (project / "src/models/rest.py").write_text(_MODEL)
    (project / "src/configs/rest.py").write_text(_CONFIGURATION)
    (project / "empty.py").write_text(_SCRIPT)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(_CELL)], metadata=kernel)
    nbformat.write(notebook, project / "empty.ipynb")
    for words in (["add", "."], ["commit", "-qm", "Nothing"]):
        subprocess.run(["git", *words], cwd=project, check=True)
