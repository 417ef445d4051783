"""A connection that breaks: what may be repeated is repeated soon, and answers are whole or not at all."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import random
import re
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from deriva_ml import DerivaML, ExecutionConfiguration
from deriva_ml.catalog import localize_assets
from deriva_ml.checksums import md5_of
from deriva_ml.ermrest import leases, metrics, objects, patience, rows, schemas
from deriva_ml.ermrest.connect import Connection, connect, create_catalog, delete_catalog
from deriva_ml.ermrest.patience import Patience, repeated_when_lost
from deriva_ml.errors import (
    DerivaMLCatalogNotFound,
    DerivaMLConflictError,
    DerivaMLConnectionError,
    DerivaMLNotFoundError,
)
from deriva_ml.model.define import ColumnDefinition, TableDefinition
from deriva_ml.model.types import BuiltinTypes
from deriva_ml.schema import create_ml_catalog
from deriva_server.embed import LocalServer

ANSWERED = {"busy": 503, "away": 502, "unclear": 504}
"""Answers of a server, or of what stands before it."""

FATES = ("busy", "away", "unclear", "drop", "lose", "cut")
"""Answer so, ``unclear`` after the request was carried out; hang up before or after that; hang up in the middle of the
answer."""

LOST = ("away", "unclear", "drop", "lose", "cut")
"""Those of which the client cannot tell whether the request was carried out."""

HELD = 1.0
"""Seconds for which an answer is held back, before the line is hung up."""

STATUS, ROLES = ("deriva-ml", "Execution_Status"), ("deriva-ml", "Asset_Role")
LONGEST = 20.0

pytestmark = pytest.mark.timeout(60)


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream = ""
    fate: Callable[[str], str]

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fate = type(self).fate(self.command)
        if fate in ("busy", "away"):
            self._send(ANSWERED[fate], [("Retry-After", "600")], b"not now\n")
            return
        if fate == "drop":
            self._hang_up()
            return
        there = http.client.HTTPConnection(type(self).upstream, timeout=30)
        given = {name: value for name, value in self.headers.items() if name.lower() not in _OWN}
        there.request(self.command, self.path, body, given)
        found = there.getresponse()
        data = found.read()
        there.close()
        if fate == "hold":
            time.sleep(HELD)
        if fate in ("lose", "hold"):
            self._hang_up()
            return
        if fate == "unclear":
            self._send(ANSWERED[fate], [], b"who knows\n")
            return
        kept = [item for item in found.getheaders() if item[0].lower() not in _OWN]
        length = found.getheader("Content-Length") if self.command == "HEAD" else None
        self._send(found.status, kept, data, cut=fate == "cut", length=length)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

    def _send(
        self,
        status: int,
        headers: list[tuple[str, str]],
        data: bytes,
        *,
        cut: bool = False,
        length: str | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


_OWN = frozenset({"connection", "content-length", "transfer-encoding", "accept-encoding", "date", "server"})


@contextlib.contextmanager
def between(url: str, fate: Callable[[str], str]) -> Iterator[str]:
    """URL of a proxy that decides on the fate of each request by its method."""
    handler = type("Handler", (_Proxy,), {"upstream": urlsplit(url).netloc, "fate": staticmethod(fate)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def first(times: int, fate: str, *methods: str) -> Callable[[str], str]:
    """That fate for the first requests, all others pass."""
    left = [times]

    def decide(method: str) -> str:
        if left[0] > 0 and (not methods or method in methods):
            left[0] -= 1
            return fate
        return "pass"

    return decide


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("flaky") / "lab"
    create_ml_catalog(str(folder), "lab")
    server = LocalServer.open(folder)
    with server.serve() as running:
        yield running.url
    server.close()


@contextlib.contextmanager
def soon() -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < LONGEST


def read(connection: Connection, folder: Path) -> None:
    assert len(list(rows.read(connection, STATUS))) == 7


def change(connection: Connection, folder: Path) -> None:
    row = {"Name": "Running", "Description": str(folder)}
    assert rows.update(connection, STATUS, [row], keys=["Name"], columns=["Description"])


def put_and_fetch(connection: Connection, folder: Path) -> None:
    source = folder / "source"
    source.write_bytes(os.urandom(2_000_000))
    url, md5, told = objects.object_url("flaky", folder.name), md5_of(source), []
    objects.put(connection, source, url, md5=md5)
    back = objects.fetch(connection, url, folder / "back", md5=md5, length=2_000_000, progress=told.append)
    assert back.read_bytes() == source.read_bytes()
    assert sum(told) == 2_000_000
    assert sorted(path.name for path in folder.iterdir()) == ["back", "source"]


def lease(connection: Connection, folder: Path) -> None:
    assert len(set(leases.lease(connection, 5))) == 5


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("work", [read, change, put_and_fetch, lease])
def test_repeated_until_it_works(
    served: str,
    fate: str,
    work: Callable[[Connection, Path], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if work is not read:
        monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.01")
    with between(served, first(3, fate)) as url, soon():
        work(connect(url, 1, check=False), tmp_path)


def test_only_the_fetch_is_cut(served: str, tmp_path: Path) -> None:
    with between(served, first(2, "cut", "GET")) as url, soon():
        put_and_fetch(connect(url, 1, check=False), tmp_path)


def test_an_insert_is_never_sent_twice_by_itself(served: str) -> None:
    asked: list[str] = []

    def fate(method: str) -> str:
        asked.append(method)
        return "lose" if method == "POST" else "pass"

    row = {"Name": "Odd", "Description": "", "Synonyms": [], "ID": "lab:Odd", "URI": "/id/1/odd"}
    with (
        between(served, fate) as url,
        soon(),
        pytest.raises(DerivaMLConnectionError, match="closed connection"),
    ):
        rows.insert(connect(url, 1), ("deriva-ml", "Asset_Role"), [row])
    assert asked.count("POST") == 1
    assert rows.count(connect(served, 1), ("deriva-ml", "Asset_Role"), {"Name": ["Odd"]}) == 1


def roles(names: list[str]) -> list[dict[str, Any]]:
    """Terms with these RIDs."""
    return [
        {"RID": name, "Name": f"Role {name}", "Description": "", "ID": name, "URI": name} for name in names
    ]


@pytest.mark.parametrize("fate", [*LOST, "hold"])
def test_an_insert_of_leased_rids_is_completed(
    served: str, fate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.01")
    rids = leases.lease(connect(served, 1), 2)
    with between(served, first(2, fate, "POST")) as url, soon():
        connection = connect(url, 1).patient((2, HELD / 2))
        made = rows.insert(connection, ROLES, roles(rids), with_rids=True)
    assert [row["RID"] for row in made] == rids


@pytest.mark.parametrize("fate", LOST)
def test_what_was_there_before_does_not_count_as_inserted(
    served: str, fate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.01")
    direct = connect(served, 1)
    old, *rids = leases.lease(direct, 4)
    rows.insert(direct, ROLES, roles([old]), with_rids=True)
    new = [{**row, "Description": "New"} for row in roles([rids[0], old, *rids[1:]])]
    with between(served, first(1, fate, "POST")) as url, soon():
        made = rows.insert(connect(url, 1), ROLES, new, with_rids=True, skip_conflicts=True)
    assert [row["RID"] for row in made] == rids
    with between(served, first(1, fate, "DELETE")) as url:
        assert rows.delete(connect(url, 1), ROLES, {"RID": [old, *rids]}) == 4


@pytest.mark.parametrize("lost_as", ["lose", "unclear"])
@pytest.mark.parametrize("is_raced", [False, True])
def test_a_guarded_update_is_completed(
    served: str, is_raced: bool, lost_as: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.01")
    direct, lost = connect(served, 1), first(1, lost_as, "PUT")
    found = rows.read(direct, STATUS, where={"Name": ["Aborted", "Running"]})
    body = [{**row, "Description": f"Mine, {is_raced}, {lost_as}"} for row in found]

    def fate(method: str) -> str:
        decided = lost(method)
        if is_raced and decided == lost_as:
            rows.update_one(direct, STATUS, body[0]["RID"], Description="That of somebody else")
        return decided

    with between(served, fate) as url:
        keys = ("RID", "RMT")
        done = rows.update(connect(url, 1), STATUS, body, keys=keys, columns=["Description"])
    assert [row["RID"] for row in done] == [row["RID"] for row in body[is_raced:]]


@pytest.mark.parametrize("lost_as", ["lose", "unclear"])
def test_changes_of_a_dataset_are_completed(
    served: str, tmp_path: Path, lost_as: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.01")
    with between(served, alternately("POST", "PUT", fate=lost_as)) as url:
        ml = DerivaML(url, 1, working_dir=tmp_path)
        workflow = ml.create_workflow("Curate", "Dataset_Management")
        with ml.create_execution(ExecutionConfiguration(workflow=workflow)) as exe:
            one, two = (exe.create_dataset(description=text) for text in ("One", "Two"))
        one.add_dataset_members([two.dataset_rid])
        assert ml.lookup_workflow(exe.workflow_rid).workflow_types == ["Dataset_Management"]
        assert str(one.release("minor", "Both")) == "0.2.0"
        ml.add_term("Asset_Role", f"Odd one, {lost_as}", "Told apart by its name", exists_ok=False)
    assert [member["RID"] for member in one.list_dataset_members()["Dataset"]] == [two.dataset_rid]
    assert len(one.dataset_history()) == 2


def alternately(*methods: str, fate: str = "lose") -> Callable[[str], str]:
    """That fate for every second request of each of the methods."""
    lost = {method: itertools.cycle([True, False]) for method in methods}
    return lambda method: fate if method in lost and next(lost[method]) else "pass"


@pytest.mark.parametrize("lost_as", ["lose", "unclear"])
def test_a_commit_is_completed(
    served: str, tmp_path: Path, lost_as: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_ATTEMPTS", "15")
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.01")
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    sizes = {f"{number} {lost_as}": 150_000 * number for number in range(4)}
    with between(served, alternately("POST", "PUT", "HEAD", fate=lost_as)) as url:
        ml = DerivaML(url, 1, working_dir=tmp_path, chunk_size=100_000)
        workflow = ml.create_workflow("Write", "Testing")
        with ml.create_execution(ExecutionConfiguration(workflow=workflow)) as exe:
            for name, size in sizes.items():
                exe.asset_file_path("Execution_Asset", name).write_bytes(os.urandom(size))
            exe.metrics_file().write_text('{"epoch": 1}\n')
        exe.commit_output_assets()
        ((_, *_),) = (ml.find_metrics().to_dict("records"),)
    assert exe.status == "Uploaded"
    made = [row for row in ml.get_table_as_dict("Execution_Asset") if row["Filename"] in sizes]
    assert {row["Filename"]: row["Length"] for row in made} == sizes and len(made) == len(sizes)


@pytest.mark.parametrize("fate", LOST)
def test_a_question_about_metrics_is_asked_again(
    served: str, tmp_path: Path, fate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.01")
    source, url = tmp_path / "m.json", objects.object_url("metrics", fate)
    source.write_text('{"loss": 0.5}')
    objects.put(connect(served, 1), source, url, md5=md5_of(source))
    with between(served, first(1, fate, "POST")) as bad:
        (found,) = metrics.ask(connect(bad, 1), [(url, source.name, md5_of(source))])
    assert isinstance(found, metrics.Parsed) and found.last == [0.5]


def test_files_are_brought_here_over_a_bad_line(
    served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_ATTEMPTS", "15")
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.01")
    create_ml_catalog(tmp_path / "lab", "copy")
    there, made = connect(served, 1), []
    for number in range(4):
        source = tmp_path / f"{number}.bin"
        source.write_bytes(os.urandom(70_000 * number))
        md5, url = md5_of(source), objects.object_url("brought", source.name)
        objects.put(there, source, url, md5=md5)
        made.append({"URL": url, "Filename": source.name, "Length": 70_000 * number, "MD5": md5})
    with LocalServer.open(tmp_path / "lab") as server, server.serve() as running:
        bad = alternately("POST", "PUT", "HEAD"), alternately("GET", fate="cut")
        with between(served, bad[1]) as source_url, between(running.url, bad[0]) as url:
            here, table = connect(url, 1), ("deriva-ml", "Execution_Asset")
            rows.insert(
                connect(running.url, 1), table, [{**row, "URL": source_url + str(row["URL"])} for row in made]
            )
            result = localize_assets(here.catalog, "Execution_Asset", chunk_size=60_000)
            assert (result.assets_processed, result.assets_failed) == (len(made), 0), str(result)
            for row in rows.read(connect(running.url, 1), table):
                assert row["URL"].startswith("/hatrac/")
                back = objects.fetch(
                    here, row["URL"], tmp_path / "back", md5=row["MD5"], length=row["Length"]
                )
                assert back.read_bytes() == (tmp_path / row["Filename"]).read_bytes()


@pytest.mark.parametrize("fate", LOST)
def test_deletions_are_completed(
    served: str, tmp_path: Path, fate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.01")
    name, types = f"Doomed {fate}", [ColumnDefinition(f"C{number}", BuiltinTypes.text) for number in range(2)]
    direct = connect(served, 1)
    model = direct.model()
    schemas.create_schema(direct, model, name)
    schemas.create_tables(direct, model, name, [TableDefinition(each, types) for each in ("T", "U")])
    catalog = create_catalog(served)
    with between(served, alternately("DELETE", fate=fate)) as url:
        connection = connect(url, 1)
        model = connection.model()
        table = model.schemas[name].tables["T"]
        table.columns["C0"].drop()
        schemas.drop_table(connection, model, table)
        schemas.drop_schema(connection, model, name)
        delete_catalog(connect(url, catalog.catalog_id))
    assert name not in direct.model().schemas
    with pytest.raises(DerivaMLCatalogNotFound):
        connect(served, catalog.catalog_id)


@pytest.mark.parametrize("fate", LOST)
def test_schemas_and_tables_are_made_over_a_bad_line(
    served: str, fate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.01")
    names, direct = [f"New {fate}", f"Bulk {fate}"], connect(served, 1)
    tables = [TableDefinition(each, [ColumnDefinition("C", BuiltinTypes.text)]) for each in ("T", "U")]
    with between(served, alternately("POST", fate=fate)) as url:
        connection = connect(url, 1)
        model = connection.model()
        assert schemas.create_schema(connection, model, names[0], "Said").comment == "Said"
        made = schemas.create_tables(connection, model, names[0], tables)
        assert [table.name for table in made] == ["T", "U"] and "C" in made[1].columns.elements
        schemas.create_schemas(connection, {names[1]: {"tables": {}}})
    found = direct.model().schemas
    assert {name: sorted(found[name].tables) for name in names} == {names[0]: ["T", "U"], names[1]: []}
    with between(served, first(1, fate, "POST")) as url:
        connection = connect(url, 1)
        stale = connection.model()
        schemas.create_tables(direct, direct.model(), names[1], tables[:1])
        # It cannot be told who made it, and what was wanted is there.
        schemas.create_tables(connection, stale, names[1], tables[:1])
    with pytest.raises(DerivaMLConflictError):
        schemas.create_schemas(direct, {names[1]: {"tables": {}}})


def test_what_never_was_cannot_be_deleted(served: str) -> None:
    with pytest.raises(DerivaMLNotFoundError):
        connect(served, 1).delete("/schema/Nothing")


@pytest.mark.parametrize("place", ["given", "home", "alias"])
def test_a_client_that_starts_waits_for_a_host_that_it_knows_from_before(
    served: str, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.02")
    monkeypatch.setenv("DERIVA_ML_RETRY_ATTEMPTS", "10")
    monkeypatch.setenv("DERIVA_ML_HOME", str(tmp_path / "home"))
    create_ml_catalog(tmp_path / "lab", "restarted", catalog_alias="eyes")
    catalog_id = "eyes" if place == "alias" else "1"
    working_dir = None if place == "home" else tmp_path / "work"
    server = LocalServer.open(tmp_path / "lab")
    running = server.serve()
    DerivaML(running.url, catalog_id, working_dir=working_dir)
    running.close()
    # As in a process that begins.
    monkeypatch.setattr(patience, "_answered", set())
    again = threading.Timer(1.0, lambda: begun.append(server.serve(port=running.port)))
    begun: list[Any] = []
    again.start()
    assert DerivaML(running.url, catalog_id, working_dir=working_dir).catalog_id == "1"
    again.join()
    begun[0].close()
    other = running.url.replace("127.0.0.1", "localhost")
    with pytest.raises(DerivaMLConnectionError, match="refused, 4 times.* While it starts, try again"):
        DerivaML(other, catalog_id, working_dir=working_dir)


def test_a_server_that_starts_anew_is_waited_for(
    served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.02")
    monkeypatch.setenv("DERIVA_ML_RETRY_ATTEMPTS", "10")
    create_ml_catalog(tmp_path / "lab", "restarted")
    server = LocalServer.open(tmp_path / "lab")
    running = server.serve()
    connection = connect(running.url, 1)
    running.close()
    again = threading.Timer(0.4, lambda: begun.append(server.serve(port=running.port)))
    begun: list[Any] = []
    again.start()
    threads = [threading.Thread(target=leases.lease, args=(connection, 1)) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert rows.count(connection, STATUS) == 7
    for thread in (*threads, again):
        thread.join()
    begun[0].close()
    (said,) = (record.message for record in caplog.records if record.name.startswith("deriva_ml"))
    assert re.fullmatch(
        rf"127.0.0.1:{running.port} does not answer \(.*refused\); trying .* \d+ seconds.", said
    )


def test_a_server_that_is_busy_at_first_is_waited_for(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.01")
    monkeypatch.setenv("DERIVA_ML_RETRY_ATTEMPTS", "5000")
    with between(served, first(6, "busy")) as url:
        assert rows.count(connect(url, 1, check=False), STATUS) == 7


def test_what_was_given_up_is_not_begun_anew(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.01")
    monkeypatch.setenv("DERIVA_ML_RETRY_ATTEMPTS", "4")
    asked: list[str] = []

    def fate(method: str) -> str:
        asked.append(method)
        return "drop" if method == "GET" else "lose"

    with between(served, fate) as url:
        connection = connect(url, 1, check=False)
        for act in (connection.document, lambda: leases.lease(connection, 1)):
            with pytest.raises(DerivaMLConnectionError):
                repeated_when_lost(connection.authority, act)
    assert (asked.count("GET"), asked.count("POST")) == (4, 4)


def test_requests_end_with_the_act_that_they_belong_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.01")
    ends: list[float] = []

    def act() -> None:
        ends.append(Patience("lab").end)
        if len(ends) < 3:
            raise DerivaMLConnectionError("lost") from requests.ConnectionError()

    repeated_when_lost("lab", act)
    assert len(ends) == 3 and len(set(ends)) == 1
    assert Patience("lab").end > ends[0]


def test_a_host_that_never_answered_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.001")
    monkeypatch.setenv("DERIVA_ML_RETRY_ATTEMPTS", "1000")
    with pytest.raises(DerivaMLConnectionError, match="Check the host name") as caught:
        connect("nowhere.invalid", 1)
    assert not caplog.records
    assert len(traceback.format_exception(caught.value)) < 12


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("fate", LOST)
def test_an_upload_in_pieces_is_begun_and_finished_over_a_bad_line(
    served: str, tmp_path: Path, fate: str, which: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.01")
    posts = itertools.count()

    def fate_of(method: str) -> str:
        return fate if method == "POST" and next(posts) == which else "pass"

    with between(served, fate_of) as url, soon():
        put_and_fetch(connect(url, 1, chunk_size=1_000_000), tmp_path)
    assert next(posts) > which


@pytest.mark.parametrize("seed", range(3))
def test_chunks_over_a_bad_line(
    served: str, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.01")
    chance = random.Random(seed)

    def fate(method: str) -> str:
        return chance.choice(FATES) if method == "PUT" and chance.random() < 0.3 else "pass"

    with between(served, fate) as url:
        put_and_fetch(connect(url, 1, chunk_size=100_000), tmp_path)


def test_http_taken_for_https_is_told(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERIVA_ML_RETRY_ATTEMPTS", "0")
    with pytest.raises(DerivaMLConnectionError, match=f"its hostname is {served}"):
        connect(urlsplit(served).netloc, 1)
