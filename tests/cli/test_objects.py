"""`deriva-ml objects`, as a user runs it."""

import hashlib
import subprocess

import pytest
from tests.deployments import Direct
from tests.interpreter import python

from deriva_server.embed import LocalServer

PROGRAM = ["-m", "deriva_ml.cli.main", "objects"]

DIES = """
import os, sys
from io import BytesIO
from deriva_server.blobs.backend import Source
from deriva_server.embed import LocalServer

server = LocalServer.open(sys.argv[1])
backend = server.objects.backend
backend.adopt([backend.stage(Source(BytesIO(b"orphan"), 6))])
staged = backend.stage(Source(BytesIO(b"remains"), 7))
os._exit(9)
"""


def run(*words):
    return subprocess.run([python(), *PROGRAM, *map(str, words)], capture_output=True, text=True)


def said(*words, status=0):
    done = run(*words)
    assert done.returncode == status, done
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def lab(tmp_path):
    with LocalServer.open(tmp_path / "lab", create=True) as server:
        caller = Direct(server)
        for name, data in (("a", b"same"), ("b", b"same"), ("c", b"other")):
            assert caller.send("PUT", f"/hatrac/x/{name}?parents=true", data).status == 201
        yield server.folder


def test_what_a_crash_left_is_shown_and_removed(lab):
    assert subprocess.run([python(), "-c", DIES, lab]).returncode == 9
    shown = said(lab)
    assert "3 objects in 2 namespaces, 3 versions" in shown
    for line in (
        "contents    2  9 bytes",
        "duplicates  1  4 bytes saved",
        "orphans     1  6 bytes",
        "remains     1  7 bytes",
    ):
        assert line in shown, shown
    assert f"deriva-ml objects gc {lab} --yes" in shown
    assert "Would remove 13 bytes" in said("gc", lab)
    assert "orphans" in said(lab)
    assert "Removed 13 bytes" in said("gc", lab, "--yes")
    assert "There is nothing to remove" in said("gc", lab, "--yes")
    assert "2 contents of 9 bytes read, all as they were put." in said("verify", lab)


def test_damage_is_told_by_name(lab):
    key = hashlib.sha256(b"same").hexdigest()
    file = lab / "objects" / "data" / key[:2] / key
    file.chmod(0o644)
    file.write_bytes(b"SAME")
    shown = said("verify", lab, status=1)
    assert f"content {key} is altered" in shown
    assert "  /x/a:" in shown and "  /x/b:" in shown and "/x/c" not in shown
    assert "1 of 2 contents of 9 bytes are damaged" in shown


def test_wrong_inputs(lab, tmp_path):
    assert "There is no folder" in said(tmp_path / "nowhere", status=1)
    assert "is not a deployment" in said("gc", tmp_path, status=1)
    assert "--uploads is a number of days" in said("gc", lab, "--uploads", "-1", status=1)
    assert "invalid float value" in said("gc", lab, "--uploads", "soon", status=2)
    assert (
        "objects verify"
        in subprocess.run(
            [python(), "-m", "deriva_ml.cli.main", "--help"], capture_output=True, text=True
        ).stdout
    )


def test_the_index_of_metrics_is_made_again(lab):
    assert "0 files of metrics" in said("metrics", lab)
    with LocalServer.open(lab) as server:
        caller = Direct(server)
        caller.send("PUT", "/hatrac/x/m.jsonl", b'{"loss": 1}')
        wish = {"objects": ["/hatrac/x/m.jsonl"]}
        answer = caller.send("POST", "/hatrac;metrics", wish, Content_Type="application/json")
        with server.objects.directory.database.write() as connection:
            connection.run("UPDATE hatrac_metrics SET summary = '{}'")
    assert "1 file of metrics, 2 bytes" in said("metrics", lab)
    assert "1 file of metrics" in said("metrics", lab, "--rebuild")
    with LocalServer.open(lab) as server:
        again = Direct(server).send("POST", "/hatrac;metrics", wish, Content_Type="application/json")
    assert again.body == answer.body
