"""An installation is what pyproject.toml says: all that is imported is named there, and extras are not needed unasked."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

import pytest
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]

NEED_AN_EXTRA = {
    "deriva_ml.cli.storage_screen": "textual",
    "deriva_server.testing.backend_suite": "pytest",
}

IMPORT_ALL = """
import importlib, importlib.abc, json, pkgutil, sys
blocked = set(json.loads(sys.argv[1]))
for name in [name for name in sys.modules if name.partition(".")[0] in blocked]:
    del sys.modules[name]

class NotInstalled(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
failed = {}
for package in ("deriva_ml", "deriva_server"):
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if ".template" not in found.name:
            try:
                importlib.import_module(found.name)
            except ImportError as error:
                failed[found.name] = error.name
print(json.dumps(failed))
"""


@pytest.fixture(scope="module")
def dependencies() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dependencies", ROOT / "docs/dependencies.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_importing_needs_no_extra(dependencies: ModuleType) -> None:
    """Every module, with nothing installed but what the base brings."""
    base = {*dependencies.needed(dependencies.project()[""]), "deriva-ml"}
    blocked = [top for top, owners in packages_distributions().items() if not _names(owners) & base]
    assert "pandas" in blocked and "hydra" not in blocked
    command = [sys.executable, "-c", IMPORT_ALL, json.dumps(blocked)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(done.stdout) == NEED_AN_EXTRA


def test_what_is_imported_is_asked_for(dependencies: ModuleType) -> None:
    """Not only brought by something else, which may need it no longer."""
    direct = {name for group in dependencies.project().values() for name, _ in dependencies._direct(group)}
    owners = packages_distributions()
    known = {
        "deriva_ml",
        "deriva_server",
        "torch",
        "tensorflow",
        *NEED_AN_EXTRA.values(),
        *sys.stdlib_module_names,
    }
    stray = {
        f"{top} in {source.relative_to(ROOT)}"
        for source in (ROOT / "src").rglob("*.py")
        if "template" not in source.parts
        for top in _imported(source)
        if top not in known and not _names(owners.get(top, [])) & direct
    }
    assert stray == set()


def test_every_dependency_has_its_row(dependencies: ModuleType) -> None:
    """Direct ones with a reason; all with a licence that lets everybody use them."""
    page = dependencies.PAGE.read_text()
    for extra, requirements in dependencies.project().items():
        for name, _ in dependencies._direct(requirements):
            if name != "deriva-ml":
                row = rf"^\| {name} \| .+ \| {re.escape(dependencies.REASONS[name])} \|$"
                assert re.search(row, page, re.M), f"{name} of {extra or 'the base'}: run `make reference`"
    licences = re.findall(r"^\| [\w-]+ \| (.+?) \|", page.partition("| licence |")[2], re.M)
    assert len(licences) > 100
    assert [text for text in licences if re.search(r"(?<!L)GPL|see its page|[Pp]roprietary", text)] == []


def _imported(source: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def _names(owners: list[str]) -> set[str]:
    return {canonicalize_name(owner) for owner in owners}
