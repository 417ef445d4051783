"""What the pages say is true: every Python and console block runs, or says why not; every link leads somewhere."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from pathlib import Path

import pytest
from tests import interpreter

from deriva_ml.cli.reference import commands_page
from deriva_ml.cli.schema import schema_reference
from deriva_ml.execution.states import ALLOWED_TRANSITIONS
from deriva_ml.names import ExecutionStatus
from deriva_server.config import PREFIX, ServerConfig

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LONG = {"docs/tutorial/2-your-own-images.md", "docs/tutorial/3-your-own-script.md"}
"""Pages that run in the long form only: a notebook and a sweep, which the pages of these commands show in short."""
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.M | re.S)
SHELL = "__import__('subprocess').run(['bash', '-euc', {code!r}], check=True)\n"
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def _blocks(page: Path) -> list[tuple[str, str]]:
    """Notes and Python code of the blocks that can be run; those of the console are handed to a shell."""
    return [
        (note.strip(), code if language == "python" else SHELL.format(code=code))
        for language, note, code in BLOCK.findall(page.read_text())
        if language in ("python", "console")
    ]


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_the_life_of_an_execution_is_told_as_it_is() -> None:
    page = (ROOT / "docs" / "explanation" / "life-of-an-execution.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", page, re.M)
    assert {status for status, _ in rows} == set(ExecutionStatus)
    statuses = re.compile(rf"\b({'|'.join(ExecutionStatus)})\b")
    told = {(status, target) for status, after in rows for target in statuses.findall(after)}
    assert told == ALLOWED_TRANSITIONS


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.soak] * (_name(page) in LONG), id=_name(page)) for page in PAGES],
)
def test_blocks_run(page: Path, tmp_path: Path) -> None:
    """The blocks of a page run one after another as one program, in an empty folder."""
    runnable = []
    for note, code in _blocks(page):
        if note.startswith("no-run"):
            assert note.partition(":")[2].strip(), f"{page.name}: a block that is not run must say why"
        else:
            runnable.append(code)
    if not runnable:
        return
    program = tmp_path / "page.py"
    program.write_text("\n".join(runnable))
    own = {
        "HOME": str(tmp_path),
        "DERIVA_ML_HOME": "",  # a page removes what is there
        "DERIVA_ML_ALLOW_DIRTY": "true",
        "DERIVA_ML_PATCH_BYTES": "",
        "PATH": interpreter.path(),
    }
    environment = os.environ | own
    environment.pop("DERIVA_ML_HOME", None)
    done = subprocess.run(
        [interpreter.python(), program.name],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300 if _name(page) in LONG else 120,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_every_setting_has_its_row() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", page, re.M)
    assert rows == [(each.name, PREFIX + each.name.upper()) for each in dataclasses.fields(ServerConfig)]


def test_every_variable_is_on_its_page() -> None:
    page = (ROOT / "docs/reference/variables.md").read_text()
    read = {
        name
        for path in (ROOT / "src/deriva_ml").rglob("*.py")
        for name in re.findall(r'"(DERIVA_ML_\w+)"', path.read_text())
    }
    assert read - set(re.findall(r"DERIVA_ML_\w+", page)) == {"DERIVA_ML_CONFIG"}  # a name of Python


def test_the_page_of_commands_is_made_anew() -> None:
    page = (ROOT / "docs/reference/commands.md").read_text()
    assert page == commands_page(), "run `make reference`"


def test_the_page_of_the_schema_is_made_anew() -> None:
    page = (ROOT / "docs/reference/schema.md").read_text()
    assert page == schema_reference(), "run `make reference`"


def test_pages_stay_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 150
