"""What the object service costs over HTTP and in process, beside the reference service."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from werkzeug.datastructures import Headers

from benchmarks.counting import Counts, counted
from benchmarks.table import Row
from benchmarks.timing import seconds, some, timed
from benchmarks.wire import Wire, sender, serving
from deriva_ml.checksums import md5_and_sha256
from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.objects import Upload
from deriva_server.embed import LocalServer
from deriva_server.http.message import Request

_SMALL = 4096
_LARGE = 100_000_000
_PIECE = 1 << 20
_REFERENCE = "reference"
_numbers = itertools.count()


def measure(folder: Path, share: int) -> Iterator[Row]:
    """All rows."""
    for part in (over_http, embedded, together):
        work = folder / part.__name__
        work.mkdir(parents=True)
        yield from part(work, share)
        shutil.rmtree(work)


def _small() -> bytes:
    """Four kilobytes that nobody has put before."""
    return (b"%020d" % next(_numbers) * 205)[:_SMALL]


def over_http(folder: Path, share: int) -> Iterator[Row]:
    """Small and large objects."""
    runs = some(200, share)
    with serving(folder) as served, Wire(served.port) as wire:
        send = sender(wire)
        send("PUT", "/hatrac/bench", Content_Type="application/x-hatrac-namespace")
        send("PUT", "/hatrac/bench/one", _small())

        def put() -> bytes:
            return send("PUT", f"/hatrac/bench/s{next(_numbers)}", _small())

        works: list[tuple[str, Callable[[], object], float, float]] = [
            ("object PUT 4 KB", put, 7.0, 1),
            ("object GET 4 KB", lambda: send("GET", "/hatrac/bench/one"), 3.7, 2),
            ("object HEAD", lambda: send("HEAD", "/hatrac/bench/one"), 3.7, 1),
        ]
        for name, work, reference, factor in works:
            with counted() as found:
                taken = statistics.median(seconds(work, runs)) * 1000
            counts = _each(found.counts, runs)
            yield Row(name, taken, "ms", counts, reference, _REFERENCE, reference / factor)
        yield from _large(wire, send, max(1, 5 // share), _LARGE // share)


def _each(counts: Counts | None, runs: int) -> Counts | None:
    """Of one request; what the other process asks of its databases is not seen."""
    if counts is None or counts.syncs is None:
        return None
    return Counts(0, 1, None, round(counts.syncs / runs))


def _large(wire: Wire, send: Callable[..., bytes], runs: int, size: int) -> Iterator[Row]:
    block = os.urandom(_PIECE)
    megabytes = f"{size / 1e6:.0f} MB"

    def data() -> bytes:
        return (b"%020d" % next(_numbers) + block * (size // _PIECE + 1))[:size]

    def chunked(body: bytes) -> None:
        part = size // 4
        wish = b'{"chunk-length":%d,"content-length":%d}' % (part, part * 4)
        job = send("POST", "/hatrac/bench/large;upload", wish, Content_Type="application/json")
        for number in range(4):
            send("PUT", f"{job.decode().strip()}/{number}", body[number * part : (number + 1) * part])
        send("POST", job.decode().strip())

    def rate(name: str, taken: list[float], reference: float, factor: float) -> Row:
        speed = size / 1e6 / statistics.median(taken)
        return Row(name, speed, "MB/s", None, reference, _REFERENCE, reference * factor)

    def each(work: Callable[[bytes], object]) -> list[float]:
        bodies = (data() for _ in range(runs))
        return [seconds(lambda body=body: work(body))[0] for body in bodies]  # type: ignore[misc]

    yield rate(f"object PUT {megabytes}", each(lambda body: send("PUT", "/hatrac/bench/large", body)), 150, 2)
    request = wire.request("GET", "/hatrac/bench/large")
    yield rate(f"object GET {megabytes}", seconds(lambda: wire.drain([request]), runs), 239, 2)
    yield rate(f"object PUT {megabytes}, 4 chunks", each(chunked), 156, 1)


def embedded(folder: Path, share: int) -> Iterator[Row]:
    """A large file in process, against one MD5 pass over it."""
    size = (1 << 30) // share // _PIECE * _PIECE
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

    def put() -> Row:
        with LocalServer.open(folder / "large", create=True) as server, path.open("rb") as file:
            request = Request("PUT", "/hatrac/large", Headers(), file, size)
            row = timed("", lambda: server.handle(request))
        shutil.rmtree(folder / "large")
        return row

    # The first one may have to wait until a virtual machine is given memory for its cache of files.
    first = put()
    pairs = [(seconds(pass_over)[0], put().value) for _ in range(3)]
    ours = statistics.median(ours for _, ours in pairs)
    once = statistics.median(once for once, _ in pairs)
    name = f"object PUT {size >> 20:,} MiB, in process"
    yield Row(name, ours, "s", first.counts, once, "one MD5 pass over it", once * 1.4)


def together(folder: Path, share: int) -> Iterator[Row]:
    """Many small files at once in process, against the same client that puts them one by one over HTTP."""
    from deriva_ml.ermrest.connect import connect
    from deriva_ml.schema import create_ml_catalog

    count = some(1_000, share)
    lab = folder / "lab"
    catalog = str(create_ml_catalog(str(lab), "bench").catalog_id)
    with serving(lab) as served:
        connection = connect(f"http://127.0.0.1:{served.port}", catalog)
        one_by_one = _uploads(folder / "first", count)
        alone = seconds(lambda: put_all(connection, one_by_one, workers=1))[0]
    connection = connect(str(lab), catalog)
    at_once = _uploads(folder / "second", count)
    ours = timed(f"{count:,} objects of 4 KB together, in process", lambda: put_all(connection, at_once))
    yield replace(ours, other=alone, whose="one by one over HTTP", limit=alone / 3)


def put_all(connection: Connection, uploads: Sequence[Upload], workers: int | None = None) -> None:
    """Put files as a commit does, many small ones together where that is possible."""
    from deriva_ml.ermrest.together import batches, put_batch
    from deriva_ml.parallel import run_all

    def put(batch: Sequence[Upload]) -> None:
        for failure in filter(None, put_batch(connection, batch)):
            raise failure

    run_all(put, batches(connection, uploads, lambda upload: upload.path), workers)


def _uploads(folder: Path, count: int) -> list[Upload]:
    folder.mkdir()
    made = []
    for _ in range(count):
        path = folder / str(next(_numbers))
        path.write_bytes(_small())
        md5, sha256, _length = md5_and_sha256(path)
        made.append(Upload(path, f"/hatrac/{folder.name}/{path.name}", md5, sha256, path.name, None))
    return made
