"""``bump-version``: tags in a repository, pushed with the branch."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.cli.typed import typed

from deriva_ml.cli.bump import main


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "ada@example.org")
    folder = tmp_path / "project"
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "there"], check=True)
    subprocess.run(["git", "init", "-q", folder], check=True)
    git(folder, "remote", "add", "origin", "../there")
    return folder


def commit(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", f"Write {name}")


def test_from_the_first_tag_on(project: Path) -> None:
    done = typed("bump-version", cwd=project)
    assert done.returncode == 1 and "has no commit yet" in done.stderr
    commit(project, "uv.lock", "1")
    done = typed("bump-version", cwd=project, START="0.3.0")
    assert (done.returncode, done.stdout) == (0, "The version is 0.3.0.\n"), done.stderr
    (project / "uv.lock").write_text("2")
    (project / "inner").mkdir()
    done = typed("bump-version", "minor", cwd=project / "inner")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "The version is 0.4.0."), done.stderr
    assert git(project, "log", "-1", "--format=%s") == "Update uv.lock"
    assert git(project, "status", "--porcelain") == ""
    there = project.parent / "there"
    assert git(there, "tag").split() == ["v0.3.0", "v0.4.0"]
    assert git(there, "log", "-1", "--format=%s", "v0.4.0") == "Update uv.lock"


def test_what_is_in_the_way(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([]) == 1
    assert "is not in a git repository" in capfd.readouterr().err
    monkeypatch.chdir(project)
    commit(project, "code.py", "1")
    assert main(["--no-push"]) == 0
    (project / "code.py").write_text("2")
    assert main(["--no-push"]) == 2
    assert "not clean" in capfd.readouterr().err
    git(project, "checkout", "-q", "code.py")
    git(project, "remote", "set-url", "origin", "../nowhere")
    assert main(["major"]) == 128
    assert "git fetch" in capfd.readouterr().err
    assert git(project, "tag") == "v0.1.0"
    with pytest.raises(SystemExit) as done:
        main(["huge"])
    assert done.value.code == 2


def test_a_project_whose_definition_has_the_version(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of ``deriva-ml new``: the version in the file is that of the tag."""
    commit(project, "pyproject.toml", '[project]\nname = "eyes"\nversion = "0.1.0"\n')
    monkeypatch.chdir(project)
    for part in ("patch", "patch", "minor"):
        assert main([part]) == 0
        assert git(project, "status", "--porcelain") == ""
    there = project.parent / "there"
    assert git(there, "tag").split() == ["v0.1.0", "v0.1.1", "v0.2.0"]
    assert 'version = "0.1.1"' in git(there, "show", "v0.1.1:pyproject.toml")
    assert 'version = "0.2.0"' in git(there, "show", "HEAD:pyproject.toml")


def test_a_version_of_something_else_is_left_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(project, "pyproject.toml", '[tool.other]\nversion = "0.1.0"\n')
    monkeypatch.chdir(project)
    for _ in range(2):
        assert main([]) == 0
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "tag").split() == ["v0.1.0", "v0.1.1"]


def test_a_project_that_keeps_its_version_in_a_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = '[tool.bumpversion]\ncommit = true\ntag = true\ntag_name = "r{new_version}"\n'
    files = '[[tool.bumpversion.files]]\nfilename = "version.txt"\n'
    commit(project, "version.txt", "1.2.3")
    commit(project, "pyproject.toml", config + files)
    git(project, "tag", "r1.2.3")
    monkeypatch.chdir(project)
    monkeypatch.setenv("PREFIX", "r")
    assert main(["major"]) == 0
    assert (project / "version.txt").read_text() == "2.0.0"
    assert git(project.parent / "there", "tag").split() == ["r1.2.3", "r2.0.0"]
