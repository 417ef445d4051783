"""deriva-py's bindings, made patient and safe to share: bounded retries, fork-safe sessions, any transport.

Every binding that is derived from one of these (a snapshot, a clone, the server behind a catalog) is one of these too.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter

from deriva_ml.ermrest.library import (
    DEFAULT_CREDENTIAL_FILE,
    DEFAULT_GLOBUS_CREDENTIAL_FILE,
    DEFAULT_SESSION_CONFIG,
    DerivaBinding,
    DerivaServer,
    ErmrestAlias,
    ErmrestCatalog,
    ErmrestSnapshot,
    HatracStore,
    TimeoutHTTPAdapter,
    get_credential,
)
from deriva_ml.ermrest.patience import Patience, send_patiently

_LOOPBACK_PATIENCE = 2.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ADMIN = "admin"
"""Role of those who may make catalogs on a server without accounts of its own."""


def session_config(
    transport: BaseAdapter | None = None, timeout: tuple[float, float] | None = None
) -> dict[str, Any]:
    """Session configuration of these bindings; `transport` replaces the network, `timeout` is in seconds."""
    return {
        **DEFAULT_SESSION_CONFIG,
        "timeout": timeout or DEFAULT_SESSION_CONFIG["timeout"],
        "transport": transport,
    }


def credential_of(host: str) -> dict[str, Any] | None:
    """Stored credential for a host, None where this user never logged in anywhere."""
    files = (DEFAULT_CREDENTIAL_FILE, DEFAULT_GLOBUS_CREDENTIAL_FILE)
    if not any(Path(file).is_file() for file in files):
        return None
    found: dict[str, Any] | None = get_credential(host)
    return found


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine."""
    return urlsplit(url).hostname in _LOOPBACK


class _PatientAdapter(TimeoutHTTPAdapter):
    """Repeats what may be repeated, also when the connection is lost in the middle of the answer."""

    def send(
        self, request: requests.PreparedRequest, stream: bool = False, **options: Any
    ) -> requests.Response:
        """Send a request; unless it is streamed, the answer has been read."""
        once = functools.partial(super().send, request, stream=stream, **options)
        patience = Patience(urlsplit(str(request.url)).netloc)
        return send_patiently(request, once, patience, stream=stream)


def _adapter(config: dict[str, Any], url: str) -> BaseAdapter:
    if config.get("transport") is not None:
        transport: BaseAdapter = config["transport"]
        return transport
    timeout = tuple(config["timeout"])
    if is_loopback(url):
        # Nothing slows the way to this machine; what does not answer speaks another protocol.
        timeout = (min(timeout[0], _LOOPBACK_PATIENCE), timeout[1])
    adapter: BaseAdapter = _PatientAdapter(timeout=timeout, max_retries=0, pool_maxsize=32)
    return adapter


class _Patient:
    """Mixed into a deriva binding: where its session comes from."""

    session_config: dict[str, Any]
    _base_server_uri: str

    @property
    def _session(self) -> requests.Session | None:
        session: requests.Session | None = self.__dict__.get("_own_session")
        if session is not None and self.__dict__["_session_pid"] != os.getpid():
            # Sockets must not be shared with the parent process.
            fresh = self._configured(requests.Session())
            fresh.headers, fresh.cookies, fresh.verify = session.headers, session.cookies, session.verify
            self._session = session = fresh
        return session

    @_session.setter
    def _session(self, session: requests.Session | None) -> None:
        self.__dict__["_own_session"] = session
        self.__dict__["_session_pid"] = os.getpid()

    def _get_new_session(self, config: dict[str, Any] | None = None) -> None:
        super()._get_new_session(config)  # type: ignore[misc]  # of the binding that this is mixed into
        if self._session is not None:
            self._configured(self._session)

    def _configured(self, session: requests.Session) -> requests.Session:
        config = self.session_config
        adapter = _adapter(config, self._base_server_uri)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        if config.get("transport") is not None or is_loopback(self._base_server_uri):
            # Proxies and stored passwords of the environment are meant for the network.
            session.trust_env = False
        return session

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        session = state.pop("_own_session", None)
        state.pop("_session_pid", None)
        state["_cache"] = {}
        state["_kept"] = None if session is None else (session.headers, session.cookies, session.verify)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = state.pop("_kept", None)
        self.__dict__.update(state)
        session = self._configured(requests.Session())
        if kept is not None:
            session.headers, session.cookies, session.verify = kept
        self._session = session


class _Asking:
    """Mixed into a binding of a catalog: questions that are sent."""

    _session: requests.Session | None
    _response_raise_for_status: Callable[[requests.Response], None]

    def ask(self, path: str, json: Any) -> requests.Response:
        """POST what is too long for a URL and changes nothing; deriva-py would refuse it at a snapshot."""
        url, headers = DerivaBinding._pre_mutate(self, path, {})
        assert self._session is not None
        answer = self._session.post(url, json=json, headers=headers)
        self._response_raise_for_status(answer)
        return answer


class Catalog(_Asking, _Patient, ErmrestCatalog):
    """A live catalog."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._catalog_id} on {self._server}>"

    @property
    def deriva_server(self) -> Server:
        """The server that this catalog is on."""
        return Server(self._scheme, self._server, self._credentials, self._caching, self._session_config)

    @classmethod
    def connect(
        cls, deriva_server: Any, catalog_id: str | int, snaptime: str | None = None
    ) -> Catalog | Snapshot:
        """The catalog, or a snapshot of it when `snaptime` is given or part of the id (``1@2ZX-…``)."""
        if not snaptime:
            catalog_id, _, snaptime = str(catalog_id).partition("@")
        server = deriva_server
        common = (server.credentials, server.caching, server.session_config)
        if snaptime:
            return Snapshot(server.scheme, server.server, str(catalog_id), snaptime, *common)
        return Catalog(server.scheme, server.server, str(catalog_id), *common)

    def latest_snapshot(self) -> Snapshot:
        """The catalog as it is now, for ever."""
        snaptime = self.get("/").json()["snaptime"]
        common = (self._credentials, self._caching, self._session_config)
        return Snapshot(self._scheme, self._server, self._catalog_id, snaptime, *common)

    def getPathBuilder(self) -> Any:
        """deriva-py's query builder; its own repetitions are kept short, as the session already repeats."""
        return _impatient(super().getPathBuilder())


class Snapshot(_Asking, _Patient, ErmrestSnapshot):
    """A catalog as it was at a time."""

    @property
    def deriva_server(self) -> Server:
        """The server that this catalog is on."""
        return Server(self._scheme, self._server, self._credentials, self._caching, self._session_config)

    def latest_snapshot(self) -> Snapshot:
        """The snapshot itself: it never changes."""
        return self

    def getPathBuilder(self) -> Any:
        """deriva-py's query builder."""
        return _impatient(super().getPathBuilder())


class Alias(_Patient, ErmrestAlias):
    """Another id of a catalog."""


class Server(_Patient, DerivaServer):
    """A server with catalogs and an object store."""

    def connect_ermrest(self, catalog_id: str | int, snaptime: str | None = None) -> Catalog | Snapshot:
        """A catalog of this server, or a snapshot of it."""
        return Catalog.connect(self, catalog_id, snaptime)

    def usual_owners(self) -> list[str] | None:
        """Owners of a new catalog, None for those that the service gives it."""
        try:
            caller = self.get_authn_session().json()
        except requests.RequestException:
            # Whatever it is, making the catalog tells it.
            return None
        roles = {role["id"] for role in caller.get("attributes") or ()}
        return [caller["client"]["id"], _ADMIN] if _ADMIN in roles else None

    def create_ermrest_catalog(self, *args: Any, **kwargs: Any) -> Catalog:
        """Make a new catalog; parameters as in deriva-py."""
        made: Catalog = Catalog.create(self, *args, **kwargs)
        return made

    def connect_ermrest_alias(self, id: str) -> Alias:
        """An alias of this server."""
        made: Alias = Alias.connect(self, id)
        return made

    def create_ermrest_alias(self, *args: Any, **kwargs: Any) -> Alias:
        """Make a new alias; parameters as in deriva-py."""
        made: Alias = Alias.create(self, *args, **kwargs)
        return made


class Store(_Patient, HatracStore):
    """An object store."""


def _impatient(builder: Any) -> Any:
    """Let the query builder not repeat what the session has repeated already, and the rest once and soon."""
    rules = {"retry_codes": {408, 429, 500}, "backoff_factor": 1, "max_attempts": 2}
    for schema in builder.schemas.values():
        for table in schema.tables.values():
            for verb in ("insert", "update"):
                setattr(table, verb, functools.partial(getattr(table, verb), **rules))
    return builder
