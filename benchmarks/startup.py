"""What it costs to start: each command on a new project, and runs whose model does nothing, in CPU seconds."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

MODEL = '''"""A model that does nothing."""


def nothing(*, ml_instance, execution):
    pass
'''
CONFIG = """from hydra_zen import builds, store

from models.nothing import nothing

store(builds(nothing, populate_full_signature=True, zen_partial=True), group="model_config", name="nothing")
"""
SCRIPT = """from deriva_ml import DerivaML, ExecutionConfiguration

ml = DerivaML("./lab", "1", working_dir="lab/work")
workflow = ml.create_workflow("Nothing", "Training")
with ml.create_execution(ExecutionConfiguration(workflow=workflow, description="Nothing")) as execution:
    pass
execution.commit_output_assets()
"""
CELL = """from deriva_ml.execution import run_notebook

ml, execution, config = run_notebook("roc_analysis")
execution.commit_output_assets()
"""
NOTHING = ("model_config=nothing", "datasets=no_datasets")
RUN, RUN_NOTEBOOK = ("-m", "deriva_ml.run_model"), ("-m", "deriva_ml.run_notebook")
COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "import deriva_ml": ("-c", "import deriva_ml"),
    "deriva-ml --help": ("-m", "deriva_ml.cli.main", "--help"),
    "deriva-ml-run --help": (*RUN, "--help"),
    "deriva-ml-run --list-configs": (*RUN, "--list-configs"),
    "from deriva_ml import DerivaML": ("-c", "from deriva_ml import DerivaML"),
    "dry run": (*RUN, *NOTHING, "dry_run=true"),
    "run with an empty model": (*RUN, *NOTHING),
    "script with an empty execution": ("empty.py",),
    "notebook of one cell": (*RUN_NOTEBOOK, "empty.ipynb"),
}


def prepared(folder: Path) -> Path:
    """A new project without data, with a model, a script and a notebook that do nothing."""
    import nbformat

    project = folder / "project"
    folder.mkdir(exist_ok=True)
    subprocess.run(
        [sys.executable, "-m", "deriva_ml.cli.main", "new", str(project), "--no-data"],
        check=True,
        capture_output=True,
    )
    (project / "src/models/nothing.py").write_text(MODEL)
    (project / "src/configs/nothing.py").write_text(CONFIG)
    (project / "empty.py").write_text(SCRIPT)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)], metadata=kernel)
    nbformat.write(notebook, project / "empty.ipynb")
    for words in (["add", "."], ["commit", "-qm", "Nothing"]):
        subprocess.run(["git", *words], cwd=project, check=True)
    return project


def cpu_of(project: Path, *words: str) -> float:
    """CPU seconds of a Python process and all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *words], cwd=project, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{words} ended with {done.returncode}: {done.stderr}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measure(folder: Path, times: int) -> Iterator[tuple[str, float, str]]:
    """All lines; each is the median of several runs."""
    project = prepared(folder)
    for name, words in COMMANDS.items():
        cpu_of(project, *words)
        yield f"{name} (CPU)", statistics.median(cpu_of(project, *words) for _ in range(times)), ""


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for line, seconds, _ in measure(Path(place), int(sys.argv[1]) if sys.argv[1:] else 5):
            print(f"{line:<40}{seconds:>8.2f}", flush=True)
