"""Namespaces of very many names and objects of many versions are as quick as small ones."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable

from tests.protocol.cases_runner import Answer, Transport

from deriva_server.embed import LocalServer
from deriva_server.sql import objects
from deriva_server.sql.dialect import Connection
from deriva_server.sql.objects import OBJECT, Metadata

SPACE = {"Content-Type": "application/x-hatrac-namespace"}
CHILDREN, BATCH, VERSIONS = 20_000, 1_000, 3_000


def timed(ask: Callable[[], Answer], status: int, seconds: float) -> Answer:
    """The answer, which may take so long; the better of two tries, as other tests run beside."""
    began = time.monotonic()
    answer = ask()
    if time.monotonic() - began > seconds:
        began = time.monotonic()
        answer = ask()
    took = time.monotonic() - began
    assert (answer.status, took < seconds) == (status, True), (answer.status, took)
    return answer


def test_twenty_thousand_names(server: LocalServer, transport: Transport) -> None:
    space = "/hatrac/full"
    assert transport.send("PUT", space, SPACE, None).status == 201

    def fill(connection: Connection) -> None:
        parent = objects.names_at(connection, ["/full"])["/full"]
        acls = json.dumps(dict(parent.acls))
        for first in range(0, CHILDREN, BATCH):
            rows = [
                (f"/full/n{number:05}", parent.id, OBJECT, acls) for number in range(first, first + BATCH)
            ]
            connection.run(
                f"INSERT INTO hatrac_name (path, parent, kind, acls) VALUES {', '.join(['(?, ?, ?, ?)'] * BATCH)}",
                tuple(itertools.chain.from_iterable(rows)),
            )

    server.objects.directory.write(fill)

    def get(kind: str, **headers: str) -> Callable[[], Answer]:
        return lambda: transport.send("GET", space, {"Accept": kind, **headers}, None)

    names = [f"{space}/n{number:05}" for number in range(CHILDREN)]
    listed = timed(get("application/json"), 200, 2)
    assert listed.json == names
    lines = timed(get("text/uri-list"), 200, 2)
    assert lines.body.decode().splitlines() == names
    page = timed(get("text/html"), 200, 2)
    assert page.body.count(b"<li>") == CHILDREN
    tag = listed.headers["etag"]
    assert lines.headers["etag"] == page.headers["etag"] == tag, "the tag is that of the list, in any form"
    timed(get("application/json", **{"If-None-Match": tag}), 304, 2)
    timed(lambda: transport.send("HEAD", space, {}, None), 200, 2)
    assert timed(lambda: transport.send("PUT", f"{space}/one-more", {}, b"x"), 201, 1)
    assert timed(get("application/json", **{"If-None-Match": tag}), 200, 2).headers["etag"] != tag
    assert timed(lambda: transport.send("GET", f"{space}/one-more", {}, None), 200, 1).body == b"x"
    began = time.monotonic()
    assert transport.send("DELETE", space, {}, None).status == 204
    assert time.monotonic() - began < 10
    assert transport.send("GET", space, {}, None).status == 404


def test_thousands_of_versions(server: LocalServer, transport: Transport) -> None:
    path = "/hatrac/many"
    assert transport.send("PUT", path, {}, b"x").status == 201

    def fill(connection: Connection) -> None:
        name = objects.names_at(connection, ["/many"])["/many"]
        first = objects.current_version(connection, name.id)
        assert first is not None
        for number in range(VERSIONS):
            blob = (first.blob, first.length)
            objects.add_version(connection, name.id, f"V{number:05}", blob, Metadata(), first.acls)
        # PostgreSQL does so by itself, a minute later.
        connection.run("ANALYZE hatrac_version")

    server.objects.directory.write(fill)

    listed = timed(lambda: transport.send("GET", f"{path};versions", {}, None), 200, 2)
    assert len(listed.json) == VERSIONS + 1
    assert listed.json[0] == f"{path}:V{VERSIONS - 1:05}"
    tag = listed.headers["etag"]
    timed(lambda: transport.send("GET", f"{path};versions", {"If-None-Match": tag}, None), 304, 2)
    assert transport.send("PUT", path, {}, b"x").status == 201
    timed(lambda: transport.send("GET", f"{path};versions", {"If-None-Match": tag}, None), 200, 2)
