"""A place in a bucket belongs to one deployment: another one would remove what this one keeps."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

from deriva_server.blobs.s3.addresses import Address
from deriva_server.blobs.s3.bucket import Bucket
from deriva_server.errors import DeploymentError, NotFound, PreconditionFailed, ServiceError


class Place:
    """A prefix of keys in a bucket, with the document that says to whom it belongs.

    Parameters
    ----------
    address : Address
        The place.
    deployment : str
        Id of a deployment.

    Raises
    ------
    DeploymentError
        If botocore is not installed.
    """

    def __init__(self, address: Address, deployment: str) -> None:
        self._bucket = Bucket(address)
        self._address = address
        self._prefix = address.root
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
        if self.check_owner():
            return False
        if not make:
            raise DeploymentError(
                f"There are no objects of this deployment at {self._address}. "
                "`deriva-ml init FOLDER --objects ADDRESS` keeps those of a new deployment there."
            )
        with _explained():
            self._take()
        # A service that knows no conditions lets the last one win.
        if not self.check_owner():
            raise DeploymentError(f"{self._address} does not keep what is put there.")
        return True

    def check_owner(self) -> bool:
        """Whether the place belongs to the deployment; False when it is free.

        Raises
        ------
        DeploymentError
            If it belongs to another one, or the bucket cannot be used.
        """
        with _explained():
            owner = self._owner()
        if owner not in (None, self._deployment):
            raise DeploymentError(
                f"{self._address} belongs to another deployment. Choose another prefix: {self._address.beside('NAME')}"
            )
        return owner is not None

    def _owner(self) -> str | None:
        try:
            with contextlib.closing(self._bucket.call("get_object", Key=self._key)["Body"]) as body:
                return str(body.read(200).decode("ascii", "replace"))
        except NotFound:
            return None

    def _take(self) -> None:
        for found in self._bucket.listed(self._prefix):
            raise DeploymentError(
                f"{self._address} holds something else already ({found['Key']!r}). "
                f"Choose another prefix: {self._address.beside('NAME')}"
            )
        with contextlib.suppress(PreconditionFailed):
            body = io.BytesIO(self._deployment.encode())
            self._bucket.call("put_object", Key=self._key, Body=body, IfNoneMatch="*")

    def give_back(self) -> None:
        """Let the place be free again, where nothing was kept yet."""
        with contextlib.suppress(ServiceError):
            self._bucket.remove([self._key], "hasty")

    def clear(self) -> None:
        """Remove everything that the deployment has there, and let the place be free.

        Raises
        ------
        DeploymentError
            If it belongs to another one.
        ServiceError
            If something cannot be removed; it can be tried again then.
        """
        if not self.check_owner():
            return
        for entry in self._bucket.pages("list_multipart_uploads", "Uploads", Prefix=self._prefix):
            with contextlib.suppress(NotFound):
                self._bucket.call("abort_multipart_upload", Key=entry["Key"], UploadId=entry["UploadId"])
        found = (entry["Key"] for entry in self._bucket.listed(self._prefix))
        self._bucket.remove(key for key in found if key != self._key)
        self._bucket.remove([self._key])


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except ServiceError as error:
        raise DeploymentError(f"Objects cannot be kept there: {error.detail.rstrip('.')}.") from error
