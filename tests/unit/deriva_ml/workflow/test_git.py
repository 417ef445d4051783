import json
import subprocess

import pytest

from deriva_ml.errors import DerivaMLDirtyWorkflowError, DerivaMLWorkflowError
from deriva_ml.workflow import capture, git
from deriva_ml.workflow.workflow import Workflow


@pytest.fixture(autouse=True)
def _plain(monkeypatch):
    for name in (
        "ALLOW_DIRTY",
        "STRICT",
        "DRY_RUN",
        "WORKFLOW_URL",
        "WORKFLOW_CHECKSUM",
        "DIRTY_CHECK_IGNORE",
    ):
        monkeypatch.delenv(f"DERIVA_ML_{name}", raising=False)
    monkeypatch.delenv("DERIVA_MCP_IN_DOCKER", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")


def run(folder, *arguments):
    identity = ["-c", "user.name=Tester", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "project"
    (root / "src").mkdir(parents=True)
    run(root, "init")
    run(root, "remote", "add", "origin", "https://user:token@github.com/lab/eyes.git")
    (root / "src" / "train.py").write_text("print(1)\n")
    run(root, "add", ".")
    run(root, "commit", "-m", "first")
    (root / "other.py").write_text("")
    run(root, "add", ".")
    run(root, "commit", "-m", "second")
    return root


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://github.com/lab/eyes.git", "https://github.com/lab/eyes"),
        ("https://user:token@github.com/lab/eyes", "https://github.com/lab/eyes"),
        ("git@github.com:lab/eyes.git", "https://github.com/lab/eyes"),
        ("ssh://git@example.org:2222/lab/eyes.git", "https://example.org:2222/lab/eyes"),
        ("/srv/git/eyes.git", "/srv/git/eyes"),
        ("../eyes", "../eyes"),
    ],
)
def test_addresses_can_be_opened_and_hold_no_secret(address, expected):
    assert git.browsable(address) == expected


def test_a_committed_file_is_known_by_its_last_commit(repository, caplog):
    path = repository / "src" / "train.py"
    url, checksum = capture.identify(path)
    assert url == f"https://github.com/lab/eyes/blob/{run(repository, 'rev-parse', 'HEAD~1')}/src/train.py"
    assert checksum == run(repository, "hash-object", str(path))
    assert checksum == git.blob_hash(path.read_bytes())
    assert caplog.text == ""


def test_uncommitted_changes_are_warned_about(repository, caplog, monkeypatch):
    path = repository / "src" / "train.py"
    path.write_text("print(2)\n")
    for name in ("a.txt", "b.txt", "c.txt"):
        (repository / name).write_text("")
    url, checksum = capture.identify(path)
    assert "/blob/" in url
    assert checksum == git.blob_hash(b"print(2)\n")
    assert "uncommitted changes (src/train.py, a.txt, b.txt and 1 more)" in caplog.text
    caplog.clear()
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    capture.identify(path)
    assert caplog.text == ""
    monkeypatch.delenv("DERIVA_ML_ALLOW_DIRTY")
    monkeypatch.setenv("DERIVA_ML_STRICT", "true")
    with pytest.raises(DerivaMLDirtyWorkflowError) as caught:
        capture.identify(path)
    assert "src/train.py" in caught.value.dirty_paths
    assert capture.identify(path, allow_dirty=True)[0] == url
    monkeypatch.setenv("DERIVA_ML_DRY_RUN", "true")
    assert capture.identify(path)[0] == url


def test_some_folders_do_not_make_a_tree_dirty(repository, caplog, monkeypatch):
    for name in ("outputs", "findings", ".scratch", "mine"):
        (repository / name).mkdir()
        (repository / name / "x").write_text("")
    monkeypatch.setenv("DERIVA_ML_DIRTY_CHECK_IGNORE", "mine/:other/")
    capture.identify(repository / "other.py")
    assert caplog.text == ""
    assert len(git.dirty_paths(repository)) == 4


def test_what_python_and_jupyter_put_beside_code_is_no_change(repository):
    for folder in ("src/__pycache__", "notebooks/.ipynb_checkpoints"):
        (repository / folder).mkdir(parents=True)
        (repository / folder / "train.cpython-311.pyc").write_bytes(b"\0")
    assert git.dirty_paths(repository) == []
    run(repository, "add", "--all")
    assert len(git.dirty_paths(repository)) == 2


def test_renames_count_once(repository):
    run(repository, "mv", "other.py", "another.py")
    assert git.dirty_paths(repository) == ["another.py"]


def test_code_without_repository_or_origin_is_known_by_its_path(repository, tmp_path, caplog, monkeypatch):
    alone = tmp_path / "alone.py"
    alone.write_text("print(3)\n")
    assert capture.identify(alone) == (alone.as_uri(), git.blob_hash(b"print(3)\n"))
    assert "in no git repository" in caplog.text
    caplog.clear()
    run(repository, "remote", "remove", "origin")
    path = repository / "src" / "train.py"
    # Its commit is kept with every run, so that is no reason to warn; changes are.
    assert capture.identify(path)[0] == path.as_uri()
    assert caplog.text == ""
    path.write_text("changed\n")
    capture.identify(path)
    assert "uncommitted changes" in caplog.text
    run(repository, "checkout", "--", ".")
    monkeypatch.setenv("DERIVA_ML_STRICT", "true")
    for file in (alone, path):
        with pytest.raises(DerivaMLWorkflowError, match="DERIVA_ML_STRICT"):
            capture.identify(file)


def test_a_repository_without_commits(tmp_path, caplog):
    run(tmp_path, "init")
    path = tmp_path / "new.py"
    path.write_text("")
    assert capture.identify(path)[0] == path.as_uri()
    assert "no commit" in caplog.text


def test_outputs_of_a_notebook_do_not_matter(tmp_path):
    def notebook(outputs, count):
        cell = {
            "cell_type": "code",
            "source": ["1"],
            "outputs": outputs,
            "execution_count": count,
            "metadata": {},
        }
        return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})

    sums = []
    for number, text in enumerate((notebook([], None), notebook([{"text": "x"}], 7))):
        path = tmp_path / f"{number}.ipynb"
        path.write_text(text)
        sums.append(git.checksum_of(path))
    assert sums[0] == sums[1]


def test_whether_outputs_stay_out_of_commits(repository):
    path = repository / "report.ipynb"
    assert not git.strips_outputs(path)
    (repository / ".git/info/attributes").write_text("*.ipynb filter=nbstripout\n")
    assert not git.strips_outputs(path)
    run(repository, "config", "filter.nbstripout.clean", "nbstripout")
    assert git.strips_outputs(path)
    assert not git.strips_outputs(repository.parent / "elsewhere.ipynb")


def test_the_version_is_that_of_setuptools_scm(repository, monkeypatch, capfd):
    from setuptools_scm import get_version

    assert Workflow.get_dynamic_version(repository) == get_version(root=repository)
    run(repository, "tag", "-a", "v1.2.0", "-m", "release")
    assert Workflow.get_dynamic_version(repository) == "1.2.0"
    (repository / "other.py").write_text("changed")
    assert Workflow.get_dynamic_version(repository) == get_version(root=repository)
    run(repository, "commit", "-aqm", "More")
    assert Workflow.get_dynamic_version(repository) == get_version(root=repository)
    run(repository, "tag", "v2.0rc1")
    assert Workflow.get_dynamic_version(repository) == "2.0rc1"
    assert Workflow.get_dynamic_version(repository / "nowhere") is None
    (repository / "new").mkdir()
    run(repository / "new", "init", "-q")
    capfd.readouterr()
    version = Workflow.get_dynamic_version(repository / "new")
    assert capfd.readouterr() == ("", "")
    assert version == get_version(root=repository / "new")
    monkeypatch.setenv("SETUPTOOLS_SCM_PRETEND_VERSION", "7")
    assert Workflow.get_dynamic_version(repository) == "7"


def test_code_that_is_not_there(tmp_path):
    with pytest.raises(DerivaMLWorkflowError, match=r"no file .*gone\.py"):
        Workflow.get_url_and_checksum(tmp_path / "gone.py")
