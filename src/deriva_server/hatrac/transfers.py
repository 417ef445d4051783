"""Uploads in chunks."""

from __future__ import annotations

import re
from typing import Any

from deriva_server.blobs.backend import Source
from deriva_server.blobs.checksums import read_digest
from deriva_server.blobs.metadata import FIELDS, all_fields, read_metadata
from deriva_server.blobs.store import ObjectStore
from deriva_server.blobs.transfers import Announcement
from deriva_server.errors import BadRequest, LengthRequired, MethodNotAllowed, NotFound
from deriva_server.hatrac.formats import created, document, listing, read_json
from deriva_server.hatrac.target import Target, url_of
from deriva_server.http.message import Request, Response

_INDEX = re.compile("[0-9]+")
_LONGEST_INDEX = 18
"""Digits; what has more is the number of no chunk."""
_OLD_SPELLINGS = {
    "chunk_bytes": "chunk-length",
    "total_bytes": "content-length",
    "content_type": "content-type",
    "content_md5": "content-md5",
}


class TransferHandler:
    """Answers requests to ``;upload``.

    Parameters
    ----------
    store : ObjectStore
        The service.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    def handle(self, request: Request, target: Target) -> Response:
        """Answer one request."""
        if target.version is not None:
            raise BadRequest("a version cannot be uploaded to")
        match request.method, *target.arguments:
            case ("GET" | "HEAD",):
                return self._list(request, target)
            case ("POST",):
                return self._create(request, target)
            case ("GET" | "HEAD", job):
                return self._status(request, target, job)
            case ("POST", job):
                content = self.store.transfers.finish(request.client, target.path, job)
                return created([url_of(content.location)])
            case ("DELETE", job):
                self.store.transfers.cancel(request.client, target.path, job)
                return Response(204)
            case ("PUT", job, index):
                return self._put_chunk(request, target, job, index)
        raise MethodNotAllowed(f"{request.method} on an upload")

    def _list(self, request: Request, target: Target) -> Response:
        jobs = self.store.transfers.list_jobs(request.client, target.path)
        return listing(request, [_job_url(target, job) for job in jobs], f"uploads of {target.url}")

    def _create(self, request: Request, target: Target) -> Response:
        announced = read_announcement(read_json(request))
        if self.store.resources.is_namespace(target.path):
            raise NotFound(f"{target.url} is a namespace, it has no uploads")
        job = self.store.transfers.create(request.client, target.path, announced, parents=target.parents)
        return created([_job_url(target, job.id)])

    def _status(self, request: Request, target: Target, id_: str) -> Response:
        job = self.store.transfers.find(request.client, target.path, id_)
        status = {
            "url": _job_url(target, job.id),
            "target": target.url,
            "owner": list(job.acls.get("owner", ())),
            "chunk-length": job.chunk_length,
            "content-length": job.length,
        }
        return document(request, status | all_fields(job.metadata))

    def _put_chunk(self, request: Request, target: Target, id_: str, index: str) -> Response:
        if not _INDEX.fullmatch(index):
            raise BadRequest(f"{index!r} is not the number of a chunk")
        job = self.store.transfers.find(request.client, target.path, id_)
        if request.length is None:
            raise LengthRequired("a chunk is sent with its length")
        stated = request.headers.get("Content-MD5")
        md5 = None if stated is None else read_digest("md5", stated)
        number = int(index.lstrip("0")[: _LONGEST_INDEX + 1] or "0")
        self.store.transfers.put_chunk(job, number, Source(request.body, request.length), md5)
        return Response(204)


def read_announcement(value: Any) -> Announcement:
    """What a JSON document announces; old spellings are understood, empty texts are not set.

    Raises
    ------
    BadRequest
        If a count is missing or something has the wrong form.
    """
    if not isinstance(value, dict):
        raise BadRequest("an upload is announced by a JSON object")
    fields = {_OLD_SPELLINGS.get(name, name): given for name, given in value.items()}
    counts = [fields.get("chunk-length"), fields.get("content-length")]
    if any(type(count) is not int for count in counts):
        raise BadRequest("chunk-length and content-length must be whole numbers")
    texts = {name: fields.get(name) for name in FIELDS}
    for name, given in texts.items():
        if given is not None and not isinstance(given, str):
            raise BadRequest(f"{name} must be a text")
    return Announcement(fields["chunk-length"], fields["content-length"], read_metadata(texts))


def _job_url(target: Target, job: str) -> str:
    return f"{target.url};upload/{job}"
