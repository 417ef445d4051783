"""Memory of the server while a million rows stream, and cost per row as tables grow."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import study
from wire import Served, Wire, serving

_STEP = 20_000
_SIZES = (10_000, 100_000, 1_000_000)


def _must(answer: tuple[int, bytes]) -> bytes:
    status, body = answer
    if status >= 400:
        raise RuntimeError(f"{status} {body[:500].decode()}")
    return body


def _sender(wire: Wire) -> Callable[..., bytes]:
    return lambda method, target, body=b"", **headers: _must(
        wire.send(wire.request(method, target, body, **headers))
    )


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


def _post(wire: Wire, target: str, kind: str, count: int, spool: Path) -> tuple[float, int]:
    """Seconds and length of a post of many rows, which are made beforehand."""
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
    return time.perf_counter() - start, length


def memory(folder: Path, quick: bool) -> None:
    """Print the peak of the server's memory for each direction and format."""
    count = 100_000 if quick else 1_000_000
    print(f"\n{f'{count:,} rows':<40}{'seconds':>9}{'MB':>9}{'peak MB':>9}{'limit':>7}")
    kinds = ("text/csv", "application/json", "application/x-json-stream")
    with serving(folder) as served, Wire(served.port) as wire:
        base = study.create(_sender(wire))
        for at, kind in enumerate(kinds):
            _sender(wire)("POST", f"{base}/schema/B/table", study.scan_table(f"In{at}"))
            served.forget_peak()
            seconds, length = _post(wire, f"{base}/entity/B:In{at}", kind, count, folder / "spool")
            _print(f"in as {kind}", seconds, length, served)
        for kind in kinds:
            served.forget_peak()
            start = time.perf_counter()
            request = wire.request("GET", f"{base}/entity/B:In0", Accept=kind)
            status, length = wire.drain([request])
            if status != 200:
                raise RuntimeError(f"{kind}: {status}")
            _print(f"out as {kind}", time.perf_counter() - start, length, served)


def _print(name: str, seconds: float, length: int, served: Served) -> None:
    peak = served.peak()
    verdict = "met" if peak < 200 else "MISSED"
    print(f"{name:<40}{seconds:>9.2f}{length / 1e6:>9.1f}{peak:>9.0f}{200:>7}  {verdict}", flush=True)


def _median(wire: Wire, requests: list[bytes]) -> float:
    taken = []
    for request in requests:
        start = time.perf_counter()
        status, _ = wire.drain([request])
        taken.append(time.perf_counter() - start)
        if status >= 400:
            raise RuntimeError(f"{request[:200]!r}: {status}")
    return statistics.median(taken) * 1e6


def _costs(wire: Wire, base: str, name: str, count: int) -> dict[str, float]:
    """Microseconds per row, or per keyed read."""
    send, target = _sender(wire), f"{base}/entity/B:{name}"
    study.fill(send, base, name, count)
    rids = [row["RID"] for row in json.loads(send("GET", f"{base}/attribute/B:{name}/RID?limit=100"))]
    before = json.loads(send("GET", f"{base}/"))["snaptime"]
    inserts = [
        wire.request("POST", target, study.json_rows(count + at, count + at + 1000))
        for at in range(0, 9000, 1000)
    ]
    past = f"{base}@{before}/entity/B:{name}"
    once = max(1, min(5, 1_000_000 // count))
    return {
        "insert 1,000 rows, per row": _median(wire, inserts) / 1000,
        "keyed read": _median(wire, [wire.request("GET", f"{target}/RID={rid}") for rid in rids]),
        "keyed read at a snapshot": _median(wire, [wire.request("GET", f"{past}/RID={rid}") for rid in rids]),
        "full read, per row": _median(wire, [wire.request("GET", target)] * once) / (count + 9000),
        "snapshot read, per row": _median(wire, [wire.request("GET", past)] * once) / count,
    }


def scale(folder: Path, quick: bool) -> None:
    """Print the cost per row at each size, and of tables with and without a past."""
    sizes = _SIZES[:2] if quick else _SIZES
    with serving(folder) as served, Wire(served.port) as wire:
        base = study.create(_sender(wire))
        found = [_costs(wire, base, f"Rows{count}", count) for count in sizes]
        print(f"\n{'microseconds':<40}" + "".join(f"{count:>11,}" for count in sizes) + f"{'largest':>9}")
        for name in found[0]:
            values = [costs[name] for costs in found]
            growth = values[-1] / values[0]
            verdict = "met" if growth <= 1.3 else "MISSED"
            print(f"{name:<40}" + "".join(f"{v:>11.1f}" for v in values) + f"{growth:>8.2f}x  {verdict}")
        _versions(wire, base, 20 if quick else 100)


def _versions(wire: Wire, base: str, count: int) -> None:
    """Compare live reads of a table with many superseded versions per row with one without."""
    send = _sender(wire)
    for name in ("Fresh", "Aged"):
        study.fill(send, base, name, 1000)
    rows = json.loads(send("GET", f"{base}/attribute/B:Aged/RID"))
    for at in range(count):
        body = json.dumps([{**row, "v": at} for row in rows]).encode()
        send("PUT", f"{base}/attributegroup/B:Aged/RID;v", body)
    print(f"\n{f'with {count} versions per row':<40}{'without':>11}{'with':>11}")
    for what, suffix in (("full read of 1,000 rows", ""), ("one row by its key", "/name=scan-0000500")):
        targets = [wire.request("GET", f"{base}/entity/B:{name}{suffix}") for name in ("Fresh", "Aged")]
        times: list[list[float]] = [[], []]
        for _ in range(100):
            for at, request in enumerate(targets):
                times[at].append(_median(wire, [request]))
        fresh, aged = (statistics.median(values) for values in times)
        print(f"{what:<40}{fresh:>11.1f}{aged:>11.1f}  {'met' if aged <= fresh * 1.1 else 'MISSED'}")
