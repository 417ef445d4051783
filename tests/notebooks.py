"""A project with notebooks, and a kernel that only it knows; for tests that run them as a user would."""

from __future__ import annotations

import json
import subprocess
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests import interpreter
from tests.projects import Project

CONFIG = """
    from dataclasses import dataclass

    from deriva_ml.execution import BaseConfig, notebook_config


    @dataclass
    class Report(BaseConfig):
        per_class: bool = True


    notebook_config("class_report", Report, description="How good is it?", per_class=False)
    """

PARAMETERS = """
    epochs = 1
    learning_rate: float = 0.1
    fail_at = ""
    """

SET_UP = """
    from deriva_ml.execution import run_notebook

    ml, execution, config = run_notebook("class_report", workflow_type="Analysis")
    print(f"epochs={epochs!r} learning_rate={learning_rate!r} per_class={config.per_class}")
    """

RESULTS = """
    import html

    class Frame:
        # As pandas prints frames, without the second that importing it takes.
        def _repr_html_(self):
            return (
                '<style>th { color: red }</style><table class="dataframe"><thead><tr><th></th><th>class</th><th>F1</th></tr>'
                "</thead><tbody><tr><th>0</th><td>a|b</td><td>0.5</td></tr></tbody></table><p>1 rows × 2 columns</p>"
            )

    class Image:
        def _repr_png_(self):
            return b"\\x89PNG\\r\\n\\x1a\\n"

    display(Frame(), Image())
    execution.asset_file_path("Execution_Asset", "scores.csv").write_text("class,F1\\na,0.5\\n")
    if fail_at == "cell":
        raise ValueError("the scores are <wrong>")
    """

END = "execution.commit_output_assets()"

MARK = 'print("this cell is never reached")'


def code(text: str, *tags: str) -> dict[str, Any]:
    """A cell of code."""
    return _cell("code", text) | {
        "outputs": [],
        "execution_count": None,
        "metadata": {"tags": list(tags)} if tags else {},
    }


def _cell(kind: str, text: str) -> dict[str, Any]:
    source = textwrap.dedent(text).strip().splitlines(True)
    return {"cell_type": kind, "source": source, "metadata": {}, "id": f"{kind}-{abs(hash(text)) % 10**8}"}


def write_notebook(path: Path, *cells: Mapping[str, Any], **metadata: Any) -> Path:
    """Write a notebook of cells below a title."""
    document = {
        "cells": [_cell("markdown", f"# {path.stem}"), *cells],
        "metadata": metadata,
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def add_notebooks(project: Project) -> Project:
    """Give a project two notebooks and a configuration for them, committed."""
    (project.folder / "src/configs/notebooks.py").write_text(textwrap.dedent(CONFIG).lstrip())
    folder = project.folder / "notebooks"
    cells = [code(PARAMETERS, "parameters"), code(SET_UP), code(RESULTS), code(END)]
    write_notebook(folder / "report.ipynb", *cells)
    write_notebook(folder / "plain.ipynb", code("print(6 * 7)"))
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org"]
    subprocess.run([*git, "add", "-A"], cwd=project.folder, check=True)
    subprocess.run([*git, "commit", "-q", "-m", "Report"], cwd=project.folder, check=True)
    return project


def run(project: Project, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``deriva-ml-run-notebook`` in a project."""
    return python(project, "-m", "deriva_ml.run_notebook", *words, **variables)


def typed(project: Project, *lines: list[str], **variables: str) -> list[tuple[int, str, str]]:
    """Status, output and errors of command lines."""
    ended = [run(project, *words, **variables) for words in lines]
    return [(done.returncode, done.stdout, done.stderr) for done in ended]


def python(project: Project, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a project; Jupyter keeps what is its own in the home of the project."""
    own = {
        "JUPYTER_DATA_DIR": str(project.home / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(project.home / "runtime"),
        "JUPYTER_CONFIG_DIR": str(project.home / "config"),
        "IPYTHONDIR": str(project.home / "ipython"),
        # What the libraries of Jupyter warn about is not ours to mend.
        "PYTHONWARNINGS": "ignore",
    }
    return subprocess.run(
        [interpreter.python(), *words],
        cwd=project.folder,
        env={**project.environment, **own, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
