"""The floors of the house are kept, and its files stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 500, 60


def test_the_floors_are_kept() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[done.stdout.find("Contracts") :]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_a_file_is_not_too_long(source: Path) -> None:
    assert len(source.read_text().splitlines()) <= LONGEST_FILE


def _functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for source in SOURCES:
        where = source.relative_to(ROOT / "src")
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield f"{where}:{node.lineno} {node.name}", node


def _statements(function: ast.FunctionDef) -> int:
    """Lines of a function without its documentation."""
    body = function.body
    documented = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    first = body[1] if documented and len(body) > 1 else body[0]
    return (function.end_lineno or 0) - first.lineno + 1


def test_a_function_is_not_too_long() -> None:
    assert [name for name, function in _functions() if _statements(function) > LONGEST_FUNCTION] == []


def test_nothing_is_imported_inside_functions_from_our_own_packages() -> None:
    """Except by commands, which load what they need when they run, by lazy public names, and by what seldom listens."""
    found = [
        f"{name}: line {node.lineno}"
        for name, function in _functions()
        if not name.startswith("deriva_ml/cli/") and not name.endswith(" __getattr__")
        if not (name.startswith("deriva_server/embed.py") and name.endswith(" serve"))
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("deriva_ml", "deriva_server"))
    ]
    assert found == []


def test_every_broad_except_gives_its_reason() -> None:
    bare = []
    for source in SOURCES:
        lines = source.read_text().splitlines()
        for number, line in enumerate(lines):
            broad = line.strip().startswith(("except Exception", "except:"))
            if broad and "#" not in line + "".join(lines[number + 1 : number + 2]):
                bare.append(f"{source.relative_to(ROOT)}:{number + 1}")
    assert bare == []
