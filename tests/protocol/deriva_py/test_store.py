import base64
import hashlib
import os
import uuid

import pytest
from deriva.core import DEFAULT_SESSION_CONFIG, HatracHashMismatch, HatracStore, NotModified
from deriva.core.hatrac_store import HatracJobAborted, HatracJobPaused
from requests import ConnectionError, HTTPError
from tests.deployments import serving


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
    with pytest.raises(HTTPError) as caught:
        store.create_namespace(f"{space}/a/b")
    assert caught.value.response.status_code == 409
    with pytest.raises(HTTPError) as caught:
        store.create_namespace(f"{space}/c/d", parents=False)
    assert caught.value.response.status_code == 404
    store.delete_namespace(f"{space}/a")
    assert store.retrieve_namespace(space) == []
    assert not store.is_valid_namespace(f"{space}/a/b")


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
    assert store.put_loc(f"{space}/a", str(source), force=True) != first
    assert store.put_loc(f"{space}/a", str(source), chunked=True).startswith(f"{space}/a:")
    assert len(store.get(f"{space}/a;versions").json()) == 2
    source.write_bytes(b"abcd")
    with source.open("rb") as file, pytest.raises(NotModified):
        store.put_obj(f"{space}/a", file, allow_versioning=False)
    assert store.put_obj(f"{space}/a", str(source)) != first


def test_content_is_compared(store, space, tmp_path):
    source = tmp_path / "a"
    source.write_bytes(b"abc")
    place = store.put_obj(f"{space}/a", str(source))
    sha256 = base64.b64encode(hashlib.sha256(b"abc").digest()).decode()
    for path in (f"{space}/a", place):
        assert store.content_equals(path, filename=str(source))
        assert store.content_equals(path, md5=md5(b"abc"))
        assert store.content_equals(path, sha256=sha256)
        assert not store.content_equals(path, md5=md5(b"abcd"))
    source.write_bytes(b"abcd")
    assert not store.content_equals(place, filename=str(source))
    with pytest.raises(HTTPError) as caught:
        store.content_equals(f"{space}/none", md5=md5(b"abc"))
    assert caught.value.response.status_code == 404


def test_versions(store, space, tmp_path):
    source, places = tmp_path / "a", []
    for text in ("one", "two"):
        source.write_text(text)
        places.append(store.put_obj(f"{space}/a", str(source)))
    assert [store.get_obj(place).text for place in places] == ["one", "two"]
    store.del_obj(places[1])
    assert store.get_obj(f"{space}/a").text == "one"
    with pytest.raises(HTTPError) as caught:
        store.get_obj(places[1])
    assert caught.value.response.status_code == 404
    with pytest.raises(HTTPError) as caught:
        store.put_obj(places[0], str(source), parents=False, force=True)
    assert caught.value.response.status_code == 405


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


def test_a_paused_upload_goes_on(store, space, tmp_path):
    source, path = tmp_path / "a.bin", f"{space}/c.bin"
    source.write_bytes(bytes(range(256)) * 16)
    job = store.create_upload_job(path, str(source), md5(source.read_bytes()), None, chunk_size=1024)
    with pytest.raises(HatracJobPaused):
        store.put_obj_chunked(
            path,
            str(source),
            job,
            callback=lambda **state: -1 if state.get("completed") == 2 else 1,
            cancel_job_on_error=False,
        )
    with pytest.raises(HTTPError) as caught:
        store.finalize_upload_job(path, job)
    assert caught.value.response.status_code == 409
    store.put_obj_chunked(path, str(source), job, start_chunk=2)
    assert store.finalize_upload_job(path, job).startswith(f"{path}:")
    assert store.content_equals(path, filename=str(source))


def test_an_aborted_upload_is_gone(store, space, tmp_path):
    source, path = tmp_path / "a.bin", f"{space}/c.bin"
    source.write_bytes(bytes(4096))
    with pytest.raises(HatracJobAborted):
        store.put_loc(path, str(source), chunked=True, chunk_size=1024, callback=lambda **state: 0)
    assert store.get(f"{path};upload").json() == []


def test_an_upload_goes_on_after_the_server_was_killed(tmp_path):
    source, target, path = tmp_path / "a.bin", tmp_path / "b.bin", "/hatrac/deep/c.bin"
    source.write_bytes(os.urandom(4096))
    impatient = {**DEFAULT_SESSION_CONFIG, "retry_connect": 0, "retry_read": 0}

    def connect(url):
        return HatracStore("http", url.removeprefix("http://"), session_config=impatient)

    with serving(tmp_path / "lab", None) as running:
        store = connect(running.url)
        job = store.create_upload_job(path, str(source), md5(source.read_bytes()), None, chunk_size=1024)

        def kill(**state):
            if state.get("completed") == 2:
                running.kill()
            return True

        with pytest.raises(ConnectionError):
            store.put_obj_chunked(path, str(source), job, callback=kill, cancel_job_on_error=False)
        store._session.close()
    with serving(tmp_path / "lab", None) as running:
        store = connect(running.url)
        assert store.get_upload_job(path, job).json()["content-md5"] == md5(source.read_bytes())
        store.put_obj_chunked(path, str(source), job, start_chunk=2)
        place = store.finalize_upload_job(path, job)
        store.get_obj(place, destfilename=str(target))
        store._session.close()
    assert target.read_bytes() == source.read_bytes()


def test_damage_is_noticed_by_who_reads(http, space, folder, tmp_path):
    store = HatracStore("http", http.removeprefix("http://"))
    source = tmp_path / "a"
    source.write_bytes(data := os.urandom(1000))
    store.put_obj(f"{space}/a", str(source))
    key = hashlib.sha256(data).hexdigest()
    stored = folder / "objects" / "data" / key[:2] / key
    stored.chmod(0o644)
    stored.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(HatracHashMismatch):
        store.get_obj(f"{space}/a", destfilename=str(tmp_path / "b"))


def test_wrong_digest_is_refused(store, space, tmp_path):
    source = tmp_path / "a"
    source.write_bytes(b"abc")
    with pytest.raises(HTTPError) as caught:
        store.put_obj(f"{space}/bad", str(source), md5=md5(b"other"))
    assert caught.value.response.status_code == 400
    assert not store.is_valid_namespace(f"{space}/bad")


def test_delete_and_rename(store, space, tmp_path):
    source = tmp_path / "a"
    source.write_bytes(b"abc")
    first = store.put_obj(f"{space}/a", str(source))
    source.write_bytes(b"abcd")
    second = store.put_obj(f"{space}/a", str(source))
    moved = store.rename_obj(f"{space}/a", f"{space}/b", versions=[first.rpartition(":")[2]], copy_acls=True)
    assert moved == first.replace("/a:", "/b:")
    assert store.get_obj(f"{space}/b").content == store.get_obj(first).content == b"abc"
    assert store.get_obj(f"{space}/a").content == b"abcd"
    moved = store.rename_obj(f"{space}/a", f"{space}/b")
    assert moved == second.replace("/a:", "/b:")
    assert store.head(f"{space}/a").headers["Content-Location"] == moved
    assert store.get_obj(f"{space}/b").content == b"abcd"
    store.del_obj(f"{space}/b")
    with pytest.raises(HTTPError):
        store.get_obj(f"{space}/b")


def test_acls(store, space, tmp_path):
    source = tmp_path / "a"
    source.write_bytes(b"abc")
    for resource in (space, f"{space}/a", store.put_obj(f"{space}/a", str(source))):
        store.set_acl(resource, "read", ["*", "group one/two"])
        assert store.get_acl(resource, "read") == {"read": ["*", "group one/two"]}
        assert store.get_acl(resource, "read", "group one/two") == {"read": ["group one/two"]}
        store.set_acl(resource, "owner", ["https://groups/a?b#c"], add_role=True)
        assert store.get_acl(resource)["owner"][1:] == ["https://groups/a?b#c"]
        store.del_acl(resource, "owner", "https://groups/a?b#c")
        store.del_acl(resource, "read", "*")
        assert store.get_acl(resource, "read") == {"read": ["group one/two"]}
        store.del_acl(resource, "read")
        assert store.get_acl(resource)["read"] == []
        with pytest.raises(HTTPError) as caught:
            store.get_acl(resource, "friends")
        assert caught.value.response.status_code == 400
