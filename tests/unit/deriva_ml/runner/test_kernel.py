"""Kernels: which one is that of this environment, and how it is installed."""

import json
import sys
from pathlib import Path

import jupyter_core.paths  # noqa: F401 - it notes the environment once, and here that is another one
import pytest

from deriva_ml.cli import kernel as command
from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLDependencyError
from deriva_ml.runner import kernel
from deriva_ml.runner.kernel import Kernel


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Everything of Jupyter in a folder of its own."""
    for name in ("DATA", "CONFIG", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    return tmp_path


def made(name, program):
    return Kernel(name, name, Path("/nowhere"), (program, "-m", "ipykernel_launcher"))


def test_the_kernel_of_the_environment_is_preferred(monkeypatch):
    here = made("here", f"{sys.prefix}/bin/python")
    other, this = made("other", "/opt/other/bin/python"), made("python3", "python3")
    assert kernel.find_kernel([other, this, here]) is here
    assert kernel.find_kernel([other, this]) is this
    assert kernel.find_kernel([other]) is None
    assert kernel.find_kernel([]) is None
    monkeypatch.setenv("VIRTUAL_ENV", "/opt/other")
    assert kernel.find_kernel([here, other]) is other
    monkeypatch.setenv("VIRTUAL_ENV", "/opt/oth")
    assert kernel.find_kernel([here, other]) is here


def test_no_kernel_says_what_to_do(monkeypatch):
    monkeypatch.setattr(kernel, "installed", lambda: [made("other", "/opt/other/bin/python")])
    with pytest.raises(DerivaMLConfigurationError, match="choose one of other with --kernel, or make one"):
        kernel.lookup_kernel()
    with pytest.raises(DerivaMLConfigurationError, match="There is no Jupyter kernel 'julia'"):
        kernel.lookup_kernel("julia")
    assert kernel.lookup_kernel("other").name == "other"


@pytest.mark.parametrize(
    ("settings", "folder", "name"),
    [
        ("prompt = Eye Lab (GPU)\n", ".venv", "Eye Lab (GPU)"),
        ("version = 3.11\nprompt = 'eyes'\n", ".venv", "eyes"),
        ("home = /usr\n", ".venv", "project"),
        ("prompt = .venv\n", ".venv", "project"),
        ("home = /usr\n", "lab-env", "lab-env"),
    ],
)
def test_environments_have_names(settings, folder, name, tmp_path, monkeypatch):
    prefix = tmp_path / "project" / folder
    prefix.mkdir(parents=True)
    (prefix / "pyvenv.cfg").write_text(settings)
    monkeypatch.setattr(sys, "prefix", str(prefix))
    assert kernel.environment_name() == name


def test_an_environment_that_is_not_virtual(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("CONDA_PREFIX", "/elsewhere")
    monkeypatch.setenv("CONDA_DEFAULT_ENV", "eyes")
    assert kernel.environment_name().startswith("python3.")
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path))
    assert kernel.environment_name() == "eyes"


@pytest.mark.parametrize("words", [[], ["--install-local"]])
def test_installing(words, home, tmp_path, monkeypatch, capsys):
    prefix = tmp_path / "project" / ".venv"
    prefix.mkdir(parents=True)
    (prefix / "pyvenv.cfg").write_text("prompt = Eye Lab\n")
    monkeypatch.setattr(sys, "prefix", str(prefix))
    assert command.main(words) == 0
    place = prefix / "share/jupyter" if words else home / "data"
    spec = json.loads((place / "kernels/eye-lab/kernel.json").read_text())
    assert (spec["display_name"], spec["argv"][0]) == ("Python (Eye Lab)", sys.executable)
    assert f"Installed kernel 'eye-lab', shown as 'Python (Eye Lab)', in {place}" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written(home, monkeypatch, capsys):
    (home / "data").write_text("in the way")
    assert command.main([]) == 1
    assert "Try --install-local" in capsys.readouterr().err


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jupyter_client.kernelspec", None)
    with pytest.raises(DerivaMLDependencyError, match=r"pip install 'deriva-ml\[notebook\]'") as caught:
        kernel.installed()
    assert isinstance(caught.value, ImportError)
