"""`deriva-ml catalog list`, `delete` and `purge`, as a user runs them."""

import os
import pty
import re
import subprocess
import sys

import pytest
from tests.interpreter import python

from deriva_ml.ermrest.connect import connect
from deriva_server.embed import LocalServer

PROGRAM = ["-m", "deriva_ml.cli.main"]


def run(*words, **options):
    options = {"stdin": subprocess.DEVNULL, "capture_output": True} | options
    return subprocess.run([python(), *PROGRAM, *map(str, words)], text=True, **options)


@pytest.fixture
def lab(tmp_path):
    folder = tmp_path / "my lab"
    with LocalServer.open(folder, create=True):
        server = connect_server(folder)
        server.create_ermrest_catalog(name="eyes (DerivaML)", owner=["local", "*"])
        server.create_ermrest_catalog()
        server.create_ermrest_alias(id="main", alias_target="1")
        server.create_ermrest_alias(id="other", alias_target="1")
        server.create_ermrest_alias(id="unbound")
        yield folder


def connect_server(folder):
    from deriva_ml.ermrest.address import read_address
    from deriva_ml.ermrest.connect import Site

    return Site(read_address(folder)).server()


TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d"


def test_list(lab):
    done = run("catalog", "list", lab)
    assert done.returncode == 0, done.stderr
    head, first, second = done.stdout.splitlines()
    assert head.split() == ["ID", "NAME", "OWNER", "CREATED", "CHANGED", "ALIASES"]
    assert re.fullmatch(rf"1 +eyes \(DerivaML\) +\S+, \* +{TIME} +{TIME} +main, other", first)
    assert re.fullmatch(rf"2 +\S+ +{TIME} +{TIME}", second)
    assert run("catalog", "list", cwd=lab).stdout == done.stdout


def test_list_over_http(lab):
    with LocalServer.open(lab).serve() as running:
        assert run("catalog", "list", running.url).stdout == run("catalog", "list", lab).stdout


def test_list_of_nothing(tmp_path):
    LocalServer.open(tmp_path / "lab", create=True).close()
    done = run("catalog", "list", tmp_path / "lab")
    assert (done.returncode, done.stdout) == (0, f"There are no catalogs in {tmp_path / 'lab'}.\n")


@pytest.mark.parametrize("command", [["list"], ["delete", "1"], ["purge"]])
def test_wrong_places(tmp_path, command):
    name, *rest = command
    done = run("catalog", name, tmp_path / "nowhere", *rest)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"deriva-ml: There is no folder .*\n", done.stderr)


def test_delete_needs_consent(lab):
    done = run("catalog", "delete", lab, 1)
    assert (done.returncode, done.stdout) == (1, "")
    assert "--yes" in done.stderr
    assert connect(lab, 1).document()


def test_delete(lab):
    done = run("catalog", "delete", lab, 1, "--yes")
    assert done.returncode == 0, done.stderr
    assert "will not be used again" in done.stdout
    assert f"deriva-ml catalog purge '{lab}' --yes" in done.stdout
    assert not connect_server(lab).connect_ermrest("1").exists()
    again = run("catalog", "delete", lab, 1, "--yes")
    assert again.returncode == 1 and again.stderr.startswith("deriva-ml: There is no catalog 1")
    assert [line.split()[0] for line in run("catalog", "list", lab).stdout.splitlines()] == ["ID", "2"]


def test_delete_an_alias(lab):
    done = run("catalog", "delete", lab, "main", "--yes")
    assert done.returncode == 0, done.stderr
    assert "Catalog 1 is as it was" in done.stdout
    assert connect(lab, 1).document()
    assert not connect_server(lab).connect_ermrest("main").exists()


def test_a_snapshot_is_not_deleted(lab):
    done = run("catalog", "delete", lab, f"1@{connect(lab, 1).snaptime()}", "--yes")
    assert done.returncode == 1 and "is a snapshot" in done.stderr
    assert connect(lab, 1).document()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of its own")
@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("no\n", 1), ("\n", 1), ("\x04", 1)])
def test_on_a_terminal_one_is_asked(lab, answer, status):
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            [python(), *PROGRAM, "catalog", "delete", str(lab), "1"],
            stdin=theirs,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            os.write(ours, answer.encode())
            said = process.communicate(timeout=60)[0]
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode == status
    assert said.startswith("Delete catalog 1 on ") and "'eyes (DerivaML)'" in said
    assert connect_server(lab).connect_ermrest("1").exists() is bool(status)


def test_purge(lab):
    nothing = run("catalog", "purge", lab)
    assert nothing.returncode == 0 and nothing.stdout.startswith("No deleted catalog takes space")
    run("catalog", "delete", lab, 1, "--yes")
    file = lab / "catalogs" / "1.db"
    asked = run("catalog", "purge", lab)
    assert re.match(r"Would remove \d+\.\d kB of deleted catalogs: 1\.\nNothing was changed", asked.stdout)
    assert file.exists()
    done = run("catalog", "purge", lab, "--yes")
    assert done.returncode == 0
    assert re.fullmatch(r"Removed \d+\.\d kB of deleted catalogs: 1\.\n", done.stdout)
    assert not list((lab / "catalogs").glob("1.db*"))
    assert (lab / "catalogs" / "2.db").exists()
    assert connect_server(lab).create_ermrest_catalog().catalog_id == "3"


@pytest.mark.parametrize("command", ["create", "list", "delete", "purge"])
def test_help_shows_an_example(command):
    done = run("catalog", command, "--help")
    assert done.returncode == 0
    assert f"  deriva-ml catalog {command} ./lab" in done.stdout
