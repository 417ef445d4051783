"""Which project a notebook belongs to, and which configuration it uses."""

import re
import sys

import pytest
from tests.notebooks import code, write_notebook

from deriva_ml.configs import compose
from deriva_ml.configs.compose import given_overrides
from deriva_ml.ermrest.address import RELATIVE_TO
from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLValidationError
from deriva_ml.execution import render_notebook_config
from deriva_ml.runner.parameters import config_name_of, inspect, of_kinds
from deriva_ml.runner.project import counted_from, from_here, import_from, project_of


def test_the_next_folder_with_configurations(tmp_path, monkeypatch):
    deep = tmp_path / "lab" / "notebooks" / "2026" / "x.ipynb"
    assert project_of(deep) == deep.parents[1]
    (tmp_path / "lab/src/configs").mkdir(parents=True)
    assert project_of(deep) == tmp_path / "lab"
    assert project_of(deep, "settings") == deep.parents[1]
    monkeypatch.setattr(sys, "path", ["/first"])
    import_from(tmp_path / "lab")
    import_from(tmp_path / "lab")
    assert sys.path == [str(tmp_path / "lab/src"), str(tmp_path / "lab"), "/first"]


def test_relative_folders_count_from_the_project_in_the_folder_of_a_notebook(tmp_path, monkeypatch):
    (tmp_path / "lab/src/configs").mkdir(parents=True)
    (tmp_path / "lab/notebooks").mkdir()

    def counted(start):
        monkeypatch.chdir(tmp_path / start)
        return counted_from(tmp_path / "lab").get(RELATIVE_TO)

    assert counted("lab/notebooks") == str(tmp_path / "lab")
    assert (counted("lab"), counted(".")) == (None, None)
    monkeypatch.setenv(RELATIVE_TO, "/there")
    assert (counted("lab/notebooks"), from_here()) == (None, {})


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ('run_notebook("roc")', "roc"),
        ('%time\nml, exe, config = ml.execution.run_notebook(config_name="roc")', "roc"),
        ("run_notebook()", "report"),
        ("run_notebook(name)", "report"),
        ("run_notebook(", "report"),
        ("print(1)", "report"),
    ],
)
def test_the_configuration_that_a_notebook_asks_for(source, name, tmp_path):
    assert config_name_of(write_notebook(tmp_path / "report.ipynb", code(source))) == name


def test_parameters_and_their_types(tmp_path):
    cells = code("a = 1\nb: float = 0.5  # rate\nc = make()\nd = [1]", "parameters"), code("e = 1")
    found = inspect(write_notebook(tmp_path / "report.ipynb", *cells))
    assert [(each.name, each.type, each.default) for each in found] == [
        *(("a", "int", "1"), ("b", "float", "0.5")),
        *(("c", "None", "make()"), ("d", "list", "[1]")),
    ]
    assert inspect(write_notebook(tmp_path / "none.ipynb", cells[1])) == []


def test_values_are_of_the_kinds_that_parameters_have(tmp_path):
    cell = code(
        "a = 1\nb: float = 0.5\nflag = False\nsure: bool = True\nname = 'x'\nany_: str | int = 1",
        "parameters",
    )
    path = write_notebook(tmp_path / "report.ipynb", cell)
    given = {"a": 2, "flag": "True", "sure": "false", "name": "true", "any_": "text", "else": "false"}
    assert of_kinds(path, given) == given | {"flag": True, "sure": False}
    for wrong, kind in (
        ({"a": "abc"}, "a number (int)"),
        ({"b": "x"}, "a number (float)"),
        ({"flag": "no"}, "(bool)"),
    ):
        with pytest.raises(DerivaMLValidationError, match=re.escape(kind)):
            of_kinds(path, wrong)


def test_overrides_of_the_caller(monkeypatch):
    assert given_overrides() == []
    monkeypatch.setenv("DERIVA_ML_HYDRA_OVERRIDES", '["assets=a", "x=1"]')
    assert given_overrides() == ["assets=a", "x=1"]
    for text in ("assets=a", '{"a": 1}', "[1]"):
        monkeypatch.setenv("DERIVA_ML_HYDRA_OVERRIDES", text)
        with pytest.raises(DerivaMLConfigurationError, match="not a JSON list of overrides"):
            given_overrides()
    assert compose._last_of_each(["assets=a", "x=1", "assets=b", "~y"]) == ["x=1", "assets=b", "~y"]


@pytest.mark.parametrize("modes", [{}, {"cfg_mode": "job", "info_mode": "all"}, {"cfg_mode": "jobs"}])
def test_exactly_one_mode(modes):
    with pytest.raises(ValueError, match=r"Give either cfg_mode or info_mode|There is no mode 'jobs'"):
        render_notebook_config("report", **modes)
