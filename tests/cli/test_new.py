"""What ``deriva-ml new`` advises; the journeys type it."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from deriva_ml.cli import new


@pytest.mark.parametrize("lacking", ["papermill", "pytest", None])
def test_what_the_notebook_and_the_tests_need_is_advised_where_it_lacks(
    lacking: str | None, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setattr(new, "find_spec", lambda name: None if name == lacking else find_spec(name))
    monkeypatch.setattr(new, "step", lambda *_: 0)
    arguments = argparse.Namespace(project=tmp_path / "eyes", name=None, no_data=True, no_git=True)
    assert new.new(arguments) == 0
    lines = [line.strip() for line in capsys.readouterr().out.partition("To go on")[2].splitlines()]
    advised = [line for line in lines if line.startswith("pip install -e .")]
    assert len(advised) == (0 if lacking is None else 1)
    for line in advised:
        assert lines.index(line) < min(at for at, text in enumerate(lines) if "notebooks/" in text)
