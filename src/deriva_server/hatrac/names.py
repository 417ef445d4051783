"""Namespaces, objects and versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from werkzeug.datastructures import Headers

from deriva_server.blobs.adding import Put
from deriva_server.blobs.backend import Source
from deriva_server.blobs.metadata import FIELDS, all_fields, read_metadata
from deriva_server.blobs.rename import Rename, rename
from deriva_server.blobs.store import ObjectStore
from deriva_server.blobs.versions import Content, Guard, State
from deriva_server.errors import (
    BadRequest,
    LengthRequired,
    MethodNotAllowed,
    NotFound,
    NotSupported,
    ServiceError,
)
from deriva_server.hatrac.formats import created, listing, read_json, tag_of
from deriva_server.hatrac.ranges import wanted_range
from deriva_server.hatrac.target import Target, parse_path, url_of
from deriva_server.http.conditional import check
from deriva_server.http.message import Request, Response

NAMESPACE_TYPE = "application/x-hatrac-namespace"

_RENAME_FIELDS = frozenset({"command", "source_name", "source_versions", "versions", "copy_acls"})


class NameHandler:
    """Answers requests to names and versions themselves.

    Parameters
    ----------
    store : ObjectStore
        The service.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    def handle(self, request: Request, target: Target) -> Response:
        """Answer one request."""
        match request.method, target.version:
            case (("GET" | "HEAD"), None):
                try:
                    return self._content(request, target)
                except NotFound:
                    if self.store.resources.is_namespace(target.path):
                        return self._list(request, target)
                    raise
            case (("GET" | "HEAD"), _):
                return self._content(request, target)
            case "DELETE", _:
                return self._delete(request, target)
            case "PUT", None:
                return self._put(request, target)
            case "POST", None:
                return self._rename(request, target)
        raise MethodNotAllowed(f"{request.method} {target.url}")

    def versions(self, request: Request, target: Target) -> Response:
        """Answer one request to the list of versions."""
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{request.method} {target.url};versions")
        if target.version is not None:
            raise BadRequest("a version has no versions")
        places = self.store.contents.list_versions(request.client, target.path)
        return listing(request, [url_of(place) for place in places], f"versions of {target.url}")

    def _list(self, request: Request, target: Target) -> Response:
        if request.headers.get("Range") is not None and request.method == "GET":
            raise NotSupported("ranges of a namespace")
        paths = self.store.resources.list_namespace(request.client, target.path)
        return listing(request, [url_of(path) for path in paths], target.url)

    def _content(self, request: Request, target: Target) -> Response:
        content = self.store.contents.find(request.client, target.path, target.version)
        failed = check(request, content.tag)
        if failed is not None:
            return failed
        version, headers = content.version, _headers(content, target)
        headers["Content-Length"] = str(version.length)
        if request.method == "HEAD":
            headers["Accept-Ranges"] = "bytes"
            return Response(200, headers)
        part = None
        if request.headers.get("If-Range") in (None, content.tag):
            part = wanted_range(request.headers.get("Range"), version.length)
        if part is None:
            return Response(200, headers, self.store.contents.read(content, 0, version.length))
        start, length = part
        headers["Content-Length"] = str(length)
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{version.length}"
        headers.pop("Content-MD5", None)
        headers.pop("Content-SHA256", None)
        return Response(206, headers, self.store.contents.read(content, start, length))

    def _put(self, request: Request, target: Target) -> Response:
        if (
            request.content_type == NAMESPACE_TYPE
            and self.store.resources.is_namespace(target.path) is not False
        ):
            self.store.resources.create_namespace(
                request.client, target.path, parents=target.parents, guard=_guard(request)
            )
            return created([target.url])
        return _added(self.store.contents.put(request.client, _read_put(request, target)))

    def put_objects(self, asked: Sequence[tuple[Request, Target]]) -> list[Response | ServiceError]:
        """Answer puts of objects that come together, each as it would be answered alone.

        Parameters
        ----------
        asked : sequence of tuple
            Requests of one client, in their order.
        """
        answers: dict[int, Response | ServiceError] = {}
        puts: dict[int, Put] = {}
        for number, (request, target) in enumerate(asked):
            try:
                puts[number] = _read_put(request, target)
            except ServiceError as error:
                answers[number] = error
        outcomes = self.store.contents.put_all(asked[0][0].client, list(puts.values())) if puts else []
        for number, outcome in zip(puts, outcomes, strict=True):
            answers[number] = outcome if isinstance(outcome, ServiceError) else _added(outcome)
        return [answers[number] for number in range(len(asked))]

    def _delete(self, request: Request, target: Target) -> Response:
        if target.version is None:
            self.store.contents.delete_name(request.client, target.path, _guard(request))
        else:
            self.store.contents.delete_version(request.client, target.path, target.version, _guard(request))
        return Response(204)

    def _rename(self, request: Request, target: Target) -> Response:
        wish = read_rename(read_json(request), target)
        places = rename(self.store.directory, request.client, wish, _guard(request))
        return created([url_of(place) for place in places]) if places else Response(204)


def is_put_of_object(request: Request, target: Target) -> bool:
    """Whether a request can only mean to add a version to an object."""
    return (
        request.method == "PUT"
        and target.sub is target.version is None
        and request.content_type != NAMESPACE_TYPE
    )


def _read_put(request: Request, target: Target) -> Put:
    if request.length is None:
        raise LengthRequired("an object is sent with its length")
    return Put(
        target.path,
        Source(request.body, request.length),
        read_metadata({name: request.headers.get(name) for name in FIELDS}),
        parents=target.parents,
        guard=_guard(request),
    )


def _added(content: Content) -> Response:
    return created([url_of(content.location)])


def read_rename(document: Any, target: Target) -> Rename:
    """The rename that a JSON document asks for; the list of versions has two spellings.

    Raises
    ------
    BadRequest
        If a field is missing, unknown, or of the wrong type.
    """
    if not isinstance(document, dict) or document.get("command") != "rename_from":
        raise BadRequest('the document must be an object with "command": "rename_from"')
    if unknown := sorted(document.keys() - _RENAME_FIELDS):
        raise BadRequest(f"a rename has no field {unknown[0]!r}")
    source, copy_acls = document.get("source_name"), document.get("copy_acls", False)
    versions = document.get("source_versions", document.get("versions"))
    if not isinstance(source, str) or not source.startswith("/"):
        raise BadRequest("source_name must be the path of an object below the service")
    if not isinstance(copy_acls, bool):
        raise BadRequest("copy_acls must be true or false")
    if versions is not None and not (
        isinstance(versions, list) and all(isinstance(item, str) for item in versions)
    ):
        raise BadRequest("source_versions must be a list of versions")
    return Rename(parse_path(source), target.path, versions, copy_acls, target.parents)


def _guard(request: Request) -> Guard:
    """Refuses a request by its preconditions."""

    def guard(state: State) -> None:
        tag = state if state is None or isinstance(state, str) else tag_of([url_of(path) for path in state])
        check(request, tag, exists=tag is not None)

    return guard


def _headers(content: Content, target: Target) -> Headers:
    """Headers of a version; the digests are those of the whole content."""
    fields = all_fields(content.version.metadata)
    return Headers(
        {
            "Content-Type": fields.get("content-type", "application/octet-stream"),
            **({"Content-MD5": fields["content-md5"]} if "content-md5" in fields else {}),
            **({"Content-SHA256": fields["content-sha256"]} if "content-sha256" in fields else {}),
            "Content-Disposition": fields.get(
                "content-disposition", f"filename*=UTF-8''{target.path.rpartition('/')[2]}"
            ),
            "Content-Location": url_of(content.location),
            "ETag": content.tag,
            "Vary": "cookie",
        }
    )
