"""A backup of a deployment whose catalogs are on a PostgreSQL server."""

import os
import subprocess
import threading

import pytest
import sqlalchemy as sa
from tests.conftest import drop_databases
from tests.deployments import Direct, column, table
from tests.interpreter import python

from deriva_server.backup import back_up
from deriva_server.embed import LocalServer
from deriva_server.errors import DeploymentError
from deriva_server.removal import plan_removal

pytestmark = pytest.mark.usefixtures("postgres_programs")


@pytest.fixture
def addresses(postgres, new_address):
    """Of the deployment and of its copy."""
    made = new_address(), new_address()
    yield made
    for address in made:
        drop_databases(postgres, address)


@pytest.fixture
def lab(tmp_path, addresses):
    with LocalServer.open(tmp_path / "lab", create=True, database=addresses[0]) as server:
        caller = Direct(server)
        for document in ({"name": "first"}, {}, {"id": "Ünlike/any name"}):
            assert caller.send("POST", "/ermrest/catalog", document).status == 201
        caller.send("DELETE", "/ermrest/catalog/2")
        caller.send("POST", "/ermrest/alias", {"id": "main", "alias_target": "1"})
        caller.send("POST", f"/ermrest/catalog/1/schema/{QUOTED}")
        columns = [column("Name", "text"), column("Tags", "text[]"), column("Number", "serial4")]
        made = caller.send(
            "POST", f"/ermrest/catalog/1/schema/{QUOTED}/table", table("s ü", "T", columns, [["Name"]])
        )
        assert made.status == 201, made.body
        add(caller, "a", "b")
        caller.send("PUT", "/hatrac/first", b"kept", Content_Type="text/plain")
        yield server


QUOTED = "s%20%C3%BC"


def add(caller, *names):
    rows = [{"Name": name, "Tags": [name, "x"]} for name in names]
    answer = caller.send("POST", f"/ermrest/catalog/1/entity/{QUOTED}:T?defaults=Number", rows)
    assert answer.status == 200, answer.body
    return answer.json


def names(caller, at=""):
    return [row["Name"] for row in caller.send("GET", f"/ermrest/catalog/1{at}/entity/{QUOTED}:T").json]


def databases(postgres, address):
    with postgres.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (sa.make_url(address).database,)
        )
        return {name for (name,) in found}


def test_the_copy_is_a_deployment(lab, tmp_path, addresses):
    caller = Direct(lab)
    before = caller.send("GET", "/ermrest/catalog/1").json["snaptime"]
    add(caller, "c")
    caller.send("DELETE", f"/ermrest/catalog/1/entity/{QUOTED}:T/Name=a")
    caller.send("POST", f"/ermrest/catalog/1/schema/{QUOTED}/table/T/column", column("New", "int4"))
    caller.send("DELETE", f"/ermrest/catalog/1/schema/{QUOTED}/table/T/column/Tags")
    caller.send("POST", "/hatrac/first;upload", {"chunk-length": 1, "content-length": 1})
    made = back_up(lab.folder, tmp_path / "copy", database=addresses[1])
    assert (made.catalogs, made.objects, made.deployment.id) == (2, 1, lab.id)
    with LocalServer.open(tmp_path / "copy") as copy:
        theirs = Direct(copy)
        for path in (
            "/schema",
            f"/entity/{QUOTED}:T",
            f"@{before}/schema",
            f"@{before}/entity/{QUOTED}:T",
            "",
        ):
            here, there = (each.send("GET", f"/ermrest/catalog/1{path}").json for each in (caller, theirs))
            assert here == there
        assert theirs.send("GET", "/ermrest/catalog/main").json["alias_target"] == "1"
        assert theirs.send("GET", "/ermrest/catalog/2").status == 404
        answer = theirs.send("POST", f"/ermrest/catalog/1/entity/{QUOTED}:T?defaults=Number", [{"Name": "d"}])
        assert answer.json[0]["Number"] == 4
        assert (
            theirs.send("POST", f"/ermrest/catalog/1/schema/{QUOTED}/table", table("s ü", "U", [], [])).status
            == 201
        )
        assert theirs.send("POST", "/ermrest/catalog").json == {"id": "3"}
        assert theirs.send("GET", "/hatrac/first").body == b"kept"
        assert theirs.send("GET", "/hatrac/first;upload").json == []
        assert theirs.send("PUT", "/hatrac/second", b"new").status == 201
        assert caller.send("HEAD", "/hatrac/second").status == 404
        assert names(caller) == ["b", "c"] and names(theirs) == ["b", "c", "d"]
        assert names(theirs, f"@{before}") == ["a", "b"]


def test_a_copy_of_its_own(lab, tmp_path, addresses):
    made = back_up(lab.folder, tmp_path / "copy", database=addresses[1], new_id=True)
    assert made.deployment.id != lab.id
    with LocalServer.open(tmp_path / "copy") as copy:
        assert copy.id == made.deployment.id and names(Direct(copy)) == ["a", "b"]


def test_while_rows_are_written(lab, tmp_path, addresses):
    caller, stop = Direct(lab), threading.Event()
    written = []

    def write():
        while not stop.is_set():
            written.append(add(caller, f"n{len(written)}")[0]["Name"])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        back_up(lab.folder, tmp_path / "copy", database=addresses[1])
    finally:
        stop.set()
        writer.join()
    with LocalServer.open(tmp_path / "copy") as copy:
        found = names(Direct(copy))
    assert found == ["a", "b", *written][: len(found)] and len(found) > 2


def test_what_cannot_be_is_refused(lab, tmp_path, addresses, postgres):
    taken = sa.make_url(addresses[0]).set(database="postgres").render_as_string(False)
    for address in (addresses[0], taken):
        with pytest.raises(DeploymentError, match="overwrites nothing"):
            back_up(lab.folder, tmp_path / "copy", database=address)
    assert names(Direct(lab)) == ["a", "b"]
    LocalServer.open(tmp_path / "files", create=True).close()
    with pytest.raises(DeploymentError, match="SQLite"):
        back_up(tmp_path / "files", tmp_path / "copy", database=addresses[1])
    assert sorted(os.listdir(tmp_path)) == ["files", "lab"]
    assert databases(postgres, addresses[1]) == set()


def test_a_copy_gets_a_free_name_beside_the_original(lab, tmp_path, addresses, postgres):
    name = sa.make_url(addresses[0]).database
    made = [back_up(lab.folder, tmp_path / where / "2025-06-01") for where in ("a", "b")]
    assert [sa.make_url(copy.database).database for copy in made] == [
        f"{name}-2025-06-01",
        f"{name}-2025-06-01-2",
    ]
    with LocalServer.open(tmp_path / "b" / "2025-06-01") as copy:
        assert names(Direct(copy)) == ["a", "b"]
    # Back to it, while the databases of the original are still there.
    again = back_up(tmp_path / "a" / "2025-06-01", tmp_path / name)
    assert sa.make_url(again.database).database == f"{name}-2"
    for folder in ("a/2025-06-01", "b/2025-06-01", name):
        assert plan_removal(tmp_path / folder).run() == ()
    assert {found.partition("_")[0] for found in databases(postgres, addresses[0])} == {name}
    assert names(Direct(lab)) == ["a", "b"]


def test_the_name_is_free_again_when_the_original_is_gone(lab, tmp_path, addresses, postgres):
    name = sa.make_url(addresses[0]).database
    back_up(lab.folder, tmp_path / "monday")
    lab.close()
    assert plan_removal(lab.folder).run() == ()
    again = back_up(tmp_path / "monday", tmp_path / name)
    assert sa.make_url(again.database).database == name
    with LocalServer.open(tmp_path / name) as back:
        assert back.id == lab.id and names(Direct(back)) == ["a", "b"]
    assert plan_removal(tmp_path / "monday").run() == ()


def test_databases_of_others_are_not_removed(lab, tmp_path, addresses, postgres, monkeypatch):
    name = sa.make_url(addresses[0]).database
    with postgres.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}_9"')
        connection.exec_driver_sql(f'CREATE DATABASE "{name}_3"')
    assert Direct(lab).send("POST", "/ermrest/catalog").status == 201
    with postgres.connect() as connection:
        connection.exec_driver_sql(f"""COMMENT ON DATABASE "{name}_1" IS 'mine'""")
    back_up(lab.folder, tmp_path / "copy", database=addresses[1])
    monkeypatch.setenv("DERIVA_SERVER_DATABASE", addresses[0])
    assert plan_removal(tmp_path / "copy").run() == ()
    assert databases(postgres, addresses[1]) == set() and names(Direct(lab)) == ["a", "b"]
    lab.close()
    plan_removal(lab.folder).run()
    assert databases(postgres, addresses[0]) == {f"{name}_1", f"{name}_9"}


def test_a_removal_can_be_done_again(lab, tmp_path, addresses, postgres):
    lab.close()
    (lab.folder / "notes.txt").write_text("mine")
    plan = plan_removal(lab.folder)
    for id in plan.catalogs:
        plan._databases.remove_catalog(id)
    plan._databases.remove_directory()
    plan._databases.remove_registry()
    assert plan_removal(lab.folder).run() == ("notes.txt",)
    assert databases(postgres, addresses[0]) == set() and os.listdir(lab.folder) == ["notes.txt"]


def test_a_removal_of_what_another_deployment_has_is_refused(lab, tmp_path, addresses):
    other = LocalServer.open(tmp_path / "other", create=True, database=addresses[1])
    other.close()
    settings = tmp_path / "other" / "server.toml"
    settings.write_text((lab.folder / "server.toml").read_text())
    with pytest.raises(DeploymentError, match="another deployment"):
        plan_removal(tmp_path / "other").run()
    assert names(Direct(lab)) == ["a", "b"]


def test_old_programs_are_named_with_what_to_do(lab, tmp_path, addresses, monkeypatch):
    old = tmp_path / "bin" / "pg_dump"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 12.4 (Debian 12.4-1)'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(DeploymentError, match=rf"{old} is of PostgreSQL 12.*let PATH lead to them"):
        back_up(lab.folder, tmp_path / "copy", database=addresses[1])


def test_missing_programs_are_named(lab, tmp_path, addresses, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeploymentError, match="pg_dump"):
        back_up(lab.folder, tmp_path / "copy", database=addresses[1])


def test_nothing_is_left_of_a_failed_backup(lab, tmp_path, addresses, postgres):
    def stop(what, *_):
        if what == "catalog 1":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(lab.folder, tmp_path / "copy", database=addresses[1], told=stop)
    assert os.listdir(tmp_path) == ["lab"]
    assert databases(postgres, addresses[1]) == set()


@pytest.mark.parametrize("long", [False, True])
def test_what_a_killed_backup_left_is_removed(lab, tmp_path, addresses, postgres, long):
    target = sa.make_url(addresses[1])
    if long:
        # Too long for the id of a catalog behind it, so these are hashed.
        target = target.set(database=f"{target.database}{'x' * 50}")
    target = target.render_as_string(False)
    program = (
        "import os, signal, sys\n"
        "from deriva_server.backup import back_up\n"
        "def told(what, done, total):\n"
        "    if what == 'catalog 1' and done: os.kill(os.getpid(), signal.SIGKILL)\n"
        "back_up(*sys.argv[1:3], database=sys.argv[3], told=told)"
    )
    words = [python(), "-c", program, str(lab.folder), str(tmp_path / "copy"), target]
    assert subprocess.run(words).returncode == -9
    assert len(databases(postgres, addresses[1])) == 2
    # The first catalog is gone, so nothing but the removal of what was left takes the copy of it away.
    Direct(lab).send("DELETE", "/ermrest/catalog/1")
    lab.registry.purge()
    assert back_up(lab.folder, tmp_path / "copy", database=target).catalogs == 1
    assert sorted(os.listdir(tmp_path)) == ["copy", "lab"]
    assert len(databases(postgres, addresses[1])) == 3
    plan_removal(tmp_path / "copy").run()
    assert databases(postgres, addresses[1]) == set()
