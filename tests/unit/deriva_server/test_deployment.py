from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deriva_server import LocalServer, deployment, embed
from deriva_server.config import ServerConfig
from deriva_server.deployment import DOCUMENT, Deployment
from deriva_server.errors import DeploymentError
from deriva_server.http.message import Request
from deriva_server.mounts import network_file_system, network_kind
from deriva_server.removal import plan_removal, unused


def test_create_and_open(tmp_path: Path) -> None:
    made = Deployment.create(tmp_path / "a" / "lab")
    assert made.name == "lab"
    assert Deployment.open(tmp_path / "a" / "lab") == made
    assert Deployment.create(tmp_path / "a" / "lab", "other name") == made
    (tmp_path / "a").rename(tmp_path / "b")
    moved = Deployment.open(tmp_path / "b" / "lab")
    assert (moved.id, moved.name) == (made.id, made.name)
    assert sorted(os.listdir(moved.folder)) == [".gitignore", DOCUMENT]


def test_created_once_by_many(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = {made.id for made in pool.map(lambda _: Deployment.create(tmp_path / "lab"), range(16))}
    assert len(ids) == 1
    assert sorted(os.listdir(tmp_path / "lab")) == [".gitignore", DOCUMENT]


def test_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DeploymentError, match=r"not empty.*notes\.txt"):
        Deployment.create(tmp_path)
    with pytest.raises(DeploymentError, match="is a file"):
        Deployment.create(tmp_path / "notes.txt")
    with pytest.raises(DeploymentError, match="is a file"):
        Deployment.open(tmp_path / "notes.txt")
    with pytest.raises(DeploymentError, match="cannot be written"):
        Deployment.create(tmp_path / "notes.txt" / "below")
    with pytest.raises(DeploymentError, match="deriva-ml init"):
        Deployment.open(tmp_path)
    with pytest.raises(DeploymentError, match="no folder"):
        Deployment.open(tmp_path / "missing")
    assert os.listdir(tmp_path) == ["notes.txt"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable(tmp_path: Path) -> None:
    made = Deployment.create(tmp_path / "lab")
    made.folder.chmod(0o555)
    try:
        with pytest.raises(DeploymentError, match="cannot be written"):
            Deployment.open(made.folder)
        with pytest.raises(DeploymentError, match="cannot be written"):
            Deployment.create(made.folder / "below")
    finally:
        made.folder.chmod(0o755)


def test_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(deployment, "write_document", fail)
    with pytest.raises(DeploymentError, match="No space left"):
        Deployment.create(tmp_path / "a" / "b" / "c")
    assert os.listdir(tmp_path) == []


def change(folder: Path, **values: object) -> None:
    path = folder / DOCUMENT
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Deployment.create(tmp_path / "lab")
    change(made.folder, format=99)
    with pytest.raises(DeploymentError, match=r"format 99.*pip install --upgrade"):
        Deployment.open(made.folder)
    change(made.folder, format=0)
    with pytest.raises(DeploymentError, match="cannot upgrade"):
        Deployment.open(made.folder)
    steps: list[Path] = []
    monkeypatch.setattr(deployment, "UPGRADES", {0: steps.append})
    assert Deployment.open(made.folder) == made
    assert Deployment.open(made.folder) == made
    assert steps == [made.folder]
    (made.folder / DOCUMENT).write_text("{")
    with pytest.raises(DeploymentError, match="cannot be read"):
        Deployment.open(made.folder)
    (made.folder / DOCUMENT).write_text("[]")
    with pytest.raises(DeploymentError, match="damaged"):
        Deployment.open(made.folder)


def test_old_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 37, 2))
    with pytest.raises(DeploymentError, match="SQLite"):
        Deployment.create(tmp_path / "lab")
    assert os.listdir(tmp_path) == []


MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw shared:2 master:1 - nfs4 server:/home rw
31 30 8:2 / /home/kim/disk rw - ext4 /dev/sdb1 rw
32 22 0:41 / /mnt/my\040share rw - cifs //server/share rw
33 22 0:42 / /mnt/ssh rw - fuse.sshfs kim@server: rw
34 22 0:43 / /mnt/usb rw - fuseblk /dev/sdc1 rw
35 22 0:44 / /mnt/c rw - 9p C:\134 rw
36 22 0:45 / /mnt/over rw - ext4 /dev/sdd rw
37 36 0:46 / /mnt/over rw - nfs server:/over rw
"""


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/data/x", None),
        ("/home/kim/lab", "nfs4"),
        ("/home", "nfs4"),
        ("/homes", None),
        ("/home/kim/disk/lab", None),
        ("/mnt/my share/lab", "cifs"),
        ("/mnt/ssh/x", "fuse.sshfs"),
        ("/mnt/usb/x", None),
        ("/mnt/c/Users", "9p"),
        ("/mnt/over/x", "nfs"),
    ],
)
def test_network_file_systems(place: str, kind: str | None) -> None:
    assert network_kind(MOUNTS, Path(place)) == kind


def test_own_disk_of_a_sandbox() -> None:
    assert network_kind("1 0 0:1 / / rw - 9p none rw", Path("/tmp/x")) is None


def test_network_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert network_file_system(tmp_path) is None
    made = Deployment.create(tmp_path / "lab")
    monkeypatch.setattr(deployment, "network_file_system", lambda place: "nfs4")
    with pytest.raises(DeploymentError, match="deriva-ml serve"):
        Deployment.open(made.folder)
    with pytest.raises(DeploymentError, match="deriva-ml serve"):
        Deployment.create(tmp_path / "other" / "lab")
    assert os.listdir(tmp_path) == ["lab"]


def test_settings(tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text("threads = 2\nsession_seconds = 3\n")
    found = ServerConfig.load(tmp_path, {"DERIVA_SERVER_THREADS": "5"})
    assert (found.threads, found.session_seconds) == (5, 3)
    with pytest.raises(DeploymentError, match="THREADS must be a whole number"):
        ServerConfig.load(tmp_path, {"DERIVA_SERVER_THREADS": "many"})
    for text, message in (
        ("colour = 1", "colour"),
        ("threads = 0", "positive"),
        ("threads", "cannot be read"),
    ):
        (tmp_path / "server.toml").write_text(text)
        with pytest.raises(DeploymentError, match=message):
            ServerConfig.load(tmp_path, {})


def who(server: LocalServer) -> int:
    return server.handle(Request("GET", "/hatrac/")).status


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_one_server_per_folder_and_process(tmp_path: Path) -> None:
    with LocalServer.open(tmp_path / "lab", create=True) as server:
        assert LocalServer.open(str(tmp_path / "x" / ".." / "lab")) is server
        assert pickle.loads(pickle.dumps(server)) is server
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(who, [server, server]) == [200, 200]
        assert who(server) == 200
        (tmp_path / "lab").rename(tmp_path / "old")
        other = LocalServer.open(tmp_path / "lab", create=True)
        assert other.id != server.id
        other.close()
    with LocalServer.open(tmp_path / "old") as moved:
        assert moved is not server
        assert moved.id == server.id


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org"])
def test_only_loopback(tmp_path: Path, host: str) -> None:
    with (
        LocalServer.open(tmp_path / "lab", create=True) as server,
        pytest.raises(DeploymentError, match="no accounts"),
    ):
        server.serve(host)


def test_what_a_killed_maker_left_is_removed_later(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    old, new = folder / ".deployment.json.old", folder / ".deployment.json.new"
    for path in (old, new):
        path.write_text("{")
    os.utime(old, (0, 0))
    Deployment.create(folder)
    assert old.exists()
    Deployment.open(folder)
    assert not old.exists() and new.exists()


@pytest.mark.parametrize("step", ["open_databases", "Registry", "open_backend", "ObjectStore", "Application"])
def test_an_opening_that_is_interrupted_can_be_done_again(tmp_path, monkeypatch, step):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(embed, step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            embed.LocalServer.open(tmp_path / "lab", create=True)
    assert not (tmp_path / "lab").exists() or embed.is_deployment(tmp_path / "lab")
    with embed.LocalServer.open(tmp_path / "lab", create=True) as server:
        assert server.registry.entries() == []


def test_what_is_being_removed_is_not_opened(tmp_path):
    made = Deployment.create(tmp_path / "lab")
    with unused(made.folder), pytest.raises(DeploymentError, match="being removed"):
        LocalServer.open(made.folder)
    plan = plan_removal(made.folder)
    with LocalServer.open(made.folder) as server:
        for attempt in (plan.run, lambda: plan_removal(made.folder)):
            with pytest.raises(DeploymentError, match="is in use"):
                attempt()
        assert server.handle(Request("GET", "/authn/session")).status == 200
    assert plan.run() == ()
