"""A load on one namespace of its own, with a model of what must be there after any request."""

from __future__ import annotations

import copy
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import requests
from tests.deployments import Answer, Caller

SIZES = (0, 100, 5_000, 70_000, 400_000)
CONTENTS = 25
CHUNK = 30_000
Versions = list[tuple[str, int]]
"""Ids of versions, oldest first, and the numbers of their contents."""


@lru_cache(CONTENTS)
def content(number: int) -> bytes:
    """One of a few contents, so that many objects have the same."""
    block = hashlib.sha512(b"%d" % number).digest()
    size = SIZES[number % len(SIZES)] + number
    return (block * (size // len(block) + 1))[:size]


@lru_cache(1)
def _numbers() -> dict[str, int]:
    return {hashlib.sha256(content(number)).hexdigest(): number for number in range(CONTENTS)}


@dataclass
class Upload:
    """An upload in chunks, and which of them have been acknowledged."""

    path: str
    url: str
    number: int
    chunks: set[int]

    @property
    def count(self) -> int:
        return -(-len(content(self.number)) // CHUNK)


@dataclass
class Open:
    """A request without an answer: what its object held, and would hold if it happened."""

    path: str
    before: list[int] | None
    after: list[int] | None
    is_finish: bool = False


class Shelf:
    """One writer on a namespace of its own.

    Attributes
    ----------
    objects : dict
        What objects must hold.
    upload : Upload or None
        The one that is not finished.
    open : Open or None
        Sent but not answered.
    """

    def __init__(self, number: int) -> None:
        self.base = f"/hatrac/w{number}"
        self.random = random.Random(number)
        self.made = 0
        self.objects: dict[str, Versions] = {}
        self.gone: list[str] = []
        self.renamed: dict[str, tuple[str, str, int]] = {}
        """Where the last version of a former name went: object, version and content."""
        self.upload: Upload | None = None
        self.open: Open | None = None
        self.acknowledged = 0

    def set_up(self, caller: Caller) -> None:
        answer = caller.send("PUT", self.base, Content_Type="application/x-hatrac-namespace")
        assert answer.status == 201, answer

    def run(self, caller: Caller) -> None:
        """Send requests until the server is gone."""
        actions: list[Callable[[Caller], None]] = [
            *[self.put] * 5,
            *[self.go_on_with_upload] * 4,
            *[self.delete] * 2,
            self.delete_version,
            self.rename,
        ]
        try:
            while True:
                self.random.choice(actions)(caller)
        except requests.RequestException:
            return

    def put(self, caller: Caller) -> None:
        path, number = self._some_path(), self.random.randrange(CONTENTS)
        before = self._contents(path)
        self._begin(path, before, [*(before or []), number])
        answer = self._ask(caller, "PUT", path, content(number), status=201)
        self.objects.setdefault(path, []).append((answer.body.decode().strip().rpartition(":")[2], number))
        self._done()

    def delete(self, caller: Caller) -> None:
        if len(self.objects) < 4:
            return
        path = self.random.choice(sorted(self.objects))
        self._begin(path, self._contents(path), None)
        self._ask(caller, "DELETE", path, status=204)
        self._forget(path)
        self._done()

    def delete_version(self, caller: Caller) -> None:
        several = sorted(path for path, versions in self.objects.items() if len(versions) > 1)
        if not several:
            return
        path = self.random.choice(several)
        version, _ = chosen = self.random.choice(self.objects[path])
        rest = [each for each in self.objects[path] if each != chosen]
        self._begin(path, self._contents(path), [number for _, number in rest])
        self._ask(caller, "DELETE", f"{path}:{version}", status=204)
        self.objects[path] = rest
        self._done()

    def rename(self, caller: Caller) -> None:
        full = sorted(path for path, versions in self.objects.items() if versions and path != self._busy())
        if not full:
            return
        old, new = self.random.choice(full), self._new_path()
        self._begin(new, None, [number for _, number in self.objects[old]])
        wish = {"command": "rename_from", "source_name": old.removeprefix("/hatrac")}
        self._ask(caller, "POST", new, wish, status=201, Content_Type="application/json")
        self._take_over(old, new, self.objects[old])
        self._done()

    def go_on_with_upload(self, caller: Caller) -> None:
        """The next request of the upload in chunks."""
        upload = self.upload
        if upload is None:
            self._begin_upload(caller)
            return
        missing = sorted(set(range(upload.count)) - upload.chunks)
        if missing:
            index = self.random.choice(missing)
            part = content(upload.number)[index * CHUNK : (index + 1) * CHUNK]
            self._ask(caller, "PUT", f"{upload.url}/{index}", part, status=204)
            upload.chunks.add(index)
            return
        before = self._contents(upload.path) or []
        self._begin(upload.path, before, [*before, upload.number])
        assert self.open is not None
        self.open.is_finish = True
        answer = self._ask(caller, "POST", upload.url, status=201)
        version = answer.body.decode().strip().rpartition(":")[2]
        self.objects[upload.path].append((version, upload.number))
        self.upload = None
        self._done()

    def settle(self, caller: Caller) -> str:
        """Find out what became of the request that was open at the kill."""
        open_, self.open = self.open, None
        fate = "none" if open_ is None else self._settle_open(caller, open_)
        if self.upload is not None:
            assert caller.send("GET", self.upload.url).status == 200, self.upload
            if open_ is not None and open_.is_finish:
                # The upload may have been on its way to become a version; sent again the chunks do no harm.
                self.upload.chunks.clear()
        return fate

    def _settle_open(self, caller: Caller, open_: Open) -> str:
        found = self._found(caller, open_.path)
        contents = None if found is None else [number for _, number in found]
        if contents == open_.after and open_.after != open_.before:
            self._apply(open_, found)
            return "happened"
        assert contents == open_.before, (open_, found)
        return "did not"

    def check(self, caller: Caller, most: int | None = None) -> None:
        """Everything acknowledged is there, byte for byte, and nothing else."""
        listed = caller.send("GET", f"{self.base}/", Accept="application/json").json
        assert set(listed) == self.objects.keys() | self.renamed.keys(), self.base
        paths = sorted(self.objects)
        for path in paths if most is None else self.random.sample(paths, min(most, len(paths))):
            assert self._found(caller, path) == self.objects[path], path
            for version, number in self.objects[path]:
                answer = caller.send("GET", f"{path}:{version}")
                size, said = len(answer.body), answer.body[:200]
                assert answer.status == 200, f"{path}:{version}: {answer.status} {said!r}"
                assert answer.body == content(number), f"{path}:{version}: {size} bytes, not content {number}"
            if not self.objects[path]:
                assert caller.send("GET", path).status == 409
        for path in self.gone[-3:]:
            assert caller.send("GET", path).status == 404
            assert caller.send("PUT", path, b"").status == 409
        for old, (new, version, number) in list(self.renamed.items())[-3:]:
            there = (version, number) in self.objects.get(new, [])
            answer = caller.send("GET", old)
            assert answer.body == content(number) if there else answer.status in (200, 409), (old, new)

    def _begin_upload(self, caller: Caller) -> None:
        path, number = self._some_path(), self.random.randrange(CONTENTS)
        before = self._contents(path)
        self._begin(path, before, before or [])
        wish = {"chunk-length": CHUNK, "content-length": len(content(number))}
        answer = self._ask(
            caller, "POST", f"{path};upload", wish, status=201, Content_Type="application/json"
        )
        self.objects.setdefault(path, [])
        self.upload = Upload(path, answer.body.decode().strip(), number, set())
        self._done()

    def _apply(self, open_: Open, found: Versions | None) -> None:
        if found is None:
            self._forget(open_.path)
            return
        ids = [version for version, _ in found]
        for old, versions in self.objects.items():
            if old != open_.path and versions and [version for version, _ in versions] == ids:
                self._take_over(old, open_.path, found)
                return
        self.objects[open_.path] = found
        if open_.is_finish:
            self.upload = None

    def _found(self, caller: Caller, path: str) -> Versions | None:
        answer = caller.send("GET", f"{path};versions", Accept="application/json")
        if answer.status == 404:
            return None
        assert answer.status == 200, answer
        found = []
        for url in reversed(answer.json):
            head = caller.send("HEAD", url)
            assert head.status == 200, url
            digest = requests.utils.to_native_string(head.headers["Content-SHA256"])
            found.append((url.rpartition(":")[2], _numbers()[_hexadecimal(digest)]))
        return found

    def _ask(
        self, caller: Caller, method: str, path: str, body: Any = None, *, status: int, **headers: str
    ) -> Answer:
        headers.setdefault("Content_Type", "application/octet-stream")
        answer = caller.send(method, path, body, **headers)
        assert answer.status == status, (method, path, answer)
        self.acknowledged += 1
        return answer

    def _begin(self, path: str, before: list[int] | None, after: list[int] | None) -> None:
        self.open = Open(path, copy.copy(before), after)

    def _done(self) -> None:
        self.open = None

    def _busy(self) -> str | None:
        return None if self.upload is None else self.upload.path

    def _contents(self, path: str) -> list[int] | None:
        versions = self.objects.get(path)
        return None if versions is None else [number for _, number in versions]

    def _some_path(self) -> str:
        if self.objects and (len(self.objects) > 12 or self.random.random() < 0.5):
            return self.random.choice(sorted(self.objects))
        return self._new_path()

    def _new_path(self) -> str:
        self.made += 1
        return f"{self.base}/o{self.made}"

    def _forget(self, path: str) -> None:
        del self.objects[path]
        self.gone.append(path)
        if self._busy() == path:
            self.upload = None

    def _take_over(self, old: str, new: str, versions: Versions) -> None:
        """A renamed object goes on under its new name; the old one only points there."""
        self.objects[new] = list(versions)
        del self.objects[old]
        self.renamed[old] = (new, *versions[-1])


def _hexadecimal(digest: str) -> str:
    import base64

    return base64.b64decode(digest).hex()
