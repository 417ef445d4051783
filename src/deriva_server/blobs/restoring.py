"""A store that a copy of a deployment fills before anybody uses it: files in its folder, or a new place in a bucket."""

from __future__ import annotations

import json
from typing import Protocol

from deriva_server.blobs.backend import Backend
from deriva_server.blobs.s3.addresses import parse_address
from deriva_server.blobs.store import open_bucket, place_claimed, place_of
from deriva_server.deployment import Deployment
from deriva_server.errors import DeploymentError, ServiceError
from deriva_server.unfinished import reason


class Filled(Protocol):
    """What takes contents over."""

    def copy_from(self, source: Backend, key: str) -> bool:
        """Take one over; whether it is what its key stands for."""

    def sync(self) -> None:
        """Make what was taken over last."""


class NewPlace:
    """A place in a bucket, to be taken for a copy; see `Filled`.

    Parameters
    ----------
    deployment : Deployment
        The copy.
    address : str
        ``s3://bucket/prefix``; nothing may be there.

    Raises
    ------
    DeploymentError
        If the address is none, or what it needs is not installed.
    """

    def __init__(self, deployment: Deployment, address: str) -> None:
        parsed = parse_address(address)
        self.address = str(parsed)
        self._beside = parsed.beside("NAME")
        self._place = place_of(deployment, address)
        self._backend = open_bucket(deployment, address)

    def note(self) -> str:
        """What `give_back_noted` needs to give the place back."""
        return json.dumps({"address": self.address, "claim": self._place.claim})

    def take(self) -> None:
        """Take the place.

        Raises
        ------
        DeploymentError
            If something is there, or the bucket cannot be used.
        """
        if not self._place.check(make=True):
            raise DeploymentError(
                f"{self.address} holds objects of this deployment already. Choose another prefix: {self._beside}"
            )

    def copy_from(self, source: Backend, key: str) -> bool:
        """Take over a content, also one that is not what its key stands for."""
        return self._backend.copy_from(source, key)

    def sync(self) -> None:
        """What S3 has accepted lasts."""

    def confirm(self) -> None:
        """See that nobody else has taken the place meanwhile, which a service that knows no conditions allows.

        Raises
        ------
        DeploymentError
            If somebody has.
        """
        if not self._place.is_own():
            raise DeploymentError(
                f"Somebody else has taken {self.address} meanwhile. Choose another prefix: {self._beside}"
            )

    def give_back(self) -> None:
        """Remove everything again, if it was taken."""
        self._place.undo()


def give_back_noted(note: str) -> None:
    """Give a place back that a killed process had taken; nothing happens if somebody else has it by now.

    Raises
    ------
    DeploymentError
        If it cannot be given back now.
    """
    try:
        known = json.loads(note)
    except ValueError:
        # A power cut tore it, and so came before anything was taken: notes last before that.
        return
    address = parse_address(known["address"])
    try:
        place_claimed(address, known["claim"]).undo()
    except (ServiceError, DeploymentError) as error:
        raise DeploymentError(
            f"A backup to this name was interrupted, and what it put to {address} cannot be removed: "
            f"{reason(error)}. Try again when it can, or choose another name for the backup."
        ) from error
