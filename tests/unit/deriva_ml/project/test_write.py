"""The files of a new project."""

import ast
import json
import subprocess
import tomllib

import pytest

from deriva_ml.errors import DerivaMLException
from deriva_ml.project import write
from deriva_ml.project.plan import Plan
from deriva_ml.version import __version__


def test_every_file_is_whole(tmp_path):
    written = write.write(Plan(tmp_path / "eye-lab", "eye-lab"))
    names = {str(path.relative_to(tmp_path / "eye-lab")) for path in written}
    groups = {"deriva", "datasets", "assets", "workflow", "base", "experiments", "multiruns"}
    assert names >= {f"src/configs/{group}.py" for group in groups}
    assert names >= {"pyproject.toml", ".gitignore", "README.md", "notebooks/roc_analysis.ipynb"}
    for path in written:
        text = path.read_text()
        assert "$" not in text, path
        if path.suffix == ".py":
            ast.parse(text)
        if path.suffix == ".ipynb":
            assert all(cell.get("outputs", []) == [] for cell in json.loads(text)["cells"])
    project = tomllib.loads((tmp_path / "eye-lab" / "pyproject.toml").read_text())["project"]
    assert project["name"] == "eye-lab"
    assert f"deriva-ml[demo,notebook]>={__version__}" in project["dependencies"]
    assert 'SCHEMA = "eye_lab"' in (tmp_path / "eye-lab/src/scripts/make_catalog.py").read_text()


def test_a_repository_in_somebodys_name(tmp_path, monkeypatch):
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    plan = Plan(tmp_path / "eyes", "eyes")
    write.write(plan)
    (plan.folder / "lab").mkdir()
    (plan.folder / "lab" / "registry.db").write_text("")
    write.put_under_git(plan)
    assert not write.commit(plan, "Nothing")
    (tmp_path / ".gitconfig").write_text(
        "[user]\nname = Ada\nemail = ada@example.org\n[commit]\ngpgsign = true\n"
    )
    (plan.folder / "notes.txt").write_text("more")
    assert write.commit(plan, "Add notes")
    log = subprocess.run(
        ["git", "log", "--format=%an: %s", "--name-only"], cwd=plan.folder, capture_output=True, text=True
    ).stdout
    assert log.startswith("Ada: Add notes\n\nnotes.txt")
    assert "deriva-ml: Begin eyes" in log
    assert "registry.db" not in log


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DerivaMLException, match="cannot be written"):
        write.write(Plan(tmp_path / "file" / "eyes", "eyes"))
