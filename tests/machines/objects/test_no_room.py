"""A disk that is full, or a folder that may not be written: a clear answer, nothing lost, and the next request works."""

from __future__ import annotations

import os
import resource
import sys

import pytest
from tests.deployments import Direct, opened, processes

LIMIT = 1 << 20
LARGE = b"x" * (2 * LIMIT)


def in_another_process(work, *arguments):
    """Run with rights and limits of its own."""
    process = processes.Process(target=work, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode == 0


def _no_file_longer(folder, address):
    """The kernel refuses to let files grow, as a full disk does."""
    with opened(folder, address) as server:
        caller = Direct(server)
        assert caller.send("PUT", "/hatrac/a", b"before").status == 201
        wish = {"chunk-length": len(LARGE), "content-length": 2 * len(LARGE)}
        made = caller.send("POST", "/hatrac/c;upload", wish, Content_Type="application/json")
        job = made.body.decode().strip()
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, most))
        for method, target in (("PUT", "/hatrac/a"), ("PUT", "/hatrac/b"), ("PUT", f"{job}/0")):
            answer = caller.send(method, target, LARGE)
            assert answer.status == 507 and b"no room" in answer.body, answer
        assert caller.send("GET", "/hatrac/a").body == b"before"
        assert caller.send("GET", "/hatrac/b").status == 404
        assert caller.send("PUT", "/hatrac/b", b"small").status == 201
        assert list(server.objects.backend.unadopted(0)) == []
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        for index in (0, 1):
            assert caller.send("PUT", f"{job}/{index}", LARGE).status == 204
        assert caller.send("POST", job).status == 201
        assert caller.send("GET", "/hatrac/c").body == 2 * LARGE


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limits")
def test_no_room(tmp_path, address):
    in_another_process(_no_file_longer, tmp_path / "lab", address)


def _as_nobody(folder):
    with opened(folder, None) as server:
        caller = Direct(server)
        assert caller.send("PUT", "/hatrac/a", b"before").status == 201
        data = folder / "objects" / "data"
        shards = [data, *data.iterdir()]
        for path in shards:
            path.chmod(0o555)
        answer = caller.send("PUT", "/hatrac/b", b"after")
        assert answer.status == 500 and b"cannot be written: Permission denied" in answer.body, answer
        assert b"Traceback" not in answer.body
        assert caller.send("GET", "/hatrac/b").status == 404
        assert caller.send("GET", "/hatrac/a").body == b"before"
        for path in shards:
            path.chmod(0o755)
        assert caller.send("PUT", "/hatrac/b", b"after").status == 201
        assert caller.send("GET", "/hatrac/b").body == b"after"
        assert list(server.objects.backend.unadopted(0)) == []


def _give_up_rights(folder):
    # What is imported later may lie where nobody else may look.
    with opened(folder.with_name("before"), None) as server:
        assert Direct(server).send("PUT", "/hatrac/a", b"before").status == 201
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    _as_nobody(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such rights")
def test_a_folder_that_may_not_be_written(tmp_path_factory):
    base = tmp_path_factory.mktemp("nobody")
    # Another session of tests may have closed the folder of all.
    for folder in (base, *list(base.parents)[:3]):
        folder.chmod(0o755 if folder != base else 0o777)
    in_another_process(_give_up_rights, base / "lab")
