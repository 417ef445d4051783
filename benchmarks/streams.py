"""Memory of the server while a million rows stream, and cost per row as tables grow."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import study
from benchmarks.table import Row
from benchmarks.timing import some
from benchmarks.wire import Served, Wire, sender, serving

_STEP = 20_000
_MORE, _INSERTS, _READS = 1000, 9, 5
"""Rows of an insert, inserts, and rounds of full reads."""


def measure(folder: Path, share: int) -> Iterator[Row]:
    """All rows."""
    yield from memory(folder / "memory", some(1_000_000, share))
    yield from scale(folder / "scale", 10_000 // share, 1_000_000 // share, max(2, 100 // share))


def _pieces(kind: str, count: int) -> Iterator[bytes]:
    for start in range(0, count, _STEP):
        stop = min(count, start + _STEP)
        if kind == "text/csv":
            yield (study.CSV_HEADER if start == 0 else b"") + study.csv_rows(start, stop)
        elif kind == "application/json":
            array = study.json_rows(start, stop)[1:-1]
            yield (b"[" if start == 0 else b",") + array + (b"]" if stop == count else b"")
        else:
            yield study.json_lines(start, stop)


def _post(wire: Wire, target: str, kind: str, count: int, spool: Path) -> float:
    """Seconds that a post of many rows takes, which are made beforehand."""
    with spool.open("wb") as file:
        for piece in _pieces(kind, count):
            file.write(piece)
    length = spool.stat().st_size
    head = f"POST {target} HTTP/1.1\r\nHost: localhost:{wire.port}\r\nContent-Type: {kind}\r\n"

    def sent() -> Iterator[bytes]:
        yield f"{head}Content-Length: {length}\r\n\r\n".encode()
        with spool.open("rb") as file:
            while piece := file.read(1 << 20):
                yield piece

    start = time.perf_counter()
    status, _ = wire.drain(sent())
    if status != 200:
        raise RuntimeError(f"{target}: {status}")
    return time.perf_counter() - start


def memory(folder: Path, count: int) -> Iterator[Row]:
    """The peak of the server's memory for each direction and format."""
    kinds = {"CSV": "text/csv", "JSON": "application/json", "JSON lines": "application/x-json-stream"}
    with serving(folder) as served, Wire(served.port) as wire:
        base = study.create(sender(wire))
        for at, (name, kind) in enumerate(kinds.items()):
            sender(wire)("POST", f"{base}/schema/B/table", study.scan_table(f"In{at}"))
            served.forget_peak()
            taken = _post(wire, f"{base}/entity/B:In{at}", kind, count, folder / "spool")
            yield Row(f"{count:,} rows in as {name}", taken)
            yield _peak(f"{count:,} rows in as {name}", served)
        for name, kind in kinds.items():
            served.forget_peak()
            request = wire.request("GET", f"{base}/entity/B:In0", Accept=kind)
            start = time.perf_counter()
            status, _ = wire.drain([request])
            if status != 200:
                raise RuntimeError(f"{kind}: {status}")
            yield Row(f"{count:,} rows out as {name}", time.perf_counter() - start)
            yield _peak(f"{count:,} rows out as {name}", served)


def _peak(name: str, served: Served) -> Row:
    return Row(f"{name}, memory of the server", served.peak(), "MB", limit=200)


def _cost(wire: Wire, requests: list[bytes]) -> float:
    """Microseconds that each of some requests takes."""
    start = time.perf_counter()
    for request in requests:
        status, _ = wire.drain([request])
        if status >= 400:
            raise RuntimeError(f"{request[:200]!r}: {status}")
    return (time.perf_counter() - start) / len(requests) * 1e6


def _costs(wire: Wire, *rounds: list[list[bytes]]) -> list[float]:
    """The median cost of several works, whose rounds alternate: the speed of a machine changes within seconds."""
    taken = [[_cost(wire, requests) for requests in turn] for turn in zip(*rounds, strict=True)]
    return [statistics.median(costs) for costs in zip(*taken, strict=True)]


def _works(
    wire: Wire, base: str, name: str, count: int, most: int
) -> dict[str, tuple[int, list[list[bytes]]]]:
    """What is done with a table that gets `count` rows: rows of each request, and the requests of each round.

    A round of full reads reads about as many rows as one of a table of `most` rows.
    """
    send, target = sender(wire), f"{base}/entity/B:{name}"
    study.fill(send, base, name, count)
    rids = [row["RID"] for row in json.loads(send("GET", f"{base}/attribute/B:{name}/RID?limit=100"))]
    past = f"{base}@{json.loads(send('GET', f'{base}/'))['snaptime']}/entity/B:{name}"
    bodies = [study.json_rows(count + at, count + at + _MORE) for at in range(0, _INSERTS * _MORE, _MORE)]
    times, full = max(1, most // count), count + _INSERTS * _MORE
    return {
        "insert 1,000 rows, per row": (_MORE, [[wire.request("POST", target, body)] for body in bodies]),
        "keyed read": (1, [[wire.request("GET", f"{target}/RID={rid}")] for rid in rids]),
        "keyed read at a snapshot": (1, [[wire.request("GET", f"{past}/RID={rid}")] for rid in rids]),
        "full read, per row": (full, [[wire.request("GET", target)] * times] * _READS),
        "snapshot read, per row": (count, [[wire.request("GET", past)] * times] * _READS),
    }


def scale(folder: Path, small: int, large: int, versions: int) -> Iterator[Row]:
    """Costs in a large table beside those in a small one, and in a table with a long past beside one without."""
    with serving(folder) as served, Wire(served.port) as wire:
        base = study.create(sender(wire))
        few, many = (_works(wire, base, f"Rows{size}", size, large) for size in (small, large))
        for name, (rows, rounds) in few.items():
            most_rows, others = many[name]
            costs = _costs(wire, rounds, others)
            first, last = costs[0] / rows, costs[1] / most_rows
            yield Row(f"{name}, among {large:,}", last, "µs", None, first, f"among {small:,}", first * 1.3)
        yield from _versions(wire, base, versions)


def _versions(wire: Wire, base: str, count: int) -> Iterator[Row]:
    """Live reads of a table with many superseded versions per row beside one without."""
    send = sender(wire)
    for name in ("Fresh", "Aged"):
        study.fill(send, base, name, 1000)
    rows = json.loads(send("GET", f"{base}/attribute/B:Aged/RID"))
    for at in range(count):
        body = json.dumps([{**row, "v": at} for row in rows]).encode()
        send("PUT", f"{base}/attributegroup/B:Aged/RID;v", body)
    for what, suffix in (("full read of 1,000 rows", ""), ("one row by its key", "/name=scan-0000500")):
        targets = [wire.request("GET", f"{base}/entity/B:{name}{suffix}") for name in ("Fresh", "Aged")]
        fresh, aged = _costs(wire, *([[request]] * 100 for request in targets))
        yield Row(f"{what}, {count} versions per row", aged, "µs", None, fresh, "one version", fresh * 1.1)
