"""``deriva-ml-validate-schema``: page and code agree, differ, or cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.typed import ROOT, typed

from deriva_ml.schema import tables

PAGE = ROOT / "docs/reference/schema.md"


def test_the_page_of_this_project() -> None:
    done = typed("deriva-ml-validate-schema", cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "docs/reference/schema.md and the code agree.\n"), (
        done.stderr
    )


def test_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from deriva_ml.tools.validate_schema_doc import main

    page = tmp_path / "schema.md"
    page.write_text(PAGE.read_text().replace("| `Checksum` | `text` |", "| `Checksum` | `int4` |"))
    assert main(["--doc", str(page)]) == 1
    out, err = capsys.readouterr()
    assert "-| `Checksum` | `int4`" in out and "+| `Checksum` | `text`" in out and "--write" in err
    assert main(["--doc", str(page), "--write"]) == 0
    assert page.read_text() == PAGE.read_text()
    code = tmp_path / "tables.py"
    code.write_text(Path(tables.__file__).read_text())
    assert main(["--doc", str(page), "--code", str(code)]) == 0
    code.write_text(code.read_text().replace('"Feature_Name": "Names', '"Feature_Title": "Names'))
    assert main(["--doc", str(page), "--code", str(code)]) == 1
    assert "+## Feature_Title" in capsys.readouterr().out


@pytest.mark.parametrize("given", ["--doc", "--code"])
def test_what_cannot_be_read(given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from deriva_ml.cli.main import main

    assert main(["validate-schema", "--doc", str(PAGE), given, str(tmp_path / "missing.py")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "missing.py" in line
