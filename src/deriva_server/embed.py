"""The server in this process: as a call, or as a thread on a free port."""

from __future__ import annotations

import ipaddress
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

from deriva_server.app import Application
from deriva_server.authn.local import local_client
from deriva_server.authn.session import AuthnFace
from deriva_server.blobs.files import TMP
from deriva_server.blobs.following import Following, follow
from deriva_server.blobs.s3.addresses import parse_address
from deriva_server.blobs.store import ObjectStore, claimed, open_backend
from deriva_server.blobs.taken import Taken, take_in
from deriva_server.catalogs.registry import Registry
from deriva_server.config import FILE, ServerConfig, keep_setting, known_setting
from deriva_server.deployment import Deployment, is_deployment
from deriva_server.ermrest.face import ErmrestFace
from deriva_server.ermrest.resolver import ResolverFace
from deriva_server.errors import DeploymentError
from deriva_server.hatrac.face import HatracFace
from deriva_server.hatrac.target import is_name
from deriva_server.http.message import Request, Response
from deriva_server.http.received import Receiving
from deriva_server.locks import share
from deriva_server.sql.databases import kept_address, open_databases, shown_address

if TYPE_CHECKING:
    from deriva_server.wsgi import RunningServer


class LocalServer:
    """The catalogs and objects of one folder, served inside this process.

    There is one per folder and process; `open` gives the same one again. Other processes may use the folder
    at the same time, and a child made by ``fork`` goes on with connections of its own.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, LocalServer.open(folder, create=True) as server:
    ...     server.handle(Request("GET", "/authn/session")).status
    200
    """

    def __init__(
        self, deployment: Deployment, database: str | None = None, objects: str | None = None
    ) -> None:
        self.deployment = deployment
        self.config = ServerConfig.load(deployment.folder)
        self.database = database or self.config.database
        self.bucket = _shown(objects or self.config.objects)
        with ExitStack() as undo:
            # Nobody can remove the deployment while this is open.
            undo.callback(os.close, _shared(deployment.folder))
            with claimed(deployment, self.bucket, make=objects is not None):
                databases = open_databases(
                    deployment.folder, deployment.id, self.database, make=database is not None
                )
                self.registry = Registry(databases)
                directory = databases.directory()
                self.objects = ObjectStore(directory, open_backend(deployment, self.bucket))
            self._hatrac = HatracFace(self.objects)
            ermrest = ErmrestFace(self.registry)
            self.application = Application(
                {
                    "ermrest": ermrest,
                    "id": ResolverFace(ermrest),
                    "hatrac": self._hatrac,
                    "authn": AuthnFace(self.config.session_seconds),
                },
                lambda request: local_client(),
            )
            self._held = undo.pop_all()

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        create: bool = False,
        name: str | None = None,
        database: str | None = None,
        objects: str | None = None,
    ) -> LocalServer:
        """The server of `folder`.

        Parameters
        ----------
        folder : str or Path
            A deployment.
        create : bool
            Whether a missing or empty folder becomes one.
        name : str, optional
            Of a new deployment, as shown to people; that of the folder by default.
        database : str, optional
            ``postgresql://user@host/name`` for catalogs on a PostgreSQL server. Kept as a setting of the deployment,
            without the password, so it need not be given again.
        objects : str, optional
            ``s3://bucket/prefix?endpoint=https://host:port&region=name`` for objects on S3. Kept as well;
            credentials are no part of it.

        Raises
        ------
        DeploymentError
            If the folder, the database or the bucket cannot be used; says why and the way out.
        """
        kept = {
            "database": _kept(database),
            "objects": None if objects is None else str(parse_address(objects)),
        }
        is_new = create and not is_deployment(folder)
        deployment = Deployment.create(folder, name) if create else Deployment.open(folder)
        with _opening:
            server = _open.get(deployment.folder)
            if server is None or server.id != deployment.id:
                try:
                    _check_known(deployment.folder, kept)
                    server = cls(deployment, database, objects)
                except BaseException:
                    if is_new:
                        deployment.take_back()
                    raise
                for setting, address in kept.items():
                    if address is not None:
                        keep_setting(deployment.folder, setting, address)
                _open[deployment.folder] = server
            elif kept["database"] not in (None, _kept(server.database)):
                raise DeploymentError(f"{deployment.folder} is open already, with other databases.")
            elif kept["objects"] is not None and kept["objects"] != server.bucket:
                raise DeploymentError(f"{deployment.folder} is open already, with objects elsewhere.")
            return server

    @property
    def id(self) -> str:
        """Id of the deployment, the same wherever its folder is moved."""
        return self.deployment.id

    @property
    def name(self) -> str:
        """Name of the deployment as shown to people."""
        return self.deployment.name

    @property
    def folder(self) -> Path:
        """Where the deployment lies."""
        return self.deployment.folder

    def handle(self, request: Request) -> Response:
        """Answer one request in this thread."""
        return self.application.handle(request)

    def handle_objects(self, requests: Sequence[Request]) -> list[Response]:
        """Answer some requests below ``/hatrac`` in this thread, each as `handle` would; puts share their work.

        Parameters
        ----------
        requests : sequence of Request
            Not too many: what their puts need is held together.
        """
        return self.application.handle_many(self._hatrac, requests)

    def take_in(
        self, stream: BinaryIO, length: int, progress: Callable[[int], object] | None = None
    ) -> Taken:
        """Take the bytes of an object in before its name is known; see `blobs.taken.take_in`.

        Returns
        -------
        Taken
            To be the body of one request that puts it, or to be discarded.
        """
        return take_in(self.objects.backend, stream, length, progress)

    def serve(self, host: str = "127.0.0.1", port: int = 0) -> RunningServer:
        """Answer HTTP in threads of this process until closed.

        Parameters
        ----------
        host : str
            A loopback address.
        port : int
            0 takes a free one.

        Raises
        ------
        DeploymentError
            If `host` is not a loopback address, or the port is taken.
        """
        # Here, for most servers of this kind never listen.
        from deriva_server.wsgi import start

        return start(
            self.handle,
            loopback(host),
            port,
            threads=self.config.threads,
            max_body=self.config.max_body_bytes,
            receiving=self._receiving(),
        )

    def _receiving(self) -> Receiving:
        """Long bodies wait on the disk of the store; those of objects are hashed meanwhile, where it is in a folder."""
        folder = self.deployment.objects_folder / TMP

        def follow_object(method: str, target: str, descriptor: int) -> Following | None:
            return follow(descriptor) if method == "PUT" and is_name(target) else None

        return Receiving(folder, follow_object) if self.bucket is None else Receiving(folder)

    def close(self) -> None:
        """Close what is open; a later `open` begins anew."""
        with _opening:
            if _open.get(self.folder) is self:
                del _open[self.folder]
        self.registry.close()
        self.objects.close()
        self._held.close()

    def __enter__(self) -> LocalServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return LocalServer.open, (str(self.folder),)


def _shared(folder: Path) -> int:
    descriptor = share(folder)
    if descriptor is None:
        raise DeploymentError(f"{folder} is being removed by another process.")
    return descriptor


def _kept(database: str | None) -> str | None:
    return None if database is None else kept_address(database)


def _shown(objects: str | None) -> str | None:
    return None if objects is None else str(parse_address(objects))


def _check_known(folder: Path, kept: Mapping[str, str | None]) -> None:
    """Refuse an address when the settings of the deployment have another one."""
    known, wanted = known_setting(folder, "database"), kept["database"]
    if known is not None and wanted is not None and _kept(known) != wanted:
        raise DeploymentError(
            f"{folder / FILE} says that the catalogs are at {shown_address(known)}, not at {shown_address(wanted)}."
        )
    known, wanted = known_setting(folder, "objects"), kept["objects"]
    if known is not None and wanted is not None and _shown(known) != wanted:
        raise DeploymentError(f"{folder / FILE} says that the objects are at {known}, not at {wanted}.")


def loopback(host: str) -> str:
    """`host` as a numeric loopback address.

    Raises
    ------
    DeploymentError
        If other machines could reach it.
    """
    if host == "localhost":
        return "127.0.0.1"
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise DeploymentError(
        f"Will not listen on {host}: the server has no accounts yet, so everybody who reaches it could change "
        "everything. Listen on 127.0.0.1 and let other machines in through a tunnel: "
        "`ssh -L PORT:127.0.0.1:PORT THIS_MACHINE`."
    )


_open: dict[Path, LocalServer] = {}
_opening = threading.Lock()


def _after_fork() -> None:
    """A thread of the parent may have held the lock at the fork."""
    global _opening
    _opening = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
