"""A place in a bucket belongs to one deployment: another one would remove what this one keeps."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator

from deriva_server.blobs.s3.addresses import Address
from deriva_server.blobs.s3.bucket import Bucket, Manner
from deriva_server.errors import DeploymentError, NotFound, PreconditionFailed, ServiceError, StorageUnusable

_DOCUMENT = "deployment"
_ID = re.compile(r"[0-9a-f]{32}")
_OWN = re.compile(r"data/[0-9a-f]{2}/[0-9a-f]{64}|uploads/[^/]+/[0-9]+")
"""Keys of a deployment; whatever else lies below its prefix belongs to somebody else."""


class Place:
    """A prefix of keys in a bucket, with the document that says to whom it belongs.

    Parameters
    ----------
    address : Address
        The place.
    claim : str
        Id of a deployment, a space, and what tells this claim from all others: copies have the id of their original.

    Raises
    ------
    DeploymentError
        If botocore is not installed.
    """

    def __init__(self, address: Address, claim: str) -> None:
        self.claim = claim
        self._bucket = Bucket(address)
        self._address = address
        self._prefix = address.root
        self._key = f"{self._prefix}{_DOCUMENT}"

    def check(self, *, make: bool) -> bool:
        """See that the place belongs to the deployment.

        Parameters
        ----------
        make : bool
            Whether it takes a place that is free.

        Returns
        -------
        bool
            Whether it was taken just now, and by this attempt.

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
            self._check_free()
            self._take()
        if not self.check_owner():
            raise DeploymentError(f"{self._address} does not keep what is put there.")
        return self.is_own()

    def check_owner(self) -> bool:
        """Whether the place belongs to the deployment; False when it is free.

        Raises
        ------
        DeploymentError
            If it belongs to another one, or the bucket cannot be used.
        """
        with _explained():
            owner = self._claimed(self._key)
        if owner is not None and _id(owner) != _id(self.claim):
            raise DeploymentError(
                f"{self._address} belongs to another deployment. Choose another prefix: {self._address.beside('NAME')}"
            )
        return owner is not None

    def is_own(self) -> bool:
        """Whether the place was taken with this very claim.

        Raises
        ------
        ServiceError
            If the bucket cannot be used.
        """
        return self._claimed(self._key) == self.claim

    def _claimed(self, key: str, manner: Manner = "usual") -> str | None:
        try:
            with contextlib.closing(self._bucket.call("get_object", manner, Key=key)["Body"]) as body:
                return str(body.read(200).decode("ascii", "replace"))
        except NotFound:
            return None

    def _check_free(self) -> None:
        for found in self._bucket.listed(self._prefix):
            raise DeploymentError(
                f"{self._address} holds something else already ({found['Key']!r}). "
                f"Choose another prefix: {self._address.beside('NAME')}"
            )
        for above in self._address.above():
            # Credentials may be for the place alone; what nobody can read there he can neither remove.
            with contextlib.suppress(StorageUnusable):
                owner = self._claimed(f"{above.root}{_DOCUMENT}")
                if owner is not None and _ID.fullmatch(_id(owner)):
                    way_out = f"prefix: {above.beside('NAME')}" if above.prefix else "bucket"
                    raise DeploymentError(
                        f"{self._address} lies in {above}, which belongs to a deployment. Choose another {way_out}"
                    )

    def _take(self) -> None:
        # What is refused was taken by somebody else, or by this attempt, if the first answer was lost.
        with contextlib.suppress(PreconditionFailed):
            body = io.BytesIO(self.claim.encode())
            self._bucket.call("put_object", Key=self._key, Body=body, IfNoneMatch="*")

    def give_back(self) -> None:
        """Let the place be free again, if it was taken with this claim and nothing is kept there yet."""
        with contextlib.suppress(ServiceError):
            if self._claimed(self._key, "hasty") != self.claim:
                return
            if all(entry["Key"] == self._key for entry in self._bucket.listed(self._prefix)):
                self._bucket.remove([self._key], "hasty")

    def undo(self) -> None:
        """Remove everything and let the place be free, if it was taken with this very claim.

        Raises
        ------
        ServiceError
            If something cannot be removed; it can be tried again then.
        """
        if self.is_own():
            self._clear()

    def clear(self) -> None:
        """Remove everything that the deployment has there, and let the place be free.

        Raises
        ------
        DeploymentError
            If it belongs to another one.
        ServiceError
            If something cannot be removed; it can be tried again then.
        """
        if self.check_owner():
            self._clear()

    def _clear(self) -> None:
        for entry in self._bucket.pages("list_multipart_uploads", "Uploads", Prefix=self._prefix):
            if self._is_own_key(entry["Key"]):
                with contextlib.suppress(NotFound):
                    self._bucket.call("abort_multipart_upload", Key=entry["Key"], UploadId=entry["UploadId"])
        for part in ("data/", "uploads/"):
            found = (entry["Key"] for entry in self._bucket.listed(f"{self._prefix}{part}"))
            self._bucket.remove(key for key in found if self._is_own_key(key))
        self._bucket.remove([self._key])

    def _is_own_key(self, key: str) -> bool:
        return _OWN.fullmatch(key.removeprefix(self._prefix)) is not None


def _id(claim: str) -> str:
    return claim.partition(" ")[0]


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except ServiceError as error:
        raise DeploymentError(f"Objects cannot be kept there: {error.detail.rstrip('.')}.") from error
