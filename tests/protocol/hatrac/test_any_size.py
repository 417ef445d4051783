"""An object of any size goes to a server and comes back with little memory on both sides."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tests.deployments import serving

from deriva_ml.checksums import md5_of
from deriva_ml.ermrest.connect import connect
from deriva_ml.ermrest.objects import fetch, put
from deriva_ml.schema import create_ml_catalog
from deriva_server.testing.memory import Memory

MOST_MEMORY = 100 << 20

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="memory is watched on Linux only"
)


def peak(process: int) -> int:
    """Bytes that a process had at most since the last time it was asked to forget."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def there_and_back(tmp_path: Path, length: int) -> None:
    source, target = tmp_path / "sparse", tmp_path / "back"
    with source.open("wb") as file:
        file.truncate(length)
        file.seek(length // 2)
        file.write(os.urandom(1000))
    catalog = create_ml_catalog(str(tmp_path / "lab"), "large").catalog_id
    md5 = md5_of(source)
    with serving(tmp_path / "lab", None) as server:
        connection = connect(server.url, str(catalog))
        assert server.process.pid is not None
        before = peak(server.process.pid)
        Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
        with Memory() as memory:
            put(connection, source, "/hatrac/large", md5=md5)
            source.unlink()
            fetch(connection, "/hatrac/large", target, md5=md5, length=length)
        grown = peak(server.process.pid) - before
    print(f"{length >> 20} MiB: client {memory.grown >> 20} MiB more, server {grown >> 20} MiB more")
    assert grown < MOST_MEMORY and memory.grown < MOST_MEMORY
    assert target.stat().st_size == length


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_ten_gibibytes(tmp_path):
    there_and_back(tmp_path, 10 << 30)
