"""`/authn`: who the caller is, for a server whose only client is local."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from werkzeug.datastructures import Headers

from deriva_server.errors import Conflict, MethodNotAllowed, NotFound
from deriva_server.http.message import Request, Response
from deriva_server.identity import Client, Group


class AuthnFace:
    """REST face of sessions.

    Parameters
    ----------
    session_seconds : int
        Life of a session as told to clients; every use extends it.
    """

    def __init__(self, session_seconds: int = 1800) -> None:
        self.life = dt.timedelta(seconds=session_seconds)
        self.since = dt.datetime.now(dt.UTC)

    def handle(self, request: Request) -> Response:
        """Answer one request below `/authn`."""
        resource = request.path.removeprefix("/authn").strip("/")
        if resource == "session":
            return self._session(request)
        if resource not in ("preauth", "discovery"):
            raise NotFound(f"{request.path} is not a resource of this service")
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{request.method} {request.path}")
        return _json({} if resource == "discovery" else self._preauth(request))

    def _session(self, request: Request) -> Response:
        """The session document; there is always exactly one session."""
        match request.method:
            case "GET" | "HEAD" | "PUT":
                return _json(self.document(request.client))
            case "POST":
                raise Conflict("already logged in: this server knows one local client only")
            case "DELETE":
                wanted = parse_qs(request.query).get("logout_url", [None])[0]
                return _json({"logout_url": wanted})
        raise MethodNotAllowed(f"{request.method} {request.path}")

    def document(self, client: Client) -> dict[str, Any]:
        """The session document of `client`.

        Parameters
        ----------
        client : Client
            A known one.
        """
        expires = dt.datetime.now(dt.UTC) + self.life
        own = client.document()
        return {
            "client": own,
            "attributes": [own, *(_attribute(group) for group in client.groups)],
            "since": _time(self.since),
            "expires": _time(expires),
            "seconds_remaining": int(self.life.total_seconds()) - 1,
            "vary_headers": ["cookie"],
            "tracking": None,
        }

    def _preauth(self, request: Request) -> dict[str, Any]:
        """Send the browser straight back: nobody has to log in. Foreign places are not sent to."""
        referrer = parse_qs(request.query).get("referrer", ["/"])[0]
        try:
            place = urlsplit(referrer)
        except ValueError:
            place = urlsplit("//unreadable")
        own = place.netloc in ("", request.headers.get("Host", "")) and place.scheme in ("", "http", "https")
        if not own or referrer.startswith(("//", "/\\", "\\")):
            referrer = "/"
        return {"authentication_type": "local", "cookie": "webauthn", "redirect_url": referrer}


def _attribute(group: Group) -> dict[str, Any]:
    named = {} if group.display_name is None else {"display_name": group.display_name}
    return {"id": group.id, **named}


def _time(time: dt.datetime) -> str:
    return time.isoformat(sep=" ", timespec="microseconds")


def _json(document: dict[str, Any]) -> Response:
    body = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    return Response(200, Headers({"Content-Type": "application/json", "Cache-Control": "no-store"}), body)
