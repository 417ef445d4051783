"""A place in a bucket belongs to one deployment: another one would remove what this one keeps."""

from __future__ import annotations

import contextlib

from deriva_server.blobs.s3.addresses import Address
from deriva_server.blobs.s3.bucket import Bucket
from deriva_server.errors import DeploymentError, NotFound, PreconditionFailed, ServiceError


class Claim:
    """The document that says to whom a place in a bucket belongs.

    Parameters
    ----------
    address : Address
        The place.
    deployment : str
        Id of a deployment.
    """

    def __init__(self, address: Address, deployment: str) -> None:
        self._bucket = Bucket(address)
        self._address = address
        self._prefix = address.prefix and f"{address.prefix}/"
        self._key = f"{self._prefix}deployment"
        self._deployment = deployment

    def check(self, *, make: bool) -> bool:
        """See that the place belongs to the deployment.

        Parameters
        ----------
        make : bool
            Whether it takes a place that is free.

        Returns
        -------
        bool
            Whether it was taken just now.

        Raises
        ------
        DeploymentError
            If it does not, or the bucket cannot be used; says why and the way out.
        """
        try:
            owner = self._owner()
            made = owner is None and make and self._take()
            owner = self._owner() if made else owner
        except ServiceError as error:
            raise DeploymentError(f"Objects cannot be kept there: {error.detail.rstrip('.')}.") from error
        if owner is None:
            raise DeploymentError(
                f"There are no objects of this deployment at {self._address}. "
                "`deriva-ml init FOLDER --objects ADDRESS` keeps those of a new deployment there."
            )
        if owner != self._deployment:
            raise DeploymentError(
                f"{self._address} belongs to another deployment. Choose another prefix: {self._address.beside('NAME')}"
            )
        return made

    def _owner(self) -> str | None:
        try:
            with contextlib.closing(self._bucket.call("get_object", Key=self._key)["Body"]) as body:
                return str(body.read(200).decode("ascii", "replace"))
        except NotFound:
            return None

    def _take(self) -> bool:
        for found in self._bucket.listed(self._prefix):
            raise DeploymentError(
                f"{self._address} holds something else already ({found['Key']!r}). "
                f"Choose another prefix: {self._address.beside('NAME')}"
            )
        # A service that knows no conditions lets the last one win, which is asked for afterwards.
        with contextlib.suppress(PreconditionFailed):
            self._bucket.call("put_object", Key=self._key, Body=self._deployment.encode(), IfNoneMatch="*")
        return True

    def give_back(self) -> None:
        """Let the place be free again, where nothing was kept yet."""
        with contextlib.suppress(ServiceError):
            self._bucket.remove([self._key], "hasty")
