"""An environment with the packages that a run had."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deriva_ml.errors import DerivaMLExecutionError
from deriva_ml.reproduction import packages
from deriva_ml.reproduction.recorded import Code, Recorded
from deriva_ml.workflow.environment import packages as here

PROJECT = """[project]
name = "eyes"
version = "1"
requires-python = ">=3.11"
"""


class Lock:
    """A lock file, as an asset of the catalog gives it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def download(self, folder: Path) -> Path:
        path = folder / "uv.lock"
        path.write_text(self.text)
        return path


def _recorded(lock: Any = None, **versions: str) -> Recorded:
    python = ".".join(map(str, sys.version_info[:3]))
    return Recorded("1-AB", "", "Uploaded", {}, Code(), [], python=python, packages=versions, lock=lock)


def test_differences() -> None:
    known = here()["pydantic"]
    recorded = _recorded(pydantic=known, requests="0.0.1", gone="1.0", eyes="1.0.dev3+gabc")
    assert packages.differences(recorded) == [
        f"requests 0.0.1 (here {here()['requests']})",
        "gone 1.0 (here missing)",
    ]


def test_where_all_is_the_same_it_is_this_environment(tmp_path: Path) -> None:
    assert packages.python_for(_recorded(Lock("")), tmp_path, tmp_path) == Path(sys.executable)


def test_an_environment_of_the_lock_file(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "pyproject.toml").write_text(PROJECT)
    lock = 'version = 1\nrequires-python = ">=3.11"\n\n[[package]]\nname = "eyes"\nversion = "1"\nsource = { virtual = "." }\n'
    heard: list[str] = []
    python = packages.python_for(_recorded(Lock(lock), gone="1.0"), code, tmp_path, heard.append)
    assert heard[0].startswith("Making an environment of its uv.lock")
    assert any("Creating virtual environment" in line for line in heard)
    done = subprocess.run([python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True)
    assert done.stdout.strip() == str(tmp_path / "environment")


def test_the_extras_and_groups_that_a_run_had() -> None:
    lock = """
[[package]]
name = "other"
source = { registry = "https://pypi.org/simple" }
optional-dependencies = { fast = [{ name = "pydantic" }] }
[[package]]
name = "eyes"
source = { editable = "." }
[package.optional-dependencies]
plots = [{ name = "matplotlib" }, { name = "pywin32", marker = "sys_platform == 'win32'" }]
gpu = [{ name = "matplotlib" }, { name = "cupy" }]
[package.dev-dependencies]
dev = [{ name = "pytest" }]
"""
    assert packages.parts_of(lock, ["Matplotlib", "numpy"]) == ["--no-default-groups", "--extra", "plots"]
    assert packages.parts_of(lock, ["pytest"]) == ["--no-default-groups", "--group", "dev"]


def test_a_broken_lock_file_is_named(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    with pytest.raises(DerivaMLExecutionError, match="1-AB cannot be made from its uv.lock"):
        packages.python_for(_recorded(Lock("nonsense"), gone="1.0"), code, tmp_path)
