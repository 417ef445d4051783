"""Memory of the server while a million rows stream, and cost per row as tables grow."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import study
from benchmarks.table import Row
from benchmarks.timing import some
from benchmarks.wire import Served, Wire, sender, serving

_STEP = 20_000
_SIZES = (10_000, 100_000, 1_000_000)


def measure(folder: Path, share: int) -> Iterator[Row]:
    """All rows."""
    yield from memory(folder / "memory", some(1_000_000, share))
    yield from scale(folder / "scale", [size // share for size in _SIZES], max(2, 100 // share))


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


def _cost(wire: Wire, requests: list[bytes], of: Callable[[list[float]], float] = statistics.median) -> float:
    taken = []
    for request in requests:
        start = time.perf_counter()
        status, _ = wire.drain([request])
        taken.append(time.perf_counter() - start)
        if status >= 400:
            raise RuntimeError(f"{request[:200]!r}: {status}")
    return of(taken) * 1e6


def _costs(wire: Wire, base: str, name: str, count: int) -> dict[str, float]:
    """Microseconds per row, or per keyed read."""
    send, target = sender(wire), f"{base}/entity/B:{name}"
    study.fill(send, base, name, count)
    rids = [row["RID"] for row in json.loads(send("GET", f"{base}/attribute/B:{name}/RID?limit=100"))]
    before = json.loads(send("GET", f"{base}/"))["snaptime"]
    inserts = [
        wire.request("POST", target, study.json_rows(count + at, count + at + 1000))
        for at in range(0, 9000, 1000)
    ]
    past = f"{base}@{before}/entity/B:{name}"
    # Of what takes seconds the fastest: the machine is seldom left alone for so long.
    times = max(3, min(5, 1_000_000 // count))
    return {
        "insert 1,000 rows, per row": _cost(wire, inserts) / 1000,
        "keyed read": _cost(wire, [wire.request("GET", f"{target}/RID={rid}") for rid in rids]),
        "keyed read at a snapshot": _cost(wire, [wire.request("GET", f"{past}/RID={rid}") for rid in rids]),
        "full read, per row": _cost(wire, [wire.request("GET", target)] * times, min) / (count + 9000),
        "snapshot read, per row": _cost(wire, [wire.request("GET", past)] * times, min) / count,
    }


def scale(folder: Path, sizes: list[int], versions: int) -> Iterator[Row]:
    """Costs in a large table beside those in a small one, and in a table with a long past beside one without."""
    with serving(folder) as served, Wire(served.port) as wire:
        base = study.create(sender(wire))
        found = [_costs(wire, base, f"Rows{size}", size) for size in sizes]
        for name, first in found[0].items():
            last = found[-1][name]
            whose = f"among {sizes[0]:,}"
            yield Row(f"{name}, among {sizes[-1]:,}", last, "µs", None, first, whose, first * 1.3)
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
        times: list[list[float]] = [[], []]
        for _ in range(100):
            for at, request in enumerate(targets):
                times[at].append(_cost(wire, [request]))
        fresh, aged = (statistics.median(values) for values in times)
        yield Row(f"{what}, {count} versions per row", aged, "µs", None, fresh, "one version", fresh * 1.1)
