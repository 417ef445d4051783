"""A store that a copy of a deployment fills before anybody uses it: files in its folder, or a new place in a bucket."""

from __future__ import annotations

from typing import Protocol

from deriva_server.blobs.backend import Backend, Source
from deriva_server.blobs.bodies import readable
from deriva_server.blobs.s3.addresses import parse_address
from deriva_server.blobs.store import open_backend, place_of
from deriva_server.deployment import Deployment
from deriva_server.errors import DeploymentError, NotFound


class Filled(Protocol):
    """What takes contents over."""

    def copy_from(self, source: Backend, key: str) -> bool:
        """Take one over; whether it is what its key stands for."""

    def sync(self) -> None:
        """Make what was taken over last."""


class NewPlace:
    """A place in a bucket, taken for a copy; see `Filled`.

    Parameters
    ----------
    deployment : Deployment
        The copy.
    address : str
        ``s3://bucket/prefix``; nothing may be there.

    Raises
    ------
    DeploymentError
        If something is, or the bucket cannot be used.
    """

    def __init__(self, deployment: Deployment, address: str) -> None:
        self.address = str(parse_address(address))
        self._place = place_of(deployment, address)
        if not self._place.check(make=True):
            beside = parse_address(address).beside("NAME")
            raise DeploymentError(
                f"{self.address} holds objects of this deployment already. Choose another prefix: {beside}"
            )
        self._backend = open_backend(deployment, address)

    def copy_from(self, source: Backend, key: str) -> bool:
        """Take over a content; what is not what its key stands for is left out."""
        length = source.size(key)
        if length is None:
            raise NotFound(f"content {key} is not in the store")
        with readable(source.read(key, 0, length)) as stream:
            staged = self._backend.stage(Source(stream, length))
        if staged.digests.sha256 != key:
            staged.discard()
            return False
        self._backend.adopt([staged])
        return True

    def sync(self) -> None:
        """What S3 has accepted lasts."""

    def give_back(self) -> None:
        """Remove everything again."""
        self._place.clear()
