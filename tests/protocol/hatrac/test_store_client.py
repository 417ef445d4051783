"""deriva-py's own object client, as a foreign client over HTTP."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from deriva.core.hatrac_store import HatracStore


@pytest.fixture
def store(url: str) -> HatracStore:
    return HatracStore("http", urlsplit(url).netloc)


@pytest.fixture
def space(store: HatracStore, request: pytest.FixtureRequest) -> str:
    import uuid

    path = f"/hatrac/py{uuid.uuid4().hex}"
    store.create_namespace(f"{path}/deep")
    return path


def test_put_get_verify(store: HatracStore, space: str, tmp_path: Path) -> None:
    source, target = tmp_path / "a.bin", tmp_path / "b.bin"
    source.write_bytes(bytes(range(256)) * 1000)
    place = store.put_loc(f"{space}/x/a.bin", str(source), content_type="image/png")
    assert place.startswith(f"{space}/x/a.bin:")
    assert store.put_loc(f"{space}/x/a.bin", str(source)) == place
    assert store.put_loc(f"{space}/x/a.bin", str(source), force=True) != place
    assert store.content_equals(f"{space}/x/a.bin", filename=str(source))
    assert not store.content_equals(f"{space}/x/a.bin", md5="AAAAAAAAAAAAAAAAAAAAAA==")
    store.get_obj(f"{space}/x/a.bin", destfilename=str(target))
    assert target.read_bytes() == source.read_bytes()
    store.del_obj(f"{space}/x/a.bin")
    with pytest.raises(requests.HTTPError):
        store.get_obj(f"{space}/x/a.bin")


@pytest.mark.parametrize("size", [1, 1024, 10_000, 3 << 20])
def test_chunked_put(store: HatracStore, space: str, tmp_path: Path, size: int) -> None:
    source, target = tmp_path / "a.bin", tmp_path / "b.bin"
    source.write_bytes(hashlib.sha512(b"seed").digest() * (size // 64) + b"x" * (size % 64))
    chunk = 1024 if size < 100_000 else 1 << 20
    place = store.put_loc(f"{space}/c.bin", str(source), chunked=True, chunk_size=chunk)
    assert place.startswith(f"{space}/c.bin:")
    assert store.put_loc(f"{space}/c.bin", str(source), chunked=True, chunk_size=chunk) == place
    store.get_obj(place, destfilename=str(target))
    assert target.read_bytes() == source.read_bytes()


def test_resume(store: HatracStore, space: str, tmp_path: Path) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes(bytes(range(256)) * 16)
    digest = base64.b64encode(hashlib.md5(source.read_bytes()).digest()).decode()
    path = f"{space}/c.bin"
    job = store.create_upload_job(path, str(source), digest, None, chunk_size=1024)

    def stop(**state: object) -> int:
        return -1 if state.get("completed") == 2 else 1

    with pytest.raises(Exception, match="paused"):
        store.put_obj_chunked(path, str(source), job, callback=stop, cancel_job_on_error=False)
    store.put_obj_chunked(path, str(source), job, start_chunk=2)
    assert store.finalize_upload_job(path, job).startswith(f"{path}:")
    assert store.content_equals(path, filename=str(source))


def test_rename_and_lists(store: HatracStore, space: str, tmp_path: Path) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes(b"abc")
    store.put_obj(f"{space}/a", str(source))
    place = store.rename_obj(f"{space}/a", f"{space}/b")
    assert place.startswith(f"{space}/b:")
    assert store.get_obj(f"{space}/a").content == b"abc"
    assert store.is_valid_namespace(space)
    assert not store.is_valid_namespace(f"{space}/none")
    assert store.retrieve_namespace(space) == [f"{space}/a", f"{space}/b", f"{space}/deep"]
    store.set_acl(space, "read", ["*"])
    store.set_acl(space, "read", ["group one/two"], add_role=True)
    assert store.get_acl(space, "read") == {"read": ["*", "group one/two"]}
    assert store.get_acl(space, "read", "group one/two") == {"read": ["group one/two"]}
    store.del_acl(space, "read", "*")
    store.del_acl(space, "read")
    assert store.get_acl(space)["read"] == []
    store.delete_namespace(space)
    assert not store.is_valid_namespace(space)
