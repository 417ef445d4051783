"""The documentation as a site."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _hook() -> object:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs/reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_public_classes_and_functions_say_what_they_are() -> None:
    silent = []
    for names in _hook().public_objects().values():  # type: ignore[attr-defined]
        for name in names:
            module, _, attribute = name.rpartition(".")
            found = getattr(importlib.import_module(module), attribute)
            if (inspect.isclass(found) or inspect.isfunction(found)) and not inspect.getdoc(found):
                silent.append(name)
    assert not silent


@pytest.mark.soak
def test_it_can_be_made(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--quiet",
            "--strict",
            "--site-dir",
            str(tmp_path / "site"),
        ],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site/reference/python/ml.html").read_text()
    assert "ml.lookup_lineage" in page and "Only flow of data counts" in page
