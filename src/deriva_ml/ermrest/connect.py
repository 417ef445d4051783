"""A host name or a folder to one catalog and its object store; requests go through here, and so do their errors."""

from __future__ import annotations

import importlib
import os
import re
import shlex
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import requests

from deriva_ml.ermrest.address import Address, read_address
from deriva_ml.ermrest.bindings import (
    Catalog,
    Server,
    Snapshot,
    Store,
    credential_of,
    is_loopback,
    session_config,
)
from deriva_ml.ermrest.failures import FOREIGN, translate
from deriva_ml.ermrest.library import ErmrestCatalog, ErmrestSnapshot, Model, urlquote
from deriva_ml.ermrest.patience import Patience, has_answered, was_lost
from deriva_ml.errors import (
    DerivaMLCatalogNotFound,
    DerivaMLConfigurationError,
    DerivaMLConflictError,
    DerivaMLConnectionError,
    DerivaMLException,
    DerivaMLNotFoundError,
    DerivaMLReadOnlyError,
    DerivaMLValidationError,
)

if TYPE_CHECKING:
    from deriva_ml.ermrest.embedded import LocalTransport

Host = str | os.PathLike[str]

CHUNK_SIZE = 25 * 1024 * 1024


class Site:
    """One service: a deployment on this disk or a server on the network.

    Parameters
    ----------
    address : Address
    credential : dict, optional
        As deriva-py makes them; by default the stored one of the host.
    create : bool
        Whether a folder that is no deployment yet becomes one.
    timeout : tuple of float, optional
        Seconds to wait for a connection, and for each part of an answer; deriva-py's by default.
    chunk_size : int
        Bytes of one request of a large upload over the network.

    Attributes
    ----------
    authority : str
        Stands for the host in local paths, citations and URLs: the network name, or the name of the deployment.
    features : dict, optional
        What the service can do beyond the protocol, once it was asked.
    """

    def __init__(
        self,
        address: Address,
        credential: dict[str, Any] | None = None,
        create: bool = False,
        timeout: tuple[float, float] | None = None,
        chunk_size: int = CHUNK_SIZE,
    ) -> None:
        self.address, self.timeout, self.chunk_size = address, timeout, chunk_size
        self.features: dict[str, Any] | None = None
        self.transport: LocalTransport | None = None
        if address.folder is not None:
            # The server and what it needs are loaded only where a folder is opened.
            embedded = importlib.import_module("deriva_ml.ermrest.embedded")
            self.authority: str = authority_of(embedded.open_server(address.folder, create=create))
            self.transport = embedded.LocalTransport(address.folder)
            self.scheme, self.credential = "https", None
        else:
            self.authority, self.scheme = address.network_name, address.scheme
            self.credential = credential or credential_of(address.network_name)

    @property
    def is_embedded(self) -> bool:
        """Whether the server runs in this process."""
        return self.transport is not None

    @property
    def is_https_to_this_machine(self) -> bool:
        """Whether the server is taken for one with certificates, on the machine of this process."""
        return self.scheme == "https" and not self.is_embedded and is_loopback(self.url("/"))

    def server(self) -> Server:
        """deriva-py's binding of the service."""
        config = session_config(self.transport, self.timeout)
        return Server(self.scheme, self.authority, self.credential, caching=False, session_config=config)

    def store(self) -> Store:
        """deriva-py's binding of the object store."""
        config = session_config(self.transport, self.timeout)
        return Store(self.scheme, self.authority, self.credential, session_config=config)

    def url(self, path: str) -> str:
        """Absolute URL of a path on this service."""
        return f"{self.scheme}://{self.authority}{path}"


def authority_of(server: Any) -> str:
    """The name by which an embedded server is known in paths and URLs: readable, and unique through its id."""
    readable = re.sub(r"[^a-z0-9]+", "-", str(server.name).lower()).strip("-")[:40].rstrip("-")
    return "-".join(part for part in (readable, str(server.id)[:12]) if part)


class Connection:
    """One catalog, live or at a snapshot, and the object store beside it.

    It can be pickled and used after a fork: sessions are made anew in each process.

    Parameters
    ----------
    site : Site
    catalog_id : str
    snapshot : str, optional
    alias : str, optional
        Second id of the catalog, by which it was asked for.

    Attributes
    ----------
    host, authority : str
        As the user gave it; as it stands in paths, citations and URLs.
    catalog : ErmrestCatalog
        deriva-py's binding.
    """

    def __init__(
        self, site: Site, catalog_id: str, snapshot: str | None = None, alias: str | None = None
    ) -> None:
        self.site, self.alias = site, alias
        self.host, self.authority = site.address.host, site.authority
        self.catalog_id, self.snapshot = catalog_id, snapshot
        self.is_embedded = site.is_embedded
        self.catalog: Catalog | Snapshot = site.server().connect_ermrest(catalog_id, snapshot)
        self._store: Store | None = None

    @property
    def is_snapshot(self) -> bool:
        """Whether this is the catalog as it was at a time."""
        return self.snapshot is not None

    @property
    def store(self) -> Store:
        """deriva-py's binding of the object store."""
        if self._store is None:
            self._store = self.site.store()
        return self._store

    @property
    def name(self) -> str:
        """How messages call this catalog."""
        at = f"@{self.snapshot}" if self.snapshot else ""
        alias = f" (alias {self.alias})" if self.alias else ""
        return f"catalog {self.catalog_id}{at}{alias} on {self.host}"

    def __repr__(self) -> str:
        return f"<Connection to {self.name}>"

    def at(self, snaptime: str) -> Connection:
        """The same catalog as it was at `snaptime`."""
        return Connection(self.site, self.catalog_id, snaptime, self.alias)

    def live(self) -> Connection:
        """The same catalog as it is now; itself when it is live."""
        return Connection(self.site, self.catalog_id, alias=self.alias) if self.is_snapshot else self

    def patient(self, timeout: tuple[float, float]) -> Connection:
        """The same catalog, asked with other time-outs; see `Site`."""
        site = copy(self.site)
        site.timeout = timeout
        return Connection(site, self.catalog_id, self.snapshot, self.alias)

    def behind(self, alias_target: str | None) -> Connection:
        """The catalog that an alias leads to now, so that it stays the same one when the alias is turned to another.

        Parameters
        ----------
        alias_target : str, optional
            As the documents of the catalog have it; None when it was asked for by its own id.
        """
        if alias_target is None or alias_target == self.catalog_id:
            return self
        return Connection(self.site, str(alias_target), self.snapshot, self.catalog_id)

    # Requests ------------------------------------------------------------------------------------------------------

    def get(
        self, path: str, *, headers: dict[str, str] | None = None, doing: str | None = None
    ) -> requests.Response:
        """GET a path below the catalog's URL.

        Parameters
        ----------
        path : str
            With its leading ``/``, names already escaped.
        headers : dict, optional
        doing : str, optional
            What to call this in an error message.

        Raises
        ------
        DerivaMLException
            Whatever the service or the network says, as an error of this library.
        """
        return self._request("get", path, doing, headers=headers or {})

    def post(
        self, path: str, *, json: Any = None, doing: str | None = None, **options: Any
    ) -> requests.Response:
        """POST a JSON body to a path below the catalog's URL; errors as for `get`."""
        return self._request("post", path, doing, json=json, **options)

    def ask(self, path: str, *, json: Any, doing: str | None = None) -> requests.Response:
        """POST a question that is too long for a URL and changes nothing, also to a snapshot; errors as for `get`."""
        return self._request("ask", path, doing, json=json)

    def put(
        self, path: str, *, json: Any = None, doing: str | None = None, **options: Any
    ) -> requests.Response:
        """PUT a JSON body to a path below the catalog's URL; errors as for `get`."""
        return self._request("put", path, doing, json=json, **options)

    def delete(self, path: str, *, doing: str | None = None) -> requests.Response:
        """DELETE a path below the catalog's URL; errors as for `get`."""
        return self._request("delete", path, doing)

    def _request(self, verb: str, path: str, doing: str | None, **options: Any) -> requests.Response:
        if verb not in ("get", "ask") and self.is_snapshot:
            raise DerivaMLReadOnlyError(
                f"{self.name[0].upper()}{self.name[1:]} is a snapshot and cannot be changed."
            )
        patience = Patience(self.authority)
        while True:
            try:
                answer: requests.Response = getattr(self.catalog, verb)(path, **options)
                return answer
            except FOREIGN as error:
                # The session repeats by itself what may be repeated, but knows no POST that changes nothing.
                if verb != "ask" or not was_lost(error) or not patience.again(error):
                    self._fail(error, verb, path, doing)

    def _fail(self, error: Exception, verb: str, path: str, doing: str | None) -> NoReturn:
        short = path if len(path) < 200 else f"{path[:197]}..."
        opening = path.strip("/") in ("", "schema", "acl", "annotation")
        ours = translate(
            error, doing or (f"Opening {self.name}" if opening else f"{verb.upper()} {short} of {self.name}")
        )
        if isinstance(error, requests.ConnectionError):
            # How deep in the libraries the network failed tells nobody anything.
            error = error.with_traceback(None)
        if isinstance(ours, DerivaMLConnectionError) and self.site.is_https_to_this_machine:
            raise DerivaMLConnectionError(
                f"{ours} `deriva-ml serve` speaks plain http: its hostname is http://{self.authority}."
            ) from error
        if isinstance(ours, DerivaMLConnectionError):
            raise _with_folder(ours, self.site.address) from error
        if (
            self.is_snapshot
            and opening
            and isinstance(ours, (DerivaMLConflictError, DerivaMLValidationError))
        ):
            raise DerivaMLCatalogNotFound(f"There is no {self.name}: {ours}") from error
        if isinstance(ours, DerivaMLNotFoundError) and opening:
            raise DerivaMLCatalogNotFound(
                f"There is no {self.name}. Catalogs are named by id or alias: `deriva-ml catalog list {shlex.quote(self.host)}` "
                "tells which there are; create_ml_catalog() makes one."
            ) from error
        raise ours from error

    @property
    def has_answered(self) -> bool:
        """Whether it is certain that there is such a host, so that one that is away for a moment is waited for."""
        return self.is_embedded or has_answered(self.authority)

    def expect_answer(self) -> None:
        """Say that the host answered at another time: from now on it is waited for as one that answered this process."""
        Patience(self.authority).heard()

    # Questions about the catalog itself ----------------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        """What the service says about the catalog: id, snaptime, annotations, rights."""
        found: dict[str, Any] = self.get("/").json()
        return found

    def snaptime(self) -> str:
        """Id of the newest snapshot (of the snapshot itself when this is one)."""
        return str(self.document()["snaptime"])

    def schema_document(self) -> dict[str, Any]:
        """The whole model as a JSON document."""
        found: dict[str, Any] = self.get("/schema").json()
        self.site.features = found.get("features")
        return found

    def features(self) -> dict[str, Any]:
        """What the service can do beyond the protocol; asked for once."""
        if self.site.features is None:
            self.site.features = self.document().get("features") or {}
        return self.site.features

    def model(self, document: dict[str, Any] | None = None) -> Model:
        """The whole model as deriva-py's objects, from a document that was read before or fetched anew."""
        return Model(self.catalog, self.schema_document() if document is None else document)

    def whoami(self) -> dict[str, Any] | None:
        """The client as the service knows it (``id``, ``display_name``, …), None when it does not."""
        try:
            session: dict[str, Any] = self.catalog.get_authn_session().json()
        except FOREIGN as error:
            ours = translate(error, f"Asking {self.host} who I am")
            if getattr(getattr(error, "response", None), "status_code", 0) in (401, 404):
                return None
            raise ours from error
        client: dict[str, Any] = session.get("client") or session
        return client

    def url(self, path: str) -> str:
        """Absolute URL of a path on the service."""
        return self.site.url(path)


def _with_folder(error: DerivaMLException, address: Address) -> DerivaMLException:
    """Of a host that cannot be reached, say that a folder of that name would need a path separator."""
    if address.folder is not None or not isinstance(error, DerivaMLConnectionError):
        return error
    if Path(address.host).is_dir():
        return DerivaMLConnectionError(
            f"{error} {address.host!r} is a folder here; to open that, say './{address.host}'."
        )
    if re.fullmatch(r"[\w-]+", address.host):
        return DerivaMLConnectionError(f"{error} If a folder is meant, say './{address.host}'.")
    return error


def _split(catalog_id: str | int) -> tuple[str, str | None]:
    possible = isinstance(catalog_id, str | int) and not isinstance(catalog_id, bool)
    bare, at, snapshot = str(catalog_id).strip().partition("@")
    if not possible or not bare or "@" in snapshot or (at and not snapshot):
        raise DerivaMLConfigurationError(
            f"{catalog_id!r} is no catalog id; it looks like 1 or 1@2ZX-8K1T-0Q4G."
        )
    return bare, snapshot or None


def connect(
    hostname: Host,
    catalog_id: str | int,
    *,
    credential: dict[str, Any] | None = None,
    check: bool = True,
    timeout: tuple[float, float] | None = None,
    chunk_size: int | None = None,
) -> Connection:
    """Connect to a catalog.

    Parameters
    ----------
    hostname : str or path
        A folder (with a path separator, leading dot, or ``file:``), a network name, or ``http://host:port``.
    catalog_id : str or int
        Id or alias, with ``@snaptime`` for a snapshot.
    credential : dict, optional
        By default the one that deriva-auth stored for the host.
    check : bool
        Whether to ask for the catalog now, so that a wrong id is reported here.
    timeout, chunk_size
        As of `Site`.

    Raises
    ------
    DerivaMLConnectionError
        If the host or the folder cannot be reached.
    DerivaMLCatalogNotFound
        If there is no such catalog.

    Examples
    --------
    >>> connect("./demo", 1)  # doctest: +SKIP
    <Connection to catalog 1 on ./demo>
    """
    bare, snapshot = _split(catalog_id)
    site = Site(read_address(hostname), credential, timeout=timeout, chunk_size=chunk_size or CHUNK_SIZE)
    connection = Connection(site, bare, snapshot)
    if check:
        connection.document()
    return connection


def connect_site(hostname: Host, *, credential: dict[str, Any] | None = None) -> Connection:
    """Connect to the object store of a service, whichever catalogs it has."""
    return Connection(Site(read_address(hostname), credential), "0")


def create_catalog(
    hostname: Host, *, credential: dict[str, Any] | None = None, create: bool = True, **properties: Any
) -> Connection:
    """Make a new, empty catalog.

    Parameters
    ----------
    hostname : str or path
    credential : dict, optional
    create : bool
        Whether a folder that is no deployment yet becomes one.
    properties
        ``id``, ``owner``, ``name``, ``description``, ``is_persistent`` or ``clone_source`` of the new catalog. One that
        an administrator makes belongs to the role ``admin`` too, unless owners are given: to whoever opens the folder.
    """
    site = Site(read_address(hostname), credential, create=create)
    try:
        server = site.server()
        made = server.create_ermrest_catalog(**({"owner": server.usual_owners()} | properties))
    except FOREIGN as error:
        raise _with_folder(translate(error, f"Creating a catalog on {hostname}"), site.address) from error
    return Connection(site, made.catalog_id)


def connection_of(catalog: Any) -> Connection:
    """The connection to the catalog behind one of deriva-py's bindings, plain or ours.

    Raises
    ------
    DerivaMLValidationError
        If it is no binding of a catalog.
    """
    if not isinstance(catalog, ErmrestCatalog):
        raise DerivaMLValidationError(
            f"Expected a catalog as deriva-py makes them, not {type(catalog).__name__}."
        )
    config = catalog._session_config or {}
    transport = config.get("transport")
    if transport is not None:
        site = Site(read_address(transport.folder))
    else:
        site = Site(read_address(f"{catalog._scheme}://{catalog._server}"), catalog._credentials)
    snapshot = catalog.snaptime if isinstance(catalog, ErmrestSnapshot) else None
    return Connection(site, str(catalog.catalog_id), snapshot)


def bind_alias(connection: Connection, alias: str, retarget: bool = False) -> None:
    """Give a catalog a second id.

    Parameters
    ----------
    connection : Connection
        The catalog.
    alias : str
    retarget : bool
        Whether an alias that exists already is turned to this catalog.

    Raises
    ------
    DerivaMLException
        If the id is taken.
    """
    server = connection.site.server()
    doing = f"Giving {connection.name} the alias {alias!r}"
    try:
        if retarget:
            # A PUT makes the alias where there is none.
            server.put(
                f"/ermrest/alias/{urlquote(alias)}", json={"id": alias, "alias_target": connection.catalog_id}
            )
        else:
            server.create_ermrest_alias(id=alias, alias_target=connection.catalog_id)
    except FOREIGN as error:
        raise translate(error, doing) from error


def delete_catalog(connection: Connection) -> None:
    """Delete a catalog with everything in it."""
    try:
        connection.catalog.delete_ermrest_catalog(really=True)
    except FOREIGN as error:
        ours: DerivaMLException = translate(error, f"Deleting {connection.name}")
        raise ours from error
