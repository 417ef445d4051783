"""`/hatrac`: which handler answers."""

from __future__ import annotations

from deriva_server.blobs.store import ObjectStore
from deriva_server.hatrac.details import DetailHandler
from deriva_server.hatrac.metrics import MetricsHandler
from deriva_server.hatrac.names import NameHandler
from deriva_server.hatrac.target import parse_target
from deriva_server.hatrac.transfers import TransferHandler
from deriva_server.http.message import Request, Response


class HatracFace:
    """REST face of the object service.

    Parameters
    ----------
    store : ObjectStore
        The service.
    """

    def __init__(self, store: ObjectStore) -> None:
        names, details, transfers = NameHandler(store), DetailHandler(store), TransferHandler(store)
        self._handlers = {
            None: names.handle,
            "versions": names.versions,
            "acl": details.acl,
            "metadata": details.metadata,
            "upload": transfers.handle,
            "metrics": MetricsHandler(store).handle,
        }

    def handle(self, request: Request) -> Response:
        """Answer one request below `/hatrac`."""
        target = parse_target(request.target)
        return self._handlers[target.sub](request, target)
