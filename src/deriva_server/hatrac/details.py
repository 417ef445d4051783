"""Access lists and metadata of names and versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deriva_server.blobs.metadata import all_fields, field_text
from deriva_server.blobs.store import ObjectStore
from deriva_server.errors import BadRequest, MethodNotAllowed, NotFound
from deriva_server.hatrac.formats import document, read_json, tag_of, text
from deriva_server.hatrac.target import Target
from deriva_server.http.conditional import check
from deriva_server.http.message import Request, Response


class DetailHandler:
    """Answers requests to ``;acl`` and ``;metadata``.

    Parameters
    ----------
    store : ObjectStore
        The service.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.resources = store.resources

    def acl(self, request: Request, target: Target) -> Response:
        """Answer one request to access lists."""
        if not target.arguments:
            _allow(request, "GET", "HEAD")
            return document(request, self.resources.read_acls(request.client, target.path, target.version))
        access, *rest = target.arguments
        role = rest[0] if rest else None
        match request.method:
            case "GET" | "HEAD":
                return self._read_acl(request, target, access, role)
            case "PUT":
                return self._put_acl(request, target, access, role)
            case "DELETE":
                return self._delete_acl(request, target, access, role)
        raise MethodNotAllowed(f"{request.method} on an access list")

    def _read_acl(self, request: Request, target: Target, access: str, role: str | None) -> Response:
        roles = self.resources.read_acl(request.client, target.path, target.version, access)
        if role is None:
            return document(request, roles)
        if role not in roles:
            raise NotFound(f"role {role} in list {access} of {target.url}")
        return text(request, role, roles)

    def _put_acl(self, request: Request, target: Target, access: str, role: str | None) -> Response:
        if role is None:
            wanted = read_roles(read_json(request))
            return self._change(request, target, access, lambda roles: wanted)
        return self._change(request, target, access, lambda roles: [*roles, role], role)

    def _delete_acl(self, request: Request, target: Target, access: str, role: str | None) -> Response:
        if role is None:
            return self._change(request, target, access, lambda roles: [])

        def without(roles: list[str]) -> list[str]:
            if role not in roles:
                raise NotFound(f"role {role} in list {access} of {target.url}")
            return [other for other in roles if other != role]

        return self._change(request, target, access, without, role)

    def _change(
        self,
        request: Request,
        target: Target,
        access: str,
        change: Callable[[list[str]], Sequence[str]],
        role: str | None = None,
    ) -> Response:
        """Change a list; an entry exists for preconditions when its role is in the list."""

        def guard(roles: list[str]) -> None:
            check(request, tag_of(roles), exists=role is None or role in roles)

        self.resources.change_acl(request.client, (target.path, target.version), access, change, guard)
        return Response(204)

    def metadata(self, request: Request, target: Target) -> Response:
        """Answer one request to metadata; on an object it is that of its current version."""
        if not target.arguments:
            _allow(request, "GET", "HEAD")
            found = self.resources.read_metadata(request.client, target.path, target.version)
            return document(request, all_fields(found))
        field = target.arguments[0].lower()
        match request.method:
            case "GET" | "HEAD":
                value = field_text(
                    self.resources.read_metadata(request.client, target.path, target.version), field
                )
                if value is None:
                    raise NotFound(f"{field} of {target.url} is not set")
                return text(request, value)
            case "PUT":
                return self._set(request, target, field, _read_text(request))
            case "DELETE":
                return self._set(request, target, field, None)
        raise MethodNotAllowed(f"{request.method} on a metadata field")

    def _set(self, request: Request, target: Target, field: str, value: str | None) -> Response:
        def guard(before: str | None) -> None:
            check(request, None if before is None else tag_of(before), exists=before is not None)

        self.resources.set_metadata(request.client, (target.path, target.version), field, value, guard)
        return Response(204)


def read_roles(value: object) -> list[str]:
    """The roles of a JSON list.

    Raises
    ------
    BadRequest
        If it is not a list of strings.
    """
    if not isinstance(value, list) or not all(isinstance(role, str) for role in value):
        raise BadRequest("an access list is a JSON list of role names")
    return value


def _read_text(request: Request) -> str:
    if request.content_type != "text/plain":
        raise BadRequest("the value of a metadata field must be text/plain")
    try:
        return request.read().decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise BadRequest("the value of a metadata field must be UTF-8") from error


def _allow(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise MethodNotAllowed(f"{request.method} on a collection; it has {', '.join(methods)}")
