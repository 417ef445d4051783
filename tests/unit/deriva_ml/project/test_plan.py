"""What cannot become a project is refused before anything is written."""

from pathlib import Path

import pytest

from deriva_ml.errors import DerivaMLDependencyError, DerivaMLValidationError
from deriva_ml.project import plan as plans


def test_the_folder_names_the_project(tmp_path, monkeypatch):
    assert plans.plan(tmp_path / "eye-Lab") == plans.Plan(tmp_path / "eye-Lab", "eye-Lab")
    assert plans.plan(tmp_path / "eye-Lab").schema == "eye_lab"
    (tmp_path / "eyes").mkdir()
    monkeypatch.chdir(tmp_path / "eyes")
    assert plans.plan(Path(".")).name == "eyes"
    assert plans.plan(Path("."), "retina_2").name == "retina_2"


@pytest.mark.parametrize("name", ["2024", "eye lab", "-x", "eye-", "eye.lab", "é", "", "a" * 61, "eye\n"])
def test_a_name_that_cannot_be_one(tmp_path, name):
    with pytest.raises(
        DerivaMLValidationError, match="cannot be the name of a project: it begins with a letter"
    ):
        plans.plan(tmp_path / "new", name)
    with pytest.raises(DerivaMLValidationError, match="cannot be the name of a project.*--name NAME"):
        plans.plan(tmp_path / "2024")


@pytest.mark.parametrize("name", ["deriva-ml", "Deriva_ML", "public", "www"])
def test_a_name_that_is_taken(tmp_path, name):
    with pytest.raises(DerivaMLValidationError, match="taken by DerivaML itself"):
        plans.plan(tmp_path / "new", name)


def test_a_place_that_is_in_use(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DerivaMLValidationError, match="used is not empty"):
        plans.plan(tmp_path / "used")
    for name in ("file", "link"):
        with pytest.raises(DerivaMLValidationError, match=f"{name} is no folder"):
            plans.plan(tmp_path / name)


def test_what_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(plans, "_NEEDED", ("numpy", "no_such_package"))
    with pytest.raises(
        DerivaMLDependencyError, match=r"needs no_such_package.*pip install 'deriva-ml\[demo\]'"
    ):
        plans.plan(tmp_path / "new")
    monkeypatch.setattr(plans, "_NEEDED", ("no_such_package", "nor_this"))
    with pytest.raises(DerivaMLDependencyError, match="no_such_package, nor_this, which are not installed"):
        plans.plan(tmp_path / "new")
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DerivaMLDependencyError, match="needs git, which is not installed"):
        plans.plan(tmp_path / "new")
