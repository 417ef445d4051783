"""`deriva-ml remove`, as a user runs it."""

import subprocess

from tests.interpreter import python

from deriva_server.embed import LocalServer

PROGRAM = ["-m", "deriva_ml.cli.main"]


def run(*words):
    return subprocess.run(
        [python(), *PROGRAM, *map(str, words)], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


def test_a_copy_is_removed(tmp_path):
    lab, copy = tmp_path / "lab", tmp_path / "copies" / "monday"
    assert run("catalog", "create", lab, "eyes").returncode == 0
    assert run("backup", lab, copy).returncode == 0
    asked = run("remove", copy)
    assert asked.returncode == 1 and "--yes" in asked.stderr and copy.exists()
    done = run("remove", copy, "--yes")
    assert done.returncode == 0, done.stderr
    assert "Removed" in done.stdout and "1 catalog" in done.stdout
    assert not copy.exists() and "eyes" in run("catalog", "list", lab).stdout


def test_what_is_in_use_and_what_is_no_part_of_a_deployment_stays(tmp_path):
    with LocalServer.open(tmp_path / "lab", create=True):
        used = run("remove", tmp_path / "lab", "--yes")
    assert used.returncode == 1 and "is in use" in used.stderr
    (tmp_path / "lab" / "notes.txt").write_text("mine")
    (tmp_path / "lab" / ".deployment.json.left").write_text("{")
    done = run("remove", tmp_path / "lab", "--yes")
    assert done.returncode == 0 and "notes.txt" in done.stdout
    assert [path.name for path in (tmp_path / "lab").iterdir()] == ["notes.txt"]
    again = run("remove", tmp_path / "lab", "--yes")
    assert again.returncode == 1 and "not a deployment" in again.stderr


def test_what_is_no_deployment_is_said_to_be_nothing_to_remove(tmp_path):
    (tmp_path / "empty").mkdir()
    empty, absent = run("remove", tmp_path / "empty", "--yes"), run("remove", tmp_path / "absent", "--yes")
    for refused, sought in (empty, "no deployment.json"), (absent, f"no folder {tmp_path / 'absent'}"):
        assert refused.returncode == 1 and "nothing to remove" in refused.stderr
        assert sought in refused.stderr and "init" not in refused.stderr
