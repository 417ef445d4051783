"""`/hatrac`: which handler answers."""

from __future__ import annotations

from collections.abc import Sequence

from deriva_server.blobs.store import ObjectStore
from deriva_server.errors import ServiceError
from deriva_server.hatrac.details import DetailHandler
from deriva_server.hatrac.metrics import MetricsHandler
from deriva_server.hatrac.names import NameHandler, is_put_of_object
from deriva_server.hatrac.target import Target, parse_target
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
        self._names = names = NameHandler(store)
        details, transfers = DetailHandler(store), TransferHandler(store)
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

    def handle_many(self, requests: Sequence[Request]) -> list[Response | ServiceError]:
        """Answer some requests in their order; puts of objects that follow each other share their work.

        Returns
        -------
        list
            For each what `handle` would give or raise for it alone.
        """
        answers: list[Response | ServiceError] = []
        waiting: list[tuple[Request, Target]] = []
        for request in requests:
            try:
                target = parse_target(request.target)
                if is_put_of_object(request, target) and (
                    not waiting or waiting[0][0].client == request.client
                ):
                    waiting.append((request, target))
                    continue
                answers += self._put(waiting)
                waiting = []
                answers.append(self.handle(request))
            except ServiceError as error:
                answers += self._put(waiting)
                waiting = []
                answers.append(error)
        return answers + self._put(waiting)

    def _put(self, waiting: Sequence[tuple[Request, Target]]) -> list[Response | ServiceError]:
        try:
            return self._names.put_objects(waiting)
        except ServiceError as error:
            return [error] * len(waiting)
