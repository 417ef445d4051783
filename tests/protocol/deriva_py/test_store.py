import base64
import hashlib
import os
import uuid

import pytest
from deriva.core import HatracHashMismatch, HatracStore
from requests import HTTPError


@pytest.fixture(scope="module")
def store(site):
    return site.store() if site.is_embedded else HatracStore("http", site.authority)


@pytest.fixture
def space(store):
    name = f"/hatrac/test-{uuid.uuid4().hex}"
    store.create_namespace(name)
    return name


def md5(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def test_namespaces(store, space):
    assert store.is_valid_namespace(space)
    assert not store.is_valid_namespace(space + "x")
    store.create_namespace(f"{space}/a/b")
    assert store.retrieve_namespace(f"{space}/a") == [f"{space}/a/b"]
    store.delete_namespace(f"{space}/a")
    assert store.retrieve_namespace(space) == []


@pytest.mark.parametrize("size", [0, 5, 3_000_000])
def test_put_and_get(store, space, tmp_path, size):
    source, target = tmp_path / "in.bin", tmp_path / "out.bin"
    source.write_bytes(data := os.urandom(size))
    place = store.put_obj(
        f"{space}/x/y.bin",
        str(source),
        content_type="image/png",
        content_disposition="filename*=UTF-8''y.bin",
    )
    assert place.startswith(f"{space}/x/y.bin:")
    head = store.head(f"{space}/x/y.bin")
    assert head.headers["Content-MD5"] == md5(data)
    assert (head.headers["Content-Length"], head.headers["Content-Type"]) == (str(size), "image/png")
    store.get_obj(f"{space}/x/y.bin", destfilename=str(target))
    assert target.read_bytes() == data
    source.write_bytes(b"changed afterwards")
    assert store.get_obj(place).content == data


def test_same_content_is_not_sent_twice(store, space, tmp_path):
    source = tmp_path / "a"
    source.write_bytes(b"abc")
    first = store.put_obj(f"{space}/a", str(source))
    assert store.put_obj(f"{space}/a", str(source)) == first
    assert store.content_equals(f"{space}/a", filename=str(source))
    source.write_bytes(b"abcd")
    assert store.put_obj(f"{space}/a", str(source)) != first


def test_chunks(store, space, tmp_path):
    source, target = tmp_path / "big", tmp_path / "back"
    source.write_bytes(os.urandom(2_500_001))
    told = []
    place = store.put_loc(
        f"{space}/deep/er/big",
        str(source),
        chunked=True,
        chunk_size=1_000_000,
        callback=lambda **told_: told.append(told_) or True,
    )
    assert place.startswith(f"{space}/deep/er/big:") and len(told) >= 3
    store.get_obj(place, destfilename=str(target))
    assert target.read_bytes() == source.read_bytes()


def test_wrong_digest_is_refused(store, space, tmp_path):
    source = tmp_path / "a"
    source.write_bytes(b"abc")
    with pytest.raises(HTTPError) as caught:
        store.put_obj(f"{space}/bad", str(source), md5=md5(b"other"))
    assert caught.value.response.status_code == 400
    assert HatracHashMismatch


def test_delete_and_rename(store, space, tmp_path):
    source = tmp_path / "a"
    source.write_bytes(b"abc")
    store.put_obj(f"{space}/a", str(source))
    moved = store.rename_obj(f"{space}/a", f"{space}/b")
    assert moved.startswith(f"{space}/b:")
    assert store.get_obj(f"{space}/b").content == b"abc"
    store.del_obj(f"{space}/b")
    with pytest.raises(HTTPError):
        store.get_obj(f"{space}/b")


def test_acls(store, space):
    store.set_acl(space, "read", ["*"])
    assert store.get_acl(space, "read") == {"read": ["*"]}
    store.set_acl(space, "create", ["someone"], add_role=True)
    assert store.get_acl(space)["create"] == ["someone"]
    store.del_acl(space, "create", "someone")
    assert store.get_acl(space)["create"] == []
