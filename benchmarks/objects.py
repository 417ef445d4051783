"""Measure the object service over HTTP and in process, beside the figures of the reference service."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from service import calibration
from werkzeug.datastructures import Headers
from wire import Wire, serving

from deriva_ml.checksums import md5_and_sha256
from deriva_ml.ermrest.objects import Upload
from deriva_server.embed import LocalServer
from deriva_server.http.message import Request

_SMALL = 4096
_LARGE = 100_000_000
_PIECE = 1 << 20
_numbers = itertools.count()


def _timed(work: Callable[[], object], runs: int) -> list[float]:
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return taken


def _small() -> bytes:
    """Four kilobytes that nobody has put before."""
    return (b"%020d" % next(_numbers) * 205)[:_SMALL]


def _must(answer: tuple[int, bytes]) -> bytes:
    status, body = answer
    if status >= 400:
        raise RuntimeError(f"{status} {body[:500].decode()}")
    return body


def over_http(folder: Path, quick: bool) -> Iterator[tuple[str, str, float, float, float]]:
    """Work, unit, ours, the reference's, and how many times better ours must be."""
    with serving(folder) as served, Wire(served.port) as wire:

        def send(method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
            return _must(wire.send(wire.request(method, target, body, **headers)))

        send("PUT", "/hatrac/bench", Content_Type="application/x-hatrac-namespace")
        runs = 50 if quick else 200
        put = _timed(lambda: send("PUT", f"/hatrac/bench/s{next(_numbers)}", _small()), runs)
        yield "object PUT 4 KB", "ms", statistics.median(put) * 1000, 7.0, 1
        send("PUT", "/hatrac/bench/one", _small())
        get = _timed(lambda: send("GET", "/hatrac/bench/one"), runs)
        yield "object GET 4 KB", "ms", statistics.median(get) * 1000, 3.7, 2
        head = _timed(lambda: send("HEAD", "/hatrac/bench/one"), runs)
        yield "object HEAD", "ms", statistics.median(head) * 1000, 3.7, 1
        yield from _large(wire, send, 3 if quick else 5)


def _large(
    wire: Wire, send: Callable[..., bytes], runs: int
) -> Iterator[tuple[str, str, float, float, float]]:
    block = os.urandom(_PIECE)

    def data() -> bytes:
        return (b"%020d" % next(_numbers) + block * (_LARGE // _PIECE + 1))[:_LARGE]

    taken = []
    for _ in range(runs):
        body = data()
        taken += _timed(lambda body=body: send("PUT", "/hatrac/bench/large", body), 1)  # type: ignore[misc]
    yield "object PUT 100 MB", "MB/s", _LARGE / 1e6 / statistics.median(taken), 150, 2
    request = wire.request("GET", "/hatrac/bench/large")
    taken = _timed(lambda: wire.drain([request]), runs)
    yield "object GET 100 MB", "MB/s", _LARGE / 1e6 / statistics.median(taken), 239, 2

    def chunked(body: bytes) -> None:
        part = _LARGE // 4
        wish = b'{"chunk-length":%d,"content-length":%d}' % (part, _LARGE)
        made = send("POST", "/hatrac/bench/large;upload", wish, Content_Type="application/json")
        job = made.decode().strip()
        for number in range(4):
            send("PUT", f"{job}/{number}", body[number * part : (number + 1) * part])
        send("POST", job)

    taken = []
    for _ in range(runs):
        body = data()
        taken += _timed(lambda body=body: chunked(body), 1)  # type: ignore[misc]
    yield "object PUT 100 MB, 4 chunks", "MB/s", _LARGE / 1e6 / statistics.median(taken), 156, 1


def embedded(folder: Path, quick: bool) -> Iterator[tuple[str, str, float, float, float]]:
    """A large file in process, against one MD5 pass over it."""
    size = (1 << 28) if quick else (1 << 30)
    path = folder / "large.bin"
    block = os.urandom(_PIECE)
    with path.open("wb") as file:
        for number in range(size // _PIECE):
            file.write(b"%020d" % number + block[20:])
        os.fsync(file.fileno())

    def pass_over() -> None:
        digest = hashlib.md5(usedforsecurity=False)
        with path.open("rb", buffering=0) as file:
            while piece := file.read(4 << 20):
                digest.update(piece)

    def put() -> float:
        with LocalServer.open(folder / "large", create=True) as server, path.open("rb") as file:
            request = Request("PUT", "/hatrac/large", Headers(), file, size)
            start = time.perf_counter()
            assert server.handle(request).status == 201
            taken = time.perf_counter() - start
        shutil.rmtree(folder / "large")
        return taken

    # The first one may have to wait until a virtual machine is given memory for its cache of files.
    put()
    pairs = [(_timed(pass_over, 1)[0], put()) for _ in range(3)]
    seconds = statistics.median(ours for _, ours in pairs)
    once = statistics.median(once for once, _ in pairs)
    yield f"embedded PUT {size >> 20} MiB", "s", seconds, once, 1 / 1.4


def together(folder: Path, quick: bool) -> Iterator[tuple[str, str, float, float, float]]:
    """Many small files at once in process, against the same client that puts them one by one over HTTP."""
    from deriva_ml.ermrest.connect import connect
    from deriva_ml.ermrest.together import put_many
    from deriva_ml.schema import create_ml_catalog

    count = 200 if quick else 1000
    lab = folder / "lab"
    catalog = str(create_ml_catalog(str(lab), "bench").catalog_id)
    with serving(lab) as served:
        connection = connect(f"http://127.0.0.1:{served.port}", catalog)
        one_by_one = _uploads(folder / "first", count)
        alone = _timed(lambda: put_many(connection, one_by_one, workers=1), 1)[0]
    connection = connect(str(lab), catalog)
    at_once = _uploads(folder / "second", count)
    ours = _timed(lambda: put_many(connection, at_once), 1)[0]
    yield f"{count:,} files of 4 KB together", "s", ours, alone, 3


def _uploads(folder: Path, count: int) -> list[Upload]:
    folder.mkdir()
    made = []
    for _ in range(count):
        path = folder / str(next(_numbers))
        path.write_bytes(_small())
        md5, sha256, _length = md5_and_sha256(path)
        made.append(Upload(path, f"/hatrac/{folder.name}/{path.name}", md5, sha256, path.name, None))
    return made


def measure(*, quick: bool) -> None:
    """Measure the object service and print."""
    print(f"# {calibration()}")
    print(f"{'work':<34}{'unit':>6}{'ours':>9}{'reference':>11}{'ratio':>8}{'target':>8}")
    for part in (over_http, embedded, together):
        with tempfile.TemporaryDirectory() as folder:
            for name, unit, ours, reference, factor in part(Path(folder), quick):
                ratio = ours / reference if unit == "MB/s" else reference / ours
                met = "met" if ratio >= factor else "MISSED"
                print(
                    f"{name:<34}{unit:>6}{ours:>9.2f}{reference:>11.2f}{ratio:>7.2f}x{factor:>7.2f}x  {met}",
                    flush=True,
                )


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller files and fewer runs")
    measure(quick=parser.parse_args().quick)


if __name__ == "__main__":
    main()
