"""Namespaces of very many names and objects of many versions answer as small ones do."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

from tests.protocol.cases_runner import Answer, Transport
from tests.statements import counted

from deriva_server.embed import LocalServer
from deriva_server.sql import objects
from deriva_server.sql.dialect import Connection
from deriva_server.sql.objects import OBJECT, Metadata

SPACE = {"Content-Type": "application/x-hatrac-namespace"}
CHILDREN, BATCH, VERSIONS = 20_000, 1_000, 3_000


def asked(ask: Callable[[], Answer], status: int) -> tuple[Answer, int]:
    """The answer, and how many statements it took."""
    with counted() as sent:
        answer = ask()
    assert answer.status == status
    return answer, len(sent)


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

    def get(kind: str, **headers: str) -> Answer:
        return transport.send("GET", space, {"Accept": kind, **headers}, None)

    names = [f"{space}/n{number:05}" for number in range(CHILDREN)]
    listed = get("application/json")
    assert listed.json == names
    lines = get("text/uri-list")
    assert lines.body.decode().splitlines() == names
    page = get("text/html")
    assert page.body.count(b"<li>") == CHILDREN
    tag = listed.headers["etag"]
    assert lines.headers["etag"] == page.headers["etag"] == tag, "the tag is that of the list, in any form"
    assert get("application/json", **{"If-None-Match": tag}).status == 304
    assert transport.send("PUT", f"{space}/one-more", {}, b"x").status == 201
    assert get("application/json", **{"If-None-Match": tag}).headers["etag"] != tag
    assert transport.send("GET", f"{space}/one-more", {}, None).body == b"x"
    assert transport.send("DELETE", space, {}, None).status == 204
    assert transport.send("GET", space, {}, None).status == 404


def test_requests_take_no_more_statements_beside_many_names(
    server: LocalServer, transport: Transport
) -> None:
    counts = []
    for space, names in (("/hatrac/few", 1), ("/hatrac/more", 200)):
        assert transport.send("PUT", space, SPACE, None).status == 201
        for number in range(names):
            assert transport.send("PUT", f"{space}/n{number}", {}, b"x").status == 201
        counts.append(
            [
                asked(lambda space=space: transport.send("GET", space, {}, None), 200)[1],
                asked(lambda space=space: transport.send("HEAD", space, {}, None), 200)[1],
                asked(lambda space=space: transport.send("PUT", f"{space}/x", {}, b"x"), 201)[1],
                asked(lambda space=space: transport.send("GET", f"{space}/x", {}, None), 200)[1],
            ]
        )
    assert counts[0] == counts[1]


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

    listed = transport.send("GET", f"{path};versions", {}, None)
    assert len(listed.json) == VERSIONS + 1
    assert listed.json[0] == f"{path}:V{VERSIONS - 1:05}"
    tag = listed.headers["etag"]
    assert transport.send("GET", f"{path};versions", {"If-None-Match": tag}, None).status == 304
    assert transport.send("PUT", path, {}, b"x").status == 201
    assert transport.send("GET", f"{path};versions", {"If-None-Match": tag}, None).status == 200
