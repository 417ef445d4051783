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


CHOOSING = {
    "deriva_server/embed.py": {"serve"},
    "deriva_server/blobs/store.py": {"open_bucket", "place_claimed"},
    "deriva_server/sql/databases.py": {"open_databases"},
    "deriva_server/ermrest/face.py": {"handle", "_in_catalog", "_answer"},
}
"""Functions of the server that load one of several kinds when it is chosen."""


def test_nothing_is_imported_inside_functions_from_our_own_packages() -> None:
    """Except by commands, which load what they need when they run, by lazy public names, and by what chooses a kind."""
    found = [
        f"{name}: line {node.lineno}"
        for name, function in _functions()
        if not name.startswith("deriva_ml/cli/") and not name.endswith(" __getattr__")
        if function.name not in CHOOSING.get(name.partition(":")[0], ())
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


def _rooms(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Names with the modules that they stand for until they are used."""
    for statement in body:
        assert isinstance(statement, ast.Assign)
        target, made = statement.targets[0], statement.value
        several = isinstance(target, ast.Tuple)
        names = [ast.unparse(part) for part in target.elts] if several else [ast.unparse(target)]
        calls = made.elts if isinstance(made, ast.Tuple) else [made]
        modules: list[str] = []
        for call in calls:
            first, *rest = [ast.literal_eval(argument) for argument in call.args]
            modules += [f"{first}.{name}" for name in rest] or [first]
        yield from zip(names, modules, strict=True)


def _imported(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement in body:
        if isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                yield alias.asname or alias.name, f"{statement.module}.{alias.name}"


def test_what_is_imported_when_it_is_used_is_what_type_checkers_and_floors_are_told() -> None:
    found = 0
    for source in SOURCES:
        for node in ast.parse(source.read_text()).body:
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and node.orelse:
                rooms = dict(_rooms(node.orelse))
                assert rooms.items() <= dict(_imported(node.body)).items(), source
                found += len(rooms)
    assert found > 20
